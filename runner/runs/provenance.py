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
from runner.datasets import Stream
from runner.runs.git import commit

DIGEST = 3  # the version of new digests
PACKAGES = ("jax", "jaxlib", "optax", "dm-haiku", "orbax-checkpoint", "numpy")


def of(dataset: Dataset) -> dict[str, object]:
    """Returns the fields of `run.json` that describe the provenance of a run on this dataset."""
    device = jax.devices()[0]
    return {
        "command": sys.argv,
        "device": f"{device.platform} ({device.device_kind}), devices: {jax.device_count()}",
        "processors": processors(),
        "versions": versions(),
        "folder": str(Path.cwd()),
        "git": commit(Path.cwd()),
        "spec": dataset.spec.to_json(),
        "data": digest(dataset),
    }


def digest(dataset: Dataset, version: int = DIGEST) -> str:
    """Returns the digest of a dataset.

    Version 1 is the SHA-256 of the spec and of all rows; streams contribute their spec only. Version 2, which begins
    with "2:", also contains the split, shape and dtype of the rows, and the property `digest` of each source that has
    one, such as names, sizes and content of the files of a stream.

    Args:
        dataset: the dataset.
        version: the version, 1 or 2.
    """
    sha = hashlib.sha256(json.dumps(dataset.spec.to_json()).encode())
    for name, source in dataset._asdict().items():
        if version > 1:
            has_digest = version > 2 or not isinstance(source, Stream)
            sha.update(f"{name} {getattr(source, 'digest', '') if has_digest else ''}".encode())
        for leaf in jax.tree.leaves(source):
            rows = np.ascontiguousarray(leaf)
            if version > 1:
                sha.update(f"{rows.shape} {rows.dtype}".encode())
            sha.update(rows.tobytes())
    return sha.hexdigest() if version == 1 else f"{version}:{sha.hexdigest()}"


def digest_like(saved: str | None, dataset: Dataset) -> str:
    """Returns the digest of a dataset in the version of a saved one."""
    version = (saved or "").rpartition(":")[0]
    return digest(dataset, int(version) if version.isdecimal() else 1)


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
