"""Workers whose parent is killed."""

import subprocess
import sys

PROGRAM = """
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from runner.process.workers import end_with_parent

pool = ProcessPoolExecutor(1, get_context("spawn"), end_with_parent)
pool.submit(time.sleep, 0).result()
busy = pool.submit(time.sleep, 600)
print("begun", flush=True)
busy.result()
"""


def test_a_busy_worker_ends_with_its_parent_that_is_killed():
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout.readline() == "begun\n"
        parent.kill()
        parent.communicate(timeout=60)  # until the last process that has its output ends
