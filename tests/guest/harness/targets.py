"""The target under test, as a process on the host, behind one small interface.

`Tidelock` is what the tests are for. `Tgt` is Debian's tgt: a target known to
work, by which a failure can be told apart from a fault of the harness.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from . import network
from .errors import TargetError
from .packages import command_in

START_LIMIT_SECONDS = 20
STOP_LIMIT_SECONDS = 20
COMMAND_LIMIT_SECONDS = 20


class Target:
    """What scenarios can do to a target; subclasses say how."""

    first_lun = 0
    missing: frozenset[str] = frozenset()
    """Features that this target lacks; scenarios that need one are skipped."""

    def __init__(self, folder: Path, log: Path):
        self.folder = folder
        self._log_path = log
        self._log_from = 0
        """Where the log of the present process begins."""
        self._environment = dict(os.environ)
        self._process: subprocess.Popen | None = None
        folder.mkdir(parents=True)

    # Life and death.

    def start(self) -> None:
        """Starts the daemon and waits until it answers on its control socket and on all portals."""
        if self._process is not None:
            raise TargetError("the target runs already")
        with self._log_path.open("ab") as log:
            self._log_from = log.tell()
            try:
                self._process = subprocess.Popen(
                    self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    env=self._environment,
                )
            except OSError as error:
                raise TargetError(f"the target can't be started: {error}") from error
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not self._ready():
            if self._process.poll() is not None:
                code, self._process = self._process.returncode, None
                raise TargetError(f"the target ended with {code} at its start: {self._last_log_line()}")
            if time.monotonic() > deadline:
                raise TargetError(f"the target wasn't ready within {START_LIMIT_SECONDS} s")
            time.sleep(0.05)
        self._configure_again()

    def kill(self) -> None:
        """kill -9: no warning, no clean-up."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def stop(self) -> None:
        """SIGTERM; fails unless the daemon leaves in time and of its own will."""
        process = self._running()
        process.terminate()
        try:
            code = process.wait(timeout=STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired as slow:
            self.kill()
            raise TargetError(f"the target didn't stop within {STOP_LIMIT_SECONDS} s of SIGTERM") from slow
        self._process = None
        if code != 0:
            raise TargetError(f"the target stopped with {code}: {self._last_log_line()}")

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        self._running().send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Makes sure that no process is left, in whatever state it is."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def farewell(self) -> str:
        """Stops the daemon after a scenario and returns what is wrong with it, if anything.

        It must have been running, must leave when told to, and must not have panicked.
        """
        problems = []
        try:
            process = self._running()
            if process.poll() is not None:
                self._process = None
                raise TargetError(f"the target died with {process.returncode}: {self._last_log_line()}")
            self.stop()
        except TargetError as error:
            problems.append(str(error))
        panics = (line for line in self._log_path.read_text(errors="replace").splitlines() if "panicked at" in line)
        problems += [f"the target's log says: {line.strip()}" for line in panics]
        return "; ".join(problems)

    # Configuration, which subclasses do.

    def volume_create(self, name: str, size: str, *options: str) -> None:
        """Options are those of `tidelock volume create`."""
        raise NotImplementedError

    def volume_resize(self, name: str, size: str) -> None:
        raise NotImplementedError

    def target_create(self, iqn: str) -> None:
        raise NotImplementedError

    def lun_map(self, iqn: str, name: str, lun: str, *options: str) -> None:
        """Options are those of `tidelock lun map`."""
        raise NotImplementedError

    def lun_unmap(self, iqn: str, lun: str) -> None:
        raise NotImplementedError

    def allow(self, iqn: str, initiator: str, *credentials: str) -> None:
        """Credentials: none, or user and secret, or these and the target's own user and secret."""
        raise NotImplementedError

    def drop_sessions(self) -> None:
        """Ends every session from the target's side."""
        raise NotImplementedError

    def command_line(self, *words: str) -> str:
        """Runs `tidelock` with these words and returns what it says."""
        raise NotImplementedError

    def listen_on(self, *portals: str) -> None:
        """The portals for the next start, as `tidelockd --portal` takes them."""
        raise NotImplementedError

    def second(self, *words: str) -> str | None:
        """Asks another daemon of the same kind, with a state of its own, for the same."""
        raise NotImplementedError

    def leases(self, seconds: str) -> None:
        """An etcd for this daemon and the second one, with leases that long; they use it from their next start on."""
        raise NotImplementedError

    def secret_file(self, name: str, secret: str) -> str:
        """Writes a secret and returns the file's path."""
        path = self.folder / f"{name}.secret"
        path.touch(mode=0o600)
        path.write_text(secret)
        return str(path)

    def run_with(self, *options: str) -> None:
        """More of the daemon's command line, for the next start."""
        raise NotImplementedError

    def allocated(self, name: str) -> str:
        """Bytes that a volume's file takes on the host's disk."""
        descriptor = os.open(self.backing_file(name), os.O_RDONLY)
        try:
            # Space that is written to is counted when it is given, which may be late.
            os.fsync(descriptor)
            return str(os.fstat(descriptor).st_blocks * 512)
        finally:
            os.close(descriptor)

    def backing_file(self, name: str) -> Path:
        """The file in which a volume's blocks lie one to one."""
        return self.folder / f"{name}.img"

    def flip_byte(self, name: str, offset: str) -> None:
        """Inverts one byte behind the target's back."""
        with self.backing_file(name).open("r+b") as blocks:
            blocks.seek(int(offset))
            byte = blocks.read(1)
            blocks.seek(int(offset))
            blocks.write(bytes([byte[0] ^ 0xFF]))

    # For subclasses.

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _probe(self) -> bool:
        raise NotImplementedError

    def _configure_again(self) -> None:
        """For a target that forgets its configuration when it ends."""

    def _listens_on(self) -> list[str]:
        return network.portals()

    def _ready(self) -> bool:
        return self._probe() and network.listening(self._listens_on())

    def _run(self, command: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=COMMAND_LIMIT_SECONDS,
            stdin=subprocess.DEVNULL, env=self._environment,
        )

    def _checked(self, command: list[str]) -> str:
        try:
            done = self._run(command)
        except subprocess.TimeoutExpired as slow:
            raise TargetError(f"no answer within {COMMAND_LIMIT_SECONDS} s: {' '.join(command)}") from slow
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise TargetError(f"{' '.join(command)} ended with {done.returncode}: {said}")
        return done.stdout

    def _running(self) -> subprocess.Popen:
        if self._process is None:
            raise TargetError("the target isn't running")
        return self._process

    def _last_log_line(self) -> str:
        lines = self._log_path.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "its log is empty"


class Tidelock(Target):
    """`tidelockd` and its command line, from a folder with built binaries."""

    def __init__(self, folder: Path, log: Path, binaries: Path, sockets: Path):
        super().__init__(folder, log)
        self._binaries = binaries
        # Elsewhere than the state, whose path may be too long for a Unix socket.
        self._socket = sockets / "admin.sock"
        self._config = folder / "tidelockd.toml"
        self._config.write_text("")
        self._portals = network.portals()
        self._options: list[str] = []
        self._sockets = sockets
        self._second: Tidelock | None = None
        self._etcd: subprocess.Popen | None = None

    def _second_one(self) -> "Tidelock":
        if self._second is None:
            sockets = self._sockets / "second"
            sockets.mkdir(exist_ok=True)
            log = self._log_path.with_name("second.log")
            log.touch()
            self._second = Tidelock(self.folder / "second", log, self._binaries, sockets)
        return self._second

    def second(self, *words: str) -> str | None:
        second = self._second_one()
        name, *rest = words
        known = {
            "volume": "volume_create", "target": "target_create", "map": "lun_map", "unmap": "lun_unmap", "allow": "allow",
            "tidelock": "command_line", "portals": "listen_on", "options": "run_with", "start": "start", "kill": "kill",
            "stop": "stop", "freeze": "freeze", "thaw": "thaw", "drop": "drop_sessions",
        }
        return getattr(second, known[name])(*rest)

    def leases(self, seconds: str) -> None:
        client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
        words = ["etcd", "--data-dir", str(self.folder / "etcd"), "--initial-cluster", f"default={peer}"]
        words += ["--listen-client-urls", client, "--advertise-client-urls", client]
        words += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        with self._log_path.with_name("etcd.log").open("ab") as log:
            try:
                self._etcd = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )
            except OSError as error:
                raise TargetError(f"etcd can't be started (Debian: etcd-server): {error}") from error
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not network.listening(["127.0.0.1:2379"]):
            if self._etcd.poll() is not None or time.monotonic() > deadline:
                raise TargetError("etcd doesn't start: etcd.log says why")
            time.sleep(0.05)
        for daemon in (self, self._second_one()):
            daemon._config.write_text(f'[failover]\netcd = ["{client}"]\nlease_seconds = {seconds}\n')

    def end(self) -> None:
        super().end()
        if self._etcd is not None:
            self._etcd.kill()
            self._etcd.wait()
            self._etcd = None
        if self._second is not None:
            self._second.end()

    def farewell(self) -> str:
        problems = [super().farewell()]
        if self._second is not None:
            problems.append(self._second.farewell().replace("the target", "the second target"))
        return "; ".join(filter(None, problems))

    def volume_create(self, name: str, size: str, *options: str) -> None:
        # A file of ours rather than one of the daemon's, so that `flip_byte` knows where it is.
        path = self.backing_file(name)
        path.touch(mode=0o600)
        os.truncate(path, _bytes(size))
        self._tidelock("volume", "create", name, "--file", str(path), *options)

    def volume_resize(self, name: str, size: str) -> None:
        self._tidelock("volume", "resize", name, "--size", size)

    def target_create(self, iqn: str) -> None:
        self._tidelock("target", "create", iqn)

    def lun_map(self, iqn: str, name: str, lun: str, *options: str) -> None:
        self._tidelock("lun", "map", iqn, name, "--lun", lun, *options)

    def lun_unmap(self, iqn: str, lun: str) -> None:
        self._tidelock("lun", "unmap", iqn, lun, "--yes")

    def allow(self, iqn: str, initiator: str, *credentials: str) -> None:
        words = ["acl", "allow", iqn, initiator]
        for kind, user, secret in zip(("chap", "mutual"), credentials[::2], credentials[1::2]):
            words += [f"--{kind}-user", user, f"--{kind}-secret-file", self.secret_file(kind, secret)]
        self._tidelock(*words)

    def _command(self) -> list[str]:
        words = [
            str(self._binaries / "tidelockd"), "--config", str(self._config),
            "--state-dir", str(self.folder / "state"), "--admin-socket", str(self._socket), "--log", "info",
        ]
        for portal in self._portals:
            words += ["--portal", portal]
        return words + self._options

    def _listens_on(self) -> list[str]:
        return self._portals

    def run_with(self, *options: str) -> None:
        """More of `tidelockd`'s command line, for the next start."""
        self._options = list(options)

    def listen_on(self, *portals: str) -> None:
        self._portals = list(portals)

    def command_line(self, *words: str) -> str:
        return self._tidelock(*words)

    def _probe(self) -> bool:
        # It listens, and answers on its admin socket, before it takes changes.
        with self._log_path.open("rb") as log:
            log.seek(self._log_from)
            return b"serving engine=" in log.read()

    def drop_sessions(self) -> None:
        sessions = json.loads(self._tidelock("session", "list", "--json"))["sessions"]
        if not sessions:
            raise TargetError("there is no session to drop")
        for session in sessions:
            self._tidelock("session", "drop", str(session["id"]), "--yes")

    def _tidelock(self, *words: str) -> str:
        return self._checked([str(self._binaries / "tidelock"), "--socket", str(self._socket), *words])


class Tgt(Target):
    """Debian's tgt, from an unpacked tree. Its LUN 0 is a controller, so disks start at 1."""

    first_lun = 1
    # It names only the portal that is asked, and knows CHAP with MD5 alone.
    missing = frozenset({"resize", "chap-sha", "all-portals", "volume-options", "session-drop", "full-conformance"})

    def __init__(self, folder: Path, log: Path, tree: Path, sockets: Path):
        super().__init__(folder, log)
        self._tree = tree
        # Its control socket would else be the machine's, whatever the namespace.
        self._environment = {"TGT_IPC_SOCKET": str(sockets / "tgt"), "PATH": os.environ["PATH"]}
        self._history: list[list[str]] = []
        self._targets: list[str] = []

    def volume_create(self, name: str, size: str, *options: str) -> None:
        self.backing_file(name).touch()
        os.truncate(self.backing_file(name), _bytes(size))

    def target_create(self, iqn: str) -> None:
        self._targets.append(iqn)
        self._update("--mode", "target", "--op", "new", "--tid", self._tid(iqn), "-T", iqn)
        for digest in ("HeaderDigest", "DataDigest"):
            self._update(
                "--mode", "target", "--op", "update", "--tid", self._tid(iqn), "-n", digest, "-v", "CRC32C,None"
            )

    def lun_map(self, iqn: str, name: str, lun: str, *options: str) -> None:
        self._update(
            "--mode", "logicalunit", "--op", "new", "--tid", self._tid(iqn), "--lun", lun,
            "-b", str(self.backing_file(name)),
        )
        # Else it has no UNMAP.
        self._update(
            "--mode", "logicalunit", "--op", "update", "--tid", self._tid(iqn), "--lun", lun,
            "--params", "thin_provisioning=1" + (",readonly=1" if "--read-only" in options else ""),
        )

    def lun_unmap(self, iqn: str, lun: str) -> None:
        self._update("--mode", "logicalunit", "--op", "delete", "--tid", self._tid(iqn), "--lun", lun)

    def allow(self, iqn: str, initiator: str, *credentials: str) -> None:
        tid = self._tid(iqn)
        which = ["-I", "ALL"] if initiator == "*" else ["-Q", initiator]
        self._update("--mode", "target", "--op", "bind", "--tid", tid, *which)
        for direction, user, secret in zip(([], ["--outgoing"]), credentials[::2], credentials[1::2]):
            self._update("--mode", "account", "--op", "new", "--user", user, "--password", secret)
            self._update("--mode", "account", "--op", "bind", "--tid", tid, "--user", user, *direction)

    def _command(self) -> list[str]:
        portals = ",".join(f"portal={portal}" for portal in network.portals())
        return command_in(self._tree, "usr/sbin/tgtd") + ["-f", "-C", "1", "--iscsi", portals]

    def _probe(self) -> bool:
        return self._run(self._tgtadm("--mode", "sys", "--op", "show")).returncode == 0

    def stop(self) -> None:
        # It ignores SIGTERM while it has targets.
        self.kill()

    def _configure_again(self) -> None:
        for words in self._history:
            self._checked(self._tgtadm(*words))

    def _update(self, *words: str) -> None:
        self._checked(self._tgtadm(*words))
        self._history.append(list(words))

    def _tgtadm(self, *words: str) -> list[str]:
        return command_in(self._tree, "usr/sbin/tgtadm") + ["-C", "1", "--lld", "iscsi", *words]

    def _tid(self, iqn: str) -> str:
        return str(self._targets.index(iqn) + 1)


def _bytes(size: str) -> int:
    return int(size[:-1]) << {"M": 20, "G": 30}[size[-1]]
