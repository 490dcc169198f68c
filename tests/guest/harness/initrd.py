"""The modules of Debian's kernel for amd64: which of them the guest gets, and which it needs to find its root."""

from pathlib import Path

from .errors import SetupError

ROOT_MODULES = ["crc32c_generic", "crc32c_intel", "virtio_pci", "virtio_blk", "virtio_console", "ext4", "overlay", "9p", "9pnet_virtio"]
"""What must be there before the root is."""
GUEST_MODULES = [
    *ROOT_MODULES, "virtio_net", "xfs", "iscsi_tcp", "sd_mod", "sg", "scsi_debug",
    # The kernel's own target, for benches beside it.
    "target_core_mod", "target_core_file", "iscsi_target_mod",
    "dm_multipath", "dm_round_robin", "dm_service_time", "dm_queue_length", "scsi_dh_alua",
]
"""Everything else of the kernel's modules is left out: it would be 300 MB."""

INIT = """#!/busybox sh
/busybox mount -t proc proc /proc
/busybox mount -t devtmpfs devtmpfs /dev
for module in $(/busybox cat /modules); do /busybox insmod "/lib/$module" || echo "initrd: no $module"; done
until [ -b /dev/vda ]; do /busybox sleep 0.05; done
/busybox mount -t ext4 -o ro /dev/vda /root
/busybox umount /proc
/busybox umount /dev
exec /busybox switch_root /root /init
"""


def prune(modules: Path) -> None:
    """Removes the modules that the guest doesn't need; `modules.dep` must be there."""
    kept = {modules / name for name in _closure(modules, GUEST_MODULES)}
    for path in list(modules.rglob("*.ko")):
        if path not in kept:
            path.unlink()


def write(file: Path, tree: Path, modules: Path) -> None:
    """Writes the initial root: a shell, what the root needs, and a script that mounts it and goes on there."""
    order = _closure(modules, ROOT_MODULES)
    entries = [(name, 0o40755, b"") for name in ("dev", "proc", "root", "lib")]
    entries += [(f"lib/{Path(name).name}", 0o100644, (modules / name).read_bytes()) for name in order]
    entries.append(("modules", 0o100644, "\n".join(Path(name).name for name in order).encode()))
    entries.append(("busybox", 0o100755, (tree / "usr/bin/busybox").read_bytes()))
    entries.append(("init", 0o100755, INIT.encode()))
    entries.append(("TRAILER!!!", 0, b""))
    with file.open("wb") as archive:
        for number, (name, mode, content) in enumerate(entries, 1):
            archive.write(_header(number, name, mode, len(content)))
            archive.write(content + bytes(-len(content) % 4))


def _header(number: int, name: str, mode: int, size: int) -> bytes:
    """One entry's header as cpio's format "newc" has it: 13 numbers in hexadecimal, then the name."""
    numbers = [number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name) + 1, 0]
    header = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return header + bytes(-len(header) % 4)


def _closure(modules: Path, wanted: list[str]) -> list[str]:
    """Files of these modules and all that they need, each after what it needs."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, others = line.partition(":")
        needs[file] = others.split()
    built_in = (modules / "modules.builtin").read_text().replace("-", "_")
    files = {Path(file).stem.replace("-", "_"): file for file in needs}
    order: list[str] = []
    for name in wanted:
        if name not in files:
            if f"/{name}.ko" not in built_in:
                raise SetupError(f"the kernel {modules.name} has no module {name}")
            continue
        # depmod lists all that a module needs, the deepest last.
        for file in [*reversed(needs[files[name]]), files[name]]:
            if file not in order:
                order.append(file)
    return order
