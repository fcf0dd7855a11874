"""Compiled programs kept from one run to the next."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

SWITCH = "RUNNER_CACHE"


def keep_compiled_programs() -> None:
    """Makes JAX, which must not be imported yet, keep what it compiles in the user's cache folder.

    The environment variable RUNNER_CACHE names another folder, or says "off". Where JAX's own
    JAX_COMPILATION_CACHE_DIR is set, nothing is changed.
    """
    place = os.environ.get(SWITCH) or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "runner"
    )
    if place == "off" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = Path(place).absolute() / f"jaxlib-{version('jaxlib')}-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written to costs time, and is no error
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    # A short run is many small programs: each is worth keeping.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _processor() -> str:
    """Names the kind of processor: a program compiled for one may use instructions that another lacks."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        about = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
    except OSError:
        about = [platform.processor()]
    return hashlib.sha256("".join([platform.machine(), *sorted(set(about))]).encode()).hexdigest()[:12]
