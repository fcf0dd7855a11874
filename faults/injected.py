"""Processes that save checkpoints, with a fault that is injected."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults import subject
from runner.storage.checkpoints import Checkpoints

BEFORE, DURING, AFTER = (2, 4), (6, 8), 10  # 2 is the best, so saving 8 deletes 4
HAS_SHIM = sys.platform == "linux" and shutil.which("cc") is not None


class Server:
    """A server of children that save checkpoints, one after the other, with faults.

    Args:
        folder: where the shim is compiled; the children must save below it.
    """

    def __init__(self, folder: Path):
        own = {"JAX_PLATFORMS": "cpu"}
        if HAS_SHIM:
            shim, source = folder / "shim.so", Path(__file__).with_name("shim.c")
            subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", shim, source, "-ldl"], check=True)
            own |= {"LD_PRELOAD": str(shim), "FAULTS_ROOT": str(folder)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.child"],
            env=os.environ | own,
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def inject(self, place: Path, **how: Any) -> dict[str, Any]:
        """Injects a fault into a child that saves `DURING`; arguments and result are those of `faults.child.inject`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"directory": str(place), "steps": DURING, **how}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Ends the process of the server."""
        self._process.communicate()


@contextlib.contextmanager
def server() -> Iterator[tuple[Server, Path]]:
    """Opens a server in a temporary folder, and yields both."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        with contextlib.closing(Server(folder)) as opened:
            yield opened, folder


def outcome_of(place: Path, saved: list[int]) -> str:
    """Returns the outcome of an injected fault: what it has left on disk, and whether a new one can continue."""
    try:
        for step in Checkpoints(place).steps:
            Checkpoints(place).restore(subject.state(0), step)
        newest, warned = subject.load(place)
        if newest is None or newest < max(saved, default=BEFORE[-1]) or warned:
            return "lost"
        subject.save(place, AFTER)
        if subject.load(place) != (AFTER, []) or any(path.name.startswith(".") for path in place.iterdir()):
            return "lost"
    except subject.Silent:
        return "silent"
    except Exception:  # whatever the error, a step could not be read, or saving did not continue
        return "lost"
    return "survived"
