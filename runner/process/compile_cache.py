"""Compiled programs: the cache on disk across processes, and their release if a process compiles very many."""

import hashlib
import os
import platform
import stat
import sys
import threading
from importlib.metadata import version
from pathlib import Path

from runner.process.memory import memory_maps
from runner.process.terminal import say

SWITCH = "RUNNER_CACHE"
# Memory maps of compiled programs. A small net needs 250, a GAN 1,000, and 1,000 maps take 0.1 to 0.5 GB.
MOST_MAPS = 5_000


class _Baseline:
    """The number of memory maps of this process without compiled programs."""

    lock = threading.Lock()
    maps: int | None = None


def keep_compiled_programs() -> None:
    """Configures JAX, which must not be imported yet, to cache compiled programs in the user's cache folder.

    The environment variable RUNNER_CACHE names another folder, or is "off". If JAX's own variable
    JAX_COMPILATION_CACHE_DIR is set, nothing is changed. JAX executes what it finds in the folder. So a folder to
    which others may write, or may have written, is not used, and a warning says so.
    """
    cache = os.environ.get(SWITCH) or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "runner"
    )
    if cache == "off" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = Path(cache).absolute() / f"jaxlib-{version('jaxlib')}-{_processor()}"
    try:
        for path in (folder.parent, folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        fault = _fault(folder)
    except OSError:  # a home folder that is not writable costs time, but is not an error
        return
    if fault:
        remedy = f"remove it, or name another folder by {SWITCH}"
        say(f"warning: compiled programs are not cached: {fault}; {remedy}", sys.stderr)
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    # A short run compiles many small programs, each of which is worth caching.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _fault(folder: Path) -> str | None:
    """Returns why the programs in a cache folder may be those of others, or None; opens none of them."""
    user = os.geteuid()
    for path in (folder.parent, folder):
        status = path.stat()
        if status.st_uid != user:
            return f"{path} belongs to another user"
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return f"{path} is writable by others"
    folder.chmod(0o700)  # an earlier version let others read it
    with os.scandir(folder) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                return f"{entry.path} is not a file"
            if status.st_uid != user:
                return f"{entry.path} belongs to another user"
    return None


def release_programs(most_maps: int = MOST_MAPS) -> None:
    """Drops all programs that JAX has compiled in this process if they use more memory maps than `most_maps`.

    JAX keeps each compiled program until the process ends. Each uses tens to hundreds of memory maps, of which Linux
    allows 65,530 (`vm.max_map_count`); at that limit the compiler of XLA crashes. A program that is executing ends as
    usual; one that is needed again is compiled again, or read from the cache on disk. Does nothing if the system has
    no /proc.
    """
    with _Baseline.lock:
        maps = memory_maps()
        if _Baseline.maps is None:
            _Baseline.maps = maps
        if maps - _Baseline.maps > most_maps:
            import ctypes

            import jax

            jax.clear_caches()
            if hasattr(c_library := ctypes.CDLL(None), "malloc_trim"):  # otherwise glibc keeps freed memory
                c_library.malloc_trim(0)
            _Baseline.maps = memory_maps()


def _processor() -> str:
    """Returns a digest of the kind of processor: a program compiled for one may use instructions that another lacks."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        description = [
            line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))
        ]
    except OSError:
        description = [platform.processor()]
    return hashlib.sha256("".join([platform.machine(), *sorted(set(description))]).encode()).hexdigest()[:12]
