# What a file system gives back leaves the volume's file: fstrim on ext4 and xfs, and discard by mkfs.
# limit: 150

needs full-conformance
allocated() { host allocated disk; ALLOCATED=$HOST_SAYS; }

# shrinks_below BYTES: for wait_until.
shrinks_below() { allocated && [ "$ALLOCATED" -lt "$1" ]; }

export_disk disk 400M
connect
mkdir -p /mnt/disk
for kind in ext4 xfs; do
    step "$kind"
    run mkfs.$kind -q "$([ $kind = xfs ] && echo -f || echo -F)" "$DISK"
    run mount "$DISK" /mnt/disk
    head -c 64M /dev/urandom >/mnt/disk/given-back
    head -c 8M /dev/urandom >/mnt/disk/kept
    sum=$(sha256sum </mnt/disk/kept)
    sync
    allocated
    full=$ALLOCATED
    [ "$full" -gt $((70 << 20)) ] || fail "72 MiB were written and the volume's file has only $full bytes"
    rm /mnt/disk/given-back
    sync
    run fstrim --verbose /mnt/disk
    wait_until 10 'the file has shrunk by 60 MiB' shrinks_below $((full - (60 << 20)))
    echo "$kind: the volume's file had $full bytes and has $ALLOCATED after fstrim"
    drop_caches
    [ "$(sha256sum </mnt/disk/kept)" = "$sum" ] || fail 'the file that was kept has changed'
    run umount /mnt/disk
done

step 'mkfs discards all that was there'
run dd if=/dev/urandom of="$DISK" bs=1M count=48 seek=300 oflag=direct status=none
allocated
full=$ALLOCATED
run mkfs.ext4 -q -F "$DISK"
wait_until 10 'the file has shrunk by 40 MiB' shrinks_below $((full - (40 << 20)))
echo "the volume's file had $full bytes and has $ALLOCATED after mkfs"
logout
