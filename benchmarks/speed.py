"""Measures speed: the command against hand-written loops and other libraries.

Each way to do a work is a separate program (`ways/`), run as a fresh process. The ways take turns, so that a change of
the machine's speed affects all of them, and medians over the repeats are reported as Markdown. The last table contains
the requirements on the command; exits with 1 if one of them, or a process, fails.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from math import isnan, nan
from pathlib import Path
from typing import NamedTuple

from measuring import COMMAND, Result, launch, machine, median, run_command, table, timed, version_of

PROGRAMS = {
    "classes in code": "classes.py",
    "jit per step": "jit_loop.py",
    "scan": "scan.py",
    "Keras": "keras_fit.py",
    "torch": "torch_loop.py",
}
LAUNCHERS = {"in one process": "inprocess", "joblib, 4 processes": "joblib hydra.launcher.n_jobs=4"}
HELP = {"runner --help": [*COMMAND, "--help"], "import hydra": [sys.executable, "-c", "import hydra"]}
PEERS = ("Keras", "torch")
NEEDED = {"Keras": "keras", "torch": "torch", "joblib, 4 processes": "hydra-joblib-launcher"}
COLD, WARM, LOOP, SCAN = "command, cold", "command, warm cache", "jit per step", "scan"
SHORT, LONG = (COLD, WARM, *PROGRAMS), (COLD, "classes in code", LOOP, SCAN)

MLP = "net=mlp dataset=digits dataset.batch_size=64"
GAN = "scenario=gan net.hidden_sizes=[128,128,128] scenario.r1=null scenario.ema=null dataset.batch_size=256"
CNN = "net=cnn net.hidden_sizes=[] dataset=npz dataset.path={images} dataset.batch_size=128"
RESNET = "net=resnet net.channels=[64,128,256,512] net.blocks=2 dataset=npz dataset.path={images}"
IMAGES = {"W3": (2560, 28, 28, 1), "W4": (1280, 32, 32, 3)}


ABSENT = Result(nan, nan)  # not installed
Medians = dict[str, dict[str, Result]]  # work -> way -> result


class Work(NamedTuple):
    """What is trained, for how many steps and in which ways."""

    title: str
    settings: str  # of the command
    steps: int
    ways: Iterable[str] = SHORT
    log_every: int = 8
    evaluations: int = 2

    def command(self, images: str | Path = "") -> list[str]:
        """Returns the command line without `runner`; `images` is the file of images, for works that need one."""
        every = self.steps // self.evaluations
        often = f"loop.log_every={self.log_every} loop.evaluate_every={every} loop.save_every={every}"
        return f"{self.settings.format(images=images)} steps={self.steps} {often} figures=false".split()


WORKS = {
    "W1": Work("MLP 64-128-128-10 on digits, Adam, batch 64", MLP, 560),
    "W1 long": Work("the same, longer", MLP, 20000, LONG, 100, 4),
    "W2": Work("GAN of two MLPs, 3 x 128, on eight Gaussians, batch 256", GAN, 1024),
    "W2 long": Work("the same, longer", GAN, 4000, LONG, 100, 4),
    "W3": Work("CNN of 32 and 64 channels on 28 x 28 x 1, batch 128", CNN, 100, log_every=1),
    "W4": Work(
        "ResNet18 on 32 x 32 x 3, batch 64", RESNET, 6, (COLD, WARM, "classes in code", LOOP, "torch"), 1
    ),
    "W1 sweep": Work("16 seeds of W1", MLP, 560, LAUNCHERS, 100),
    "W2 sweep": Work("16 seeds of W2", GAN, 100, LAUNCHERS, 100),
    "help": Work("answers at once", "", 0, HELP),
}


def demands(of: Callable[[str, str, str], float]) -> Iterator[tuple[str, float, str, float]]:
    """Yields all requirements: a text, the measured value, and its limit, from medians by work, way and name."""
    for work, most in (("W1", 0.3), ("W2", 0.45)):
        cold, total = of(work, COLD, "first"), of(work, COLD, "total")
        yield f"{work}: cold first step / {LOOP}", cold / of(work, LOOP, "first"), "<=", 1.0
        yield f"{work}: warm first step / cold", of(work, WARM, "first") / cold, "<=", 0.75
        yield f"{work}: total - {SCAN}, s", total - of(work, SCAN, "total"), "<=", 1.0
        yield f"{work}: total / Keras", total / of(work, "Keras", "total"), "<=", 1.0
        yield f"{work}: total / torch", total / of(work, "torch", "total"), "<=", 1.0
        rates = (of(f"{work} long", way, "rate") for way in (COLD, SCAN))
        yield f"{work} long: steps/s / {SCAN}", next(rates) / next(rates), ">=", 0.95
        totals = (of(f"{work} sweep", way, "total") for way in LAUNCHERS)
        yield f"{work} sweep: total / 4 processes", next(totals) / next(totals), "<=", most
    rate = of("W3", "classes in code", "rate")  # the command evaluates in between
    yield f"W3: steps/s / {LOOP}", rate / of("W3", LOOP, "rate"), ">=", 2.5
    yield "W3: steps/s / torch", rate / of("W3", "torch", "rate"), ">=", 0.9
    answer, hydra = (of("help", way, "total") for way in HELP)
    yield "runner --help - 1.2 x import hydra, s", answer - 1.2 * hydra, "<=", 0.3


def run_program(work: str, way: str, steps: int, images: Path, folder: Path, python: str) -> Result:
    """Runs one of the programs."""
    program, out = Path(__file__).parent / "ways" / PROGRAMS[way], folder / "notes.json"
    start, result = launch([python, str(program), work[:2], str(steps), str(images), str(out)], folder)
    return timed(start, result, **json.loads(out.read_text()))


def measure(name: str, way: str, shared: Path, folder: Path, peers: str) -> Result:
    """Measures one way to do a work in an empty folder; what its ways share is in another."""
    work, images = WORKS[name], shared / f"{name[:2]}.npz"
    if way in HELP:
        return launch(HELP[way], folder)[1]
    if way in LAUNCHERS:
        options = f"-m hydra/launcher={LAUNCHERS[way]} seed=range(16) hydra.sweep.dir={folder / 'runs'}"
        command = [*COMMAND, *options.split(), *work.command()]
        return launch(command, folder, RUNNER_CACHE=str(folder / "cache"))[1]
    if way in PROGRAMS:
        python = peers if way in PEERS else sys.executable
        return run_program(name, way, work.steps, images, folder, python)
    cache = folder.parent / "cache"  # the cold run fills it, and the warm run uses it
    return run_command(work.command(images), cache, folder)


def _installed(way: str, peers: str) -> bool:
    return way not in NEEDED or bool(version_of(NEEDED[way], peers if way in PEERS else sys.executable))


def write_images(folder: Path) -> None:
    """Writes random images of ten classes, for the works that read a file."""
    import numpy as np

    rng = np.random.default_rng(0)
    for work, shape in IMAGES.items():
        x = rng.standard_normal(shape, np.float32)
        np.savez(folder / f"{work}.npz", x=x, y=rng.integers(0, 10, len(x)))


def measure_all(works: Iterable[str], repeats: int, peers: str) -> Medians:
    """Returns the medians of all works and ways; the ways take turns.

    Raises:
        ValueError: the ways of a work trained nets of different sizes.
    """
    medians = {}
    with tempfile.TemporaryDirectory() as name:
        shared = Path(name)
        write_images(shared)
        for work in works:
            absent = {way for way in WORKS[work].ways if not _installed(way, peers)}
            ways = [way for way in WORKS[work].ways if way not in absent]
            found: dict[str, list[Result]] = {way: [] for way in ways}
            for repeat in range(repeats):
                for number, way in enumerate(ways):
                    folder = shared / work.replace(" ", "_") / str(repeat) / str(number)
                    folder.mkdir(parents=True)
                    try:
                        found[way].append(measure(work, way, shared, folder, peers))
                        print(work, way, found[way][-1], file=sys.stderr)
                    except RuntimeError as error:  # the others are still worth measuring
                        print(work, way, error, file=sys.stderr)
            medians[work] = {way: median(results) for way, results in found.items() if results}
            medians[work] |= dict.fromkeys(absent, ABSENT)
            if len({result.parameters for result in medians[work].values() if result.parameters > 0}) > 1:
                raise ValueError(f"{work}: the nets differ in size: {medians[work]}")
    return medians


def check_limits(medians: Medians) -> list[list[str]]:
    """Returns a row for each requirement, which ends with PASS, FAIL or "not measured"."""

    def of(work: str, way: str, name: str) -> float:
        return getattr(medians.get(work, {}).get(way), name, nan)

    rows = []
    for text, figure, sense, limit in demands(of):
        good = figure <= limit if sense == "<=" else figure >= limit
        result = ["", "not measured"] if isnan(figure) else [f"{figure:.2f}", "PASS" if good else "FAIL"]
        rows.append([text, f"{sense} {limit:g}", *result])
    return rows


def rows_of(work: str, results: dict[str, Result]) -> Iterator[list[str]]:
    """Yields a row for each way, with the ratios to the scan and to the loop of single steps in brackets."""
    others = [results[way] for way in (SCAN, LOOP) if way in results]
    for way in WORKS[work].ways:
        if results.get(way, ABSENT) is ABSENT:
            yield [way, "not installed" if way in results else "FAILED", "", "", ""]
            continue
        cells = []
        for name, places in (("first", 2), ("total", 2), ("rate", 1), ("peak", 0)):
            value = getattr(results[way], name)
            ratios = ", ".join(f"{value / getattr(other, name):.2f}" for other in others)
            cells.append("" if isnan(value) else f"{value:.{places}f}" + f" ({ratios})" * bool(ratios))
        yield [way, *cells]


def report(medians: Medians, repeats: int, peers: str = sys.executable) -> str:
    """Returns all tables as Markdown."""
    about = f"Medians of {repeats}; in brackets the ratios to {SCAN} and to {LOOP}, where there are both.\n"
    parts = [machine(peers), about]
    for work, results in medians.items():
        steps = f", {WORKS[work].steps} steps" * bool(WORKS[work].steps)
        sizes = {
            f", {result.parameters:,.0f} parameters" for result in results.values() if result.parameters > 0
        }
        parts.append(f"**{work}**: {WORKS[work].title}{steps}{''.join(sizes)}\n")
        parts.append(
            table(["way", "first step, s", "total, s", "steps/s", "peak, MiB"], rows_of(work, results))
        )
    parts.append(table(["asked", "limit", "measured", ""], check_limits(medians)))
    return "\n".join(parts)


def main() -> None:
    """Measures the works that are named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--peers",
        default=sys.executable,
        type=os.path.abspath,
        metavar="PYTHON",
        help="that runs Keras and torch; one of its own, for tensorboardX imports torch where it finds it",
    )
    parser.add_argument("--out", type=Path, help="a file for the report")
    arguments = parser.parse_args()
    if unknown := set(arguments.works) - set(WORKS):
        parser.error(f"{', '.join(sorted(unknown))}: known are {', '.join(WORKS)}")
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    medians = measure_all(arguments.works or WORKS, arguments.repeats, arguments.peers)
    text = report(medians, arguments.repeats, arguments.peers)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    sys.exit("FAIL" in text)


if __name__ == "__main__":
    main()
