"""Counts of the outcomes of trials."""

import dataclasses

OUTCOMES = ("survived", "lost", "silent", "executed")


@dataclasses.dataclass
class Tally:
    """The outcomes of the trials of one fault.

    Attributes:
        fault: its name.
        survived: number of trials that ended as guaranteed.
        lost: number of trials after which a step that was reported as saved was missing.
        silent: number of trials in which something wrong was used, or skipped, without a message.
        executed: number of trials in which a program of somebody else was executed.
        failures: descriptions of the first trials that were lost or silent, with which they can be replayed.
    """

    fault: str
    survived: int = 0
    lost: int = 0
    silent: int = 0
    executed: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)

    @property
    def trials(self) -> int:
        """The number of trials."""
        return self.survived + self.lost + self.silent + self.executed

    def __add__(self, other: "Tally") -> "Tally":
        """Returns the sums of both, under the name of this one's fault."""
        sums = [getattr(self, name) + getattr(other, name) for name in OUTCOMES]
        return Tally(self.fault, *sums, self.failures + other.failures)

    def count(self, outcome: str, what: str) -> None:
        """Counts a trial as "survived", "lost", "silent" or "executed", and keeps its description if it failed."""
        setattr(self, outcome, getattr(self, outcome) + 1)
        if outcome != "survived" and len(self.failures) < 10:
            self.failures.append(f"{outcome}: {what}")

    def row(self) -> str:
        """Returns a row of a Markdown table."""
        counts = [self.trials, *(getattr(self, name) for name in OUTCOMES)]
        return f"| {self.fault} | {' | '.join(map(str, counts))} |"
