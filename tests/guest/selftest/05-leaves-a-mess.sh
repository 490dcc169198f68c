# A guest that can't be cleaned up fails the scenario and is replaced.
# limit: 30
# expect: FAIL the guest couldn't be cleaned up afterwards

export_disk disk 64M
connect
run mkfs.ext4 -q "$DISK"
mkdir -p /mnt/disk
run mount "$DISK" /mnt/disk
cp /etc/passwd /mnt/disk/unwritten
host kill
