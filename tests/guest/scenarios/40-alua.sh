# dm-multipath with the kernel's ALUA handler over two portal groups: I/O takes the active/optimized path, moves when
# the operator or the initiator changes states and when a path dies, and every block is right at the end.
# limit: 240
# guest: qemu

needs full-conformance
state_of() { run host tidelock alua set disk --group "$1" --state "$2"; }


# only_through TAKEN OTHER: for wait_until; since it was asked last, 30 commands and more took the one path and hardly
# any the other, which the path checker may still use.
only_through() {
    local taken other before=$SEEN_OTHER
    completed "$1"
    taken=$COMPLETED
    completed "$2"
    other=$COMPLETED
    [ $((taken - SEEN_TAKEN)) -ge 30 ] || return 1
    SEEN_TAKEN=$taken SEEN_OTHER=$other
    [ $((other - before)) -le 2 ]
}

# goes_through DEVICE SECONDS: whether I/O goes through this path alone within this time.
goes_through() {
    local other=$path0 end=$((SECONDS + $2))
    [ "$1" = "$path1" ] || other=$path1
    completed "$1"
    SEEN_TAKEN=$COMPLETED
    completed "$other"
    SEEN_OTHER=$COMPLETED
    until only_through "$1" "$other"; do
        [ $SECONDS -lt $end ] || return 1
        pause
    done
    still_verifying
    echo "I/O goes through $1"
}

moves_to() { goes_through "$1" 60 || fail "I/O doesn't go through $1 alone"; }

# states: those of the two groups, as the target tells them.
states() {
    sg_rtpg --decode "$path0" | awk '/target port group id/ { id = $6 } /asymmetric access state/ { print id "=" $8 }' | xargs
}

# insist COMMAND DEVICE STATES: has I/O moved to this path by this command, which sets these states. Several groups change one after
# the other; between them multipathd may switch to the other path's group once more, and then the kernel's handler, which asks for the
# group of the path that it switches to, is the last to be heard. Nothing else is a reason to say it again.
insist() {
    local attempt
    for attempt in 1 2 3 4; do
        "$1"
        if goes_through "$2" 15; then return; fi
        [ "$(states)" != "$3" ] || fail "I/O doesn't go through $2 alone, though the states are as they were set: $3"
        echo "attempt $attempt: the initiator has asked for the other path meanwhile: $(states)"
    done
    fail "I/O doesn't go through $2 alone"
}

operator_prefers_path0() { state_of 1 active-optimized && state_of 2 standby; }
operator_prefers_path1() { state_of 2 active-optimized && state_of 1 active-non-optimized; }
initiator_prefers_path1() { run sg_stpg --tp 2,1 --state ao,an "$path0"; }
two_paths() { [ "$(dmsetup status "$name" | grep -oE '[0-9]+:[0-9]+ A ' | wc -l)" = 2 ]; }

host stop
host portals 1=10.77.0.1:3260 2=10.77.1.1:3260 "1=[fd77::1]:3260"
host start
export_disk disk 96M
state_of 2 active-non-optimized
for portal in $PORTAL0 $PORTAL1; do
    discover "$portal"
    set_node "$portal" node.session.timeo.replacement_timeout 3
    set_node "$portal" 'node.conn[0].timeo.noop_out_interval' 2
    set_node "$portal" 'node.conn[0].timeo.noop_out_timeout' 4
    login "$portal"
done
find_disk 0 $PORTAL0
path0=$DISK
find_disk 0 $PORTAL1
path1=$DISK
name=$(identity "$path0")
[ "$name" = "$(identity "$path1")" ] || fail 'the two paths have different identities'

step 'what the ports say'
sg_rtpg --decode "$path0" | tee /run/output
grep -q 'active/optimized' /run/output || fail 'no port group is active/optimized'
grep -q 'active/non optimized' /run/output || fail 'no port group is active/non-optimized'
[ "$(states)" = "0x1=0x00 0x2=0x01" ] || fail "the states are told as $(states)"

cat >/etc/multipath.conf <<'CONF'
defaults {
    user_friendly_names no
    find_multipaths no
    polling_interval 1
    max_polling_interval 2
    path_grouping_policy group_by_prio
    prio alua
    path_selector "round-robin 0"
    path_checker tur
    failback immediate
    no_path_retry 30
}
CONF
run multipathd
wait_until 30 'the map appears' test -b "/dev/mapper/$name"
map=$(readlink -f "/dev/mapper/$name")
two_groups() { [ "$(multipath -ll "$name" | grep -c 'prio=[1-9]')" = 2 ]; }
wait_until 30 'the map has two groups of paths' two_groups
run multipath -ll
[ "$(cat "/sys/class/block/${path0#/dev/}/device/dh_state")" = alua ] || fail "the kernel's ALUA handler isn't attached"
[ "$(cat "/sys/class/block/${path0#/dev/}/device/access_state")" = active/optimized ] || fail 'path 0 must be active/optimized'
[ "$(cat "/sys/class/block/${path1#/dev/}/device/access_state")" = active/non-optimized ] || fail 'path 1 must be active/non-optimized'

start_verified_io "$map"
step 'the optimized path is taken'
moves_to "$path0"

step 'the operator makes the other path the better one'
insist operator_prefers_path1 "$path1" "0x1=0x01 0x2=0x00"

step 'the operator puts that path on standby'
insist operator_prefers_path0 "$path0" "0x1=0x00 0x2=0x02"

step 'the initiator itself changes the states (SET TARGET PORT GROUPS)'
insist initiator_prefers_path1 "$path1" "0x1=0x01 0x2=0x00"

step 'the network of the better path is cut'
ip link set vec1 down
moves_to "$path0"
ip link set vec1 up
step 'and comes back, and the operator prefers it again'
wait_until 40 'the map has both paths' two_paths
insist operator_prefers_path1 "$path1" "0x1=0x01 0x2=0x00"
finish_verified_io
logged 'I/O error, dev dm-' && fail 'an I/O error got through to the map'
sg_rtpg --decode "$path0"
