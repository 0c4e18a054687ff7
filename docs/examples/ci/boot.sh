#!/bin/sh
# boot.sh BOARD COMMAND [CHAIN]: boot a board's image in QEMU, run COMMAND in it, and leave results/ for the CI to keep.
set -u
if [ $# -lt 2 ]; then
    echo "usage: boot.sh board command [chain]" >&2
    exit 100
fi
board=$1 command=$2 chain=${3:-direct}
cd "$(dirname "$0")/../../.." || exit 111
mkdir -p results

began=$(date +%s)
./inv boot --board "$board" --chain "$chain" --run "$command" --json --events results/events.jsonl \
    --timeout "${TIMEOUT:-600}" >results/output.jsonl 2>results/errors.txt
status=$?
seconds=$(($(date +%s) - began))
cat results/errors.txt >&2

folder=build/$board
[ "$chain" = direct ] || folder=$folder/$chain
[ ! -e "$folder/manifest.json" ] || cp "$folder/manifest.json" results/

# JUnit's XML: what most services show. Output is text of a machine: what XML cannot hold is left out.
escaped() { tr -d '\000-\010\013\014\016-\037' <"$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g'; }
failures=0
[ $status = 0 ] || failures=1
{
    echo '<?xml version="1.0" encoding="UTF-8"?>'
    echo "<testsuite name=\"initfs\" tests=\"1\" failures=\"$failures\" time=\"$seconds\">"
    echo "<testcase classname=\"$board\" name=\"$chain\" time=\"$seconds\">"
    [ $status = 0 ] || echo "<failure message=\"exit status $status\"/>"
    printf '<system-out>' && escaped results/output.jsonl && echo '</system-out>'
    printf '<system-err>' && escaped results/errors.txt && echo '</system-err>'
    echo '</testcase></testsuite>'
} >results/junit.xml
exit $status
