"""What no target can go past: the transport by itself, and the file by itself. They are measured in the same rounds."""

import os
import subprocess
from pathlib import Path

from targets import TargetError

from . import programs
from .sample import Sample, Setting, fio, sample_of, sample_of_program
from .workloads import ISCSI_PERF, Workload

HEADER = 48
"""Bytes of a PDU without data (RFC 7143 §11.2.1)."""
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Limit:
    """Something that is measured as a target is, and isn't one."""

    name = "limit"

    @staticmethod
    def missing() -> str | None:
        """Why it can't be measured here, with what to do about it."""
        return None

    @classmethod
    def version(cls) -> str:
        """What it is."""
        raise NotImplementedError

    @staticmethod
    def measures(workload: Workload) -> bool:
        """Whether the workload says anything about it."""
        raise NotImplementedError

    @classmethod
    def measure(cls, workload: Workload, setting: Setting) -> Sample:
        """One run."""
        raise NotImplementedError


class SleepingWire(Limit):
    """Messages of the same sizes over a connection of loopback; the server sleeps while there are none."""

    name = "wire"
    how = "sleeping"

    @staticmethod
    def missing() -> str | None:
        return programs.missing()

    @classmethod
    def version(cls) -> str:
        return f"messages of the same sizes over TCP, the server {cls.how} (benches/programs/pingpong.rs)"

    @staticmethod
    def measures(workload: Workload) -> bool:
        return workload.sessions == 1 and workload.reads is None and _is_plain(workload)

    @staticmethod
    def served(workload: Workload, setting: Setting) -> list[str]:
        """What its server does beside answering, in its words."""
        return []

    @classmethod
    def measure(cls, workload: Workload, setting: Setting) -> Sample:
        reads = workload.what == "read"
        request, reply = HEADER + (0 if reads else workload.block), HEADER + (workload.block if reads else 0)
        sizes = [str(request), str(reply)]
        program = programs.built("pingpong")
        pinned = ["taskset", "--cpu-list"]
        server = subprocess.Popen(
            [*pinned, str(setting.target_core), program, "serve", cls.how, *sizes, *cls.served(workload, setting)],
            stdout=subprocess.PIPE, text=True,
        )
        try:
            port = server.stdout.readline().strip()
            before = _cpu_seconds(server.pid)
            asked = subprocess.run(
                [*pinned, str(setting.initiator_core), program, "ask", port, *sizes, str(workload.depth), str(setting.seconds)],
                capture_output=True, text=True, check=False, timeout=setting.seconds + 30,
            )
            if asked.returncode != 0:
                raise TargetError(f"{cls.name}: {asked.stderr.strip()}")
            # It ends by itself, and what it has used is known to whoever waits for it.
            _, status, used = os.wait4(server.pid, 0)
            server.returncode = os.waitstatus_to_exitcode(status)
            cpu_seconds = used.ru_utime + used.ru_stime - before
        finally:
            if server.returncode is None:
                server.kill()
                server.wait()
            server.stdout.close()
        return sample_of_program(asked.stdout, workload, cpu_seconds, used.ru_maxrss << 10)


class PollingWire(SleepingWire):
    """The same; the server asks for messages all the time."""

    name = "wire-polling"
    how = "polling"


class WireAndFile(SleepingWire):
    """The same, with a block of the file read or written for each message: what one core can do for a target that copies."""

    name = "wire-and-file"

    @classmethod
    def version(cls) -> str:
        return "wire, with a block of the file read or written for each message, by one thread"

    @staticmethod
    def served(workload: Workload, setting: Setting) -> list[str]:
        return [str(setting.file), workload.what, str(workload.block), workload.order]


class FileItself(Limit):
    """fio's io_uring engine on the file, on the target's core."""

    name = "file"

    @classmethod
    def version(cls) -> str:
        return "fio's io_uring engine on the file itself"

    @staticmethod
    def measures(workload: Workload) -> bool:
        return _is_plain(workload)

    @classmethod
    def measure(cls, workload: Workload, setting: Setting) -> Sample:
        before = os.times()
        engine = ["--ioengine=io_uring", f"--filename={setting.file}", f"--size={setting.size}", f"--direct={int(setting.uncached)}"]
        jobs = fio(cls.name, engine, workload, setting, core=setting.target_core)
        after = os.times()
        cpu_seconds = after.children_user + after.children_system - before.children_user - before.children_system
        return sample_of(jobs, cpu_seconds, 0)


LIMITS: dict[str, type[Limit]] = {limit.name: limit for limit in (SleepingWire, PollingWire, WireAndFile, FileItself)}


def _is_plain(workload: Workload) -> bool:
    """Whether there is nothing to it that only iSCSI knows. Initiators that say no latencies aren't compared with limits."""
    return not workload.header_digest and not workload.digests and workload.initiator != ISCSI_PERF


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
