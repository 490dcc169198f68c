"""Debian's istgt, for comparison: one LUN, no digests demanded, no CHAP."""

import shutil
import subprocess

from .process import TREE, Target, TargetError, free_ports, unpacked


class Istgt(Target):
    """An istgt in the foreground with a configuration of its own."""

    name = "istgt"

    @staticmethod
    def missing() -> str | None:
        if not (TREE / "usr/sbin/istgt").exists():
            return "istgt isn't unpacked: run tests/packages"
        if shutil.which("taskset") is None:
            return "taskset is missing (Debian: util-linux)"
        return None

    @classmethod
    def version(cls) -> str:
        done = subprocess.run([*unpacked("usr/sbin/istgt"), "-V"], capture_output=True, text=True, check=False)
        # "istgt version 0.4 (20111008)", and more lines on some builds.
        return (done.stdout or done.stderr).strip().splitlines()[0].removesuffix(":")

    def _command(self) -> tuple[list[str], dict[str, str]]:
        if self.uncached or self.chap or self.read_only or self.block_size != 512 or self.header_digest:
            raise TargetError("this adapter of istgt has plain LUNs in the page cache only")
        # It wants a port for istgtcontrol, whether anybody uses it or not.
        control, = free_ports(1)
        portals = "\n".join(f"  Portal P{number} {portal}" for number, portal in enumerate(self.portals, 1))
        config = self.folder / "istgt.conf"
        # What it grants as a session begins is what the others grant: as many commands, and the same burst lengths.
        config.write_text(f"""
[Global]
  NodeBase "{self.iqn.partition(":")[0]}"
  PidFile {self.folder / "pid"}
  AuthFile {self.folder / "auth.conf"}
  Timeout 30
  NopInInterval 20
  DiscoveryAuthMethod None
  MaxSessions 128
  MaxConnections 8
  MaxR2T 32
  MaxOutstandingR2T 16
  DefaultTime2Wait 2
  DefaultTime2Retain 60
  FirstBurstLength 65536
  MaxBurstLength 1048576
  MaxRecvDataSegmentLength 262144
  ImmediateData Yes
  DataPDUInOrder Yes
  DataSequenceInOrder Yes
  ErrorRecoveryLevel 0
[UnitControl]
  AuthMethod None
  Portal UC1 127.0.0.1:{control}
  Netmask 127.0.0.1
[PortalGroup1]
{portals}
[InitiatorGroup1]
  InitiatorName "ALL"
  Netmask ALL
[LogicalUnit1]
  TargetName {self.iqn.partition(":")[2]}
  Mapping PortalGroup1 InitiatorGroup1
  AuthMethod None
  UnitType Disk
  QueueDepth 128
  LUN0 Storage {self.file} {self.file.stat().st_size >> 20}MB
""")
        (self.folder / "auth.conf").touch(mode=0o600)
        return [*unpacked("usr/sbin/istgt"), "-c", str(config), "-D"], {}

    def _configure(self) -> None:
        """All of it is in the configuration."""
