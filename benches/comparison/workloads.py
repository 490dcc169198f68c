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
]
