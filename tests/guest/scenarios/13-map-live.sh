# A LUN is mapped and unmapped while the session goes on and another LUN is busy.
# limit: 120

session() { ls /sys/class/iscsi_session; }
unreadable() { ! dd if="$1" of=/dev/null bs=4k count=1 iflag=direct status=none; }

export_disk disk 96M
connect
was=$(session)
start_verified_io "$DISK"

step 'a second LUN appears'
host volume second 64M
host map $IQN second "$(lun 1)"
run iscsiadm -m session --rescan
find_disk 1
second=$DISK
[ "$(blockdev --getsize64 "$second")" = $((64 << 20)) ] || fail "the second disk isn't 64 MiB"
run dd if=/dev/zero of="$second" bs=64k count=16 oflag=direct status=none
logged 'LUN assignments on this target have changed' || fail 'no unit attention told of the new LUN'

step 'and leaves'
host unmap $IQN "$(lun 1)"
wait_until 15 'the unmapped disk fails' unreadable "$second"
echo 1 >"/sys/block/${second#/dev/}/device/delete"
wait_until 10 'its device leaves' disk_gone 1
run iscsiadm -m session --rescan
udevadm settle
disk_gone 1 || fail 'the unmapped LUN came back with a rescan'

step 'the other LUN and the session noticed nothing'
still_verifying
finish_verified_io
[ "$(session)" = "$was" ] || fail 'the session was replaced'
[ "$(cat /sys/class/iscsi_session/session*/state)" = LOGGED_IN ] || fail "the session isn't logged in"
if logged 'detected conn error'; then
    fail 'the session had to recover'
fi
logout
