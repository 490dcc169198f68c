# SendTargets over each portal names the target with every portal, and nothing else.
# limit: 30

export_disk disk 64M
for portal in $PORTAL0 $PORTAL1; do
    discover "$portal" | tee /run/found
    cut -d' ' -f2 /run/found | sort -u >/run/targets
    echo $IQN | cmp - /run/targets || fail "discovery over $portal must name $IQN alone"
    grep -q "^$portal," /run/found || fail "discovery over $portal doesn't name that portal"
done

needs all-portals
for portal in $PORTAL0 $PORTAL1; do
    discover "$portal" >/run/found
    for expected in $PORTAL0 $PORTAL1; do
        grep -q "^$expected," /run/found || fail "discovery over $portal doesn't name the portal $expected"
    done
done
