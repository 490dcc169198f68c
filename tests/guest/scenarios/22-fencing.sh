# The drill of a cluster: A and B are registered and A holds the reservation and writes; B preempts and aborts A.
# A's writes fail at once, B's succeed, and nothing of A lands after B has its status. See fencing-drill.txt.
# limit: 120

needs full-conformance
fact() { echo "$*" | tee -a /run/facts; }
milliseconds() { echo $((${EPOCHREALTIME/./} / 1000)); }
reserve_out() { run sg_persist --no-inquiry --out "$@" >/run/output 2>&1 || { cat /run/output; fail "PERSISTENT RESERVE OUT failed: $*"; }; }
reserve_in() { sg_persist --no-inquiry --in "$1" "$2"; }

# One initiator by each portal, with a name of its own.
initiator() {
    local name=$1 portal=$2
    run iscsiadm -m iface -I "$name" -o new
    run iscsiadm -m iface -I "$name" -o update -n iface.initiatorname -v "$INITIATOR.$name"
    run iscsiadm -m discovery -t sendtargets -p "$portal" -I "$name" >/dev/null
    run iscsiadm -m node -T $IQN -p "$portal" -I "$name" --login
    find_disk 0 "$portal"
}

# A keeps on writing, whatever becomes of its writes, and notes when each ended. For those that ended well that is the
# earliest moment at which it can have been: when dd was started, and how long dd says that the copy took.
write_stubbornly() {
    local began said
    while [ ! -e /run/enough ]; do
        began=$(milliseconds)
        if said=$(dd if=/run/of-a of="$a" bs=64k count=4 seek=64 oflag=direct conv=notrunc 2>&1); then
            [[ $said =~ copied,\ ([0-9]+)\.?([0-9]*)\ s, ]] || { echo "odd $said"; continue; }
            local fraction=${BASH_REMATCH[2]}000
            echo "written $((began + BASH_REMATCH[1] * 1000 + 10#${fraction:0:3}))"
        else
            echo "refused $(milliseconds)"
        fi >>/run/of-a.log
    done
}

rm -f /run/facts /run/enough /run/of-a.log
export_disk disk 16M
initiator a $PORTAL0
a=$DISK
initiator b $PORTAL1
b=$DISK
head -c 1M /dev/zero | tr '\0' A >/run/of-a
head -c 16M /dev/zero | tr '\0' B >/run/of-b
fact "A is $INITIATOR.a on $PORTAL0, B is $INITIATOR.b on $PORTAL1; both see one disk of 16 MiB"

step 'both register, A reserves'
reserve_out --register --param-sark=a1 "$a"
reserve_out --register --param-sark=b1 "$b"
reserve_out --reserve --param-rk=a1 --prout-type=5 "$a"
reserve_in --read-keys "$b" | tee /run/output
grep -q 0xa1 /run/output && grep -q 0xb1 /run/output || fail 'both keys must be registered'
fact "registered keys: $(grep -oE '0x[ab]1' /run/output | sort | tr '\n' ' ')"
reserve_in --read-reservation "$b" | grep -q 'Key=0xa1' || fail 'A must hold the reservation'
fact 'A holds Write Exclusive - Registrants Only with key 0xa1'

step 'A writes, with 32 commands under way'
fio --name=of-a --filename="$a" --rw=randwrite --bs=16k --size=8M --offset=8M --ioengine=libaio --direct=1 \
    --iodepth=32 --time_based --runtime=120 --buffer_pattern=0x41414141 --eta=never --output=/run/fio.a >/run/fio.err 2>&1 &
fio=$!
advances "$a" 100 60
fio_did=$COMPLETED
write_stubbornly &
stubborn=$!
dd_writes() { grep -q written /run/of-a.log; }
wait_until 60 'A writes by dd as well' dd_writes
kill -0 $fio || fail "A's fio has ended: $(cat /run/fio.err)"
fact "A writes: $(grep -c written /run/of-a.log) rounds of dd done, $fio_did commands of fio before that"

step 'B preempts and aborts A'
asked=$(milliseconds)
reserve_out --preempt-abort --param-rk=b1 --param-sark=a1 --prout-type=5 "$b"
fenced=$(milliseconds)
fact "B has the status of PREEMPT AND ABORT $((fenced - asked)) ms after it was sent"
dd if=/run/of-b of="$b" bs=1M oflag=direct conv=notrunc status=none || fail "B's write failed"
fact "B has written all 16 MiB $(($(milliseconds) - fenced)) ms after that"

# An exit status that isn't 0 is what we want of it.
if wait $fio; then fail "A's fio ended well"; fi
ended=$(milliseconds)
grep -hoE 'error=[A-Za-z ]+' /run/fio.err /run/fio.a | sort | uniq -c | head -n 3
fact "A's fio ended $((ended - fenced)) ms after B's status with: $(grep -hoE 'error=[A-Za-z ]+' /run/fio.err /run/fio.a | head -n 1)"
[ $((ended - fenced)) -lt 15000 ] || fail "A's writes went on for $((ended - fenced)) ms"
refused_often() { [ "$(grep -c refused /run/of-a.log)" -ge 20 ]; }
wait_until 60 'A has been refused 20 times' refused_often
touch /run/enough
wait $stubborn
first=$(awk '$1 == "refused" {print $2; exit}' /run/of-a.log)
last=$(awk '$1 == "written" && $2 > at {at = $2} END {print at}' /run/of-a.log)
fact "A's last write that ended well ended $((fenced - last)) ms before B had its status, the first refused one $((first - fenced)) ms after it"
fact "A was refused $(grep -c refused /run/of-a.log) times since"
if grep odd /run/of-a.log; then fail 'dd said something that was not understood'; fi
[ "$last" -le $fenced ] || fail "a write of A ended well $((last - fenced)) ms after B's status"

step 'nothing of A landed'
dd if="$b" bs=1M iflag=direct status=none | cmp - /run/of-b || fail 'something of A landed after B was told that A is fenced'
fact 'the whole disk holds what B wrote, and nothing of A'
reserve_in --read-reservation "$b" | grep -q 'Key=0xb1' || fail 'B must hold the reservation'
reserve_in --read-keys "$b" | grep -q 0xa1 && fail 'A is still registered'
fact 'B holds the reservation with key 0xb1, A is registered no more'
mapfile -t lines </run/facts
host keep fencing-drill.txt "${lines[@]}"
