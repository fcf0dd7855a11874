"""What is said to whoever watches, who may have gone."""

from contextlib import suppress


def say(line: str) -> None:
    """Prints a line; that nobody reads on, as where Ctrl-C has ended `tee` as well, is no reason to fail."""
    with suppress(BrokenPipeError):
        print(line, flush=True)
