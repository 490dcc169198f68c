"""The passes: the same suites, each time against another kind of LUN or session. It runs nothing."""

from dataclasses import dataclass, replace

from targets import Target

CHAP = ("conformance", "conformance-secret")
USERS = {"iSCSICHAP.HexName": "0x636f6e666f726d", "iSCSICHAP.Base64Name": "0bY29uZm9ybQ=="}
"""Tests that want to log in with a name that could be mistaken for a number."""
ALONE = {"Sanitize.Reset"}
"""Comes after Sanitize.Reservations, which leaves without a word and keeps the RESERVE(6) of its second session until the
target has noticed that this has gone, or for good if it is a path that stays logged in."""


@dataclass(frozen=True)
class Pass:
    """How a pass differs from a writable LUN with blocks of 512 bytes over one plain session."""

    name: str
    what: str
    block_size: int = 512
    read_only: bool = False
    portals: int = 1
    """How many portals the target has; the suite gets a URL through each."""
    header_digest: bool = False
    chap: tuple[str, str] | None = None

    def start(self, adapter: type[Target], size: int) -> Target:
        """A fresh target as this pass wants it."""
        return adapter(
            size=size, block_size=self.block_size, read_only=self.read_only, portals=self.portals,
            header_digest=self.header_digest, chap=self.chap,
        )

    def alone(self, name: str) -> "Pass | None":
        """How this pass runs a test that must have a target of its own; None if it is like the others."""
        if name in ALONE:
            return self
        if self.chap is None or name not in USERS:
            return None
        return replace(self, chap=(USERS[name], self.chap[1]))


PASSES: dict[str, Pass] = {
    entry.name: entry
    for entry in (
        Pass("writable", "a writable LUN with blocks of 512 bytes"),
        Pass("read-only", "a LUN that is mapped read-only", read_only=True),
        Pass("4096", "blocks of 4096 bytes", block_size=4096),
        Pass("paths", "two paths: a second portal for the suites with two initiators", portals=2),
        # The suite offers None first, so the target has to insist. Data digests are left to the kernel's initiator:
        # libiscsi 1.19 has none, and newer ones lose step when an answer comes in one piece with the login's.
        Pass("digests", "CRC-32C header digests, required by the target", header_digest=True),
        Pass("chap", "CHAP required by the target", chap=CHAP),
    )
}
