# Two daemons mirror a disk, which is one device of dm-multipath with the kernel's ALUA handler, and fail over by themselves, by
# leases of 5 s in an etcd: under verified I/O the daemon that hosts use is killed, and later the other one. No I/O error, every
# block right, and nobody had to do anything. Says for how long hosts had to wait at the most.
# limit: 360
# guest: qemu

needs full-conformance

source /harness/inside/mirrored.sh

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

two_daemons
host leases 5
mirrored --failover automatic
multipath_to_both

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
