"""Debian packages as files: resolve, download and unpack, without installing anything.

apt is run with an empty status file, so it answers for a machine on which
nothing is installed: the whole closure comes, and the host's own packages are
neither touched nor relied upon.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import SetupError

TOOLS = ("apt-get", "dpkg-deb", "tar", "unshare", "setpriv", "ip")


@dataclass(frozen=True)
class Resolution:
    """What apt would download for a list of packages."""

    packages: tuple[str, ...]
    files: tuple[str, ...]
    """Names of the archives, with their versions, sorted."""


class Apt:
    """apt-get with its state and archives in a folder of ours."""

    def __init__(self, folder: Path):
        self.archives = folder / "archives"
        self.status = folder / "status"
        # apt doesn't list what it has already: it is asked with an empty folder.
        self._nothing = folder / "nothing"
        for archives in (self.archives, self._nothing):
            (archives / "partial").mkdir(parents=True, exist_ok=True)
        self.status.write_text("")

    def resolve(self, packages: list[str]) -> Resolution:
        """Asks which archives these packages need; refreshes apt's lists once if it doesn't know."""
        listed = self._install(packages, "--print-uris", self._nothing)
        if listed.returncode != 0:
            self._update()
            listed = self._install(packages, "--print-uris", self._nothing)
        if listed.returncode != 0:
            raise SetupError(
                "apt can't resolve the guest's packages "
                f"({' '.join(packages)}): {_last_line(listed.stderr)}. "
                "The sources must offer Debian bookworm's main component for amd64."
            )
        files = sorted(line.split()[1] for line in listed.stdout.splitlines() if line.startswith("'"))
        return Resolution(tuple(packages), tuple(files))

    def download(self, resolution: Resolution) -> tuple[Resolution, list[Path]]:
        """Fetches what is missing; apt checks every archive against its signed lists.

        Lists that are older than the archive name files that it no longer has. They are refreshed once
        then, and the answer is what the packages need by the new ones. That may also have been done for
        other packages since these were resolved.
        """
        packages = list(resolution.packages)
        fetched = self._install(packages, "--download-only", self.archives)
        if fetched.returncode != 0:
            self._update()
            resolution = self.resolve(packages)
            fetched = self._install(packages, "--download-only", self.archives)
        if fetched.returncode != 0:
            raise SetupError(f"apt can't download the guest's packages: {_last_line(fetched.stderr)}")
        if self._missing(resolution):
            resolution = self.resolve(packages)
        if missing := self._missing(resolution):
            raise SetupError(
                f"apt downloaded other versions than it had announced (missing: {missing[0].name}): "
                "its lists changed meanwhile; run this again"
            )
        return resolution, self._paths(resolution)

    def _paths(self, resolution: Resolution) -> list[Path]:
        return [self.archives / name for name in resolution.files]

    def _missing(self, resolution: Resolution) -> list[Path]:
        return [path for path in self._paths(resolution) if not path.exists()]

    def _install(self, packages: list[str], mode: str, archives: Path) -> subprocess.CompletedProcess:
        return subprocess.run(
            [
                "apt-get", "-qq", "-y", "--no-install-recommends",
                "-o", f"Dir::State::status={self.status}",
                "-o", f"Dir::Cache::archives={archives}",
                "-o", "Debug::NoLocking=1",
                "-o", "APT::Sandbox::User=root",
                mode, "install", *packages,
            ],
            capture_output=True, text=True, check=False,
        )

    def _update(self) -> None:
        print("guest: refreshing apt's lists (apt-get update)", flush=True)
        updated = subprocess.run(
            ["apt-get", "-qq", "update"], capture_output=True, text=True, check=False
        )
        if updated.returncode != 0:
            raise SetupError(f"apt-get update failed: {_last_line(updated.stderr)}")


def unpack(archives: list[Path], tree: Path) -> None:
    """Unpacks archives into a tree with a merged /usr; runs none of their scripts."""
    tree.mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for archive in archives:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as tarfile:
            unpacked = subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "-C", tree, "-f", "-"],
                stdin=tarfile.stdout, check=False,
            )
        if tarfile.returncode != 0 or unpacked.returncode != 0:
            raise SetupError(f"can't unpack {archive}: remove it and run this again")
    for name in ("doc", "man", "locale", "info", "perl", "icu", "bash-completion"):
        shutil.rmtree(tree / "usr/share" / name, ignore_errors=True)


def command_in(tree: Path, program: str) -> list[str]:
    """The words that run a program of an unpacked tree on the host, with the tree's own libraries."""
    libraries = ":".join(str(tree / part) for part in ("usr/lib/x86_64-linux-gnu", "usr/lib"))
    return [str(tree / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", libraries, str(tree / program)]


def require_tools() -> None:
    """Fails with the names of everything that isn't there, all at once."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    problems = []
    if os.geteuid() != 0:
        problems.append("root (network namespaces, taps and mounts need it): run this with sudo")
    if missing:
        problems.append(f"the commands {', '.join(missing)} (Debian: apt, dpkg, tar, util-linux, iproute2)")
    if not Path("/dev/net/tun").exists():
        problems.append("/dev/net/tun (modprobe tun; in a container: --device /dev/net/tun --cap-add NET_ADMIN)")
    if os.uname().machine != "x86_64":
        problems.append("an x86-64 host (the guest is Debian's user-mode-linux, which is amd64 only)")
    if problems:
        raise SetupError("the guest tests need " + "; and ".join(problems))


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
