# sg3-utils: what each tool asks is answered, and what it writes, copies, compares and unmaps is there.
# limit: 180

needs full-conformance

# says PATTERN COMMAND...: the command succeeds and its output has a line like this.
says() {
    local pattern=$1 output
    shift
    echo "+ $*" >&2
    output=$("$@" 2>&1) || fail "failed: $*: $(tail -n 3 <<<"$output")"
    grep -qiE -- "$pattern" <<<"$output" || { echo "$output"; fail "doesn't say '$pattern': $*"; }
}

# ends STATUS COMMAND...: the command ends with this exit status (sg3_utils(8)).
ends() {
    local expected=$1 status=0
    shift
    echo "+ $*" >&2
    "$@" >/run/output 2>&1 || status=$?
    [ $status = "$expected" ] || { cat /run/output; fail "ended with $status, not $expected: $*"; }
}

pattern() { dd if=/dev/urandom bs=512 count="$1" status=none; }
blocks() { dd if="$1" bs=512 skip="$2" count="$3" iflag=direct status=none; }
holds() { blocks "$2" "$3" "$4" | cmp - "$1" || fail "$5"; }

export_disk disk 64M
host volume other 64M
host map $IQN other "$(lun 1)"
connect
disk=$DISK
find_disk 1
other=$DISK

step 'who it is'
says 'Vendor identification: TIDELOCK' sg_inq "$disk"
says 'conformant to|version=0x0[67]' sg_inq -d "$disk"
sg_vpd "$disk" | tee /run/pages
pages=$(sed -n 's/.* \[\([a-z0-9]*\)\]$/\1/p' /run/pages)
[ "$(wc -w <<<"$pages")" -ge 10 ] || fail "only these pages: $pages"
for page in $pages; do
    says . sg_vpd --page="$page" "$disk"
done
says 'NAA|EUI-64|T10 vendor' sg_vpd --page=di "$disk"
says 'Maximum unmap LBA count: [1-9]' sg_vpd --page=bl "$disk"
says 'Maximum compare and write length: [1-9]' sg_vpd --page=bl "$disk"
says 'Unmap command supported \(LBPU\): 1' sg_vpd --page=lbpv "$disk"
says "Device size: 67108864 bytes" sg_readcap --16 "$disk"
says 'Last LBA=131071 ' sg_readcap "$disk"
says 'LUN list length|lun' sg_luns "$disk"

step 'what it can do'
says 'Compare and write' sg_opcodes "$disk"
says 'Third party copy out|Extended copy' sg_opcodes "$disk"
says 'Persistent reserve out, register' sg_opcodes "$disk"
says 'Abort Task|Abort task' sg_opcodes --tmf "$disk"
says 'Caching' sg_modes -a "$disk"
says 'Supported log pages' sg_logs "$disk"
ends 0 sg_turs "$disk"
ends 0 sg_verify --lba=0 --count=128 "$disk"
ends 0 sg_requests "$disk"

step 'starting and stopping'
# By its other name: whenever the disk is closed by somebody who may have written, udev opens it to have a look, and the
# kernel starts a disk that is opened.
udevadm settle
generic=/dev/$(ls "/sys/class/block/${disk##*/}/device/scsi_generic")
ends 0 sg_start --stop "$generic"
ends 2 sg_turs "$generic"
ends 0 sg_start --start "$generic"
ends 0 sg_turs "$disk"

step 'WRITE SAME, UNMAP, GET LBA STATUS'
pattern 1 >/run/one
for _ in 1 2 3 4 5 6 7 8; do cat /run/one; done >/run/eight
ends 0 sg_write_same --in=/run/one --lba=800 --num=8 "$disk"
holds /run/eight "$disk" 800 8 'WRITE SAME wrote other data'
dd if=/dev/urandom of="$disk" bs=64k count=16 seek=16 oflag=direct status=none
says 'mapped' sg_get_lba_status --lba=2048 "$disk"
ends 0 sg_unmap --lba=2048 --num=2048 --force "$disk"
blocks "$disk" 2048 2048 | cmp -n $((2048 * 512)) - /dev/zero || fail 'unmapped blocks are not zeros'
sg_get_lba_status --lba=2048 "$disk" | tee /run/output
grep -qiE 'LBA: 0x0*800 .*(deallocated|unmapped)' /run/output || fail 'unmapped blocks are still mapped'

step 'COMPARE AND WRITE'
pattern 1 >/run/new
pattern 1 >/run/wrong
cat /run/one /run/new >/run/right-then-new
ends 0 sg_compare_and_write --in=/run/right-then-new --lba=800 --num=1 --xferlen=1024 "$disk"
holds /run/new "$disk" 800 1 'the new block is not there'
cat /run/wrong /run/one >/run/wrong-then-one
ends 14 sg_compare_and_write --in=/run/wrong-then-one --lba=800 --num=1 --xferlen=1024 "$disk"
holds /run/new "$disk" 800 1 'a comparison that failed changed the block'

step 'EXTENDED COPY from one disk to the other'
pattern 256 >/run/source
dd if=/run/source of="$disk" bs=512 seek=4096 oflag=direct status=none
ends 0 sg_xcopy if="$disk" of="$other" bs=512 skip=4096 seek=8192 count=256
holds /run/source "$other" 8192 256 'the copy differs'
says '.' sg_copy_results --params "$disk"
ends 0 ddpt if="$disk" of="$other" bs=512 skip=4096 seek=16384 count=256 iflag=xcopy
holds /run/source "$other" 16384 256 'the copy by ddpt differs'

step 'persistent reservations, registered by the one initiator that there is'
says 'no registered reservation keys' sg_persist --in --read-keys "$disk"
ends 0 sg_persist --out --register --param-sark=abc123 "$disk"
says '0xabc123' sg_persist --in --read-keys "$disk"
ends 0 sg_persist --out --reserve --param-rk=abc123 --prout-type=1 "$disk"
says 'type: Write Exclusive' sg_persist --in --read-reservation "$disk"
says 'Key=0xabc123' sg_persist --in --read-full-status "$disk"
says 'Persistent Reservations Out Supported|Persist Through Power Loss Capable' sg_persist --in --report-capabilities "$disk"
ends 24 sg_persist --out --release --param-rk=1 --prout-type=1 "$disk"
ends 0 sg_persist --out --release --param-rk=abc123 --prout-type=1 "$disk"
says 'there is NO reservation held' sg_persist --in --read-reservation "$disk"
ends 0 sg_persist --out --clear --param-rk=abc123 "$disk"
says 'no registered reservation keys' sg_persist --in --read-keys "$disk"

step 'a logical unit reset is told with the next command, and after it the disk works'
# The kernel may take the unit attention that it expects after a reset for itself; it says so then.
told() { dmesg | grep -c 'Power-on or device reset occurred'; }
before=$(told)
ends 0 sg_reset --device "$disk"
sg_verify --lba=0 --count=8 "$disk" || [ $? -eq 6 ] || fail 'the command after a reset failed'
[ "$(told)" -gt "$before" ] || fail 'nobody was told of the reset'
ends 0 sg_verify --lba=0 --count=8 "$disk"

step 'SANITIZE BLOCK ERASE leaves zeros'
# Without --early it would look once a minute whether the disk has done it.
ends 0 sg_sanitize --block --early --quick --quick "$other"
ready() { sg_turs "$other"; }
wait_until 60 'the disk is ready again' ready
blocks "$other" 8192 256 | cmp -n $((256 * 512)) - /dev/zero || fail 'the copy is still there'
logout
