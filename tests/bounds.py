"""A pytest plugin that compiles quickly, and bounds the memory of each test process."""

import os
import resource
import shutil
import tempfile
from importlib.metadata import version

import pytest

from runner.process.compile_cache import release_programs
from runner.process.memory import memory_maps

MOST_MAPS = 10_000  # of one process: Linux allows 65,530, and at that limit XLA crashes
MOST_MEMORY = 2 * 2**30  # bytes of one process
RELEASE = 1_500  # maps above which compiled programs are dropped after a test; one test adds up to 3,000


# Most of a test is compiling, so XLA compiles with little optimisation, and the workers share what they compile.
# `make learn`, `make faults` and tests that start processes without these settings compile as users do.
FLAGS = ["--xla_backend_optimization_level=0"]
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11):
    FLAGS += ["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"]
else:
    FLAGS += ["--xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE"]
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit these
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *FLAGS])
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="runner-tests-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


class Bounds:
    """Drops compiled programs between tests, and fails a session in which a process was larger than allowed."""

    def __init__(self):
        self.maps = 0  # the most that were seen after a test
        self.peaks: dict[str, tuple[int, int]] = {}  # maps and bytes of each process

    def pytest_runtest_teardown(self):
        self.maps = max(self.maps, memory_maps())
        release_programs(RELEASE)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node):
        """Takes the peak of a worker that has ended."""
        if "peak" in getattr(node, "workeroutput", {}):
            self.peaks[node.gateway.id] = node.workeroutput["peak"]

    def pytest_sessionfinish(self, session):
        peak = self.maps, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["peak"] = peak
            return
        if self.maps:  # tests ran in this process
            self.peaks["main"] = peak
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
        if any(maps > MOST_MAPS or memory > MOST_MEMORY for maps, memory in self.peaks.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        for name, (maps, memory) in sorted(self.peaks.items()):
            large = "  ERROR: larger than allowed" if maps > MOST_MAPS or memory > MOST_MEMORY else ""
            terminalreporter.write_line(f"{name}: {memory / 2**30:.2f} GiB, {maps:,} memory maps{large}")
