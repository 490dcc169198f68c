"""The outer half of a run: gives scenarios to the lanes, keeps the transcript, sums up.

A lane is a process that is told what to run, and tells what came of it. One
that dies costs the scenario that it had; the others go on.
"""

import selectors
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from .scenarios import Scenario
from .schedule import Schedule
from .talk import Booted, Lines, Message, Ready, Say, Verdict, decode
from .transcript import Transcript

class LaneProcess:
    """One lane as the run sees it."""

    def __init__(self, number: int, command: Sequence[str], logs: Path):
        """Starts `command`, whose last word gets the lane's folder for logs and its socket's descriptor added."""
        self.number = number
        self.kind = ""
        self.scenario: Scenario | None = None
        """What it is busy with."""
        logs.mkdir()
        self.connection, theirs = socket.socketpair()
        self._lines = Lines()
        # A group of its own: what the terminal's Ctrl-C means is decided here, once.
        self._process = subprocess.Popen(
            [*command[:-1], f"{command[-1]}:{logs}:{theirs.fileno()}"], stdin=subprocess.DEVNULL, start_new_session=True,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()

    def begin(self, scenario: Scenario) -> None:
        """Gives it something to do."""
        self.scenario = scenario
        self.kind = scenario.guest
        self._send(f"{scenario.name}\n".encode())

    def dismiss(self) -> None:
        """Tells it that there is nothing more to do."""
        self.kind = ""
        try:
            self.connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def received(self) -> list[Message] | None:
        """What it has said; None when it has ended. For when its connection can be read."""
        try:
            data = self.connection.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        return [decode(line) for line in self._lines.feed(data)] if data else None

    def end(self) -> None:
        """Makes sure that nothing of it is left."""
        self.connection.close()
        self._process.kill()
        self._process.wait()

    def _send(self, data: bytes) -> None:
        try:
            self.connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            # It is dead, which the next look at the connection shows.
            pass


class Lanes:
    """All lanes of a run, and what came of each scenario."""

    def __init__(
        self, scenarios: Sequence[Scenario], commands: Sequence[Sequence[str]], logs: Path, transcript: Transcript
    ):
        """One lane for each of `commands`."""
        self._scenarios = scenarios
        self._logs = logs
        self._commands = commands
        self._schedule = Schedule(scenarios, len(commands))
        self._transcript = transcript
        self._verdicts: dict[str, str] = {}
        self._further: list[str] = []
        self._boots = 0
        self._at_work: dict[int, LaneProcess] = {}

    def run(self, limit: float) -> list[str]:
        """Runs all scenarios, for so many seconds at most, and returns one line for each in their order."""
        deadline = time.monotonic() + limit
        try:
            with selectors.DefaultSelector() as ready:
                for number, command in enumerate(self._commands, 1):
                    lane = LaneProcess(number, command, self._logs / f"lane-{number}")
                    self._at_work[number] = lane
                    ready.register(lane.connection, selectors.EVENT_READ, lane)
                while self._at_work and (left := deadline - time.monotonic()) > 0:
                    for key, _ in ready.select(left):
                        if not self._listen(key.data):
                            ready.unregister(key.fileobj)
                            key.data.end()
        finally:
            for lane in self._at_work.values():
                lane.end()
            self._transcript.finish_all()
        if self._at_work:
            self._give_up(f"not finished when the run was ended after {limit:.0f} s", "not begun when the run was ended")
        else:
            self._give_up("its lane was gone", "no lane was left to run it")
        return [self._verdicts[scenario.name] for scenario in self._scenarios] + self._further

    @property
    def boots(self) -> int:
        """How many guests were started."""
        return self._boots

    def _listen(self, lane: LaneProcess) -> bool:
        """Takes what a lane has to say; False when it has ended."""
        messages = lane.received()
        if messages is None:
            if lane.scenario is not None:
                self._settle(lane, f"FAIL {lane.scenario.name}: its lane ended without a verdict")
            self._transcript.finish(lane.number)
            del self._at_work[lane.number]
            return False
        for message in messages:
            match message:
                case Say(who, text):
                    self._transcript.line(lane.number, who, text)
                case Booted():
                    self._boots += 1
                case Verdict(line) if lane.scenario is not None:
                    self._settle(lane, line)
                case Verdict(line):
                    self._further.append(line)
                case Ready(kind):
                    lane.kind = kind
                    self._next(lane)
        return True

    def _next(self, lane: LaneProcess) -> None:
        others = {other.kind for other in self._at_work.values() if other is not lane}
        scenario = self._schedule.take(lane.kind, others)
        if scenario is None:
            lane.dismiss()
            return
        self._transcript.begin(lane.number, scenario.name)
        lane.begin(scenario)

    def _settle(self, lane: LaneProcess, line: str) -> None:
        assert lane.scenario is not None
        self._verdicts[lane.scenario.name] = line
        self._transcript.verdict(lane.number, line)
        lane.scenario = None

    def _give_up(self, begun: str, waiting: str) -> None:
        """Fails what has no verdict."""
        untouched = self._schedule.waiting
        for scenario in self._scenarios:
            why = waiting if scenario in untouched else begun
            self._verdicts.setdefault(scenario.name, f"FAIL {scenario.name}: {why}")
