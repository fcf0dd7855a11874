"""The training loop: compiled steps, means over log intervals, and checks for NaN and inf."""

from typing import TYPE_CHECKING

from runner import lazy_names

if TYPE_CHECKING:
    from runner.loop.loop import Loop

__all__ = ["Loop"]

__getattr__, __dir__ = lazy_names(__name__, __all__, ["loop"])
