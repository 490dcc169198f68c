# mpathpersist registers and reserves through all paths of a multipath map; the reservation survives kill -9.
# limit: 180
# guest: qemu

needs full-conformance
export_disk disk 32M
for portal in $PORTAL0 $PORTAL1; do
    discover "$portal"
    login "$portal"
done
find_disk 0 $PORTAL0
path0=$DISK
name=$(identity "$path0")
cat >/etc/multipath.conf <<'CONF'
defaults {
    user_friendly_names no
    find_multipaths no
    polling_interval 1
    path_grouping_policy multibus
    path_checker tur
    no_path_retry 60
    reservation_key file
}
CONF
run multipathd
map=/dev/mapper/$name
wait_until 30 "$map appears" test -b "$map"
two_paths() { [ "$(dmsetup status "$name" | grep -oE '[0-9]+:[0-9]+ A ' | wc -l)" = 2 ]; }
wait_until 30 'the map has two paths' two_paths

keys() { mpathpersist --in --read-keys "$map" | grep -c 0xfeed; }
run mpathpersist --out --register --param-sark=feed --param-aptpl "$map"
[ "$(keys)" = 2 ] || { mpathpersist --in --read-keys "$map"; fail 'the key must be registered through each of two paths'; }
run mpathpersist --out --reserve --param-rk=feed --prout-type=5 "$map"
mpathpersist --in --read-reservation "$map" | tee /run/output
grep -q 'Key = 0xfeed' /run/output || fail 'the reservation is not there'
run dd if=/dev/zero of="$map" bs=64k count=4 oflag=direct status=none

step 'kill -9'
host kill
host start
run dd if=/dev/zero of="$map" bs=64k count=4 oflag=direct status=none
wait_until 60 'the map has two paths' two_paths
[ "$(keys)" = 2 ] || fail 'the registrations are lost'
mpathpersist --in --read-reservation "$map" | grep -q 'Key = 0xfeed' || fail 'the reservation is lost'
run mpathpersist --out --release --param-rk=feed --prout-type=5 "$map"
run mpathpersist --out --clear --param-rk=feed "$map"
[ "$(keys)" = 0 ] || fail 'keys are left'
