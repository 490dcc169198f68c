# A scenario that doesn't end is ended.
# limit: 2
# expect: FAIL not finished within 2 s

sleep 100
