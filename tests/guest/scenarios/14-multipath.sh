# Two paths under dm-multipath: each is cut in turn under verified I/O, which goes on over the other.
# limit: 150

export_disk disk 96M
discover
for portal in $PORTAL0 $PORTAL1; do
    iscsiadm -m node -T $IQN -p $portal >/dev/null 2>&1 || run iscsiadm -m node -T $IQN -p $portal,1 -o new
    # A path that fails is given up soon: there is another.
    set_node $portal node.session.timeo.replacement_timeout 1
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
wait_until 20 'the map appears' test -b "/dev/mapper/$name"
map=$(readlink -f "/dev/mapper/$name")
active_paths_are() { [ "$(dmsetup status "$name" | grep -oE '[0-9]+:[0-9]+ A ' | wc -l)" = "$1" ]; }
wait_until 20 'both paths are in the map' active_paths_are 2
run multipath -ll

start_verified_io "$map"
for cut in 0 1; do
    lost=path$cut
    remaining=path$((1 - cut))
    # Both are in use, so the one that is cut has I/O under way.
    advances "${!lost}" 20 60
    step "path $cut is cut"
    ip link set vec$cut down
    wait_until 30 'the map has one path left' active_paths_are 1
    advances "${!remaining}" 50 60
    still_verifying
    step "path $cut comes back"
    ip link set vec$cut up
    wait_until 40 'the map has both paths' active_paths_are 2
done
finish_verified_io
