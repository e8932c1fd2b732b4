#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The scope holds what test/README.md promises: what a command leaves behind is named and ended,
# a command that leaves nothing passes, and a scope whose owner was killed is reaped.
# test-scope.sh FOLDER-OF-HELPERS
set -u
lib=$1 failed=0
scope=$lib/scope

says() { # NAME CODE PATTERN COMMAND...: the scope's exit code and what it writes
	local name=$1 code=$2 pattern=$3 text got
	shift 3
	text=$("$scope" "$@" 2>&1)
	got=$?
	if [ "$got" -eq "$code" ] && grep -qE -e "$pattern" <<<"$text"; then
		echo "ok: $name"
	else
		echo "FAILED: $name: expected exit $code and /$pattern/, got exit $got and: $text"
		failed=1
		return 1
	fi
}

# What waits for the two seconds that a scope gives to what is left, waits beside the others.
meanwhile=()
later() {
	says "$@" &
	meanwhile+=($!)
}

"$scope" -- true
[ $? -eq 77 ] && exit 77

says "nothing left" 0 '^$' -- true
says "the command's own code" 9 '^$' -- bash -c 'exit 9'
says "no such command" 127 'nonesuch' -- nonesuch
later "a process" 125 'left behind: process [0-9]+ sleep 777' -- bash -c 'setsid sleep 777 & exit 0'
later "a process in a cgroup of its own" 125 'process [0-9]+ sleep 778' -- \
	bash -c "setsid $lib/in-cgroup service sleep 778 & exit 0"
later "the command's failure wins" 3 'process [0-9]+ sleep 779' -- \
	bash -c 'setsid sleep 779 & exit 3'
says "a process that ends by itself" 0 '^$' -- bash -c 'setsid sleep 0.2 & exit 0'
says "a mount" 125 'left behind: mount /tmp/m' -- \
	bash -c 'mkdir /tmp/m && mount -n -t tmpfs x /tmp/m'
says "a file in /run" 125 'left behind: file /run/x' -- touch /run/x
says "a cgroup" 125 'left behind: cgroup .*/service/child' -- \
	bash -c 'mkdir -p "$SCOPE_CGROUP/service/child"'
says "a service's own cgroup" 0 '^$' -- bash -c 'mkdir -p "$SCOPE_CGROUP/service/daemon"'
says "the id" 0 '^$' -- bash -c '[ "$(stat -c %i "$SCOPE_CGROUP")" = "$SCOPE_CGROUP_ID" ]'
says "loopback" 0 'LOOPBACK,UP' -- ip link show lo
says "its own root" 0 'tmpfs' -- bash -c 'stat -f -c %T "$OUTBOARD_ROOT"'
says "alice" 0 '^2001 3001 3001 4001$' --users -- \
	"$lib/as-user" alice bash -c 'echo "$(id -u) $(id -g) $(id -G)"'
says "alice has no power" 1 'denied' --users -- "$lib/as-user" alice mkdir /tmp/outboard/x
says "no alice without --users" 126 'no such user' -- "$lib/as-user" alice true
says "a new session" 0 '^same$' --users -- "$lib/as-user" bob \
	bash -c 'read -r _ _ _ _ _ sid _ </proc/self/stat; [ "$sid" = $$ ] && echo same'
says "where a service starts" 0 '/service$' -- \
	"$lib/in-cgroup" service grep '^0::' /proc/self/cgroup

says "a path that comes" 0 '^$' -- bash -c \
	"$lib/await-path /tmp/a/b/c & mkdir -p /tmp/a/b; touch /tmp/a/b/c; wait \$!"
says "a path that goes" 0 '^$' -- bash -c \
	"touch /tmp/a; $lib/await-path --gone /tmp/a & rm /tmp/a; wait \$!"
later "a path that does not come" 1 'timed out' -- "$lib/await-path" --seconds 1 /tmp/a/b

for job in "${meanwhile[@]}"; do
	wait "$job" || failed=1
done

# Killed: the world inside ends with its owner, and the next scope takes the folders away.
exec {pipe}< <(exec "$scope" -- bash -c 'echo "$SCOPE_CGROUP"; exec sleep 600')
owner=$!
read -r folder <&"$pipe"
kill -9 "$owner"
cat <&"$pipe" >/dev/null # the end of the file: nobody inside holds it any more
"$scope" -- true
if [ -n "$folder" ] && [ ! -e "$folder" ]; then
	echo "ok: a killed owner"
else
	echo "FAILED: a killed owner: $folder is still there"
	failed=1
fi
exit $failed
