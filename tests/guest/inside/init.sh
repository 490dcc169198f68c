# The guest's first process after its image's /init: sets the machine up, then runs
# scenarios as the host names them, until it is told to power off.

[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
source /harness/inside/lib.sh

setup() {
    ulimit -c 0
    hostname guest
    mount -t tmpfs tmpfs /run
    mount -t tmpfs tmpfs /tmp
    mkdir -p /dev/shm /run/lock/iscsi /mnt
    mount -t tmpfs tmpfs /dev/shm
    /usr/lib/systemd/systemd-udevd --daemon
    modprobe -a ipv6 iscsi_tcp sd_mod sg dm_multipath dm_round_robin
    ip link set lo up
    name_interfaces
    # Else a link that a scenario cuts comes back without its IPv6 address.
    echo 1 >/proc/sys/net/ipv6/conf/all/keep_addr_on_down
    local path
    for path in 0 1; do
        ip address add "10.77.$path.2/24" dev "vec$path"
        ip link set "vec$path" up
    done
    ip address add fd77::2/64 dev vec0 nodad
    echo "InitiatorName=$INITIATOR" >/etc/iscsi/initiatorname.iscsi
    # A short keepalive, so that a lost target is noticed soon; time enough to wait for it.
    set_iscsid_option 'node.session.timeo.replacement_timeout' 120
    set_iscsid_option 'node.conn\[0\].timeo.noop_out_interval' 3
    set_iscsid_option 'node.conn\[0\].timeo.noop_out_timeout' 4
    sed -i '/^iscsid.startup/d' /etc/iscsi/iscsid.conf
    iscsid
    wait_until 10 'iscsid listens' grep -q ISCSIADM_ABSTRACT_NAMESPACE /proc/net/unix
    dmesg --clear
}

# User-mode Linux has them as vec0 and vec1 already; an emulated machine has cards with known addresses.
name_interfaces() {
    local file name
    [ ! -e /sys/class/net/vec0 ] || return 0
    modprobe -a virtio_net scsi_dh_alua dm_service_time
    udevadm settle --timeout=10
    for file in /sys/class/net/*/address; do
        name=$(basename "${file%/address}")
        case $(cat "$file") in 52:54:00:77:00:0[01]) ip link set "$name" name "vec$(tail -c 2 "$file")" ;; esac
    done
}

set_iscsid_option() {
    sed -i "s/^$1 = .*/$1 = $2/" /etc/iscsi/iscsid.conf
    grep -q "^$1 = $2\$" /etc/iscsi/iscsid.conf || fail "iscsid.conf has no option $1"
}

# Runs one scenario, leaves the machine as if it hadn't been there, and sets VERDICT.
run_scenario() {
    local file=$1 limit=$2 verdict why status
    rm -f /run/why
    setsid --wait timeout --kill-after=5 "$limit" bash /harness/inside/scenario.sh "$file"
    status=$?
    why=$(cat /run/why 2>/dev/null)
    why=${why:0:500}
    why=${why//$'\n'/ }
    case $status in
    0) verdict=PASS why= ;;
    77) verdict=SKIP ;;
    124 | 137) verdict=FAIL why="not finished within $limit s${why:+; $why}" ;;
    *) verdict=FAIL why=${why:-exit status $status} ;;
    esac
    if [ $verdict = FAIL ]; then
        dmesg | tail -n 20 | sed 's/^/dmesg: /'
    fi
    if ! clean_up; then
        [ $verdict = FAIL ] || why="the guest couldn't be cleaned up afterwards: mounts, maps or sessions are stuck"
        verdict=BROKEN
    fi
    dmesg --clear
    VERDICT="$verdict $why"
}

clean_up() {
    local session
    if read -r session 2>/dev/null </run/scenario.session; then
        pkill -KILL -s "$session"
        rm -f /run/scenario.session
    fi
    timeout --kill-after=5 30 bash /harness/inside/clean.sh
}

main() {
    local number=0 file limit
    setup
    publish /share/up 'up'
    while :; do
        number=$((number + 1))
        until [ -e "/share/job.$number" ]; do pause; done
        read -r file limit <"/share/job.$number"
        [ "$file" != poweroff ] || break
        run_scenario "$file" "$limit"
        publish "/share/done.$number" "$VERDICT"
    done
    sync
    busybox poweroff -f
}

main
