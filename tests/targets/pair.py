"""Two daemons of Tidelock on loopback: hosts use the first one's volume, and the second one has its copy."""

import json
import time

from .process import TargetError, Usage, free_ports
from .tidelock import Tidelock

CONNECTED_SECONDS = 20


class Peer(Tidelock):
    """A daemon that peers can reach, and that serves nothing by itself."""

    name = "tidelock-peer"
    peer_name = "b"
    tag = 2
    """Of its portals: no portal group may be in both daemons."""

    def _command(self) -> tuple[list[str], dict[str, str]]:
        [self.peer_port] = free_ports(1)
        command, environment = super()._command()
        with (self.folder / "tidelockd.toml").open("a") as config:
            config.write(f'peer_name = "{self.peer_name}"\npeer_portal = "127.0.0.1:{self.peer_port}"\n')
        return [f"{self.tag}={word}" if word in self.portals else word for word in command], environment

    def _configure(self) -> None:
        """It gets what its peer sends."""

    @property
    def peer_address(self) -> str:
        """Where peers find it."""
        return f"127.0.0.1:{self.peer_port}"

    def answer(self, *words: str) -> dict:
        """What a command says to machines."""
        return json.loads(self._admin(*words, "--json"))

    def await_answer(self, words: list[str], is_so, seconds: float) -> dict:
        """Asks until the answer is as it is to be."""
        deadline = time.monotonic() + seconds
        while not is_so(said := self.answer(*words)):
            if time.monotonic() > deadline:
                raise TargetError(f"`tidelock {' '.join(words)}` still says {said}")
            time.sleep(0.02)
        return said


class TidelockPair(Peer):
    """A synchronous mirror between two daemons, on the same core: a write is answered when both have it."""

    name = "tidelock-pair"
    peer_name = "a"
    tag = 1

    def _configure(self) -> None:
        Tidelock._configure(self)
        self.other = Peer(size=1, file=self.folder / "unused", cores=self.cores)
        self._befriend()
        self.begin()

    def _befriend(self) -> None:
        for one, another in ((self, self.other), (self.other, self)):
            fingerprint = another.answer("peer", "show")["fingerprint"]
            one._admin("peer", "add", another.peer_name, another.peer_address, "--fingerprint", fingerprint)
        for one, another in ((self, self.other), (self.other, self)):
            one.await_answer(["peer", "show", another.peer_name], lambda it: it["state"] == "connected", CONNECTED_SECONDS)

    def begin(self) -> None:
        """Makes the mirror; returns when the copy is there."""
        self._admin("mirror", "create", "v", "b:copy", "--wait", *self.mode)

    def usage(self) -> Usage:
        """Of both daemons."""
        one, other = super().usage(), self.other.usage()
        return Usage(one.cpu_seconds + other.cpu_seconds, one.rss_bytes + other.rss_bytes)

    def stop(self) -> str | None:
        problem = super().stop()
        other = self.__dict__.pop("other", None)
        return problem or (other.stop() if other is not None else None)


class TidelockAsyncPair(TidelockPair):
    """The same, asynchronous: hosts don't wait for the copy, which is at most five seconds behind."""

    name = "tidelock-async-pair"
    mode = ("--mode", "async", "--rpo", "5s")
