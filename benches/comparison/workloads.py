"""The matrix: what is measured against every target."""

from dataclasses import dataclass

FIO, OWN, ISCSI_PERF = "fio", "own", "iscsi-perf"
"""fio's libiscsi engine, benches/programs/initiator, and what comes with libiscsi."""


@dataclass(frozen=True)
class Workload:
    """What an initiator does."""

    name: str
    pattern: str
    """fio's `rw`."""
    block: int
    """Bytes per command."""
    depth: int
    """Commands under way, of each session."""
    sessions: int = 1
    reads: int | None = None
    """Of a hundred commands, so many reads; for a mixed pattern."""
    header_digest: bool = False
    """Whether the target insists on header digests. (Debian's libiscsi has no data digests.)"""
    initiator: str = FIO
    """Who does it."""
    digests: bool = False
    """Whether with digests on headers and data; for the own initiator, which they cost next to nothing."""

    @property
    def what(self) -> str:
        """`read` or `write`; of a mixed pattern it says nothing."""
        return "write" if "write" in self.pattern else "read"

    @property
    def order(self) -> str:
        """`sequence` or `random`."""
        return "random" if self.pattern.startswith("rand") else "sequence"

    @property
    def by_throughput(self) -> bool:
        """Whether MB/s says more than IOPS."""
        return self.block >= 65536


_OWN_IN_SHORT = [
    Workload("4K random read QD1, own initiator", "randread", 4096, 1, initiator=OWN),
    Workload("4K random read QD32, own initiator", "randread", 4096, 32, initiator=OWN),
    Workload("4K random write QD32, own initiator", "randwrite", 4096, 32, initiator=OWN),
    Workload("128K seq. read QD16, own initiator", "read", 131072, 16, initiator=OWN),
    Workload("128K seq. write QD16, own initiator", "write", 131072, 16, initiator=OWN),
    Workload("4K random read QD8, 64 sessions, own initiator", "randread", 4096, 8, sessions=64, initiator=OWN),
]

WORKLOADS = [
    Workload("4K random read QD1", "randread", 4096, 1),
    Workload("4K random read QD32", "randread", 4096, 32),
    Workload("4K random write QD32", "randwrite", 4096, 32),
    Workload("128K seq. read QD16", "read", 131072, 16),
    Workload("128K seq. write QD16", "write", 131072, 16),
    Workload("4K random read QD8, 64 sessions", "randread", 4096, 8, sessions=64),
    *_OWN_IN_SHORT,
]
"""What a short look is worth: where fio isn't what limits, and what it would limit with the own initiator."""

MATRIX = [
    *(
        Workload(f"4K random {what} QD{depth}", f"rand{what}", 4096, depth)
        for what in ("read", "write")
        for depth in (1, 8, 32, 128)
    ),
    Workload("64K mixed 70/30 QD16", "randrw", 65536, 16, reads=70),
    *(
        Workload(f"{size // 1024}K seq. {what} QD{depth}", what, size, depth)
        for what in ("read", "write")
        for size, depth in ((131072, 16), (1048576, 8))
    ),
    *(
        Workload(f"4K random read QD8, {sessions} sessions", "randread", 4096, 8, sessions=sessions)
        for sessions in (4, 16, 64)
    ),
    Workload("4K random read QD32, header digest", "randread", 4096, 32, header_digest=True),
    Workload("128K seq. read QD16, header digest", "read", 131072, 16, header_digest=True),
    *_OWN_IN_SHORT,
    Workload("4K random write QD8, 64 sessions, own initiator", "randwrite", 4096, 8, sessions=64, initiator=OWN),
    *(
        Workload(f"128K seq. {what} QD16, own initiator, both digests", what, 131072, 16, initiator=OWN, digests=True)
        for what in ("read", "write")
    ),
    Workload("4K random read QD32, iscsi-perf", "randread", 4096, 32, initiator=ISCSI_PERF),
]
"""Everything."""
