# Random reads and writes at QD32 by four jobs: every block is what was last written to it.
# limit: 90

export_disk disk 96M
connect
verified_io "$DISK"
logout
