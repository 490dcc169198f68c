# An orderly stop and start (SIGTERM) in mid-I/O: the initiator comes back by itself and nothing is lost.
# limit: 90

export_disk disk 96M
connect
start_verified_io "$DISK"
host stop
outlast "$DISK" 20 1
host start
wait_until 60 'I/O resumes' advanced_beyond "$DISK" "$STALLED"
finish_verified_io
logout
