"""The version of runner, as it is installed."""

from importlib.metadata import version

__version__ = version("jax-runner")
