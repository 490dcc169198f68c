# Volumes that bypass the page cache, that write through, and with blocks of 4096 bytes: each says what it
# is, and keeps what is written to it.
# limit: 90

needs volume-options
queue() { cat "/sys/class/block/${DISK#/dev/}/queue/$1"; }
cache_type() { cat "/sys/class/block/${DISK#/dev/}"/device/scsi_disk/*/cache_type; }

host volume direct 64M --direct
host volume through 64M --write-through
host volume large 400M --block-size 4096
host target $IQN
host map $IQN direct "$(lun 0)"
host map $IQN through "$(lun 1)"
host map $IQN large "$(lun 2)"
host allow $IQN '*'
connect

step 'without page cache'
[ "$(cache_type)" = 'write back' ] || fail "cache type is '$(cache_type)' and must be 'write back'"
verified_io "$DISK" --size=4M

step 'write-through'
find_disk 1
[ "$(cache_type)" = 'write through' ] || fail "cache type is '$(cache_type)' and must be 'write through'"
verified_io "$DISK" --size=4M

step 'blocks of 4096 bytes'
find_disk 2
[ "$(queue logical_block_size)" = 4096 ] || fail "logical blocks have $(queue logical_block_size) bytes, must be 4096"
verified_io "$DISK" --size=4M
run mkfs.xfs -q -f "$DISK"
mkdir -p /mnt/disk
run mount "$DISK" /mnt/disk
make_files /mnt/disk
drop_caches
check_files /mnt/disk
run umount /mnt/disk
run xfs_repair -n "$DISK" >/run/repair 2>&1 || fail "xfs_repair found errors: $(tail -n 3 /run/repair)"
logout
