#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The registry's disk is full, and the registry is lost: what runs goes on, a request says what is
# wrong, and can be completed afterwards. In a scope with users.
# test-registry.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents opt=$OUTBOARD_ROOT/opt state=$OUTBOARD_ROOT/var/lib/outboard
id=org.example.registry.agent app=$opt/registry.app

fill() {
	dd if=/dev/zero of="$OUTBOARD_ROOT/fill" bs=1M 2>/dev/null
	dd if=/dev/zero of="$OUTBOARD_ROOT/fill-rest" bs=512 2>/dev/null
}

ask() { as-user alice "$app/Contents/MacOS/app" activate $id replace 10; }

outboardd_start
team_start registry
app_install "$opt" registry 1.0-1 "$agents/agent-silent"

fill
said=$(ask)
expect "activation on a full disk" '^failed 1 (registry|staging).no-space ' "$said"
rm "$OUTBOARD_ROOT"/fill*
expect "nothing is left of it" '^$' "$(ls "$state/extensions")"
outboardctl activate --wait "$app" >>"$log" 2>&1 || fail "activate" "exit 0" "$(tail -n 1 "$log")"
until_property "with room" $id state '^activated_enabled$'
pid=$(running_pid $id)

fill
said=$(ask)
expect "what is active is answered" '^finished 0$' "$said"
said=$(outboardctl disable $id 2>&1)
expect "what must be written is refused" "$id: the disk of the registry is full.*\\(registry.no-space, error 1\\)" "$said"
expect "and nothing has changed" '^activated_enabled$' "$(property $id state)"
kill -9 "$pid"
until_property "started again on a full disk" $id pid '^[1-9]'
while [ "$value" = "$pid" ]; do # its end has not been seen yet
	read -r -t 1 -u "$monitor_fd" _
	until_property "started again on a full disk" $id pid '^[1-9]'
done
pid=$value
outboardd_kill_manager
until_property "found by the next manager" $id pid "^$pid\$"
rm "$OUTBOARD_ROOT"/fill*

# A cgroup that no row knows, with processes that are still ending when it is swept first.
known=$(find "$SCOPE_CGROUP" -type d -name 'extension-*')
stranger=$(dirname "$known")/extension-00000000-0000-4000-8000-000000000000
mkdir "$stranger"
for _ in {1..20}; do
	sh -c 'echo $$ >"$1/cgroup.procs"; exec sleep 600' sh "$stranger" &
done
until [ "$(wc -l <"$stranger/cgroup.procs")" = 20 ]; do :; done
outboardd_kill_manager
deadline=$((SECONDS + wait_s))
while [ -e "$stranger" ]; do
	[ $SECONDS -lt $deadline ] || fail "a cgroup that no row knows" "none" "$stranger: $(cat "$stranger/cgroup.procs")"
	read -r -t 0.05 <> <(:)
done
expect "that of the extension" '^[1-9]' "$(cat "$known/cgroup.procs")"

# Not readable any more: it is put aside, what runs keeps its process and gets a new row.
manager=$(pgrep -P "$outboardd_pid" -f outboardd-manager)
kill -STOP "$manager"
rm -f "$state"/registry.db-*
printf 'garbage %.0s' {1..64} >"$state/registry.db"
kill -9 "$manager"
until_property "the registry is lost" $id state '^activated_enabled$'
expect "the same process" "^$pid\$" "$(running_pid $id)"
expect "how it came to be approved" 'recovered' "$(property $id approved_by)"
[ "$(find "$state" -name 'registry.db.bad-*' | wc -l)" -ge 1 ] || fail "the old one" "put aside" "none"
said=$(ask)
expect "its app asks" '^finished 0$' "$said"
expect "and is known again" '/registry.app$' "$(property $id app_path)"

outboardctl uninstall $id >>"$log" 2>&1
until_property "removed" $id identifier '^$'
outboardd_stop

# Of a newer Outboard: left alone, and outboardd says so.
sqlite3 "$state/registry.db" 'PRAGMA user_version = 99' 2>/dev/null || { echo "ok (no sqlite3: newer version not tried)"; exit 0; }
in-cgroup outboardd "$OUTBOARD_LIBEXEC/outboardd" --log-stderr >"$work/newer" 2>&1 &
newer=$!
deadline=$((SECONDS + wait_s))
until grep -q REGISTRY_NEWER "$work/newer"; do
	[ $SECONDS -lt $deadline ] || fail "a newer registry" "REGISTRY_NEWER" "$(cat "$work/newer")"
	read -r -t 1 <> <(:)
done
kill $newer
wait $newer
echo "ok"
