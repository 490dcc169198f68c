# The verification can fail: one byte that the host flips in the backing file is found.
# limit: 60

control() {
    run fio --name=control --filename="$DISK" --rw=write --bs=64k --ioengine=libaio --direct=1 --iodepth=8 \
        --size=8M --verify=crc32c --verify_fatal=1 --eta=never "$@" >/run/control 2>&1
}

export_disk disk 64M
connect
control --do_verify=0
step 'nothing is wrong'
control --verify_only=1 || fail "fio found fault with good data: $(cat /run/control)"
step 'one byte is wrong'
host flip disk 5000001
if control --verify_only=1; then
    fail 'fio found nothing, though one byte is wrong: every other verification is worthless'
fi
grep -E 'crc32c: verify failed .*offset 4980736' /run/control || fail "fio failed, but not for the flipped byte"
step 'the byte is right again'
host flip disk 5000001
control --verify_only=1 || fail "fio found fault with good data: $(cat /run/control)"
logout
