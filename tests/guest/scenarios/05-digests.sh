# Header and data digests, each alone and both together, under verified I/O.
# limit: 120

export_disk disk 96M
discover
for digests in 'CRC32C None' 'None CRC32C' 'CRC32C CRC32C'; do
    read -r header data <<<"$digests"
    step "header digest $header, data digest $data"
    set_node $PORTAL0 'node.conn[0].iscsi.HeaderDigest' "$header"
    set_node $PORTAL0 'node.conn[0].iscsi.DataDigest' "$data"
    login
    find_disk 0
    iscsiadm -m session -P 2 | grep Digest
    iscsiadm -m session -P 2 | grep -qx "[[:space:]]*HeaderDigest: $header" || fail "HeaderDigest isn't $header"
    iscsiadm -m session -P 2 | grep -qx "[[:space:]]*DataDigest: $data" || fail "DataDigest isn't $data"
    verified_io "$DISK" --size=4M
    logout
done
