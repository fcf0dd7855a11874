"""Damage to the files of a saved step: it is reported, and the previous step is used instead."""

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
    """Flips one bit."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def truncate(path: Path, chance: random.Random) -> None:
    """Removes the end of the file."""
    path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])


def zero(path: Path, chance: random.Random) -> None:
    """Replaces all bytes by zeros, as some file systems do after a power cut."""
    path.write_bytes(bytes(path.stat().st_size))


def append(path: Path, chance: random.Random) -> None:
    """Adds a byte."""
    path.write_bytes(path.read_bytes() + chance.randbytes(1))


def delete(path: Path, chance: random.Random) -> None:
    """Deletes the file."""
    path.unlink()


def intrude(path: Path, chance: random.Random) -> None:
    """Adds another file next to it."""
    path.with_name(f"{path.name}-{chance.randrange(100)}").write_bytes(path.read_bytes())


DAMAGES: tuple[Callable[[Path, random.Random], None], ...] = (flip, truncate, zero, append, delete, intrude)


def damage(trials: int = 1, seed: int = 0, disabled: str = "") -> Iterator[Tally]:
    """Damages every file of the newest step, including its seal, in every way.

    Args:
        trials: number for each file and way.
        seed: of the positions of the damage.
        disabled: "seal" disables the check of the seals; "" disables nothing.
    """
    look = seals.note if disabled == "seal" else seals.verify
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
    """Damages a file of every step: loading fails, and nothing is deleted or started fresh."""
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
        step, messages = subject.load(place)
    except Unreadable:
        return "lost"
    except Exception:  # any error by which Orbax fails on damage that the seal has not detected
        return "silent"
    fell_back = step == STEPS[-2] and len(messages) == 1 and f"/{STEPS[-1]}: " in messages[0]
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
