# For scenarios with two daemons that mirror a disk, which is one device of dm-multipath with the kernel's ALUA handler.

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

# two_daemons: as they are to be started.
two_daemons() {
    host stop
    host portals 1=$PORTAL0
    host options --peer-portal 10.77.0.1:3261
    host second portals 2=$PORTAL1
    host second options --peer-portal 10.77.1.1:3261
}

# mirrored [OPTION...]: starts them, with volume `disk` at the first and its copy at the second, made with these options.
mirrored() {
    host start
    host second start
    host tidelock peer add b 10.77.1.1:3261
    host second tidelock peer add a 10.77.0.1:3261
    export_disk disk 96M
    wait_until 60 'the peer makes the copy' host tidelock mirror create disk b:copy "$@"
    host second target $IQN
    host second map $IQN copy "$(lun 0)"
    host second allow $IQN '*'
    wait_until 60 'both volumes are equal' first_says
    wait_until 30 'the other daemon knows it' second_says
}

# multipath_to_both: sets $path0, $path1 and $map.
multipath_to_both() {
    local portal name
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
}
