# A command that fails, fails the scenario, and the guest is of use afterwards.
# limit: 30
# expect: FAIL line \d+ of 02-fails.sh: "false" ended with 1

export_disk disk 64M
connect
ip link set vec0 down
false
