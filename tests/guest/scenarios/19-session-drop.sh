# The operator drops the session in mid-I/O: the initiator logs in again by itself and nothing is lost.
# limit: 90

needs session-drop
export_disk disk 96M
connect
start_verified_io "$DISK"
host drop
wait_until 20 'the initiator notices' logged 'detected conn error|requests logout'
advances "$DISK" 1 60
still_verifying
finish_verified_io
logout
