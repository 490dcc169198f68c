# limit: 800
# guest: qemu
# Tidelock beside the kernel's own target, LIO: both in this guest, over loopback, each with a file in memory of the same content, with
# this kernel's initiator and fio on the disks. An emulated guest is slow: only what the two have to do with each other says something.
# ROUNDS and SECONDS_EACH may be changed here.

ROUNDS=4
SECONDS_EACH=6
SIZE=64M
HERE=127.0.0.1
declare -A PORT=([tidelock]=3271 [lio]=3272)
declare -A NAME=([tidelock]=iqn.2026-11.test.bench:tidelock [lio]=iqn.2026-11.test.bench:lio)
declare -A DEVICE
# Name, fio's options.
WORK=(
    "read-qd1 --rw=randread --bs=4k --iodepth=1"
    "read-qd32 --rw=randread --bs=4k --iodepth=32"
    "write-qd32 --rw=randwrite --bs=4k --iodepth=32"
    "read-128k --rw=read --bs=128k --iodepth=16"
    "write-128k --rw=write --bs=128k --iodepth=16"
)

start_tidelock() {
    mkdir -p /mnt/programs /run/tidelock/bin
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 programs /mnt/programs
    cp /mnt/programs/tidelockd /mnt/programs/tidelock /run/tidelock/bin/
    umount /mnt/programs
    /run/tidelock/bin/tidelockd --state-dir /run/tidelock/state --admin-socket /run/tidelock/admin.sock --log warn \
        --portal $HERE:${PORT[tidelock]} >/run/tidelock/log 2>&1 &
    DAEMON=$!
    wait_until 60 'tidelockd answers' tidelock volume list
    tidelock volume create disk --file /dev/shm/tidelock.img
    tidelock target create "${NAME[tidelock]}"
    tidelock lun map "${NAME[tidelock]}" disk
    tidelock acl allow "${NAME[tidelock]}" '*'
}

tidelock() { /run/tidelock/bin/tidelock --socket /run/tidelock/admin.sock "$@"; }

start_lio() {
    local core=/sys/kernel/config/target/core/fileio_0/disk group
    modprobe -a target_core_mod target_core_file iscsi_target_mod
    mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
    mkdir -p /sys/kernel/config/target/iscsi "$core"
    # As Tidelock does by default: through the page cache, and hosts are told that there is a write cache.
    echo "fd_dev_name=/dev/shm/lio.img,fd_dev_size=$((64 << 20)),fd_buffered_io=1" >"$core/control"
    echo 1 >"$core/enable"
    echo 1 >"$core/attrib/emulate_write_cache"
    group=/sys/kernel/config/target/iscsi/${NAME[lio]}/tpgt_1
    mkdir -p "$group/np/$HERE:${PORT[lio]}" "$group/lun/lun_0"
    ln -s "$core" "$group/lun/lun_0/disk"
    echo 0 >"$group/attrib/authentication"
    echo 1 >"$group/attrib/generate_node_acls"
    echo 0 >"$group/attrib/demo_mode_write_protect"
    echo 1 >"$group/enable"
}

attach() {
    local target=$1 link
    iscsiadm -m node -T "${NAME[$target]}" -p "$HERE:${PORT[$target]}" -o new >/dev/null
    iscsiadm -m node -T "${NAME[$target]}" -p "$HERE:${PORT[$target]}" --login >/dev/null
    link=/dev/disk/by-path/ip-$HERE:${PORT[$target]}-iscsi-${NAME[$target]}-lun-0
    wait_until 30 "$link appears" test -b "$link"
    DEVICE[$target]=$(readlink -f "$link")
    echo none >"/sys/class/block/${DEVICE[$target]##*/}/queue/scheduler"
}

# Sets BUSY: for how long both processors have done something, in hundredths of a second.
busy() {
    local fields
    read -ra fields </proc/stat
    BUSY=$((fields[1] + fields[2] + fields[3] + fields[6] + fields[7]))
}

# measure TARGET NAME FIO-OPTIONS...: a line of results.
measure() {
    local target=$1 name=$2 before line iops
    shift 2
    busy
    before=$BUSY
    fio --name="$name" --filename="${DEVICE[$target]}" --ioengine=libaio --direct=1 --size=$SIZE --time_based --norandommap \
        --runtime=$SECONDS_EACH --randrepeat=0 --eta=never --output-format=terse --terse-version=3 --output=/run/fio.terse "$@" ||
        fail "fio failed with $target"
    busy
    # Of reads the eighth field is the rate, of writes the forty-ninth.
    line=$(grep '^3;' /run/fio.terse)
    iops=$(cut -d ';' -f 8 <<<"$line")
    [ "$iops" != 0 ] || iops=$(cut -d ';' -f 49 <<<"$line")
    [ "$iops" != 0 ] || fail "fio did nothing with $target"
    echo "$name $target $iops $(((BUSY - before) * 10000 / (iops * SECONDS_EACH)))" | tee -a /run/results
}

# Of each kind of work: the medians, and the median of the rounds' ratios, with the lowest and the highest.
table() {
    awk '
    function median(list, count,   i, j, swap) {
        for (i = 1; i <= count; i++) for (j = i + 1; j <= count; j++)
            if (list[j] < list[i]) { swap = list[i]; list[i] = list[j]; list[j] = swap }
        return (list[int((count + 1) / 2)] + list[int(count / 2) + 1]) / 2
    }
    !($1 in seen) { seen[$1] = 1; order[++kinds] = $1 }
    { at = ++count[$1, $2]; rate[$1, $2, at] = $3; cost[$1, $2, at] = $4 }
    END {
        printf "%-12s %14s %10s %26s %40s\n", "", "Tidelock IOPS", "LIO IOPS", "ratio (lowest to highest)", "processor time of both sides, ratio"
        for (k = 1; k <= kinds; k++) {
            name = order[k]; rounds = count[name, "lio"]
            for (i = 1; i <= rounds; i++) {
                ours[i] = rate[name, "tidelock", i]; theirs[i] = rate[name, "lio", i]
                ratio[i] = ours[i] / theirs[i]; work[i] = cost[name, "tidelock", i] / cost[name, "lio", i]
            }
            m = median(ratio, rounds); w = median(work, rounds)
            printf "%-12s %14d %10d %10.2fx (%.2f to %.2f) %22.2fx (%.2f to %.2f)\n", name, median(ours, rounds), median(theirs, rounds),
                m, ratio[1], ratio[rounds], w, work[1], work[rounds]
        }
    }' /run/results
}

step 'both targets'
head -c $SIZE /dev/urandom >/dev/shm/tidelock.img
cp /dev/shm/tidelock.img /dev/shm/lio.img
start_tidelock
start_lio
attach tidelock
attach lio
echo "tidelock is ${DEVICE[tidelock]}, lio ${DEVICE[lio]}"

step 'rounds, in alternation'
for ((round = 1; round <= ROUNDS; round++)); do
    order=(tidelock lio)
    ((round % 2)) || order=(lio tidelock)
    for work in "${WORK[@]}"; do
        read -ra words <<<"$work"
        for target in "${order[@]}"; do measure "$target" "${words[@]}"; done
    done
done

step 'what came of it'
mapfile -t lines < <(table)
printf '%s\n' "${lines[@]}"
host keep lio.txt "${lines[@]}"

for target in tidelock lio; do iscsiadm -m node -T "${NAME[$target]}" -p "$HERE:${PORT[$target]}" --logout >/dev/null; done
kill "$DAEMON"
wait "$DAEMON"
group=/sys/kernel/config/target/iscsi/${NAME[lio]}/tpgt_1
echo 0 >"$group/enable"
