"""`python -m runner` does what the command `runner` does."""

from runner.cli import command

if __name__ == "__main__":
    command()
