# A target that stops answering (SIGSTOP): the initiator's keepalive notices, and I/O ends well when it is back.
# limit: 90

export_disk disk 96M
connect
start_verified_io "$DISK"
host freeze
wait_until 20 'I/O waits for the target' io_is_waiting "$DISK"
wait_until 30 'the initiator notices' session_down
still_verifying
stalled=$(completed "$DISK")
host thaw
wait_until 60 'I/O resumes' advanced_beyond "$DISK" "$stalled"
finish_verified_io
logout
