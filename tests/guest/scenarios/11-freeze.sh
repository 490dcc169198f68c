# A target that stops answering (SIGSTOP): the initiator's keepalive notices, and I/O ends well when it is back.
# limit: 90

export_disk disk 96M
connect
start_verified_io "$DISK"
host freeze
outlast "$DISK" 30 1
host thaw
wait_until 60 'I/O resumes' advanced_beyond "$DISK" "$STALLED"
finish_verified_io
logout
