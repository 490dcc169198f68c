# ext4 on the disk: files survive an unmount, the file system is clean, and trimming works.
# limit: 90

export_disk disk 256M
connect
run mkfs.ext4 -q "$DISK"
mkdir -p /mnt/disk
run mount "$DISK" /mnt/disk
make_files /mnt/disk
run umount /mnt/disk
run e2fsck -f -n "$DISK" || fail 'e2fsck found errors'
logout
login
find_disk 0
run mount "$DISK" /mnt/disk
check_files /mnt/disk
rm /mnt/disk/large
sed -i '/large/d' /run/sums
run fstrim --verbose /mnt/disk || fail 'the disk has no UNMAP'
drop_caches
check_files /mnt/disk
run umount /mnt/disk
run e2fsck -f -n "$DISK" || fail 'e2fsck found errors'
logout
