"""The network between host and guest: two taps in a namespace that dies with the run."""

import subprocess

PATHS = (0, 1)
PORT = 3260


def host_address(path: int) -> str:
    """The target's address on one of the two paths."""
    return f"10.77.{path}.1"


def portals() -> list[str]:
    """ADDR:PORT of both paths, as the target is told to listen."""
    return [f"{host_address(path)}:{PORT}" for path in PATHS]


def create() -> None:
    """Makes the taps; the namespace is ours alone, so nothing has to be taken down."""
    _ip("link", "set", "lo", "up")
    for path in PATHS:
        tap = f"tap{path}"
        _ip("tuntap", "add", "dev", tap, "mode", "tap", "vnet_hdr")
        _ip("address", "add", f"{host_address(path)}/24", "dev", tap)
        _ip("link", "set", tap, "up")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
