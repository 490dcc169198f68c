"""The network between host and guest: two taps in a namespace that dies with the run."""

import socket
import subprocess

PATHS = (0, 1)
PORT = 3260
HOST_ADDRESS_6 = "fd77::1"


def host_address(path: int) -> str:
    """The target's address on one of the two paths."""
    return f"10.77.{path}.1"


def guest_mac(path: int) -> str:
    """By which an emulated guest knows which of its interfaces is on which path."""
    return f"52:54:00:77:00:0{path}"


def portals() -> list[str]:
    """ADDR:PORT of both paths, and of the first once more with IPv6, as the target is told to listen."""
    return [f"{host_address(path)}:{PORT}" for path in PATHS] + [f"[{HOST_ADDRESS_6}]:{PORT}"]


def listening(portals: list[str]) -> bool:
    """Whether each of these, [TAG=]ADDR:PORT, takes connections."""
    for portal in portals:
        address, _, port = portal.rpartition("=")[2].rpartition(":")
        try:
            socket.create_connection((address.strip("[]"), int(port)), timeout=1).close()
        except OSError:
            return False
    return True


def create() -> None:
    """Makes the taps; the namespace is ours alone, so nothing has to be taken down."""
    _ip("link", "set", "lo", "up")
    for path in PATHS:
        tap = f"tap{path}"
        _ip("tuntap", "add", "dev", tap, "mode", "tap", "vnet_hdr")
        _ip("address", "add", f"{host_address(path)}/24", "dev", tap)
        _ip("link", "set", tap, "up")
    # Without looking for duplicates: until that is done nobody can listen on an address.
    _ip("address", "add", f"{HOST_ADDRESS_6}/64", "dev", "tap0", "nodad")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
