# What scenarios are written with. A scenario is a bash script that runs under `set -e`:
# any command that fails, fails it. `fail` says why in words; `step` is for the transcript.
# What is done often or polled is done without starting a process: that takes user-mode
# Linux 30 to 150 ms, of the one CPU that also has the I/O to do.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
INITIATOR=iqn.2026-11.test.guest:initiator
IQN=iqn.2026-11.test.tidelock:disk
PORTAL0=10.77.0.1:3260
PORTAL1=10.77.1.1:3260
PORTAL6=[fd77::1]:3260
read -r FIRST_LUN </share/first-lun

# --- Saying things

step() { echo "--- $*"; }

note() { [ -s /run/why ] || echo "$*" >/run/why; }

fail() {
    note "$*"
    echo "FAILED: $*"
    exit 1
}

run() {
    echo "+ $*" >&2
    "$@"
}

# Expects a command to fail, and its output to say so in certain words.
refused() {
    local words=$1 output
    shift
    echo "+ $*   (must be refused)"
    if output=$("$@" 2>&1); then
        fail "was to be refused and wasn't: $*"
    fi
    echo "$output"
    grep -qE "$words" <<<"$output" || fail "was refused, but not for '$words': $*"
}

# --- Waiting, always for something and never longer than said

exec {PAUSE_FD}<> <(:)

# pause [SECONDS]: a short sleep without a process.
pause() { read -r -t "${1:-0.05}" -u "$PAUSE_FD" || true; }

wait_until() {
    local seconds=$1 what=$2 end=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "not within $seconds s: $what"
        pause
    done
}

# --- Talking with the host

publish() {
    echo "$2" >"${1%/*}/.${1##*/}"
    mv "${1%/*}/.${1##*/}" "$1"
}

# host COMMAND ARGUMENT...: asks the host for something and waits until it is done.
host() {
    local number=0 status end=$((SECONDS + 60))
    read -r number 2>/dev/null </run/requests || true
    number=$((number + 1))
    echo $number >/run/requests
    # The last line says that the request is whole.
    printf '%s\n' "$@" end >"/share/request.$number"
    until [ -e "/share/reply.$number" ]; do
        [ $SECONDS -lt $end ] || fail "the host didn't answer: $*"
        pause 0.02
    done
    { read -r status; read -r HOST_SAYS || true; } <"/share/reply.$number"
    [ "$status" = 0 ] || { note "host $*: $HOST_SAYS"; return 1; }
}

# needs FEATURE: skips the scenario if the target is known to lack it.
needs() {
    if ! host supports "$1"; then
        echo "$HOST_SAYS" >/run/why
        exit 77
    fi
}

# export_disk NAME SIZE [CREDENTIALS...]: one target with one disk, for every initiator.
export_disk() {
    local name=$1 size=$2
    shift 2
    host volume "$name" "$size"
    host target $IQN
    host map $IQN "$name" "$(lun 0)"
    host allow $IQN '*' "$@"
}

# The LUN of the Nth disk: some targets keep LUN 0 for themselves.
lun() { echo $(($1 + FIRST_LUN)); }

# --- The initiator

discover() { run iscsiadm -m discovery -t sendtargets -p "${1:-$PORTAL0}"; }

# set_node PORTAL NAME VALUE: an option of the node's record, before login.
set_node() { iscsiadm -m node -T $IQN -p "$1" -o update -n "$2" -v "$3"; }

login() { run iscsiadm -m node -T $IQN -p "${1:-$PORTAL0}" --login; }

logout() { run iscsiadm -m node -T $IQN -p "${1:-$PORTAL0}" --logout; }

# find_disk N [PORTAL]: waits for the Nth disk and sets DISK to its device.
find_disk() {
    local link
    link=$(disk_link "$@")
    wait_until 15 "$link appears" test -b "$link"
    DISK=$(readlink -f "$link")
    echo "disk $1 is $DISK"
}

# disk_gone N [PORTAL]: for wait_until.
disk_gone() { ! test -e "$(disk_link "$@")"; }

# udev names an IPv6 portal without its brackets.
disk_link() {
    local portal=${2:-$PORTAL0}
    echo "/dev/disk/by-path/ip-${portal//[\[\]]/}-iscsi-$IQN-lun-$(($1 + FIRST_LUN))"
}

# identity DISK: by which udev and multipath know it.
identity() { udevadm info --query=property --property=ID_SERIAL --value "$1" | grep .; }

connect() {
    discover
    login
    find_disk 0
}

# logged PATTERN: whether the kernel has said so since the scenario began.
logged() { dmesg | grep -E "$1"; }

# --- I/O

# verified_io DEVICE [FIO OPTIONS]: random reads and writes, each block with a CRC-32C that is
# checked at the end. Four jobs at QD32, each in a range of its own.
verified_io() {
    local device=$1 direction
    shift
    if ! run fio --name=verify --filename="$device" --rw=randrw --bssplit=4k/70:16k/20:64k/10 --ioengine=libaio \
        --direct=1 --iodepth=32 --numjobs=4 --size=12M --offset_increment=16M --verify=crc32c \
        --verify_fatal=1 --do_verify=1 --group_reporting --eta=never --output=/run/fio.out "$@"; then
        tail -n 30 /run/fio.out
        fail 'fio found wrong data or an I/O error'
    fi
    grep -E '^ +(READ|WRITE): ' /run/fio.out
    for direction in READ WRITE; do
        grep -qE "^ +$direction: .*io=[1-9]" /run/fio.out || fail "fio did no I/O of this kind: $direction"
    done
}

# start_verified_io DEVICE: the same in the background, again and again until `finish_verified_io`,
# limited in rate to leave room for what the scenario does meanwhile.
start_verified_io() {
    rm -f /run/enough
    until [ -e /run/enough ]; do
        verified_io "$1" --size=4M --rate_iops=120,120
    done &
    VERIFIED_IO=$!
    advances "$1" 100 60
}

still_verifying() { kill -0 $VERIFIED_IO || fail "fio had ended: $(cat /run/why)"; }

finish_verified_io() {
    touch /run/enough
    wait $VERIFIED_IO || fail "fio failed: $(cat /run/why)"
}

# completed DEVICE: sets COMPLETED to how many reads and writes it has done. DEVICE is the kernel's name, no link.
completed() {
    local fields
    read -ra fields <"/sys/class/block/${1##*/}/stat"
    COMPLETED=$((fields[0] + fields[4]))
}

# advanced_beyond DEVICE COUNT: for wait_until.
advanced_beyond() { completed "$1" && [ $COMPLETED -gt "$2" ]; }

# advances DEVICE COUNT SECONDS: waits until so many more reads and writes are done.
advances() {
    completed "$1"
    wait_until "$3" "$2 I/Os on $1" advanced_beyond "$1" $((COMPLETED + $2))
}

# session_down: for wait_until; the initiator has noticed that the connection is of no use.
session_down() {
    local file state
    for file in /sys/class/iscsi_session/session*/state; do
        read -r state <"$file" || return 1
        [ "$state" = LOGGED_IN ] || return 0
    done
    return 1
}

# outlast DEVICE LIMIT AWAY: waits until the initiator has noticed that the target is away, and lets it stay away for
# AWAY seconds. Commands wait in a queue meanwhile, where nothing counts them: what shows that they do is that fio goes
# on and none of them ends, well or badly. STALLED is how many had ended.
outlast() {
    wait_until "$2" 'the initiator notices' session_down
    completed "$1"
    STALLED=$COMPLETED
    sleep "$3"
    still_verifying
    completed "$1"
    [ $COMPLETED -eq $STALLED ] || fail "I/O ended while the target was away, $((COMPLETED - STALLED)) times"
}

# make_files FOLDER: files of many sizes, and their checksums in /run/sums.
make_files() {
    mkdir -p "$1/many"
    awk -v folder="$1/many" 'BEGIN {
        srand()
        for (number = 1; number <= 40; number++) {
            file = folder "/" number
            for (left = number * 997; left >= 16; left -= 16) printf "%015d\n", rand() * 1e15 >file
            printf "%*s", left, "" >file
            close(file)
        }
    }'
    head -c 12M /dev/urandom >"$1/large"
    mv "$1/many/7" "$1/renamed"
    rm "$1/many/9"
    (cd "$1" && find . -type f -exec sha256sum {} +) >/run/sums
    echo "$(wc -l </run/sums) files written"
}

check_files() {
    (cd "$1" && sha256sum --quiet --check /run/sums) || fail "files differ from what was written"
    echo "$(wc -l </run/sums) files are as they were written"
}

drop_caches() { sync; echo 3 >/proc/sys/vm/drop_caches; }
