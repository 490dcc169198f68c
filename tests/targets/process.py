"""What all targets have in common: a daemon process, a portal, an end."""

import errno
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREE = ROOT / "build/packages/tree"
"""Debian packages unpacked by `tests/packages`."""

START_SECONDS = 20
STOP_SECONDS = 20
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class TargetError(Exception):
    """The target can't be started, refused a command, or died."""


@dataclass(frozen=True)
class Usage:
    """What a daemon has used so far."""

    cpu_seconds: float
    rss_bytes: int


class Target:
    """One running target daemon with one target and one LUN."""

    name = "target"
    iqn = "iqn.2026-11.test.tidelock:t"
    lun = 0
    stop_signal = signal.SIGTERM
    """How its operator ends it."""

    def __init__(
        self, *, size: int, file: Path | None = None, cores: set[int] | None = None,
        uncached: bool = False, chap: tuple[str, str] | None = None, read_only: bool = False,
        block_size: int = 512, portals: int = 1, header_digest: bool = False,
    ):
        """Starts a daemon that serves `file`, or a fresh sparse file of `size` bytes.

        `cores` pins it; `uncached` asks for O_DIRECT; `chap` (user, secret) closes it to everybody else;
        `read_only` protects the LUN against writes; `block_size` is that of its logical blocks, in bytes;
        `portals` is how many ports of loopback the target can be reached at; `header_digest` makes it insist on one.
        """
        self.size = size
        self.cores = cores
        self.uncached = uncached
        self.chap = chap
        self.read_only = read_only
        self.block_size = block_size
        self.header_digest = header_digest
        self._folder = tempfile.TemporaryDirectory(prefix=f"tidelock-{self.name}-", dir=_scratch())
        self.folder = Path(self._folder.name)
        self.file = file or self._sparse_file()
        self.ports = free_ports(portals)
        self.process: subprocess.Popen | None = None
        try:
            self._start()
            self._await_portal()
            self._configure()
        except BaseException:
            self.stop()
            raise

    # What an adapter provides.

    def _command(self) -> tuple[list[str], dict[str, str]]:
        """The daemon's command line and additions to its environment."""
        raise NotImplementedError

    def _configure(self) -> None:
        """Makes the target and its LUN in the running daemon."""
        raise NotImplementedError

    @staticmethod
    def missing() -> str | None:
        """Why this target can't be run here, with what to do about it; None if it can."""
        raise NotImplementedError

    @classmethod
    def version(cls) -> str:
        """What to call it in a table."""
        return cls.name

    # What every user of a target needs.

    @property
    def url(self) -> str:
        """The LUN as libiscsi and QEMU spell it, with the CHAP secret if there is one."""
        return self.urls[0]

    @property
    def urls(self) -> list[str]:
        """The same through each portal."""
        login = f"{self.chap[0]}%{self.chap[1]}@" if self.chap else ""
        return [f"iscsi://{login}{portal}/{self.iqn}/{self.lun}" for portal in self.portals]

    @property
    def portal_url(self) -> str:
        """The portal as `iscsi-ls` takes it."""
        return f"iscsi://{self.portal}"

    @property
    def portal(self) -> str:
        """Address and port of the first portal."""
        return self.portals[0]

    @property
    def portals(self) -> list[str]:
        """Address and port of each portal."""
        return [f"127.0.0.1:{port}" for port in self.ports]

    @property
    def log(self) -> Path:
        """The daemon's output."""
        return self.folder / "daemon.log"

    def is_running(self) -> bool:
        """Whether the daemon is still there."""
        return self.process is not None and self.process.poll() is None

    def usage(self) -> Usage:
        """CPU time (all threads, user and system) and resident memory of the daemon."""
        if self.process is None:
            raise TargetError(f"{self.name} isn't running")
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        ticks = int(fields[11]) + int(fields[12])
        return Usage(ticks / CLOCK_TICKS, pages * os.sysconf("SC_PAGE_SIZE"))

    def was_written(self) -> bool:
        """Whether the file, sparse when the daemon began, holds anything but zeroes now."""
        with self.file.open("rb") as file:
            offset = 0
            try:
                while True:
                    offset = os.lseek(file.fileno(), offset, os.SEEK_DATA)
                    chunk = os.pread(file.fileno(), 1 << 20, offset)
                    if any(chunk):
                        return True
                    offset += len(chunk)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return False

    def stop(self) -> str | None:
        """Ends the daemon; returns what was wrong with how it ended, if anything."""
        problem = None
        if self.process is not None:
            died = self.process.poll()
            if died is not None:
                problem = f"{self.name} had died with status {died}: {self.last_words()}"
            else:
                self.process.send_signal(self.stop_signal)
                try:
                    status = self.process.wait(STOP_SECONDS)
                    if status not in (0, -signal.SIGKILL if self.stop_signal == signal.SIGKILL else 0):
                        problem = f"{self.name} ended with status {status}: {self.last_words()}"
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
                    problem = f"{self.name} didn't stop within {STOP_SECONDS} s of {self.stop_signal.name}"
            self.process = None
        problem = problem or self._panic()
        self._folder.cleanup()
        return problem

    def _panic(self) -> str | None:
        """A panic that the daemon has survived is a defect all the same."""
        if not self.log.exists():
            return None
        lines = self.log.read_text(errors="replace").splitlines()
        panic = next((line for line in lines if "panicked at" in line), None)
        return f"{self.name} logged a panic: {panic.strip()}" if panic else None

    def last_words(self) -> str:
        """The end of the daemon's log, for an error message."""
        if not self.log.exists():
            return "(no log)"
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-5:]) or "(empty log)"

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        problem = self.stop()
        if problem and kind is None:
            raise TargetError(problem)

    def _start(self) -> None:
        command, environment = self._command()
        if self.cores is not None:
            command = ["taskset", "--cpu-list", ",".join(map(str, sorted(self.cores))), *command]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )

    def _await_portal(self) -> None:
        for port in self.ports:
            self._await(f"listen on port {port}", lambda port=port: _listens(port))

    def _await(self, what: str, condition: Callable[[], bool]) -> None:
        """Waits for something that the daemon does at its start."""
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if not self.is_running():
                raise TargetError(f"{self.name} died at start: {self.last_words()}")
            if time.monotonic() > deadline:
                raise TargetError(f"{self.name} didn't {what} within {START_SECONDS} s")
            time.sleep(0.005)

    def _run(self, command: list[str], environment: dict[str, str] | None = None) -> str:
        """Runs an administration command; its error becomes ours."""
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60,
            env={**os.environ, **(environment or {})},
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise TargetError(f"{self.name}: `{' '.join(command)}` failed with {done.returncode}: {said}")
        return done.stdout

    def _sparse_file(self) -> Path:
        path = self.folder / "lun.img"
        with path.open("wb") as file:
            file.truncate(self.size)
        return path


def unpacked(program: str) -> list[str]:
    """The words that run a program of the unpacked packages with the libraries it was built against."""
    libraries = ":".join(str(TREE / part) for part in ("usr/lib/x86_64-linux-gnu", "usr/lib"))
    return [str(TREE / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", libraries, str(TREE / program)]


def free_ports(count: int) -> list[int]:
    """TCP ports of loopback that nobody listens on now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        # All are held until all are known, so that none comes twice.
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _scratch() -> str | None:
    """A tmpfs, where there is one: the tests are about protocol and CPU, not about the disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() and os.access("/dev/shm", os.W_OK) else None
