# Takes down whatever a scenario left: mounts, multipath maps, sessions, records, cut links.
# Fails if something is left that can't be taken down.

source /harness/inside/lib.sh

for path in 0 1; do
    ip link set "vec$path" up
done
awk '$2 ~ "^/mnt/" {print $2}' /proc/mounts | tac | while read -r folder; do
    umount "$folder" || umount --lazy "$folder"
done
if pidof multipathd >/dev/null; then
    multipath -F
    multipathd shutdown >/dev/null
fi
rm -f /etc/multipath.conf
dmsetup remove_all
if [ -e /sys/class/iscsi_session ] && [ -n "$(ls /sys/class/iscsi_session)" ]; then
    iscsiadm -m node -U all >/dev/null
fi
rm -rf /etc/iscsi/nodes /etc/iscsi/send_targets /etc/iscsi/ifaces/*
udevadm settle --timeout=10
[ -z "$(ls /sys/class/iscsi_session)" ] && ! grep -q ' /mnt/' /proc/mounts && [ -z "$(dmsetup ls --target multipath | grep -v '^No devices')" ]
