# Two paths under dm-multipath: each is cut in turn under verified I/O, which goes on over the other.
# limit: 150

export_disk disk 96M
discover
for portal in $PORTAL0 $PORTAL1; do
    iscsiadm -m node -T $IQN -p $portal >/dev/null 2>&1 || run iscsiadm -m node -T $IQN -p $portal,1 -o new
    # A path that fails is given up soon: there is another.
    set_node $portal node.session.timeo.replacement_timeout 3
    set_node $portal 'node.conn[0].timeo.noop_out_interval' 1
    set_node $portal 'node.conn[0].timeo.noop_out_timeout' 2
    login $portal
done
find_disk 0 $PORTAL0
path0=$DISK
find_disk 0 $PORTAL1
path1=$DISK
name=$(identity "$path0")
[ "$name" = "$(identity "$path1")" ] || fail "the two paths have different identities: $name, $(identity "$path1")"

cat >/etc/multipath.conf <<'CONF'
defaults {
    user_friendly_names no
    find_multipaths no
    polling_interval 1
    max_polling_interval 2
    path_grouping_policy multibus
    path_selector "round-robin 0"
    path_checker tur
    failback immediate
    no_path_retry 30
}
CONF
run multipathd
map=/dev/mapper/$name
wait_until 20 "$map appears" test -b "$map"
active_paths_are() { [ "$(dmsetup status "$name" | grep -oE '[0-9]+:[0-9]+ A ' | wc -l)" = "$1" ]; }
wait_until 20 'both paths are in the map' active_paths_are 2
run multipath -ll

start_verified_io "$map"
for cut in 0 1; do
    remaining=path$((1 - cut))
    remaining=${!remaining}
    step "path $cut is cut"
    ip link set vec$cut down
    wait_until 20 'I/O waits for the path' io_is_waiting "$map"
    wait_until 30 'the map has one path left' active_paths_are 1
    wait_until 20 'I/O goes on over the other' advanced_beyond "$remaining" $(($(completed "$remaining") + 50))
    still_verifying
    step "path $cut comes back"
    ip link set vec$cut up
    wait_until 40 'the map has both paths' active_paths_are 2
done
finish_verified_io
