# Takes down whatever a scenario left: mounts, multipath maps, sessions, records, cut links.
# Fails if something is left that can't be taken down.

source /harness/inside/lib.sh
shopt -s nullglob

# Sets MOUNTS to what scenarios have mounted, the latest first.
mounts() {
    local folder
    MOUNTS=()
    while read -r _ folder _; do
        [[ $folder != /mnt/* ]] || MOUNTS=("$folder" "${MOUNTS[@]}")
    done </proc/mounts
}

for path in 0 1; do
    read -r flags <"/sys/class/net/vec$path/flags"
    ((flags & 1)) || ip link set "vec$path" up
done
mounts
for folder in "${MOUNTS[@]}"; do
    umount "$folder" || umount --lazy "$folder"
done
if [ -e /run/multipathd.pid ]; then
    multipath -F
    multipathd shutdown >/dev/null
fi
maps=(/sys/block/dm-*)
[ ${#maps[@]} = 0 ] || dmsetup remove_all
sessions=(/sys/class/iscsi_session/session*)
[ ${#sessions[@]} = 0 ] || iscsiadm -m node -U all >/dev/null
rm -rf /etc/multipath.conf /etc/iscsi/nodes /etc/iscsi/send_targets /etc/iscsi/ifaces/*
udevadm settle --timeout=10

mounts
maps=(/sys/block/dm-*)
sessions=(/sys/class/iscsi_session/session*)
[ ${#MOUNTS[@]} = 0 ] && [ ${#maps[@]} = 0 ] && [ ${#sessions[@]} = 0 ]
