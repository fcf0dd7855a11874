"""TensorBoard's event files."""

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.record_writer import masked_crc32c
from tensorboardX.summary import hparams, text


class Events:
    """One event file; what is added is the system's at once, so a kill cannot take it.

    tensorboardX's own `SummaryWriter` would lose its queue then; it also keeps every scalar in memory and
    makes a run of its own for hyper-parameters.

    Args:
        folder: of the event files.
        start: the step gone on from; what was shown of later ones is withdrawn. 0 begins afresh.
    """

    def __init__(self, folder: Path, start: int):
        folder.mkdir(parents=True, exist_ok=True)
        if not start:
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
        # TensorBoard reads files in the order of their names; two lives of a run may begin within a second.
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self._file = (folder / name).open("wb", buffering=0)
        self._add(file_version="brain.Event:2")
        if start:
            self._add(step=start + 1, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds numbers."""
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step=step, summary=Summary(value=scalars))

    def image(self, step: int, name: str, png: bytes) -> None:
        """Adds a picture."""
        image = Summary.Image(encoded_image_string=png)
        self._add(step=step, summary=Summary(value=[Summary.Value(tag=name, image=image)]))

    def hyperparameters(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds settings, as a table under TEXT and as a row, with the metrics' last values, under HPARAMS."""
        cells = {name: str(value).replace("|", r"\|") for name, value in values.items()}
        rows = [
            "| name | value |",
            "| --- | --- |",
            *(f"| {name} | {cell} |" for name, cell in cells.items()),
        ]
        self._add(step=step, summary=text("hyperparameters", "\n".join(rows)))
        kinds = bool | int | float | str
        plain = {name: value if isinstance(value, kinds) else str(value) for name, value in values.items()}
        # The summary of the experiment is left out: TensorBoard then finds the metrics by itself, and
        # does not take the settings of one of several runs for those of all.
        _, session, _ = hparams(plain, {})
        self._add(step=step, summary=session)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _add(self, **fields: Any) -> None:
        event = Event(wall_time=time.time(), **fields).SerializeToString()
        length = struct.pack("<Q", len(event))
        checks = (struct.pack("<I", masked_crc32c(part)) for part in (length, event))
        self._file.write(length + next(checks) + event + next(checks))  # a TFRecord
