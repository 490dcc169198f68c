# Login without CHAP, over IPv4 and IPv6: the disk has its size, keeps what is written, leaves at logout.
# limit: 60

export_disk disk 64M
connect
run lsscsi
[ "$(blockdev --getsize64 "$DISK")" = $((64 << 20)) ] || fail "the disk isn't 64 MiB: $(blockdev --getsize64 "$DISK")"
head -c 1M /dev/urandom >/run/pattern
run dd if=/run/pattern of="$DISK" bs=64k seek=8 oflag=direct conv=fsync status=none
logout
wait_until 10 'the disk leaves' disk_gone 0

step 'the data is there in the next session, over IPv6'
discover $PORTAL6
login $PORTAL6
find_disk 0 "$PORTAL6"
dd if="$DISK" bs=64k skip=8 count=16 iflag=direct status=none | cmp - /run/pattern || fail 'other data came back'
logout $PORTAL6
