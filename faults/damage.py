"""Damage to the files of a saved step: it is told, and the step before it is used instead."""

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from faults import subject
from faults.tally import Tally
from runner.errors import Unreadable
from runner.storage import seals

STEPS = (2, 4, 6)


def flip(path: Path, chance: random.Random) -> None:
    """Turns one bit over."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def truncate(path: Path, chance: random.Random) -> None:
    """Cuts the end off."""
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def zero(path: Path, chance: random.Random) -> None:
    """Keeps the size and nothing else, as some file systems do after a power cut."""
    path.write_bytes(bytes(path.stat().st_size))


def append(path: Path, chance: random.Random) -> None:
    """Adds a byte."""
    path.write_bytes(path.read_bytes() + chance.randbytes(1))


def delete(path: Path, chance: random.Random) -> None:
    """Takes the file away."""
    path.unlink()


def intrude(path: Path, chance: random.Random) -> None:
    """Puts another file beside it."""
    path.with_name(f"{path.name}-{chance.randrange(100)}").write_bytes(path.read_bytes())


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (flip, truncate, zero, append, delete, intrude)


def damage(trials: int = 1, seed: int = 0, weak: str = "") -> Iterator[Tally]:
    """Damages every file of the newest step, its seal too, in every way.

    Args:
        trials: of each.
        seed: of where.
        weak: "seal" does without looking at the seals.
    """
    look = seals.note if weak == "seal" else seals.verify
    with mock.patch.object(seals, "verify", look), tempfile.TemporaryDirectory() as folder:
        saved, tried = Path(folder) / "saved", Path(folder) / "tried"
        subject.save(saved, *STEPS)
        step = saved / str(STEPS[-1])
        names = sorted(path.relative_to(saved) for path in step.rglob("*") if path.is_file())
        for way in DAMAGES:
            tally = Tally(f"{way.__name__}, in each file of a step")
            for name in names:
                for trial in range(trials):
                    shutil.copytree(saved, tried)
                    what = f"{way.__name__} {name}, seed {seed}, trial {trial}"
                    way(tried / name, random.Random(f"{way.__name__} {name} {seed} {trial}"))
                    tally.count(_outcome(tried), what)
                    shutil.rmtree(tried)
            yield tally


def all_damaged(trials: int = 10, seed: int = 0) -> Iterator[Tally]:
    """Damages a file of each step: all is refused, and nothing deleted or begun anew."""
    tally, chance = Tally("a file of every step"), random.Random(seed)
    for trial in range(trials):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "saved"
            subject.save(place, *STEPS)
            for step in STEPS:
                files = sorted(path for path in (place / str(step)).rglob("*") if path.is_file())
                chance.choice(DAMAGES)(chance.choice(files), chance)
            before = _listing(place)
            tally.count(
                "survived" if _refused(place) and _listing(place) == before else "silent", f"trial {trial}"
            )
    yield tally


def _outcome(place: Path) -> str:
    try:
        step, told = subject.load(place)
    except Unreadable:
        return "lost"
    except Exception:  # whatever Orbax makes of damage that no seal has told
        return "silent"
    fell_back = step == STEPS[-2] and len(told) == 1 and f"/{STEPS[-1]}: " in told[0]
    return "survived" if fell_back else "silent"


def _refused(place: Path) -> bool:
    try:
        subject.load(place)
    except Unreadable as error:
        return all(f"/{step}: " in str(error) for step in STEPS)
    except subject.Silent:
        pass
    return False


def _listing(place: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in place.rglob("*")}
