"""The workers that run these tests: bounded, and given whole groups of tests."""

import os
from types import SimpleNamespace

import bounds
import pytest


@pytest.mark.parametrize(
    ("maps", "memory", "status"),
    [
        (bounds.MOST_MAPS, bounds.MOST_MEMORY, 0),
        (bounds.MOST_MAPS + 1, 0, 1),
        (0, bounds.MOST_MEMORY + 1, 1),
    ],
)
def test_a_session_fails_where_a_worker_was_larger_than_allowed(maps, memory, status, monkeypatch):
    monkeypatch.setattr(bounds.shutil, "rmtree", lambda *_, **__: None)
    plugin, session = bounds.Bounds(), SimpleNamespace(config=SimpleNamespace(), exitstatus=0)
    worker = SimpleNamespace(workeroutput={"peak": (maps, memory)}, gateway=SimpleNamespace(id="gw0"))
    plugin.pytest_testnodedown(worker)
    plugin.pytest_sessionfinish(session)
    assert session.exitstatus == status


def test_the_tests_of_a_file_share_a_worker(request):
    """Otherwise each worker makes the fixtures of a file anew."""
    in_worker = "PYTEST_XDIST_WORKER" in os.environ
    assert request.node.nodeid.endswith("@test_bounds.py") is in_worker
