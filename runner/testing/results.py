"""The outcome of a check, and how checks are called."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from runner.errors import describe

Subject = TypeVar("Subject")
Check = Callable[[Subject], str | None]


class Skip(Exception):
    """Raised by a check that does not apply; the message says why."""


class Result(NamedTuple):
    """The outcome of one check."""

    check: str  #: what must be true, as a sentence
    outcome: str  #: "passed", "failed" or "skipped"
    detail: str  #: what was measured, what is wrong, or why the check does not apply; may be empty


def expect(condition: object, message: str) -> None:
    """Raises AssertionError with a message unless a condition holds, also under `python -O`."""
    if not condition:
        raise AssertionError(message)


def name_of(check: Check) -> str:
    """Returns the sentence that a check is named by."""
    return check.__name__.replace("_", " ")


def result_of(check: Check[Subject], subject: Subject) -> Result:
    """Returns the outcome of a check. Any exception but Skip is a failure, with its message as the detail."""
    try:
        return Result(name_of(check), "passed", check(subject) or "")
    except Skip as reason:
        return Result(name_of(check), "skipped", str(reason))
    except AssertionError as error:
        return Result(name_of(check), "failed", " ".join(str(error).split()))
    except Exception as error:
        return Result(name_of(check), "failed", describe(error))


def results_of(checks: Iterable[Check[Subject]], subject: Subject) -> Iterator[Result]:
    """Yields the outcome of each check; if the first one fails, the others are skipped."""
    first = None
    for check in checks:
        if first is not None and first.outcome == "failed":
            yield Result(name_of(check), "skipped", f"needs that {first.check}")
            continue
        result = result_of(check, subject)
        first = first or result
        yield result


def require_passed(results: Iterable[Result]) -> list[Result]:
    """Returns the results, none of which is a failure.

    Raises:
        AssertionError: a check failed; the message has one line for each that did.
    """
    results = list(results)
    failed = [f"{result.check}: {result.detail}" for result in results if result.outcome == "failed"]
    if failed:
        raise AssertionError("\n".join(failed))
    return results
