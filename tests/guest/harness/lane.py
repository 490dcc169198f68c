"""The inner half of a run: one lane, in process, network and mount namespaces of its own.

It has one guest at a time and runs the scenarios that the run names, until
there are no more.
"""

import argparse
import shutil
import socket
import subprocess
import time
from pathlib import Path

from . import network
from .errors import BootError, GuestError, TargetError
from .guest import KINDS, Guest
from .image import Image
from .scenarios import Requests, Scenario
from .talk import Booted, Outlet, Say, Verdict
from .targets import Target, Tgt, Tidelock

HERE = Path(__file__).resolve().parent.parent
TGT_TREE = HERE.parent.parent / "build/packages/tree"
"""Where tests/packages unpacks Debian's tgt."""
BOOT_TRIES = 2


class Transcript:
    """What is done and said goes to the run, line by line."""

    def __init__(self, outlet: Outlet):
        self._outlet = outlet

    def line(self, who: str, text: str) -> None:
        """One line by `guest`, `host` or `run`; the console's thread calls it too."""
        self._outlet.send(Say(who, text))


class Lane:
    """Everything that happens inside the namespaces."""

    def __init__(self, options: argparse.Namespace, scenarios: list[Scenario]):
        image, memory, logs, connection = options.inner.split(":")
        self._image = Image(Path(image))
        self._memory = Path(memory)
        self._boot_logs = Path(logs)
        self._outlet = Outlet(socket.socket(fileno=int(connection)))
        self._options = options
        self._scenarios = {scenario.name: scenario for scenario in scenarios}
        self._transcript = Transcript(self._outlet)
        self._guest: Guest | None = None
        self._kind = ""
        self._boots = 0

    def all(self) -> int:
        """Runs scenarios until there are no more. What becomes of them is told, not returned."""
        # The guest's memory is a file; a tmpfs of our own doesn't depend on the size of /dev/shm.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500M", "tmpfs", str(self._memory)], check=True)
        network.create()
        try:
            while name := self._outlet.next_scenario(self._kind if self._guest else ""):
                self._one(self._scenarios[name])
            if self._guest is not None:
                self._guest.power_off()
        except BootError as error:
            self._transcript.line("run", f"{error}; this lane gives up")
        except GuestError as error:
            self._outlet.send(Verdict(f"FAIL power-off: {error}"))
        finally:
            self._discard_guest()
        return 0

    def _one(self, scenario: Scenario) -> None:
        started = time.monotonic()
        logs = self._options.logs / scenario.name
        logs.mkdir()
        target = self._target(logs)
        hopeless = None
        try:
            verdict, why = self._in_guest(scenario, target)
            if problem := target.farewell():
                verdict, why = "FAIL", "; ".join(filter(None, [why, problem]))
        except BootError as error:
            verdict, why, hopeless = "FAIL", str(error), error
        finally:
            target.end()
            shutil.rmtree(target.folder)
        verdict, why = scenario.judge(verdict, why)
        line = f"{verdict} {scenario.name}" + (f": {why}" if why else f" ({time.monotonic() - started:.1f} s)")
        self._outlet.send(Verdict(line))
        if hopeless:
            raise hopeless

    def _in_guest(self, scenario: Scenario, target: Target) -> tuple[str, str]:
        try:
            guest = self._booted(scenario.guest)
            target.start()
            verdict, why = guest.run(scenario.file, scenario.limit, Requests(target, self._options.logs).serve)
        except BootError:
            raise
        except GuestError as error:
            self._discard_guest()
            return "FAIL", str(error)
        except TargetError as error:
            return "FAIL", str(error)
        if verdict == "BROKEN":
            # The guest couldn't be brought back to its clean state: the next scenario gets a fresh one.
            self._discard_guest()
            return "FAIL", why
        return verdict, why

    def _booted(self, kind: str) -> Guest:
        if self._guest is not None and self._kind == kind:
            return self._guest
        # Both kinds use the lane's taps, so there is one guest at a time.
        if self._guest is not None:
            self._guest.power_off()
            self._discard_guest()
        self._kind = kind
        for attempt in range(1, BOOT_TRIES + 1):
            self._boots += 1
            self._outlet.send(Booted())
            started = time.monotonic()
            folder = self._boot_logs / f"boot-{self._boots}"
            first_lun = (Tgt if self._options.target == "tgt" else Tidelock).first_lun
            self._guest = KINDS[kind](
                self._image, HERE, folder, self._memory, self._transcript, first_lun, self._options.binaries.resolve()
            )
            try:
                self._guest.wait_until_up()
            except GuestError as error:
                self._transcript.line("run", f"boot attempt {attempt} of {BOOT_TRIES}: {error}")
                self._discard_guest()
                continue
            self._transcript.line("run", f"the guest ({kind}) is up after {time.monotonic() - started:.1f} s")
            return self._guest
        raise BootError(f"the guest didn't boot in {BOOT_TRIES} attempts; see {self._boot_logs}/boot-*/kernel.log")

    def _discard_guest(self) -> None:
        if self._guest is not None:
            self._guest.destroy()
            self._guest = None

    def _target(self, logs: Path) -> Target:
        state, log = logs / "state", logs / "target.log"
        log.touch()
        if self._options.target == "tgt":
            return Tgt(state, log, TGT_TREE, self._memory)
        return Tidelock(state, log, self._options.binaries, self._memory)
