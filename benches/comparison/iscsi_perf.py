"""libiscsi's own bench: a second opinion on random reads, with rates only."""

import re
import shutil
import subprocess

from targets import Target, TargetError
from targets.process import TREE, unpacked

from .sample import Setting
from .workloads import Workload

SECTOR = 512


def missing() -> str | None:
    """Why it can't be used, with what to do about it."""
    return None if _command() else "iscsi-perf is missing (Debian: libiscsi-bin; tests/packages unpacks it)"


def rate(target: Target, workload: Workload, setting: Setting) -> float:
    """Commands a second, by its own count."""
    command = [
        "taskset", "--cpu-list", str(setting.initiator_core), *_command(), "--random",
        "-m", str(workload.depth), "-b", str(workload.block // SECTOR), "-t", str(setting.seconds), target.url,
    ]
    limit = setting.seconds + 30
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"{target.name}: iscsi-perf hung for {limit} s under {workload.name}") from error
    averages = re.findall(r"iops average (\d+)", done.stdout)
    if done.returncode != 0 or not averages:
        raise TargetError(f"{target.name}: iscsi-perf failed under {workload.name}: {done.stderr.strip()[-400:]}")
    return float(averages[-1])


def _command() -> list[str] | None:
    if installed := shutil.which("iscsi-perf"):
        return [installed]
    return unpacked("usr/bin/iscsi-perf") if (TREE / "usr/bin/iscsi-perf").exists() else None
