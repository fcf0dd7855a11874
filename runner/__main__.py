"""The command `runner`, as `python -m runner`."""

from runner.cli import command

if __name__ == "__main__":
    command()
