"""Tries all faults, some side by side, and prints a report in Markdown; it fails where anything was lost or silent.

Then it does without each protection in turn, and fails where nobody notices.

make faults, or: python -m faults [--quick] [--seed SEED] [--only NAME ...]
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

from faults.programs import programs, run, weakened
from faults.tally import Tally

LANES = 4  # programs at a time, each with a process that is struck
HEAD = "| fault | trials | survived | lost | silent |\n|---|---|---|---|---|"


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(prog="faults", description="Tries faults on runs and on what they save.")
    parser.add_argument("--quick", action="store_true", help="a few trials of each, in about two minutes")
    parser.add_argument("--seed", type=int, default=0, help="replays what a report names")
    parser.add_argument("--only", nargs="+", choices=programs(True, 0), help="some programs alone")
    asked = parser.parse_args()
    known, without = programs(asked.quick, asked.seed), weakened(asked.seed)
    if asked.only is not None:
        known, without = {name: known[name] for name in asked.only}, {}
    failures = []
    with ProcessPoolExecutor(LANES, multiprocessing.get_context("spawn")) as lanes:
        tried = {name: lanes.submit(run, program) for name, program in known.items()}
        missed = {weak: lanes.submit(run, program) for weak, program in without.items()}
        print(HEAD)
        for name, tallies in tried.items():
            if tallies.exception() is not None:
                failures.append(f"* {name} could not be tried: {tallies.exception()!r}")
                continue
            for tally in tallies.result():
                print(tally.row(), flush=True)
                failures += [f"* {tally.fault}: {failure}" for failure in tally.failures]
        for weak, tallies in missed.items():
            total = sum(tallies.result(), Tally(f"without the {weak}"))
            print(total.row(), flush=True)
            if total.survived == total.trials:
                failures.append(f"* {total.fault}: nobody notices")
    left_out = {"ENOSPC", "EIO", "EACCES", "cuts", "full"} - programs(asked.quick, asked.seed).keys()
    told = [f"left out here (they need Linux, and a C compiler or root): {', '.join(sorted(left_out))}"]
    print("", f"seed {asked.seed}", *(told if left_out else []), *failures, sep="\n")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
