# Access by subnet, CHAP for discovery, and redirection: who may not come in doesn't, who is sent on gets there.
# limit: 120

needs full-conformance
host volume disk 64M
host target $IQN
host map $IQN disk "$(lun 0)"

step 'a subnet that the initiator is not in, then its own'
host tidelock acl allow $IQN '*' --subnet 10.99.0.0/16
iscsiadm -m node -T $IQN -p $PORTAL0,1 -o new >/dev/null
refused 'authorization failure|non-retryable' login
host tidelock acl allow $IQN '*' --subnet 10.77.0.0/24
login
find_disk 0
run dd if="$DISK" of=/dev/null bs=64k count=1 iflag=direct status=none
logout
step 'the other network is not let in'
iscsiadm -m node -T $IQN -p $PORTAL1,1 -o new >/dev/null
refused 'authorization failure|non-retryable' login $PORTAL1

step 'CHAP for discovery'
host secret discovery opensesame1234
host tidelock acl allow discovery '*' --chap-user finder --chap-secret-file "$HOST_SAYS"
refused 'Login failed to authenticate|authorization|authentication' discover
sed -i '/^discovery.sendtargets.auth/d' /etc/iscsi/iscsid.conf
cat >>/etc/iscsi/iscsid.conf <<'CONF'
discovery.sendtargets.auth.authmethod = CHAP
discovery.sendtargets.auth.username = finder
discovery.sendtargets.auth.password = opensesame1234
CONF
discover | tee /run/found
sed -i '/^discovery.sendtargets.auth/d' /etc/iscsi/iscsid.conf
grep -qF "$IQN" /run/found || fail 'discovery with the right secret found nothing'

step 'redirection to the other portal'
host tidelock acl allow $IQN '*' --subnet 10.77.0.0/16
host tidelock target redirect $IQN 10.77.1.1:3260
login
find_disk 0
iscsiadm -m session -P 1 | tee /run/output
grep -qE 'Current Portal: 10\.77\.1\.1:3260' /run/output || fail 'the session is not with the portal that it was sent to'
grep -qE 'Persistent Portal: 10\.77\.0\.1:3260' /run/output || fail 'the initiator was to be sent on from the first portal'
run dd if="$DISK" of=/dev/null bs=64k count=1 iflag=direct status=none
logout
host tidelock target redirect $IQN --off
login
iscsiadm -m session -P 1 | grep -qE 'Current Portal: 10\.77\.0\.1:3260' || fail 'sent on, though that was switched off'
logout
