"""How the run and a lane talk: one JSON value a line over a socket pair.

The run sends the names of scenarios, one at a time, and closes its side when
there are no more. A lane sends `Ready` when it wants the next one, `Say` for the
transcript, and `Verdict`.
"""

import json
import socket
import threading
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Ready:
    """The lane is idle; `kind` is that of the guest that is up in it, or empty."""

    kind: str


@dataclass(frozen=True)
class Say:
    """A line of the transcript, by `guest`, `host` or `run`."""

    who: str
    text: str


@dataclass(frozen=True)
class Verdict:
    """How the lane's scenario ended, or if it has none, what else is to be counted."""

    line: str
    """PASS, FAIL or SKIP, the name, and why or how long."""


@dataclass(frozen=True)
class Booted:
    """A guest was started, whether or not it came up."""


Message = Ready | Say | Verdict | Booted
KINDS = {kind.__name__: kind for kind in (Ready, Say, Verdict, Booted)}


def encode(message: Message) -> bytes:
    """The message as a line."""
    return json.dumps([type(message).__name__, asdict(message)]).encode() + b"\n"


def decode(line: bytes) -> Message:
    """What `encode` made; a ValueError otherwise."""
    name, fields = json.loads(line)
    return KINDS[name](**fields)


class Lines:
    """Whole lines from a stream of bytes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines


class Outlet:
    """The lane's end of the socket."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._names = connection.makefile("r", encoding="utf-8")
        self._lock = threading.Lock()

    def send(self, message: Message) -> None:
        """Sends one message whole, from whichever thread."""
        with self._lock:
            self._connection.sendall(encode(message))

    def next_scenario(self, kind: str) -> str | None:
        """Asks for the next scenario and waits for its name; None if there are no more."""
        self.send(Ready(kind))
        return self._names.readline().strip() or None
