# Two daemons mirror a disk, which is one device of dm-multipath with the kernel's ALUA handler: under verified I/O hosts are
# changed over to the other daemon, and then that one is killed and the first one takes over. No I/O error, every block right.
# limit: 240
# guest: qemu

needs full-conformance

source /harness/inside/mirrored.sh

two_daemons
mirrored
multipath_to_both

start_verified_io "$map"
moves_to "$path0"
step 'the mirror is failed over as planned'
host tidelock mirror failover disk -y
moves_to "$path1"
step 'and back'
wait_until 60 'the old source has all' host tidelock mirror failback disk
moves_to "$path0"
step 'the daemon that hosts use is killed, and the other one takes over'
wait_until 60 'both volumes are equal' second_says
host kill
wait_until 60 'the other one takes over' host second tidelock mirror failover copy --force -y
moves_to "$path1"
step 'the old source comes back, gets what it lacks, and hosts'
host start
wait_until 90 'the old source has all' host second tidelock mirror failback copy
moves_to "$path0"
finish_verified_io
logged 'I/O error, dev dm-' && fail 'an I/O error got through to the map'
wait_until 60 'both volumes are equal' first_says
