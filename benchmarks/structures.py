"""Trains many runs of different structures in one process, and reports its memory maps and its memory.

python benchmarks/structures.py              # 300 runs; about ten minutes
python benchmarks/structures.py --keep       # the same without releasing programs: fails at Linux's limit of maps
"""

import argparse
import os
import resource
import time
from itertools import islice, product
from pathlib import Path

# Maps and memory are measured, not speed: with little optimisation a run takes a third of the time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax

from runner.compose.build import build
from runner.compose.command_line import compose
from runner.loop import loop
from runner.process import compile_cache
from runner.process.memory import memory_maps

WORKS = (
    ["dataset=iris"],
    ["dataset=wine", "optimizer=sgd"],
    ["scenario=regression"],
    ["scenario=autoencoder", "dataset=digits"],
    ["scenario=gan", "evaluation.size=64"],
    ["scenario=vae", "dataset=digits", "evaluation.size=64"],
)
SIZES = range(8, 58)


def resident() -> float:
    """Returns the resident memory of this process in MiB."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) / 1024 for row in rows if row.startswith("VmRSS"))


def train(work: list[str], size: int) -> None:
    """Trains and evaluates for a few steps; each size is another structure."""
    scenario, dataset, settings, evaluator = build(
        compose([*work, f"net.hidden_sizes=[{size}]", "steps=4", "loop.log_every=4"])
    )
    settings.run(scenario, dataset, key=jax.random.key(0), evaluator=evaluator)


def main() -> None:
    """Prints a row of a table after every 50 runs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--keep", action="store_true", help="never release a compiled program")
    options = parser.parse_args()
    if options.keep:
        loop.release_programs = lambda: None
    most, begun = 0, time.perf_counter()
    print(f"programs are released above {compile_cache.MOST_MAPS} memory maps\n" if not options.keep else "")
    print("| runs | memory maps | most so far | resident, MiB | most so far | seconds a run |")
    print("| --- | --- | --- | --- | --- | --- |")
    for number, (size, work) in enumerate(islice(product(SIZES, WORKS), options.runs), 1):
        train(work, size)
        most = max(most, memory_maps())
        if number % 50 == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            pace = (time.perf_counter() - begun) / 50
            print(
                f"| {number} | {memory_maps()} | {most} | {resident():.0f} | {peak:.0f} | {pace:.2f} |",
                flush=True,
            )
            begun = time.perf_counter()


if __name__ == "__main__":
    main()
