"""One measurement: a fresh daemon on one core, an initiator on another."""

import subprocess
from functools import partial

from targets import Target, TargetError

from . import iscsi_perf, programs
from .limits import Limit
from .sample import Sample, Setting, fio, sample_of, sample_of_program, sample_of_rate
from .workloads import ISCSI_PERF, OWN, Workload


def measures(adapter: type[Target | Limit], workload: Workload) -> bool:
    """Whether the workload can be run against it."""
    return not issubclass(adapter, Limit) or adapter.measures(workload)


def measure(adapter: type[Target | Limit], workload: Workload, setting: Setting) -> Sample:
    """Starts the target, runs the workload, stops the target."""
    if issubclass(adapter, Limit):
        return adapter.measure(workload, setting)
    target = adapter(
        size=setting.size, file=setting.file, cores={setting.target_core}, uncached=setting.uncached,
        header_digest=workload.header_digest,
    )
    try:
        before = target.usage()
        if workload.initiator == OWN:
            sample = partial(sample_of_program, _own(target, workload, setting), workload)
        elif workload.initiator == ISCSI_PERF:
            sample = partial(sample_of_rate, iscsi_perf.rate(target, workload, setting), workload, setting)
        else:
            url = target.url.replace(":", "\\:")
            engine = ["--ioengine=libiscsi", f"--filename={url}"]
            jobs = fio(target.name, engine, workload, setting, core=setting.initiator_core)
            sample = partial(sample_of, jobs)
        if not target.is_running():
            raise TargetError(f"{target.name} died under {workload.name}: {target.last_words()}")
        after = target.usage()
    finally:
        problem = target.stop()
    if problem:
        raise TargetError(problem)
    return sample(after.cpu_seconds - before.cpu_seconds, after.rss_bytes)


def _own(target: Target, workload: Workload, setting: Setting) -> str:
    """What the initiator of benches/programs says."""
    words = [
        str(target.ports[0]), target.iqn, str(target.lun), workload.what, workload.order, str(workload.block), str(workload.depth),
        str(workload.sessions), str(setting.size), str(setting.seconds), "digests" if workload.digests else "plain",
    ]
    # There are targets to which each login takes a second.
    limit = setting.seconds + 30 + 2 * workload.sessions
    try:
        done = subprocess.run(
            ["taskset", "--cpu-list", str(setting.initiator_core), programs.built("initiator"), *words],
            capture_output=True, text=True, check=False, timeout=limit,
        )
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"{target.name}: the initiator hung for {limit} s under {workload.name}") from error
    if done.returncode != 0:
        raise TargetError(f"{target.name}: the initiator failed under {workload.name}: {done.stderr.strip()}")
    return done.stdout
