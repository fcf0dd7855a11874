"""The provenance of a run: command, data, versions, devices and commit."""

import functools
import hashlib
import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import jax
import numpy as np

from runner.core import Dataset
from runner.runs.git import commit

PACKAGES = ("jax", "jaxlib", "optax", "dm-haiku", "orbax-checkpoint", "numpy")


def of(dataset: Dataset) -> dict[str, object]:
    """Returns the fields of `run.json` that describe the provenance of a run on this dataset."""
    device = jax.devices()[0]
    return {
        "command": sys.argv,
        "device": f"{device.platform} ({device.device_kind}), devices: {jax.device_count()}",
        "processors": processors(),
        "versions": versions(),
        "git": commit(Path.cwd()),
        "spec": dataset.spec.to_json(),
        "data": digest(dataset),
    }


def digest(dataset: Dataset) -> str:
    """Returns the SHA-256 of the spec and of all rows of a dataset; streams contribute their spec only."""
    sha = hashlib.sha256(json.dumps(dataset.spec.to_json()).encode())
    for leaf in jax.tree.leaves(tuple(dataset)):
        sha.update(np.ascontiguousarray(leaf).tobytes())
    return sha.hexdigest()


def processors() -> int:
    """Returns the number of processors that XLA uses: NPROC if it is set, else those this process may run on."""
    requested = os.environ.get("NPROC", "")
    if requested.isdigit():
        return int(requested)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that can change the bits of a run."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
