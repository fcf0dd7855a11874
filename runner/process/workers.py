"""Worker processes, which do not outlive the process that started them."""

import os
import threading
from multiprocessing import parent_process


def end_with_parent() -> None:
    """Ends this worker when its parent ends, however that happens; it would otherwise wait for work for ever."""
    parent = parent_process()
    assert parent is not None, "a process that multiprocessing has started"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
