# kill -9 of the target again and again while hosts write and snapshots, clones, splits and deletions come and go: no block
# that fio wrote is wrong, and every block has one owner. TIDELOCK_KILLS=200 is the long run.
# limit: 200
# per kill: 6

read -r kills </share/kills
export_disk disk 96M
connect
host tidelock snapshot create disk s0
start_verified_io "$DISK"
for cycle in $(seq 1 "$kills"); do
    host tidelock snapshot create disk "s$cycle"
    host tidelock clone create "disk@s$cycle" "c$cycle"
    host tidelock clone split "c$cycle"
    if [ "$cycle" -gt 2 ]; then
        host tidelock volume delete "c$((cycle - 2))" --yes
        host tidelock snapshot delete "disk@s$((cycle - 2))" --yes
    fi
    still_verifying
    completed "$DISK"
    host kill
    before=$COMPLETED
    host start
    wait_until 60 'I/O resumes' advanced_beyond "$DISK" $((before + 50))
done
finish_verified_io

step 'what is left is sound'
host tidelock snapshot list disk
host tidelock volume verify disk
wait_until 60 'the last clone is a file of its own' host tidelock clone detach "c$kills"
host map $IQN "disk@s$kills" "$(lun 1)"
host map $IQN "c$kills" "$(lun 2)"
run iscsiadm -m session --rescan
find_disk 1
frozen=$DISK
find_disk 2
run cmp "$frozen" "$DISK" || fail 'a clone that nobody wrote to differs from its snapshot'
logout
