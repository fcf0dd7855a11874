"""Memory of this process and of this machine, if the system reports it."""

import math
import os
from pathlib import Path


def memory_maps() -> int:
    """Returns the number of memory maps of this process, or 0 if the system does not report it."""
    try:
        return Path("/proc/self/maps").read_bytes().count(b"\n")
    except OSError:
        return 0


def total_memory() -> float:
    """Returns the bytes of main memory, or infinity if the system does not report it."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return math.inf


def available_memory() -> float:
    """Returns the bytes of main memory available for use, or infinity if the system does not report it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(int(row.split()[1]) * 1024.0 for row in lines if row.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return math.inf
