# One-way CHAP: the right secret gets in, with each algorithm; a wrong one, or none, is refused.
# limit: 120

authenticate() {
    set_node $PORTAL0 node.session.auth.authmethod CHAP
    set_node $PORTAL0 node.session.auth.username "$1"
    set_node $PORTAL0 node.session.auth.password "$2"
}

export_disk disk 64M alice opensesame1234
discover

step 'no credentials'
refused 'authorization failure|login failed' login

step 'a wrong secret'
authenticate alice opensesame9999
refused 'authorization failure' login

step 'a wrong user'
authenticate mallory opensesame1234
refused 'authorization failure' login

step 'the right secret, MD5'
authenticate alice opensesame1234
set_node $PORTAL0 node.session.auth.chap_algs MD5
login
find_disk 0
run dd if="$DISK" of=/dev/null bs=64k count=1 iflag=direct status=none
logout

needs chap-sha
for algorithm in SHA1 SHA256 SHA3-256; do
    step "the right secret, $algorithm"
    set_node $PORTAL0 node.session.auth.chap_algs $algorithm
    login
    logout
    step "a wrong secret, $algorithm"
    authenticate alice opensesame9999
    refused 'authorization failure' login
    authenticate alice opensesame1234
done
