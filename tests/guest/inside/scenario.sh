# Runs one scenario file with the library loaded, and notes why it failed.

set -Eeuo pipefail
source /harness/inside/lib.sh
read -ra fields </proc/$$/stat
# proc(5): the sixth is the session.
echo "${fields[5]}" >/run/scenario.session
trap 'note "line $LINENO of ${BASH_SOURCE##*/}: \"$BASH_COMMAND\" ended with $?"' ERR
source "/harness/$1"
