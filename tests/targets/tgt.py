"""Debian's tgt, for comparison and for proving the runners against a known target."""

import shutil
import signal
import subprocess

from .process import TREE, Target, TargetError, unpacked


class Tgt(Target):
    """A tgtd with a control socket of its own. Its LUN 0 is a controller, so the disk is LUN 1."""

    name = "tgt"
    lun = 1
    # On SIGTERM it waits until its targets are gone, which nobody removes here.
    stop_signal = signal.SIGKILL

    @staticmethod
    def missing() -> str | None:
        if not (TREE / "usr/sbin/tgtd").exists():
            return "tgt isn't unpacked: run tests/packages"
        if shutil.which("taskset") is None:
            return "taskset is missing (Debian: util-linux)"
        return None

    @classmethod
    def version(cls) -> str:
        done = subprocess.run([*unpacked("usr/sbin/tgtd"), "-V"], capture_output=True, text=True, check=False)
        return f"tgt {done.stdout.strip()}"

    def _command(self) -> tuple[list[str], dict[str, str]]:
        portals = ",".join(f"portal={portal}" for portal in self.portals)
        return [*unpacked("usr/sbin/tgtd"), "-f", "-C", "1", "--iscsi", portals], self._environment()

    def _configure(self) -> None:
        self._admin("--mode", "target", "--op", "new", "--tid", "1", "--targetname", self.iqn)
        header = "CRC32C" if self.header_digest else "None,CRC32C"
        for key, values in (("HeaderDigest", header), ("DataDigest", "None,CRC32C")):
            self._admin("--mode", "target", "--op", "update", "--tid", "1", "-n", key, "-v", values)
        cache = ["--bsoflags", "direct"] if self.uncached else []
        self._admin(
            "--mode", "logicalunit", "--op", "new", "--tid", "1", "--lun", str(self.lun),
            "--backing-store", str(self.file), "--blocksize", str(self.block_size), *cache,
        )
        # Without this tgt announces neither thin provisioning nor UNMAP.
        self._admin(
            "--mode", "logicalunit", "--op", "update", "--tid", "1", "--lun", str(self.lun),
            "--params", f"thin_provisioning=1,readonly={int(self.read_only)}",
        )
        if self.chap:
            user, secret = self.chap
            self._admin("--mode", "account", "--op", "new", "--user", user, "--password", secret)
            self._admin("--mode", "account", "--op", "bind", "--tid", "1", "--user", user)
        self._admin("--mode", "target", "--op", "bind", "--tid", "1", "-I", "ALL")

    def _admin(self, *words: str) -> None:
        said = self._run([*unpacked("usr/sbin/tgtadm"), "-C", "1", "--lld", "iscsi", *words], self._environment())
        if said.strip():
            raise TargetError(f"tgtadm {' '.join(words)}: {said.strip()}")

    def _environment(self) -> dict[str, str]:
        return {"TGT_IPC_SOCKET": str(self.folder / "control")}
