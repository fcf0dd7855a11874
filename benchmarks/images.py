"""Compares the speed of reading images by one worker and by several.

    python benchmarks/images.py --workers 2 --pairs 7

Writes small PNGs and photographs as JPEGs into a temporary folder, and reads them as `dataset=image_folder` does. One
and several workers take turns, and the ratio of each pair counts. On a busy machine, several processes get more of the
processors than one, so the processor time for 1000 images, of the command and its workers, is reported, too. If it does
not grow with the number of workers, neither does what limits the speed on idle processors: the larger of the time of
the command alone and the whole time divided by the number of processors.
"""

import argparse
import os
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from measuring import machine, table
from PIL import Image

from runner.datasets.images.decoding import Form
from runner.datasets.images.stream import Images
from runner.datasets.images.workers import Workers

KINDS = {  # name -> width, height, ending, size that they are read in, how many are read
    "PNG, 32 x 32, as they are": (32, 32, "png", 32, 4096),
    "JPEG, 500 x 375, to 64 x 64": (500, 375, "jpg", 64, 512),
    "JPEG, 500 x 375, to 64 x 64, draft": (500, 375, "jpg", 64, 512),
}
BATCH, FILES, SKIPPED = (
    64,
    128,
    4,
)  # images of a batch, different files, batches until all workers have started


class Speed(NamedTuple):
    """The speed of reading."""

    rate: float  # images a second
    own: float  # seconds of a processor for 1000 images, of the command
    whole: float  # likewise, of its workers, too


def write(folder: Path, kind: str) -> list[Path]:
    """Writes images of a kind, which are blurred noise, because noise compresses unlike a photograph."""
    width, height, ending, *_ = KINDS[kind]
    generator = np.random.default_rng(0)
    folder.mkdir()
    for number in range(FILES):
        noise = generator.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
        Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC).save(
            folder / f"{number}.{ending}"
        )
    return sorted(folder.iterdir())


def measure(files: list[Path], kind: str, count: int) -> Speed:
    """Reads batches by some workers."""
    *_, size, images = KINDS[kind]
    workers = Workers(count)
    form = Form(size, 3, draft=kind.endswith("draft"))
    batches = Images(files, None, [""] * len(files), form, workers, 0, BATCH).batches(0)
    for _ in islice(batches, SKIPPED):
        pass
    start, own, others = time.perf_counter(), time.process_time(), seconds_of(workers)
    for _ in islice(batches, images // BATCH):
        pass
    elapsed = time.perf_counter() - start
    own, others = time.process_time() - own, seconds_of(workers) - others
    batches.close()
    return Speed(images / elapsed, 1000 * own / images, 1000 * (own + others) / images)


def seconds_of(workers: Workers) -> float:
    """Returns the time of processors that the processes of some workers have used."""
    stats = [Path(f"/proc/{process.pid}/stat").read_text().split() for process in workers.processes]
    return sum(int(stat[13]) + int(stat[14]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def row(kind: str, pairs: list[list[Speed]], count: int) -> list[str]:
    """Returns a row of the table, from speeds of one worker and of several."""
    one, several = (
        Speed(*map(statistics.median, zip(*each, strict=True))) for each in zip(*pairs, strict=True)
    )
    ratios = sorted(after.rate / before.rate for before, after in pairs)
    limit = max(several.own, several.whole / count)
    spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    times = [f"{one.whole:.3f}", f"{several.whole:.3f}", f"{one.whole / limit:.2f}"]
    return [kind, f"{one.rate:.0f}", f"{several.rate:.0f}", spread, *times]


def main() -> None:
    """Prints the table of docs/performance.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, kind in enumerate(KINDS):
            files = write(Path(folder, str(number)), kind)
            pairs = [
                [measure(files, kind, count) for count in (1, given.workers)] for _ in range(given.pairs)
            ]
            rows.append(row(kind, pairs, given.workers))
    head = [
        "images",
        "images/s, one worker",
        f"{given.workers} workers",
        "ratio of pairs",
        "CPU s for 1000, one",
    ]
    print(machine(), f"load {os.getloadavg()[0]:.1f}", sep="\n")
    print(table([*head, f"{given.workers} workers", "ratio by CPU"], rows))


if __name__ == "__main__":
    main()
