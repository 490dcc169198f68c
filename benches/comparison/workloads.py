"""The matrix: what is measured against every target."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One job of fio."""

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
    digests: bool | None = None
    """Not with fio but with an initiator of ours, which digests cost nothing: whether with both of them or without."""

    @property
    def by_throughput(self) -> bool:
        """Whether MB/s says more than IOPS."""
        return self.block >= 65536


WORKLOADS = [
    Workload("4K random read QD1", "randread", 4096, 1),
    Workload("4K random read QD32", "randread", 4096, 32),
    Workload("4K random write QD32", "randwrite", 4096, 32),
    Workload("128K seq. read QD16", "read", 131072, 16),
    Workload("128K seq. write QD16", "write", 131072, 16),
    Workload("4K random read QD8, 64 sessions", "randread", 4096, 8, sessions=64),
]
"""What a short look is worth."""

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
    *(
        Workload(f"128K seq. {what} QD16, own initiator, {how}", what, 131072, 16, digests=how != "no digests")
        for what in ("read", "write")
        for how in ("no digests", "both digests")
    ),
]
"""Everything."""
