# The volume grows while a file system on it is mounted: a rescan sees it, and the file system follows.
# limit: 120

needs resize
export_disk disk 128M
connect
run mkfs.ext4 -q "$DISK"
mkdir -p /mnt/disk
run mount "$DISK" /mnt/disk
make_files /mnt/disk
host resize disk 256M
# The unit attention is told with the next command, so the kernel knows before any rescan.
drop_caches
wait_until 10 'the kernel logs that the capacity has changed' logged '[Cc]apacity data has changed'
run iscsiadm -m session --rescan
size_is() { [ "$(blockdev --getsize64 "$DISK")" = "$1" ]; }
wait_until 10 'the disk has 256 MiB' size_is $((256 << 20))
run resize2fs "$DISK"
[ "$(df --output=size --block-size=1M /mnt/disk | tail -n 1)" -gt 200 ] || fail "the file system didn't grow"
check_files /mnt/disk
step 'the new half keeps what is written to it'
head -c 1M /dev/urandom >/run/pattern
head -c 150M /dev/zero >/mnt/disk/filler
cp /run/pattern /mnt/disk/pattern
drop_caches
cmp /run/pattern /mnt/disk/pattern || fail 'other data came back from the new half'
run umount /mnt/disk
run e2fsck -f -n "$DISK" || fail 'e2fsck found errors'
logout
