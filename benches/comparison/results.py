"""Medians, ratios and their spread; as text and JSON."""

import math
from dataclasses import dataclass, field
from statistics import median

from .sample import Sample
from .workloads import Workload

FIELDS = (
    "iops", "mb_per_second", "p50_us", "p99_us", "p999_us", "iops_per_cpu_second",
    "cpu_seconds_per_million", "rss_bytes",
)


@dataclass
class Results:
    """Samples by workload and target, one per round."""

    targets: list[str]
    """The first is compared with the others."""
    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)

    def add(self, workload: Workload, target: str, sample: Sample) -> None:
        self.samples.setdefault((workload.name, target), []).append(sample)

    def median(self, workload: Workload, target: str, name: str) -> float:
        return median(getattr(sample, name) for sample in self.samples[workload.name, target])

    def has(self, workload: Workload, *targets: str) -> bool:
        """Whether the workload was run against all of these."""
        return all((workload.name, target) in self.samples for target in targets)

    def ratio(self, workload: Workload, peer: str, name: str) -> tuple[float, float, float]:
        """Lowest, median and highest of the rounds' ratios, first target to peer; a round that failed has no ratio."""
        ours, theirs = self.samples[workload.name, self.targets[0]], self.samples[workload.name, peer]
        pairs = [(getattr(a, name), getattr(b, name)) for a, b in zip(ours, theirs, strict=False)]
        # What has no memory of its own isn't compared by it.
        ratios = [a / b if b else math.nan for a, b in pairs]
        return min(ratios), median(ratios), max(ratios)


def text(results: Results, workloads: list[Workload], setting: dict) -> str:
    """Everything that a person wants to see."""
    head = [
        f"{setting['cache']}, file of {setting['size_mib']} MiB in {setting['folder']}, "
        f"{setting['rounds']} rounds of {setting['seconds']} s each, target on core "
        f"{setting['target_core']}, initiator on core {setting['initiator_core']}",
        *(f"  {name}: {version}" for name, version in setting["versions"].items()),
        *([f"  not all of it: {setting['failed']}"] if setting["failed"] else []),
        "",
    ]
    rows = [("workload", "target", "IOPS", "MB/s", "p50 us", "p99 us", "p99.9 us", "IOPS/CPU-s", "CPU-s/million", "RSS MiB")]
    for workload in workloads:
        measured = [target for target in results.targets if results.has(workload, target)]
        for number, target in enumerate(measured):
            rows.append(_row(results, workload, target, workload.name if number == 0 else ""))
    lines = [*head, *_align(rows), ""]
    for peer in results.targets[1:]:
        if not any(results.has(workload, results.targets[0], peer) for workload in workloads):
            continue
        lines += [f"{results.targets[0]} against {peer}: median of the rounds' ratios (lowest to highest)"]
        rows = [("workload", "throughput", "p50", "p99", "IOPS/CPU-s", "RSS")]
        for workload in workloads:
            if not results.has(workload, results.targets[0], peer):
                continue
            names = ("iops", "p50_us", "p99_us", "iops_per_cpu_second", "rss_bytes")
            rows.append((workload.name, *(_ratio(results.ratio(workload, peer, name)) for name in names)))
        lines += [*_align(rows), ""]
    return "\n".join(lines)


def as_json(results: Results, workloads: list[Workload], setting: dict) -> dict:
    """Everything, samples included."""
    return {
        "setting": setting,
        "workloads": [
            {
                "workload": workload.name, "pattern": workload.pattern,
                "block_bytes": workload.block, "queue_depth": workload.depth,
                "targets": {
                    target: {
                        "median": {name: results.median(workload, target, name) for name in FIELDS},
                        "samples": [sample.as_json() for sample in results.samples[workload.name, target]],
                    }
                    for target in results.targets
                    if results.has(workload, target)
                },
                "ratios": {
                    peer: {name: results.ratio(workload, peer, name) for name in FIELDS}
                    for peer in results.targets[1:]
                    if results.has(workload, results.targets[0], peer)
                },
            }
            for workload in workloads
        ],
    }


def without_nan(value: object) -> object:
    """The same with null for what is no number, or infinite: JSON has neither."""
    if isinstance(value, dict):
        return {name: without_nan(it) for name, it in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(it) for it in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _row(results: Results, workload: Workload, target: str, label: str) -> tuple[str, ...]:
    def value(name: str) -> float:
        return results.median(workload, target, name)

    # Not every initiator says how long things took.
    times = ("" if math.isnan(value(name)) else f"{value(name):,.0f}" for name in ("p50_us", "p99_us", "p999_us"))
    return (
        label, target, f"{value('iops'):,.0f}", f"{value('mb_per_second'):,.0f}", *times,
        f"{value('iops_per_cpu_second'):,.0f}", f"{value('cpu_seconds_per_million'):.1f}",
        f"{value('rss_bytes') / (1 << 20):.1f}",
    )


def _ratio(spread: tuple[float, float, float]) -> str:
    low, middle, high = spread
    if math.isnan(middle):
        return ""
    return f"{middle:.2f}x ({low:.2f} to {high:.2f})"


def _align(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    texts = {"workload", "target"}
    lines = [
        "  ".join(
            cell.ljust(width) if name in texts else cell.rjust(width)
            for name, cell, width in zip(rows[0], row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]
