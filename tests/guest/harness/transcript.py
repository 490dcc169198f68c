"""The transcript of a run: what host and guest did, line by line, with seconds since the start."""

import threading
import time
from pathlib import Path


class Transcript:
    """Writes each line to the screen and to a file; used by the console thread and the main one."""

    def __init__(self, path: Path):
        self._started = time.monotonic()
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()

    def line(self, who: str, text: str) -> None:
        """One line by `guest`, `host` or `run`."""
        stamped = f"{time.monotonic() - self._started:7.2f} {who:5} | {text}"
        with self._lock:
            print(stamped, flush=True)
            print(stamped, file=self._file, flush=True)

    def verdict(self, text: str) -> None:
        """A line that stands alone, for a reader or a script that looks for PASS and FAIL."""
        with self._lock:
            print(text, flush=True)
            print(text, file=self._file, flush=True)
