"""Compiled programs: kept on disk from one process to the next, and released by one that compiles very many."""

import hashlib
import os
import platform
import threading
from importlib.metadata import version
from pathlib import Path

from runner.process.memory import memory_maps

SWITCH = "RUNNER_CACHE"
MOST_MAPS = 5_000  # memory maps of compiled programs; a small net takes 250, a GAN 1,000, and 1,000 take 0.1 to 0.5 GB


class _Floor:
    """How many memory maps this process has without compiled programs."""

    lock = threading.Lock()
    maps: int | None = None


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


def release_programs(most_maps: int = MOST_MAPS) -> None:
    """Drops all programs that JAX has compiled in this process where they take more memory maps than `most_maps`.

    JAX keeps each compiled program as long as the process lives. Each takes tens to hundreds of memory maps, of which
    Linux allows 65,530 (`vm.max_map_count`); at that limit XLA's compiler crashes. A program that is executing ends
    as usual; one that is needed again is compiled again, or read from the cache on disk. Does nothing where the
    system has no /proc.
    """
    with _Floor.lock:
        maps = memory_maps()
        if _Floor.maps is None:
            _Floor.maps = maps
        if maps - _Floor.maps > most_maps:
            import ctypes

            import jax

            jax.clear_caches()
            if hasattr(c_library := ctypes.CDLL(None), "malloc_trim"):  # glibc keeps freed memory otherwise
                c_library.malloc_trim(0)
            _Floor.maps = memory_maps()


def _processor() -> str:
    """Names the kind of processor: a program compiled for one may use instructions that another lacks."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        about = [line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))]
    except OSError:
        about = [platform.processor()]
    return hashlib.sha256("".join([platform.machine(), *sorted(set(about))]).encode()).hexdigest()[:12]
