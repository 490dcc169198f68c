# A daemon that is gone at the end fails the scenario, whatever the guest says.
# limit: 30
# expect: FAIL the target isn't running

export_disk disk 64M
host kill
