"""The transcript of a run: what host and guest did, line by line, with seconds since the start.

Lines of several lanes are told apart by the lane's number, and yet nobody can
read two stories at once. So with several lanes the screen gets a scenario's
lines together, when it has ended; as they come they are in each lane's folder.
"""

import time
from pathlib import Path
from typing import TextIO


class Transcript:
    """Writes to the screen, to `transcript.log` and to each `lane-N/transcript.log`."""

    def __init__(self, logs: Path, lanes: int):
        self._started = time.monotonic()
        self._several = lanes > 1
        self._logs = logs
        self._all = (logs / "transcript.log").open("w", encoding="utf-8")
        self._of_lane: dict[int, TextIO] = {}
        self._held: dict[int, list[str]] = {}

    def __enter__(self) -> "Transcript":
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._all, *self._of_lane.values()):
            file.close()

    def begin(self, lane: int, scenario: str) -> None:
        """The lines that follow belong to this scenario."""
        if self._several:
            self._write(f"{self._stamp(lane)} run   | {scenario} begins")
        self._add(lane, f"\n=== {scenario}")

    def line(self, lane: int, who: str, text: str) -> None:
        """One line by `guest`, `host` or `run`."""
        self._add(lane, f"{self._stamp(lane)} {who:5} | {text}")

    def verdict(self, lane: int, text: str) -> None:
        """A line that stands alone, for a reader or a script that looks for PASS and FAIL, and the end of a scenario."""
        self._add(lane, text)
        self.finish(lane)

    def finish(self, lane: int) -> None:
        """Shows what was held back of a lane."""
        for held in self._held.pop(lane, []):
            self._write(held)

    def finish_all(self) -> None:
        """Shows all that was held back."""
        for lane in sorted(self._held):
            self.finish(lane)

    def sum_up(self, lines: list[str]) -> None:
        """The end of the transcript."""
        for line in ["", *lines]:
            self._write(line)

    def _stamp(self, lane: int) -> str:
        seconds = f"{time.monotonic() - self._started:7.2f}"
        return f"{seconds} {lane}" if self._several else seconds

    def _add(self, lane: int, text: str) -> None:
        if lane not in self._of_lane:
            self._of_lane[lane] = (self._logs / f"lane-{lane}/transcript.log").open("w", encoding="utf-8")
        print(text, file=self._of_lane[lane], flush=True)
        if self._several:
            self._held.setdefault(lane, []).append(text)
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        print(text, flush=True)
        print(text, file=self._all, flush=True)
