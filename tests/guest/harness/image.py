"""The guests' kernels and root image: built once, kept in a cache, found again by a hash.

The hash covers the versions of all packages and the harness's files about
images, so a new version of either makes a new image; old ones are removed.
There is one root for both kinds of guest, with the modules of both kernels.
"""

import fcntl
import hashlib
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import initrd
from .errors import SetupError
from .packages import Apt, Resolution, command_in, unpack

GUEST_PACKAGES = [
    "libc-bin", "bash", "coreutils", "util-linux", "mount", "grep", "sed", "gawk", "findutils", "diffutils",
    "procps", "iproute2", "kmod", "udev", "hostname", "nftables", "busybox-static",
    "open-iscsi", "multipath-tools", "kpartx", "dmsetup", "sg3-utils", "lsscsi",
    "e2fsprogs", "xfsprogs", "fio", "ddpt", "user-mode-linux", "linux-image-amd64",
]
EMULATOR_PACKAGES = ["qemu-system-x86"]
"""Runs on the host, so it has a tree of its own."""

# The packages' scripts aren't run, so what base-passwd would have written is written here.
USERS = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
GROUPS = "".join(
    f"{name}:x:{number}:\n"
    for name, number in (
        ("root", 0), ("tty", 5), ("disk", 6), ("lp", 7), ("kmem", 15), ("dialout", 20), ("cdrom", 24),
        ("tape", 26), ("audio", 29), ("video", 44), ("input", 101), ("sgx", 102), ("kvm", 103),
        ("render", 104), ("nogroup", 65534),
    )
)

# Gives the read-only root a writable skin that is forgotten at power off, then
# hands over to the script in the harness, which needs no new image when it changes.
INIT = """#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
[ -c /dev/null ] || mount -t devtmpfs devtmpfs /dev
modprobe overlay
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
cd /mnt/root
for name in proc sys dev; do mount --move /$name $name; done
pivot_root . old
cd /
for word in $(cat /proc/cmdline); do
    case $word in share=*) share=${word#share=} ;; harness=*) harness=${word#harness=} ;; esac
done
if [ -n "$share" ]; then
    # User-mode Linux sees the host's folders.
    mount -t hostfs -o "$share" hostfs /share
    mount -t hostfs -o "$harness,ro" hostfs /harness
    output=/dev/tty1
else
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=131072,cache=none share /share
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=131072,cache=none,ro harness /harness
    output=/dev/hvc0
fi
exec /bin/bash /harness/inside/init.sh </dev/null >$output 2>&1
"""


@dataclass(frozen=True)
class Image:
    """Guests that are ready to boot: a folder of the cache."""

    folder: Path

    @property
    def root(self) -> Path:
        """The file system of both kinds of guest."""
        return self.folder / "root.ext4"

    @property
    def user_mode_kernel(self) -> Path:
        """An executable."""
        return self.folder / "linux.uml"

    @property
    def kernel(self) -> Path:
        """Debian's kernel for amd64."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Finds the root for that kernel, whose drivers are modules."""
        return self.folder / "initrd"

    @property
    def emulator(self) -> list[str]:
        """The words that run QEMU."""
        tree = self.folder / "emulator"
        firmware = [word for name in ("qemu", "seabios") for word in ("-L", str(tree / "usr/share" / name))]
        return [*command_in(tree, "usr/bin/qemu-system-x86_64"), *firmware]

    @property
    def emulator_modules(self) -> Path:
        """Where QEMU is to look for its modules."""
        return self.folder / "emulator/usr/lib/x86_64-linux-gnu/qemu"


class Cache:
    """The folder that keeps archives, images and trees between runs."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._apt = Apt(folder)

    def close(self) -> None:
        """Lets the next run at the cache."""
        self._lock.close()

    def image(self) -> Image:
        """The guests' kernels and root, built if need be."""
        guest, emulator = self._apt.resolve(GUEST_PACKAGES), self._apt.resolve(EMULATOR_PACKAGES)
        final = self._folder_for(guest, emulator)
        if final.exists():
            return Image(final)
        started = time.monotonic()
        print(f"guest: building {final.name} from {len({*guest.files, *emulator.files})} packages", flush=True)
        for old in self.folder.glob("image-*"):
            shutil.rmtree(old)
        building = self.folder / "building"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir()
        # By newer lists than those that were asked first, perhaps.
        guest, guest_archives = self._apt.download(guest)
        emulator, emulator_archives = self._apt.download(emulator)
        _build_image(guest_archives, building)
        unpack(emulator_archives, building / "emulator")
        final = self._folder_for(guest, emulator)
        building.rename(final)
        print(f"guest: built {final.name} in {time.monotonic() - started:.0f} s", flush=True)
        return Image(final)

    def _folder_for(self, guest: Resolution, emulator: Resolution) -> Path:
        digest = hashlib.sha256("\n".join([*guest.files, *emulator.files]).encode())
        for source in (Path(__file__), Path(initrd.__file__)):
            digest.update(source.read_bytes())
        return self.folder / f"image-{digest.hexdigest()[:16]}"


def _build_image(archives: list[Path], folder: Path) -> None:
    tree = folder / "tree"
    unpack(archives, tree)
    (tree / "usr/bin/linux.uml").rename(folder / "linux.uml")
    for modules in (tree / "usr/lib/uml/modules").iterdir():
        modules.rename(tree / "usr/lib/modules" / modules.name)
    next(tree.glob("boot/vmlinuz-*")).rename(folder / "vmlinuz")
    shutil.rmtree(tree / "boot")
    for name in ("share", "harness", "old", "proc", "sys", "dev", "run", "tmp", "root", "mnt"):
        (tree / name).mkdir(exist_ok=True)
    (tree / "usr/bin/awk").symlink_to("gawk")
    (tree / "etc/passwd").write_text(USERS)
    (tree / "etc/group").write_text(GROUPS)
    (tree / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    (tree / "etc/hosts").write_text("127.0.0.1 localhost guest\n")
    init = tree / "init"
    init.write_text(INIT)
    init.chmod(0o755)
    _run(["chroot", str(tree), "/sbin/ldconfig"])
    modules = next(tree.glob("usr/lib/modules/*-amd64"))
    _run(["chroot", str(tree), "/sbin/depmod", modules.name])
    initrd.prune(modules)
    _run(["chroot", str(tree), "/sbin/depmod", modules.name])
    initrd.write(folder / "initrd", tree, modules)
    root = folder / "root.ext4"
    _run(command_in(tree, "sbin/mke2fs") + [
        "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", str(tree), str(root), "800M",
    ])
    shutil.rmtree(tree)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"building the guest's image: {' '.join(command[:6])} failed: {done.stderr.strip()}")
