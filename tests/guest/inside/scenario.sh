# Runs one scenario file with the library loaded, and notes why it failed.

set -Eeuo pipefail
source /harness/inside/lib.sh
ps -o sid= -p $$ | tr -d ' ' >/run/scenario.session
trap 'note "line $LINENO of ${BASH_SOURCE##*/}: \"$BASH_COMMAND\" ended with $?"' ERR
source "/harness/$1"
