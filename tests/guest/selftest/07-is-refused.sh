# What the host can't do fails the scenario, with the host's reason.
# limit: 30
# expect: FAIL host map \S+ nothing 0: .*

host map $IQN nothing 0
