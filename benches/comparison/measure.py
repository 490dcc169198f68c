"""One measurement: a fresh daemon on one core, fio with its libiscsi engine on another."""

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from targets import Target, TargetError

from .workloads import Workload


@dataclass(frozen=True)
class Sample:
    """What one run came to. Latencies in microseconds, as the initiator saw them."""

    iops: float
    mb_per_second: float
    p50_us: float
    p99_us: float
    p999_us: float
    cpu_seconds: float
    """Of the daemon, user and system, all threads, from before the login to after the logout."""
    iops_per_cpu_second: float
    cpu_seconds_per_million: float
    rss_bytes: int
    """Of the daemon, right after the run."""

    def as_json(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Setting:
    """What is the same for every target of a comparison."""

    fio: Path
    file: Path
    size: int
    seconds: int
    target_core: int
    initiator_core: int
    uncached: bool


def measure(adapter: type[Target], workload: Workload, setting: Setting) -> Sample:
    """Starts the target, runs the workload, stops the target."""
    target = adapter(
        size=setting.size, file=setting.file, cores={setting.target_core}, uncached=setting.uncached,
        header_digest=workload.header_digest,
    )
    try:
        before = target.usage()
        job = _fio(target, workload, setting)
        if not target.is_running():
            raise TargetError(f"{target.name} died under {workload.name}: {target.last_words()}")
        after = target.usage()
    finally:
        problem = target.stop()
    if problem:
        raise TargetError(problem)
    sides = [job[name] for name in ("read", "write") if job[name]["total_ios"]]
    return _sample(sides, after.cpu_seconds - before.cpu_seconds, after.rss_bytes)


def _sample(sides: list[dict], cpu_seconds: float, rss_bytes: int) -> Sample:
    """Of what is read and what is written together. The latencies are those of whichever is slower."""
    count = sum(side["total_ios"] for side in sides)
    # The clock of CPU time has ticks of 10 ms; a run that used less isn't a measurement.
    if count == 0 or cpu_seconds <= 0:
        raise TargetError(f"nothing was measured: {count} commands in {cpu_seconds} CPU-seconds")
    slowest = {
        part: max(side["clat_ns"]["percentile"][part] for side in sides) / 1e3
        for part in ("50.000000", "99.000000", "99.900000")
    }
    return Sample(
        iops=sum(side["iops"] for side in sides),
        mb_per_second=sum(side["bw_bytes"] for side in sides) / 1e6,
        p50_us=slowest["50.000000"],
        p99_us=slowest["99.000000"],
        p999_us=slowest["99.900000"],
        cpu_seconds=cpu_seconds,
        iops_per_cpu_second=count / cpu_seconds,
        cpu_seconds_per_million=cpu_seconds / count * 1e6,
        rss_bytes=rss_bytes,
    )


def _fio(target: Target, workload: Workload, setting: Setting) -> dict:
    url = target.url.replace(":", "\\:")
    command = [
        "taskset", "--cpu-list", str(setting.initiator_core), str(setting.fio),
        "--name=job", "--ioengine=libiscsi", f"--filename={url}", "--thread=1",
        f"--rw={workload.pattern}", f"--bs={workload.block}", f"--iodepth={workload.depth}",
        "--time_based=1", f"--runtime={setting.seconds}", "--randrepeat=1", "--norandommap=1",
        "--percentile_list=50:99:99.9", "--output-format=json", f"--numjobs={workload.sessions}", "--group_reporting=1",
        *([f"--rwmixread={workload.reads}"] if workload.reads is not None else []),
    ]
    limit = setting.seconds + 30
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"{target.name}: fio hung for {limit} s under {workload.name}") from error
    start = done.stdout.find("{")
    if done.returncode != 0 or start < 0:
        raise TargetError(f"{target.name}: fio failed under {workload.name}: {done.stderr.strip()[-400:]}")
    job = json.loads(done.stdout[start:])["jobs"][0]
    if job["error"]:
        raise TargetError(f"{target.name}: fio met error {job['error']} under {workload.name}")
    return job
