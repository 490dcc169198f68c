# xfs on the disk: files survive an unmount and a new session, the file system is clean.
# limit: 90

export_disk disk 400M
connect
run mkfs.xfs -q "$DISK"
mkdir -p /mnt/disk
run mount "$DISK" /mnt/disk
make_files /mnt/disk
run umount /mnt/disk
run xfs_repair -n "$DISK" >/run/repair 2>&1 || fail "xfs_repair found errors: $(tail -n 3 /run/repair)"
logout
login
find_disk 0
run mount "$DISK" /mnt/disk
check_files /mnt/disk
run umount /mnt/disk
run xfs_repair -n "$DISK" >/run/repair 2>&1 || fail "xfs_repair found errors: $(tail -n 3 /run/repair)"
logout
