"""Tries all faults and prints a report in Markdown; it fails where anything was lost or silent.

make faults, or: python -m faults [--quick] [--seed SEED] [--only NAME ...]
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator

from faults import calls, crashes, damage, power, struck, threads
from faults.tally import Tally


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(prog="faults", description="Tries faults on checkpoints.")
    parser.add_argument("--quick", action="store_true", help="a few trials of each, in about a minute")
    parser.add_argument("--seed", type=int, default=0, help="replays what a report names")
    parser.add_argument("--only", nargs="+", choices=programs(True, 0), help="some programs alone")
    asked = parser.parse_args()
    for noisy in ("runner", "absl", "asyncio"):  # failing is what they are here for
        logging.getLogger(noisy).addHandler(logging.NullHandler())
        logging.getLogger(noisy).propagate = False
    print("| fault | trials | survived | lost | silent |\n|---|---|---|---|---|")
    failures = []
    for name, program in programs(asked.quick, asked.seed).items():
        if asked.only is None or name in asked.only:
            for tally in program():
                print(tally.row(), flush=True)
                failures += [f"* {tally.fault}: {failure}" for failure in tally.failures]
    left_out = {"failed", "cuts", "full"} - programs(asked.quick, asked.seed).keys()
    told = [f"left out here (they need Linux, and a C compiler or root): {', '.join(sorted(left_out))}"]
    print("", f"seed {asked.seed}", *(told if left_out else []), *failures, sep="\n")
    sys.exit(bool(failures))


def programs(quick: bool, seed: int) -> dict[str, Callable[[], Iterator[Tally]]]:
    """Gives each program by its name; those that this machine cannot do are left out."""
    few = lambda whole, short: short if quick else whole
    known = {
        "damage": lambda: damage.damage(few(20, 1), seed),
        "all_damaged": lambda: damage.all_damaged(few(200, 5), seed),
        "killed": lambda: calls.killed(few(1, 40), seed),
        "threads": lambda: iter([threads.threads(few(100, 2), seed)]),
        "crashes": lambda: crashes.crashes(few(100, 1), seed),
    }
    if struck.HAS_SHIM:
        known["failed"] = lambda: calls.failed(few(1, 80), seed)
    if power.CAN_MOUNT:
        known["cuts"] = lambda: power.cuts(few(50, 3), seed)
        known["full"] = lambda: power.full(few(50, 3), seed)
    return known


if __name__ == "__main__":
    main()
