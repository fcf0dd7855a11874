"""Tests all faults, some in parallel, and prints a report in Markdown; fails if anything was lost, silent or executed.

It also disables each protection in turn, and fails if no trial detects that.

make faults, or: python -m faults [--quick] [--seed SEED] [--only NAME ...]
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

from faults.programs import programs, run, unprotected
from faults.tally import Tally
from runner.process.workers import end_with_parent

LANES = 4  # programs that run in parallel, each with a process into which faults are injected
HEAD = "| fault | trials | survived | lost | silent | executed |\n|---|---|---|---|---|---|"


def main() -> None:
    """Runs the programs that the command line selects."""
    parser = argparse.ArgumentParser(prog="faults", description="Tries faults on runs and on what they save.")
    parser.add_argument("--quick", action="store_true", help="a few trials of each, in about two minutes")
    parser.add_argument("--seed", type=int, default=0, help="replays what a report names")
    parser.add_argument("--only", nargs="+", choices=programs(True, 0), help="some programs alone")
    asked = parser.parse_args()
    known, without = programs(asked.quick, asked.seed), unprotected(asked.seed)
    if asked.only is not None:
        known, without = {name: known[name] for name in asked.only}, {}
    failures = []
    print(HEAD)
    with ProcessPoolExecutor(LANES, multiprocessing.get_context("spawn"), end_with_parent) as lanes:
        names = {lanes.submit(run, program): name for name, program in (known | without).items()}
        for done in as_completed(names):
            name = names[done]
            try:
                failures += (_unprotected if name in without else _failures)(name, done.result())
            except Exception as error:  # the others continue
                failures.append(f"* {name} could not be tried: {error!r}")
    left_out = {"ENOSPC", "EIO", "EACCES", "cuts", "full"} - programs(asked.quick, asked.seed).keys()
    note = [f"left out here (they need Linux, and a C compiler or root): {', '.join(sorted(left_out))}"]
    print("", f"seed {asked.seed}", *(note if left_out else []), *failures, sep="\n")
    sys.exit(bool(failures))


def _failures(name: str, tallies: list[Tally]) -> list[str]:
    for tally in tallies:
        print(tally.row(), flush=True)
    return [f"* {tally.fault}: {failure}" for tally in tallies for failure in tally.failures]


def _unprotected(name: str, tallies: list[Tally]) -> list[str]:
    total = sum(tallies, Tally(f"without the {name}"))
    print(total.row(), flush=True)
    return [f"* {total.fault}: nobody notices"] if total.survived == total.trials else []


if __name__ == "__main__":
    main()
