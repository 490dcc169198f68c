# SendTargets over each portal names the target with every portal, and nothing else.
# limit: 30

names() { grep -qF "$1," /run/found || fail "discovery over $portal doesn't name the portal $1"; }

export_disk disk 64M
for portal in $PORTAL0 $PORTAL1 $PORTAL6; do
    discover "$portal" | tee /run/found
    cut -d' ' -f2 /run/found | sort -u >/run/targets
    echo $IQN | cmp - /run/targets || fail "discovery over $portal must name $IQN alone"
    names "$portal"
done

needs all-portals
for portal in $PORTAL0 $PORTAL1 $PORTAL6; do
    discover "$portal" >/run/found
    for expected in $PORTAL0 $PORTAL1 $PORTAL6; do
        names "$expected"
    done
    [ "$(wc -l </run/found)" = 3 ] || fail "discovery over $portal names other than the three portals"
done
