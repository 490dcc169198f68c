# Login without CHAP: the disk has its size, keeps what is written, and leaves at logout.
# limit: 40

export_disk disk 64M
connect
run lsscsi
[ "$(blockdev --getsize64 "$DISK")" = $((64 << 20)) ] || fail "the disk isn't 64 MiB: $(blockdev --getsize64 "$DISK")"

step 'data of one session is there in the next'
head -c 1M /dev/urandom >/run/pattern
run dd if=/run/pattern of="$DISK" bs=64k seek=8 oflag=direct conv=fsync status=none
logout
wait_until 10 'the disk leaves' disk_gone 0
login
find_disk 0
dd if="$DISK" bs=64k skip=8 count=16 iflag=direct status=none | cmp - /run/pattern || fail 'other data came back'
logout
