"""How trials went."""

import dataclasses


@dataclasses.dataclass
class Tally:
    """Counts the trials of one fault.

    Attributes:
        survived: trials that ended as promised.
        lost: trials after which a step told as saved was gone.
        silent: trials in which something wrong was used, or skipped, without a word.
        failures: the first of those that were lost or silent, to be replayed.
    """

    fault: str
    survived: int = 0
    lost: int = 0
    silent: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)

    @property
    def trials(self) -> int:
        """All of them."""
        return self.survived + self.lost + self.silent

    def __add__(self, other: "Tally") -> "Tally":
        """Counts the trials of both as those of this one's fault."""
        sums = (self.survived + other.survived, self.lost + other.lost, self.silent + other.silent)
        return Tally(self.fault, *sums, self.failures + other.failures)

    def count(self, outcome: str, what: str) -> None:
        """Counts a trial as "survived", "lost" or "silent"."""
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome != "survived" and len(self.failures) < 10:
            self.failures.append(f"{outcome}: {what}")

    def row(self) -> str:
        """Gives a row of a Markdown table."""
        return f"| {self.fault} | {self.trials} | {self.survived} | {self.lost} | {self.silent} |"
