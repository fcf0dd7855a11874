"""Event files of TensorBoard."""

import os
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX.proto.api_pb2 import Status  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.record_writer import masked_crc32c
from tensorboardX.summary import hparams, text

from runner.process.files import create, make_folder, naming

END = ".end"  # ending of the file that says how the run ended


class Events:
    """An event file; each event is passed to the operating system at once, so that it survives a killed process.

    tensorboardX's own `SummaryWriter` would lose its queue then. It also keeps every scalar in memory, and creates
    a separate run for hyperparameters.

    Args:
        folder: the folder of the event files.
        start: the step from which the run resumes; TensorBoard drops the events of later steps. 0 starts a new record.
    """

    def __init__(self, folder: Path, start: int):
        make_folder(folder)
        for old in folder.glob(f"events.out.tfevents.*{END}" if start else "events.out.tfevents.*"):
            old.unlink()
        # TensorBoard reads files in the order of their names, and a run may be resumed within a second.
        name = f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / name
        self._open(self._path)
        if start:
            self._add(step=start + 1, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds metrics."""
        scalars = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._add(step=step, summary=Summary(value=scalars))

    def image(self, step: int, name: str, png: bytes) -> None:
        """Adds an image, encoded as PNG."""
        image = Summary.Image(encoded_image_string=png)
        self._add(step=step, summary=Summary(value=[Summary.Value(tag=name, image=image)]))

    def hyperparameters(self, step: int, values: Mapping[str, object]) -> None:
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
        # The summary of the experiment is left out: TensorBoard then collects the metrics by itself, and does not
        # take the settings of one of several runs for those of all.
        _, session, _ = hparams(plain, {})
        self._add(step=step, summary=session)

    def close(self, succeeded: bool) -> None:
        """Writes for HPARAMS how the run ended, and closes the file.

        The end is written to a separate file, which is deleted when the run resumes: TensorBoard uses the first end
        that it reads.
        """
        self._file.close()
        self._open(self._path.with_name(self._path.name + END))
        *_, end = hparams({}, {})
        plugin = end.value[0].metadata.plugin_data
        data = HParamsPluginData.FromString(plugin.content)
        data.session_end_info.status = Status.Value("STATUS_SUCCESS" if succeeded else "STATUS_FAILURE")
        data.session_end_info.end_time_secs = time.time()
        plugin.content = data.SerializeToString()
        self._add(summary=end)
        self._file.close()

    def _open(self, path: Path) -> None:
        self._file = create(path, buffering=0)
        self._add(file_version="brain.Event:2")

    def _add(self, **fields: Any) -> None:
        event = Event(wall_time=time.time(), **fields).SerializeToString()
        length = struct.pack("<Q", len(event))
        checks = (struct.pack("<I", masked_crc32c(part)) for part in (length, event))
        with naming(self._path):
            self._file.write(length + next(checks) + event + next(checks))  # a TFRecord
