# Mutual CHAP: the target proves itself too, and the initiator refuses one that can't.
# limit: 60

export_disk disk 64M alice opensesame1234 tidelock iamthetarget99
discover
set_node $PORTAL0 node.session.auth.authmethod CHAP
set_node $PORTAL0 node.session.auth.username alice
set_node $PORTAL0 node.session.auth.password opensesame1234
set_node $PORTAL0 node.session.auth.username_in tidelock
set_node $PORTAL0 node.session.auth.password_in iamthetarget99
login
find_disk 0
run dd if="$DISK" of=/dev/null bs=64k count=1 iflag=direct status=none
logout

step 'the initiator expects another secret of the target'
set_node $PORTAL0 node.session.auth.password_in somebodyelse99
refused 'login failed|authorization failure|iSCSI login' login

step 'the initiator has a wrong secret itself'
set_node $PORTAL0 node.session.auth.password_in iamthetarget99
set_node $PORTAL0 node.session.auth.password opensesame9999
refused 'authorization failure' login
