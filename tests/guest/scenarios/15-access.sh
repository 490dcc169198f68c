# Only initiators on the list see a target and get in, and a target that isn't there is said not to be.
# limit: 60

host volume disk 64M
host target $IQN
host map $IQN disk "$(lun 0)"

step 'nobody is on the list'
refused 'No portals found|no records|authorization|cannot find' discover
iscsiadm -m node -T $IQN -p $PORTAL0,1 -o new >/dev/null
refused 'authorization failure|no longer|login failed|not found|non-retryable' login

step 'somebody else is on the list'
host allow $IQN iqn.2026-11.test.guest:somebody-else
refused 'No portals found|no records|authorization|cannot find' discover
iscsiadm -m node -T $IQN -p $PORTAL0,1 -o new >/dev/null 2>&1 || true
refused 'authorization failure|non-retryable' login

step 'this initiator is on the list'
host allow $IQN $INITIATOR
connect
logout

step 'a target that does not exist'
iscsiadm -m node -T $IQN.none -p $PORTAL0,1 -o new >/dev/null
refused 'login failed|not found|non-retryable' iscsiadm -m node -T $IQN.none -p $PORTAL0 --login
