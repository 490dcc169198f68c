# A LUN that is mapped read-only can be read and mounted, and refuses writes.
# limit: 120

export_disk disk 64M
host target $IQN.ro
host map $IQN.ro disk "$(lun 0)" --read-only
host allow $IQN.ro '*'
connect
run mkfs.ext4 -q "$DISK"
mkdir -p /mnt/disk
run mount "$DISK" /mnt/disk
make_files /mnt/disk
run umount /mnt/disk
logout

step 'the same volume through the target that may only be read'
IQN=$IQN.ro
login
find_disk 0
[ "$(blockdev --getro "$DISK")" = 1 ] || fail "the kernel doesn't see that the disk is read-only"
run mount -o ro "$DISK" /mnt/disk
check_files /mnt/disk
run umount /mnt/disk
before=$(dd if="$DISK" bs=64k count=1 iflag=direct status=none | sha256sum)
# The kernel itself wouldn't even try: the command goes past it.
generic=/dev/$(ls "/sys/class/block/${DISK#/dev/}/device/scsi_generic")
refused 'Data Protect|Write protected' \
    sg_raw --send=512 --infile=/dev/zero "$generic" 2a 00 00 00 00 00 00 00 01 00
after=$(dd if="$DISK" bs=64k count=1 iflag=direct status=none | sha256sum)
[ "$before" = "$after" ] || fail 'the write that was refused changed the disk'
logout
