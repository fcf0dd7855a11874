"""Measures how the cost of the command grows with members, with parameters, and with streamed data.

Prints Markdown; each line is the median of fresh processes, which take turns.
"""

import argparse
import math
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import COMMAND, Result, launch, machine, median, records, run_command, table
from PIL import Image

QUIET = "loop.log_every=10 figures=false"
MEMBERS = "net=mlp steps=560 loop.evaluate_every=280 loop.save_every=280"
IMAGES = "scenario=autoencoder net.hidden_sizes=[256] steps=400 loop.evaluate_every=200 loop.save_every=200"


def width(parameters: float) -> int:
    """Returns the size of two hidden layers for a number of parameters, with 64 inputs and 10 outputs."""
    linear = 64 + 10 + 2  # including the biases
    return round((math.sqrt(linear**2 + 4 * (parameters - 10)) - linear) / 2)


def commands(folder: Path) -> dict[str, tuple[str, int]]:
    """Returns for each line of the table the command, and the number of members that it trains."""
    found = {}
    for members in (1, 4, 16, 64):
        found[f"sweep of {members}"] = (
            f"-m hydra/launcher=inprocess seed=range({members}) {MEMBERS}",
            members,
        )
    for members in (1, 4, 16, 64):
        found[f"ensemble of {members}"] = f"ensemble={members} {MEMBERS}", members
    for parameters, steps in ((1e3, 2000), (1e4, 2000), (1e5, 1000), (1e6, 400), (1e7, 60)):
        size, half = width(parameters), steps // 2
        often = f"steps={steps} loop.evaluate_every={half} loop.save_every={half}"
        found[f"{parameters:.0e} parameters"] = f"net=mlp net.hidden_sizes=[{size},{size}] {often}", 1
    memory = f"dataset=npz dataset.path={folder / 'images.npz'} dataset.target=null"
    streamed = f"dataset=image_folder dataset.path={folder / 'images'} dataset.size=32"
    found["images in memory"] = f"{IMAGES} {memory}", 1
    found["images streamed"] = f"{IMAGES} {streamed}", 1
    return found


def write_images(folder: Path) -> None:
    """Writes the same random images as one file of arrays and as a folder of PNG files."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), np.uint8)
    np.savez(folder / "images.npz", x=images / np.float32(255))
    (folder / "images").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / "images" / f"{number}.png")


def measure(command: str, members: int, folder: Path) -> Result:
    """Runs the command once, with an empty cache of compiled programs; the rate counts the steps of all members."""
    words, cache = [*command.split(), *QUIET.split()], folder / "cache"
    if "-m" not in words:
        result = run_command(words, cache, folder)
        return result._replace(rate=members * result.rate)
    words.append(f"hydra.sweep.dir={folder / 'runs'}")
    start, result = launch([*COMMAND, *words], folder, RUNNER_CACHE=str(cache))
    runs = [records(path.parent) for path in (folder / "runs").glob("*/timing.jsonl")]
    times = sorted(at for run in runs for _, at in run)
    steps = sum(run[-1][0] for run in runs)
    return result._replace(first=times[0] - start, rate=steps / (times[-1] - times[0]))


def main() -> None:
    """Measures all commands and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="a file for the report")
    arguments = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    with tempfile.TemporaryDirectory() as name:
        write_images(Path(name))
        asked = commands(Path(name))
        found: dict[str, list[Result]] = {line: [] for line in asked}
        for repeat in range(arguments.repeats):
            for number, (line, (command, members)) in enumerate(asked.items()):
                folder = Path(name) / str(repeat) / str(number)
                folder.mkdir(parents=True)
                found[line].append(measure(command, members, folder))
                print(line, found[line][-1], file=sys.stderr)
    rows = []
    for line, results in found.items():
        middle = median(results)
        rows.append(
            [line, f"{middle.first:.2f}", f"{middle.total:.2f}", f"{middle.rate:.0f}", f"{middle.peak:.0f}"]
        )
    head = ["", "first step, s", "total, s", "steps/s of all members", "peak, MiB"]
    text = f"{machine()}\nMedians of {arguments.repeats}.\n\n{table(head, rows)}"
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
