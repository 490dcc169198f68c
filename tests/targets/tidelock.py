"""Tidelock itself: the release build of this tree, if the environment names no other."""

import os
import subprocess
from pathlib import Path

from .process import ROOT, Target

BUILD = Path(os.environ.get("TIDELOCK_BIN_DIR", ROOT / "build/release"))
"""Where the binaries are; another folder can be named in the environment."""


class Tidelock(Target):
    """A tidelockd with a state folder and an admin socket of its own."""

    name = "tidelock"
    snapshots = 0
    """How many its volume has before anything is done."""
    mirrored = False
    """Whether it is mirrored to a second file beside the first one."""
    mode: tuple[str, ...] = ()
    """More words for the command that makes the mirror."""
    config: tuple[str, ...] = ()
    """More lines of its configuration."""

    @staticmethod
    def missing() -> str | None:
        for program in ("tidelockd", "tidelock"):
            if not (BUILD / program).exists():
                return f"{BUILD / program} isn't there: run `cargo build --release`"
        return None

    @classmethod
    def version(cls) -> str:
        done = subprocess.run([BUILD / "tidelockd", "--version"], capture_output=True, text=True, check=False)
        return done.stdout.strip() or "tidelock"

    def _command(self) -> tuple[list[str], dict[str, str]]:
        # iscsi-test-cu sleeps for up to a minute, and answers no NOP-In meanwhile.
        config = self.folder / "tidelockd.toml"
        # How full the disk of the tests is must not be told in the middle of a test.
        lines = ("nop_timeout_seconds = 120", "space_warning_percent = 0", *self.config)
        config.write_text("".join(f"{line}\n" for line in lines))
        return [
            str(BUILD / "tidelockd"),
            "--config", str(config),
            "--state-dir", str(self.folder / "state"),
            "--admin-socket", str(self._socket),
            "--log", "info",
            *(word for portal in self.portals for word in ("--portal", portal)),
        ], {}

    def _await_portal(self) -> None:
        # It listens, and answers on its admin socket, before it takes changes.
        super()._await_portal()
        self._await("serve", lambda: "serving engine=" in self.log.read_text(errors="replace"))

    def _configure(self) -> None:
        cache = ["--direct"] if self.uncached else []
        self._admin("volume", "create", "v", "--file", str(self.file), "--block-size", str(self.block_size), *cache)
        for number in range(self.snapshots):
            self._admin("snapshot", "create", "v", f"s{number}")
        if self.mirrored:
            # One that an earlier run has left is part of what that one measured.
            copy = self.file.with_name("copy.img")
            copy.unlink(missing_ok=True)
            with copy.open("wb") as new:
                new.truncate(self.file.stat().st_size)
            self._admin("volume", "create", "copy", "--file", str(copy), "--block-size", str(self.block_size), *cache)
            self._admin("mirror", "create", "v", "copy", "--wait", *self.mode)
        self._admin("target", "create", self.iqn)
        if self.header_digest:
            self._admin("target", "set", self.iqn, "header-digest=required")
        protection = ["--read-only"] if self.read_only else []
        self._admin("lun", "map", self.iqn, "v", "--lun", str(self.lun), *protection)
        self._admin("acl", "allow", self.iqn, "*", *self._chap_words())

    def _chap_words(self) -> list[str]:
        if self.chap is None:
            return []
        user, secret = self.chap
        file = self.folder / "chap-secret"
        file.touch(mode=0o600)
        file.write_text(secret)
        return ["--chap-user", user, "--chap-secret-file", str(file)]

    def _admin(self, *words: str) -> str:
        return self._run([str(BUILD / "tidelock"), "--socket", str(self._socket), *words])

    @property
    def _socket(self) -> Path:
        return self.folder / "admin.sock"


class TidelockSleeping(Tidelock):
    """The same; its reactors never wait awake for the next command."""

    name = "tidelock-sleeping"
    config = ("busy_poll_microseconds = 0",)


class TidelockUnderOne(Tidelock):
    """The same, with a snapshot of what the file held: each first write of a block goes elsewhere."""

    name = "tidelock-1-snapshot"
    snapshots = 1


class TidelockUnderMany(Tidelock):
    """The same, with a hundred snapshots."""

    name = "tidelock-100-snapshots"
    snapshots = 100


class TidelockMirror(Tidelock):
    """The same, mirrored to a second file by the same daemon: a write is answered when both have it."""

    name = "tidelock-mirror"
    mirrored = True


class TidelockAsyncMirror(TidelockMirror):
    """The same, asynchronous: hosts don't wait for the second file, which is at most five seconds behind."""

    name = "tidelock-async-mirror"
    mode = ("--mode", "async", "--rpo", "5s")
