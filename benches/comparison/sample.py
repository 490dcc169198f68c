"""What one run came to, and fio, which most of them are made with."""

import json
import math
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from targets import TargetError

from .workloads import Workload


@dataclass(frozen=True)
class Sample:
    """What one run came to. Latencies in microseconds, as the initiator saw them."""

    iops: float
    mb_per_second: float
    p50_us: float
    p99_us: float
    p999_us: float
    worst_p99_us: float
    """Of the session that had to wait longest."""
    cpu_seconds: float
    """Of the daemon, user and system, all threads, from before the login to after the logout."""
    iops_per_cpu_second: float
    cpu_seconds_per_million: float
    rss_bytes: int
    """Of the daemon, right after the run."""
    slowest_session: float
    """What the session got that got least, as a part of a fair share. Like the latencies not a number if the initiator doesn't say it."""

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


def fio(name: str, engine: list[str], workload: Workload, setting: Setting, *, core: int) -> list[dict]:
    """Runs a workload on a core; what fio says of each session."""
    command = [
        "taskset", "--cpu-list", str(core), str(setting.fio),
        "--name=job", *engine, "--thread=1",
        f"--rw={workload.pattern}", f"--bs={workload.block}", f"--iodepth={workload.depth}",
        "--time_based=1", f"--runtime={setting.seconds}", "--randrepeat=1", "--norandommap=1",
        "--percentile_list=50:99:99.9", "--output-format=json", f"--numjobs={workload.sessions}",
        *([f"--rwmixread={workload.reads}"] if workload.reads is not None else []),
    ]
    limit = setting.seconds + 30
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"{name}: fio hung for {limit} s under {workload.name}") from error
    start = done.stdout.find("{")
    if done.returncode != 0 or start < 0:
        raise TargetError(f"{name}: fio failed under {workload.name}: {done.stderr.strip()[-400:]}")
    jobs = json.loads(done.stdout[start:])["jobs"]
    for job in jobs:
        if job["error"]:
            raise TargetError(f"{name}: fio met error {job['error']} under {workload.name}")
    return jobs


def sample_of(jobs: list[dict], cpu_seconds: float, rss_bytes: int) -> Sample:
    """Of what is read and what is written together. The latencies are those of whichever is slower; of several sessions
    the middle one's median, and the worst percentiles of any."""
    each = [[job[name] for name in ("read", "write") if job[name]["total_ios"]] for job in jobs]
    count = sum(side["total_ios"] for sides in each for side in sides)
    # The clock of CPU time has ticks of 10 ms; a run that used less isn't a measurement.
    if count == 0 or cpu_seconds <= 0:
        raise TargetError(f"nothing was measured: {count} commands in {cpu_seconds} CPU-seconds")

    def slowest(sides: list[dict], part: str) -> float:
        # A session that got nothing waited all the time.
        waited = [side["clat_ns"]["percentile"][part] / 1e3 for side in sides]
        return max(waited, default=float("inf"))

    rates = [sum(side["iops"] for side in sides) for sides in each]
    worst_p99 = max(slowest(sides, "99.000000") for sides in each)
    return Sample(
        iops=sum(rates),
        mb_per_second=sum(side["bw_bytes"] for sides in each for side in sides) / 1e6,
        p50_us=median(slowest(sides, "50.000000") for sides in each),
        p99_us=worst_p99,
        p999_us=max(slowest(sides, "99.900000") for sides in each),
        worst_p99_us=worst_p99,
        cpu_seconds=cpu_seconds,
        iops_per_cpu_second=count / cpu_seconds,
        cpu_seconds_per_million=cpu_seconds / count * 1e6,
        rss_bytes=rss_bytes,
        slowest_session=min(rates) * len(rates) / sum(rates),
    )


def sample_of_rate(iops: float, workload: Workload, setting: Setting, cpu_seconds: float, rss_bytes: int) -> Sample:
    """Of an initiator that says how many commands a second were answered, and nothing else."""
    count = iops * setting.seconds
    if count == 0 or cpu_seconds <= 0:
        raise TargetError(f"nothing was measured: {count:.0f} commands in {cpu_seconds} CPU-seconds")
    return Sample(
        iops=iops, mb_per_second=iops * workload.block / 1e6,
        p50_us=math.nan, p99_us=math.nan, p999_us=math.nan, worst_p99_us=math.nan, cpu_seconds=cpu_seconds,
        iops_per_cpu_second=count / cpu_seconds, cpu_seconds_per_million=cpu_seconds / count * 1e6,
        rss_bytes=rss_bytes, slowest_session=math.nan,
    )


def sample_of_program(said: str, workload: Workload, cpu_seconds: float, rss_bytes: int) -> Sample:
    """Of what one of benches/programs has printed; of several sessions the latencies of all commands, and of the worst one."""
    count, seconds, p50, p99, p999, *of_sessions = map(float, said.split())
    slowest_session, worst_p99 = of_sessions or (1.0, p99)
    if count == 0 or cpu_seconds <= 0:
        raise TargetError(f"nothing was measured: {count:.0f} commands in {cpu_seconds} CPU-seconds")
    return Sample(
        iops=count / seconds, mb_per_second=count / seconds * workload.block / 1e6,
        p50_us=p50, p99_us=p99, p999_us=p999, worst_p99_us=worst_p99, cpu_seconds=cpu_seconds,
        iops_per_cpu_second=count / cpu_seconds, cpu_seconds_per_million=cpu_seconds / count * 1e6,
        rss_bytes=rss_bytes, slowest_session=slowest_session,
    )
