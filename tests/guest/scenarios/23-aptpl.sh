# A reservation with APTPL survives kill -9 of the target: the holder keeps it, others stay out.
# limit: 120

needs full-conformance
reserve_out() { run sg_persist --no-inquiry --out "$@" >/run/output 2>&1 || { cat /run/output; fail "PERSISTENT RESERVE OUT failed: $*"; }; }

export_disk disk 32M
connect
mine=$DISK
run iscsiadm -m iface -I other -o new
run iscsiadm -m iface -I other -o update -n iface.initiatorname -v $INITIATOR.other
run iscsiadm -m discovery -t sendtargets -p $PORTAL1 -I other >/dev/null
run iscsiadm -m node -T $IQN -p $PORTAL1 -I other --login
find_disk 0 $PORTAL1
theirs=$DISK

reserve_out --register --param-sark=5eed --param-aptpl "$mine"
reserve_out --reserve --param-rk=5eed --prout-type=1 "$mine"
run dd if=/dev/zero of="$mine" bs=64k count=1 oflag=direct status=none
refused 'Invalid exchange|Input/output' dd if=/dev/zero of="$theirs" bs=64k count=1 oflag=direct status=none

for death in first second; do
    step "kill -9, the $death"
    host kill
    host start
    # The kernel's initiator comes back by itself; commands wait for it.
    wait_until 60 'both disks answer' sg_turs "$mine"
    wait_until 60 'both disks answer' sg_turs "$theirs"
    sg_persist --no-inquiry --in --read-full-status "$theirs" | tee /run/output
    grep -q 'Key=0x5eed' /run/output || fail 'the registration is lost'
    grep -q 'Reservation holder' /run/output || fail 'the reservation is lost'
    refused 'Invalid exchange|Input/output' dd if=/dev/zero of="$theirs" bs=64k count=1 oflag=direct status=none
    run dd if=/dev/zero of="$mine" bs=64k count=1 oflag=direct status=none
done

step 'without APTPL nothing is left'
reserve_out --register --param-rk=5eed --param-sark=5eed "$mine"
host kill
host start
wait_until 60 'the disk answers' sg_turs "$theirs"
sg_persist --no-inquiry --in --read-keys "$theirs" | grep -qi 'no registered' || fail 'a registration survived that was not to'
run dd if=/dev/zero of="$theirs" bs=64k count=1 oflag=direct status=none
