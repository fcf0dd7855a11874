"""Power cuts and a full disk, on file systems that are mounted for this; they need root and Linux.

A cut is a copy of the disk's image at a random moment, with the writer stopped: what the file system has not yet
written to its device is lost. The device's own cache is assumed to write what it has reported as written.
"""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from faults import subject
from faults.injected import BEFORE, DURING, outcome_of, server
from faults.tally import Tally
from runner.errors import StorageError

CAN_MOUNT = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mkfs.ext4") is not None


def cuts(trials: int = 50, seed: int = 0, disabled: str = "") -> Iterator[Tally]:
    """Cuts the power at random moments of two saves: each step that was reported as saved is there afterwards.

    Args:
        trials: number of cuts.
        seed: of the moments.
        disabled: the protection to disable, as in `faults.child.inject`.
    """
    tally, chance = Tally("power cut, ext4"), random.Random(seed)
    with server() as (children, folder):
        image, copy, disk = folder / "image", folder / "copy", folder / "disk"
        place = disk / "run" / "checkpoints"
        disk.mkdir()
        seconds = 1.0
        for trial in range(trials):
            _format(image)
            with mounted(disk, "-o", "loop", str(image)):
                subject.save(place, *BEFORE)
                after = chance.uniform(0, 1.2 * seconds)
                report = children.inject(place, after=after, image=(str(image), str(copy)), disabled=disabled)
            if report["status"] == 0:
                seconds = report["seconds"]
            with mounted(disk, "-o", "loop", str(copy)):
                tally.count(
                    outcome_of(place, report["saved"]),
                    f"{trial=} of seed {seed}, after {after:.3f} s: {report}",
                )
    yield tally


def full(trials: int = 20, seed: int = 0) -> Iterator[Tally]:
    """Fills the disk: the failure is reported, older steps stay complete, and saving works once there is space."""
    tally, chance = Tally("disk full, tmpfs"), random.Random(seed)
    for trial in range(trials):
        with (
            tempfile.TemporaryDirectory() as name,
            mounted(Path(name), "-t", "tmpfs", "-o", "size=4m", "tmpfs"),
        ):
            place, ballast = Path(name) / "run" / "checkpoints", Path(name) / "ballast"
            subject.save(place, *BEFORE)
            free = shutil.disk_usage(name).free
            ballast.write_bytes(bytes(free - 4096 * chance.randrange(16)))
            with contextlib.suppress(StorageError):
                subject.save(place, *DURING)
                tally.count("silent", f"{trial=} of seed {seed}: no error")
                continue
            ballast.unlink()
            tally.count(outcome_of(place, []), f"{trial=} of seed {seed}")
    yield tally


def _format(image: Path) -> None:
    with image.open("wb") as file:
        file.truncate(16 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)


@contextlib.contextmanager
def mounted(folder: Path, *how: str) -> Iterator[None]:
    """Mounts a file system for the time of a block."""
    subprocess.run(["mount", *how, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
