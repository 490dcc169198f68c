# A guest whose kernel panics fails the scenario and is replaced.
# limit: 30
# expect: FAIL the guest died

echo c >/proc/sysrq-trigger
