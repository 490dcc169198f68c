# After a failure the next scenario finds a clean guest and a fresh target.
# limit: 30
# expect: PASS

[ -z "$(ls /sys/class/iscsi_session)" ] || fail 'a session was left'
export_disk disk 64M
connect
discover $PORTAL6
