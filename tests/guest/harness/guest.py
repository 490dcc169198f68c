"""One boot of a guest: its process, its console and the folder shared with it.

There are two kinds. User-mode Linux boots fast and runs native code, and has
no `scsi_dh_alua`; QEMU emulates a machine with several CPUs for Debian's own
kernel, and is slower.
"""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from . import network
from .errors import GuestError
from .image import Image

POLL_SECONDS = 0.02


class Guest:
    """A running guest. Host and guest talk through numbered files in a shared folder.

    `job.N` is a scenario for the guest, `done.N` its end; `request.N` is
    something that the guest asks of the host, `reply.N` the answer. Each is
    written under another name and renamed, so a file that is there is whole.
    A request isn't, as the guest would have to start a process for that: it is
    whole when its last line is `end`.
    """

    boot_limit_seconds = 45

    def __init__(self, image: Image, harness: Path, folder: Path, memory: Path, transcript, first_lun: int, binaries: Path):
        self._image = image
        self._binaries = binaries
        self._harness = harness
        self._memory = memory
        self._share = folder / "share"
        self._share.mkdir(parents=True)
        self._transcript = transcript
        self._jobs = 0
        self._requests = 0
        (self._share / "first-lun").write_text(f"{first_lun}\n")
        (self._share / "kills").write_text(f"{os.environ.get('TIDELOCK_KILLS', '10')}\n")
        reader, writer = os.pipe()
        kernel_log = (folder / "kernel.log").open("wb")
        self._process = subprocess.Popen(
            self._command(kernel_log.fileno(), writer), stdin=subprocess.DEVNULL, stdout=kernel_log, stderr=kernel_log,
            pass_fds=(writer, kernel_log.fileno()), start_new_session=True,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(memory), "QEMU_MODULE_DIR": str(image.emulator_modules)},
        )
        os.close(writer)
        kernel_log.close()
        self._console = threading.Thread(target=self._follow, args=(reader,), daemon=True)
        self._console.start()

    def _command(self, kernel_log: int, output: int) -> list[str]:
        """What to run: the kernel's console goes to one file descriptor, what the scenarios say to the other."""
        raise NotImplementedError

    def wait_until_up(self) -> None:
        """Waits for the guest's first word."""
        self._wait_for(self._share / "up", self.boot_limit_seconds, "boot")

    def run(self, scenario: str, limit: float, serve) -> tuple[str, str]:
        """Runs a scenario, answering its requests with `serve(words)`; returns its verdict and reason."""
        self._jobs += 1
        _publish(self._share / f"job.{self._jobs}", f"{scenario} {int(limit)}\n")
        done = self._share / f"done.{self._jobs}"
        # The guest ends a scenario at its limit; one that can't even be ended costs the guest.
        deadline = time.monotonic() + limit + 45
        while not done.exists():
            self._serve_one(serve)
            self._check_alive(deadline, f"run {scenario}")
            time.sleep(POLL_SECONDS)
        verdict, _, why = done.read_text().strip().partition(" ")
        return verdict, why

    def power_off(self) -> None:
        """Asks the guest to leave; the caller still has to `destroy` it."""
        self._jobs += 1
        _publish(self._share / f"job.{self._jobs}", "poweroff 0\n")
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired as slow:
            raise GuestError("the guest didn't power off within 20 s") from slow

    def destroy(self) -> None:
        """Ends every process of the guest, whatever state it is in."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._console.join(timeout=5)

    def _serve_one(self, serve) -> None:
        request = self._share / f"request.{self._requests + 1}"
        try:
            text = request.read_text()
        except FileNotFoundError:
            return
        if not text.endswith("\nend\n"):
            return
        self._requests += 1
        words = text.split("\n")[:-2]
        self._transcript.line("host", " ".join(words))
        ok, text = serve(words)
        if not ok:
            self._transcript.line("host", f"refused: {text}")
        _publish(self._share / f"reply.{self._requests}", f"{0 if ok else 1}\n{text}\n")

    def _wait_for(self, path: Path, limit: float, what: str) -> None:
        deadline = time.monotonic() + limit
        while not path.exists():
            self._check_alive(deadline, what)
            time.sleep(POLL_SECONDS)

    def _check_alive(self, deadline: float, what: str) -> None:
        if self._process.poll() is not None:
            raise GuestError(f"the guest died (exit {self._process.returncode}) while it had to {what}; see kernel.log")
        if time.monotonic() > deadline:
            raise GuestError(f"the guest took too long to {what}; see kernel.log")

    def _follow(self, reader: int) -> None:
        with os.fdopen(reader, "r", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self._transcript.line("guest", line.rstrip())


class UserModeGuest(Guest):
    """User-mode Linux: the kernel is an ordinary process."""

    def _command(self, kernel_log: int, output: int) -> list[str]:
        (self._memory / "uml").mkdir(exist_ok=True)
        return [
            str(self._image.user_mode_kernel), "mem=640M", f"ubd0r={self._image.root}", "root=98:0", "ro", "init=/init",
            f"share={self._share}", f"harness={self._harness}", "con=null",
            f"con0=null,fd:{kernel_log}", f"con1=null,fd:{output}",
            "panic=-1", f"uml_dir={self._memory}/uml", "umid=guest",
            *(f"vec{path}:transport=tap,ifname=tap{path},depth=128,gro=1" for path in network.PATHS),
        ]


class EmulatedGuest(Guest):
    """QEMU without hardware support, and Debian's kernel for amd64 with two CPUs."""

    boot_limit_seconds = 90

    def _command(self, kernel_log: int, output: int) -> list[str]:
        words = [
            *self._image.emulator, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            # Without erms and fsrm the kernel copies in a way that is emulated faster.
            "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-la57,-smap,-smep,-erms,-fsrm",
            "-machine", "q35", "-smp", "2", "-m", "768M",
            "-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd),
            "-append", "console=ttyS0 panic=-1 mitigations=off nopti no_timer_check audit=0 random.trust_cpu=on",
            "-chardev", f"file,id=log,path=/dev/fd/{kernel_log}", "-serial", "chardev:log",
            "-chardev", f"file,id=output,path=/dev/fd/{output}",
            "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=output",
            "-drive", f"file={self._image.root},format=raw,if=none,id=root,readonly=on",
            "-device", "virtio-blk-pci,drive=root",
            "-virtfs", f"local,path={self._share},mount_tag=share,security_model=none,id=share",
            "-virtfs", f"local,path={self._harness},mount_tag=harness,security_model=none,readonly=on,id=harness",
        ]
        if self._binaries.is_dir():
            # For a target inside the guest: benches beside the kernel's own one.
            shared = f"local,path={self._binaries},mount_tag=programs,security_model=none,readonly=on,id=programs"
            words += ["-virtfs", shared]
        for path in network.PATHS:
            words += [
                "-netdev", f"tap,id=net{path},ifname=tap{path},script=no,downscript=no",
                "-device", f"virtio-net-pci,netdev=net{path},mac={network.guest_mac(path)},romfile=",
            ]
        return words


KINDS: dict[str, type[Guest]] = {"uml": UserModeGuest, "qemu": EmulatedGuest}


def _publish(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(text)
    draft.rename(path)
