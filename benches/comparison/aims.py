"""What the project wants to reach, read from one run: only of what was measured in it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median

from .results import Results
from .sample import Sample

OURS, SLEEPING = "tidelock", "tidelock-sleeping"
"""As it comes, which waits awake for a while, and where it doesn't."""
BY_OWN = ", own initiator"
"""How the names of rows end that aren't made with fio, which is what limits some of its own."""
Of = Callable[..., float]


@dataclass(frozen=True)
class Aim:
    """A figure, from the samples of one round, and where it should be."""

    what: str
    parts: tuple[tuple[str, str], ...]
    """Workloads and targets whose samples it is made of."""
    figure: Of
    at_least: float | None = None
    at_most: float | None = None
    of_any: bool = False
    """Whether those of the parts that were measured are enough."""

    def spread(self, results: Results) -> tuple[float, float, float] | None:
        """Lowest, median and highest of the rounds; None if not all of it was measured."""
        parts = [part for part in self.parts if part in results.samples]
        if len(parts) < (1 if self.of_any else len(self.parts)):
            return None
        samples = [results.samples[part] for part in parts]
        figures = [self.figure(*round_) for round_ in zip(*samples, strict=False)]
        return min(figures), median(figures), max(figures)

    def is_met(self, figure: float) -> bool:
        """Whether it is where it should be."""
        return (self.at_least is None or figure >= self.at_least) and (self.at_most is None or figure <= self.at_most)

    @property
    def aim(self) -> str:
        """In words."""
        return f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"


def _per_cpu(ours: Sample, theirs: Sample) -> float:
    return ours.iops_per_cpu_second / theirs.iops_per_cpu_second


def _rate(ours: Sample, theirs: Sample) -> float:
    return ours.iops / theirs.iops


def _latency(ours: Sample, *limits: Sample) -> float:
    return ours.p50_us / sum(limit.p50_us for limit in limits)


def _of_ceiling(ours: Sample, wire: Sample, file: Sample) -> float:
    return ours.mb_per_second / min(wire.mb_per_second, file.mb_per_second)


def _fairness(many: Sample) -> float:
    # Each of 64 sessions has 8 commands under way.
    return many.worst_p99_us / (64 * 8 / many.iops * 1e6)


def _memory(*busy: Sample) -> float:
    return max(it.rss_bytes for it in busy) / (1 << 20)


def _aims() -> Iterator[Aim]:
    for by in ("", BY_OWN):
        for what in ("read", "write"):
            name = f"4K random {what} QD32{by}"
            yield Aim(f"{name}: commands per CPU-second beside tgt", ((name, OURS), (name, "tgt")), _per_cpu, at_least=4)
    one = "4K random read QD1"
    for row in (one, f"{one}{BY_OWN}"):
        yield Aim(
            f"{row}: median latency without polling, of the sleeping wire's and the file's together",
            ((row, SLEEPING), (row, "wire"), (row, "file")), _latency, at_most=1.25,
        )
    one += BY_OWN
    yield Aim(
        f"{one}: median latency, of the polling wire's alone",
        ((one, OURS), (one, "wire-polling")), _latency, at_most=1.25,
    )
    for by in ("", BY_OWN):
        for what in ("read", "write"):
            name = f"128K seq. {what} QD16{by}"
            yield Aim(
                f"{name}: of the wire's or the file's rate, whichever is lower",
                ((name, OURS), (name, "wire"), (name, "file")), _of_ceiling, at_least=0.9,
            )
    for what in ("read", "write"):
        name = f"128K seq. {what} QD16{BY_OWN}"
        with_both = f"{name}, both digests"
        yield Aim(f"128K seq. {what} QD16: rate with both digests, of that without", ((with_both, OURS), (name, OURS)), _rate, at_least=0.8)
    name = "4K random write QD32"
    yield Aim(f"{name}: rate with a synchronous mirror, of that without", ((name, "tidelock-mirror"), (name, OURS)), _rate, at_least=0.6)
    for by in ("", BY_OWN):
        alone, many = f"4K random read QD32{by}", f"4K random read QD8, 64 sessions{by}"
        yield Aim(f"64 sessions against one{by}: all commands a second", ((many, OURS), (alone, OURS)), _rate, at_least=1)
        yield Aim(f"64 sessions{by}: worst p99 against a fair share of the time", ((many, OURS),), _fairness, at_most=2)
        yield Aim(f"64 sessions{by}: who gets least, of a fair share", ((many, OURS),), lambda it: it.slowest_session, at_least=0.5)
    busy = [f"4K random {what} QD8, 64 sessions{by}" for by in ("", BY_OWN) for what in ("read", "write")]
    yield Aim(
        "64 busy sessions: resident memory in MiB, of the row with most", tuple((name, OURS) for name in busy), _memory,
        at_most=256, of_any=True,
    )


def aims(results: Results) -> Iterable[tuple[Aim, tuple[float, float, float]]]:
    """Those that this run says something about."""
    for aim in _aims():
        spread = aim.spread(results)
        if spread is not None:
            yield aim, spread


def as_text(results: Results) -> str:
    """As lines; nothing if the run says nothing about any."""
    lines = [
        f"  {aim.what}: {middle:.2f} ({low:.2f} to {high:.2f}), aim {aim.aim}: {'met' if aim.is_met(middle) else 'missed'}"
        for aim, (low, middle, high) in aims(results)
    ]
    return "\n".join(["aims: median of the rounds (lowest to highest)", *lines, ""]) if lines else ""


def as_json(results: Results) -> list[dict]:
    """For machines."""
    return [
        {"what": aim.what, "spread": spread, "at_least": aim.at_least, "at_most": aim.at_most, "met": aim.is_met(spread[1])}
        for aim, spread in aims(results)
    ]
