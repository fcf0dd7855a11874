"""How an error is told in one line."""

from runner.signals import Stopped

EXPECTED = (ValueError, OSError, ArithmeticError, Stopped)  # which say in themselves what is wrong


def line(error: BaseException) -> str:
    """Tells an error in one line, by its type too where it was not expected."""
    text = " ".join(str(error).split())
    return text if isinstance(error, EXPECTED) else f"{type(error).__name__}: {text}"
