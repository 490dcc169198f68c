"""The run: prepare, enter a namespace, boot, run scenarios, sum up.

The first half runs as the caller and prepares the image. It then starts
itself again inside namespaces of its own (processes, network, mounts), and
when that inner run ends, in whatever way, the kernel ends all its
processes and removes its taps and mounts.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import network, scenarios
from .errors import BootError, GuestError, SetupError, TargetError
from .guest import KINDS, Guest
from .image import Cache, Image
from .packages import require_tools
from .scenarios import Requests, Scenario
from .targets import Target, Tgt, Tidelock
from .transcript import Transcript

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
TGT_TREE = ROOT / "build/packages/tree"
"""Where tests/packages unpacks Debian's tgt."""
BOOT_TRIES = 2


def main() -> int:
    """Returns the exit status: 0 all passed, 1 something failed, 2 the run couldn't start."""
    options = _options()
    try:
        chosen = scenarios.select(scenarios.load(HERE / ("selftest" if options.self_test else "scenarios")), options.scenario)
        if options.list:
            print("\n".join(scenario.name for scenario in chosen))
            return 0
        if options.inner is None:
            return _outer(options)
        return Run(options, chosen).all()
    except SetupError as error:
        print(f"guest: {error}", file=sys.stderr)
        return 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/guest/run", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("scenario", nargs="*", help="names of scenarios (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names and leave")
    parser.add_argument("--target", choices=("tidelock", "tgt"), default="tidelock")
    parser.add_argument("--binaries", type=Path, default=ROOT / "build/release", help="folder with tidelockd, tidelock")
    parser.add_argument("--cache", type=Path, default=ROOT / "build/guest-cache")
    parser.add_argument("--logs", type=Path, default=ROOT / "build/guest-run")
    parser.add_argument("--time-limit", type=int, default=870, help="seconds for the whole run, without the image")
    parser.add_argument("--self-test", action="store_true", help="test the harness: do failures count as failures?")
    parser.add_argument("--prepare", action="store_true", help="only build the image")
    parser.add_argument("--inner", help=argparse.SUPPRESS)
    return parser.parse_args()


def _outer(options: argparse.Namespace) -> int:
    require_tools()
    if options.target == "tidelock" and not options.prepare:
        for name in ("tidelockd", "tidelock"):
            if not (options.binaries / name).exists():
                raise SetupError(f"{options.binaries / name} isn't there: build it with `cargo build --release`")
    if options.target == "tgt" and not (TGT_TREE / "usr/sbin/tgtd").exists():
        raise SetupError("tgt isn't there: run tests/packages")
    cache = Cache(options.cache)
    image = cache.image()
    cache.close()
    if options.prepare:
        return 0
    options.logs.mkdir(parents=True, exist_ok=True)
    with (options.logs / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            raise SetupError(f"another run writes to {options.logs}: wait for it or pass --logs") from busy
        with tempfile.TemporaryDirectory(prefix="tidelock-guest-") as memory:
            inner = [str(image.folder), memory]
            return _in_namespaces([*sys.argv, "--inner", ":".join(inner)], options.time_limit)


def _in_namespaces(command: list[str], limit: int) -> int:
    # If this process dies, the kernel ends unshare, and then every process inside.
    unshare = [
        "setpriv", "--pdeathsig", "KILL", "--",
        "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--",
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A group of its own: what the terminal's Ctrl-C means is decided here, once.
    with subprocess.Popen([*unshare, sys.executable, *command], start_new_session=True) as run:
        try:
            return run.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            print(f"FAIL run: not finished within {limit} s, all of it was ended", flush=True)
            return 1
        finally:
            run.kill()


class Run:
    """The inner half: everything that happens inside the namespaces."""

    def __init__(self, options: argparse.Namespace, chosen: list[Scenario]):
        image, memory = options.inner.split(":")
        self._image = Image(Path(image))
        self._memory = Path(memory)
        self._options = options
        self._chosen = chosen
        self._logs: Path = options.logs
        for old in self._logs.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
        self._transcript = Transcript(self._logs / "transcript.log")
        self._guest: Guest | None = None
        self._kind = ""
        self._boots = 0

    def all(self) -> int:
        """Runs the scenarios in turn and returns the exit status."""
        # The guest's memory is a file; a tmpfs of our own doesn't depend on the size of /dev/shm.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500M", "tmpfs", str(self._memory)], check=True)
        network.create()
        verdicts = []
        try:
            for scenario in self._chosen:
                verdicts.append(self._one(scenario))
            verdicts += self._power_off()
        except BootError as error:
            self._transcript.line("run", str(error))
            verdicts += [f"FAIL {scenario.name}: {error}" for scenario in self._chosen[len(verdicts):]]
        finally:
            if self._guest is not None:
                self._guest.destroy()
        self._transcript.verdict("")
        for verdict in verdicts:
            self._transcript.verdict(verdict)
        failed = sum(not _acceptable(verdict, self._options.target) for verdict in verdicts)
        self._transcript.verdict(
            f"{len(verdicts) - failed} of {len(verdicts)} as they should be, {failed} not; "
            f"{self._boots} boots; logs in {self._logs}"
        )
        return 1 if failed else 0

    def _one(self, scenario: Scenario) -> str:
        started = time.monotonic()
        self._transcript.verdict(f"\n=== {scenario.name}")
        logs = self._logs / scenario.name
        logs.mkdir()
        target = self._target(logs)
        try:
            verdict, why = self._in_guest(scenario, target)
            if problem := target.farewell():
                verdict, why = "FAIL", "; ".join(filter(None, [why, problem]))
        finally:
            target.end()
            shutil.rmtree(target.folder)
        verdict, why = scenario.judge(verdict, why)
        line = f"{verdict} {scenario.name}" + (f": {why}" if why else f" ({time.monotonic() - started:.1f} s)")
        self._transcript.verdict(line)
        return line

    def _in_guest(self, scenario: Scenario, target: Target) -> tuple[str, str]:
        try:
            guest = self._booted(scenario.guest)
            target.start()
            verdict, why = guest.run(scenario.file, scenario.limit, Requests(target, self._logs).serve)
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
        # Both kinds use the same taps, so there is one guest at a time.
        if self._guest is not None:
            self._guest.power_off()
            self._discard_guest()
        self._kind = kind
        for attempt in range(1, BOOT_TRIES + 1):
            self._boots += 1
            started = time.monotonic()
            folder = self._logs / f"boot-{self._boots}"
            first_lun = (Tgt if self._options.target == "tgt" else Tidelock).first_lun
            self._guest = KINDS[kind](self._image, HERE, folder, self._memory, self._transcript, first_lun)
            try:
                self._guest.wait_until_up()
            except GuestError as error:
                self._transcript.line("run", f"boot attempt {attempt} of {BOOT_TRIES}: {error}")
                self._discard_guest()
                continue
            self._transcript.line("run", f"the guest ({kind}) is up after {time.monotonic() - started:.1f} s")
            return self._guest
        raise BootError(f"the guest didn't boot in {BOOT_TRIES} attempts; see {self._logs}/boot-*/kernel.log")

    def _discard_guest(self) -> None:
        if self._guest is not None:
            self._guest.destroy()
            self._guest = None

    def _power_off(self) -> list[str]:
        if self._guest is None:
            return []
        try:
            self._guest.power_off()
        except GuestError as error:
            return [f"FAIL power-off: {error}"]
        return []

    def _target(self, logs: Path) -> Target:
        state, log = logs / "state", logs / "target.log"
        log.touch()
        if self._options.target == "tgt":
            return Tgt(state, log, TGT_TREE, self._memory)
        return Tidelock(state, log, self._options.binaries, self._memory)


def _acceptable(verdict: str, target: str) -> bool:
    # Tidelock is expected to have everything; only the other target may lack a feature.
    return verdict.startswith("PASS") or (verdict.startswith("SKIP") and target != "tidelock")
