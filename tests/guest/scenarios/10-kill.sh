# kill -9 in mid-I/O, and a restart: I/O resumes by itself, nothing is lost, the file system is clean.
# limit: 150

# Files one by one, each synced and then noted with its checksum, until it is enough (start_verified_io
# and finish_verified_io say when).
write_busily() {
    local number
    for number in $(seq 1 1000); do
        head -c 30000 /dev/urandom >"/mnt/disk/busy.$number"
        sync "/mnt/disk/busy.$number"
        sha256sum "/mnt/disk/busy.$number" >>/run/busy.sums
        [ ! -e /run/enough ] || break
    done
}

rm -f /run/busy.sums
export_disk disk 256M
host volume raw 96M
host map $IQN raw "$(lun 1)"
connect
find_disk 1
raw=$DISK
find_disk 0
before=$(identity "$DISK")
run mkfs.ext4 -q "$DISK"
mkdir -p /mnt/disk
run mount "$DISK" /mnt/disk
make_files /mnt/disk
sync

step 'I/O on the raw disk, and files on the other, while the target dies twice'
start_verified_io "$raw"
write_busily &
files=$!
for outage in 0 6; do
    host kill
    at=$SECONDS
    # A moment, and longer than the initiator's first attempts to come back.
    outlast "$raw" 20 $outage
    host start
    wait_until 60 'I/O resumes' advanced_beyond "$raw" "$STALLED"
    echo "I/O resumed $((SECONDS - at)) s after the kill"
    wait_until 60 'I/O flows' advanced_beyond "$raw" $((STALLED + 150))
done
finish_verified_io
wait $files || fail 'writing files failed while the target was away'

step 'everything is there'
after=$(identity "$DISK")
[ "$before" = "$after" ] || fail "the disk was '$before' and is '$after' after the restart"
drop_caches
check_files /mnt/disk
sha256sum --quiet --check /run/busy.sums || fail 'a file that was synced before or during the kills is damaged'
echo "$(wc -l </run/busy.sums) files written around the kills are whole"
run umount /mnt/disk
run e2fsck -f -n "$DISK" || fail 'e2fsck found errors'
logout
