# Two daemons mirror a disk, which is one device of dm-multipath with the kernel's ALUA handler, and fail over by themselves, by
# leases of 5 s in an etcd: under verified I/O the daemon that hosts use is killed, and later the other one. No I/O error, every
# block right, and nobody had to do anything. Says for how long hosts had to wait at the most.
# limit: 360
# guest: qemu

needs full-conformance

# For wait_until; a comparison begins only if the mirror is Synchronized.
first_says() { host tidelock mirror verify disk --background; }
second_says() { host second tidelock mirror verify copy --background; }

# goes_through DEVICE: for wait_until; it has done 30 commands and more since it was asked last.
goes_through() {
    local before=$SEEN
    completed "$1"
    [ $((COMPLETED - before)) -ge 30 ] || return 1
    SEEN=$COMPLETED
}

moves_to() {
    completed "$1"
    SEEN=$COMPLETED
    wait_until 60 "I/O goes through $1" goes_through "$1"
    still_verifying
}

# measure DEVICE: reads one block after the other, until `longest_wait`.
measure() {
    rm -f /run/longest /run/measured
    reads_on "$1" &
    READS=$!
}

reads_on() {
    local began ended longest=0
    until [ -e /run/measured ]; do
        began=${EPOCHREALTIME/./}
        dd if="$1" of=/dev/null bs=4k count=1 iflag=direct status=none || return 1
        ended=${EPOCHREALTIME/./}
        [ $((ended - began)) -le $longest ] || longest=$((ended - began))
    done
    echo $((longest / 1000)) >/run/longest
}

# longest_wait WHAT LIMIT: for how long the slowest of these reads took, with the start of its process; more milliseconds than
# that are too many.
longest_wait() {
    local ms
    touch /run/measured
    wait $READS || fail 'a read failed'
    read -r ms </run/longest
    step "$1: hosts waited for $ms ms at the most"
    [ $ms -le "$2" ] || fail "that is longer than $2 ms"
}

host stop
host portals 1=$PORTAL0
host options --peer-portal 10.77.0.1:3261
host second portals 2=$PORTAL1
host second options --peer-portal 10.77.1.1:3261
host leases 5
host start
host second start
host tidelock peer add b 10.77.1.1:3261
host second tidelock peer add a 10.77.0.1:3261
export_disk disk 96M
wait_until 60 'the peer makes the copy' host tidelock mirror create disk b:copy --failover automatic
host second target $IQN
host second map $IQN copy "$(lun 0)"
host second allow $IQN '*'
wait_until 60 'both volumes are equal' first_says
wait_until 30 'the other daemon knows it' second_says

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
[ "$name" = "$(identity "$path1")" ] || fail 'the two daemons show different disks'
sg_rtpg --decode "$path1" >/run/output
cat /run/output
grep -q 'standby' /run/output || fail 'the target must be on standby'

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
    no_path_retry 60
}
CONF
run multipathd
wait_until 30 'the map appears' test -b "/dev/mapper/$name"
map=$(readlink -f "/dev/mapper/$name")
run multipath -ll

start_verified_io "$map"
moves_to "$path0"
step 'the mirror is failed over as planned, which waits for no lease'
measure "$map"
wait_until 30 'it may be' host tidelock mirror failover disk -y
moves_to "$path1"
longest_wait 'planned' 6000
wait_until 60 'the old source has all' host tidelock mirror failback disk
moves_to "$path0"
wait_until 60 'both volumes are equal' second_says
# Else the store doesn't know yet that the other one may take over, and it wouldn't.
wait_until 30 'it may be handed over' host second tidelock mirror failover copy -y
wait_until 60 'and back' host second tidelock mirror failback copy
moves_to "$path0"
step 'the daemon that hosts use is killed, and nobody does anything'
measure "$map"
host kill
moves_to "$path1"
longest_wait 'automatic, with a lease of 5 s' 15000
step 'the old source comes back, and gets what it lacks'
host start
wait_until 90 'both are equal' host second tidelock mirror reverse copy
wait_until 60 'and both know it' first_says
moves_to "$path1"
finish_verified_io
logged 'I/O error, dev dm-' && fail 'an I/O error got through to the map'
wait_until 60 'both volumes are equal' second_says
