#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Which program the executable of an activated bundle is, to a client of Endpoint Security: its
# identifier and team from its first exec on, again after outboardd's manager and outboard-esd were
# killed, and no longer when it is not active; the same content elsewhere is nobody's. In a scope.
# test-identity.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
[ -e /sys/kernel/btf/vmlinux ] || { echo "test-identity: needs a kernel with BTF (/sys/kernel/btf/vmlinux)"; exit 77; }
id=org.example.identity.agent
agent=$build/test/agents/agent-silent
printer=$build/endpoint/test-endpoint-identity
staged=$OUTBOARD_ROOT/var/lib/outboard/extensions
hash=$(sha256sum "$agent" | cut -d ' ' -f 1)
unknown='- - 0 -'

# A client that prints: "exec PATH SIGNING-ID TEAM FLAGS HASH".
client_start() {
	mkfifo "$work/ask" "$work/said"
	outboardctl dev run --entitlement com.apple.developer.endpoint-security.client -- \
		"$printer" print <"$work/ask" >"$work/said" 2>>"$log" &
	app_pid=$!
	exec {ask}>"$work/ask" {app_fd}<"$work/said"
	rm "$work/ask" "$work/said"
}

# Start it, and again while it is not known yet, or the client is not told of anything because its
# outboard-esd is a new one; it is ended each time.
run_until() { # WHAT PATTERN PROGRAM
	local deadline=$((SECONDS + wait_s)) pid
	while [ $SECONDS -lt $deadline ]; do
		"$3" &
		pid=$!
		while IFS= read -r -t 2 -u "$app_fd" line && [[ $line != "exec $3 "* ]]; do
			echo "app: $line" >>"$log"
		done
		echo "app: $line" >>"$log"
		kill -9 $pid
		wait $pid 2>>"$log"
		[[ $line != "exec $3 "* || $line == *" $unknown" ]] || break
	done
	expect "$1" "^exec $3 $2\$" "$line"
}

outboardd_start
outboardctl developer on >>"$log" 2>&1 || fail "developer on" "exit 0" "$(tail -n 1 "$log")"
monitor_start # before the client, of whose pipes it would hold an end
client_start
app_await '^ready$'
team_start identity
app_install "$OUTBOARD_ROOT/opt" identity 1.0-1 "$agent"
outboardctl activate "$OUTBOARD_ROOT/opt/identity.app" $id --wait >>"$log" 2>&1 ||
	fail "activate" "exit 0" "$(tail -n 1 "$log")"
team=$(property $id team)
is_bundle="$id $team 0x20000001 $hash"

# Its first exec: it is known, or is not known yet; it is never nobody's.
app_await "^exec $staged/"
path=$(cut -d ' ' -f 2 <<<"$line")
expect "its first exec" "^exec [^ ]+ ($is_bundle|$unknown)\$" "$line"
run_until "the bundle's executable" "$is_bundle" "$path"

cp "$agent" "$work/elsewhere"
run_until "the same content elsewhere" "- - 0x2 $hash" "$work/elsewhere"

# On FUSE nothing is read, not even before what was asked for after it: its server could let it wait.
if [ -x "$build/test/lib/eio-fs" ]; then
	mkdir "$work/plain" "$work/disk"
	cp "$agent" "$work/plain/agent"
	if eio-fs "$work/plain" "$work/disk" none 2>>"$log"; then
		"$work/disk/agent" &
		on_disk=$!
		app_await "^exec $work/disk/agent "
		cp "$agent" "$work/after"
		run_until "what comes after a program on FUSE" "- - 0x2 $hash" "$work/after"
		"$work/disk/agent" &
		app_await "^exec $work/disk/agent "
		expect "a program on FUSE" " $unknown\$" "$line"
		kill -9 $on_disk $!
		wait $on_disk $! 2>>"$log"
		umount "$work/disk"
	fi
fi

# The outboard-esd after this one is told again, and so is this one by the manager after this one.
esd=$(pgrep -P "$outboardd_pid" -f outboard-esd)
worker=$(pgrep -P "$esd" -f outboard-identity-worker)
kill -9 "$esd"
deadline=$((SECONDS + wait_s))
while [ -e "/proc/$esd" ] || [ -e "/proc/$worker" ]; do
	[ $SECONDS -lt $deadline ] || fail "outboard-esd is killed" "its worker ends with it" "$(ps -o args "$worker")"
done
run_until "with another outboard-esd" "$is_bundle" "$path"
outboardd_kill_manager
until outboardctl status >>"$log" 2>&1; do :; done
run_until "with another manager" "$is_bundle" "$path"

outboardctl disable $id >>"$log" 2>&1 || fail "disable" "exit 0" "$(tail -n 1 "$log")"
until_property "it is disabled" $id state '^activated_disabled$'
run_until "a bundle that is not active" "- - 0x2 $hash" "$path"

exec {ask}>&-
app_ended 0
outboardctl reset --yes >>"$log" 2>&1
outboardd_stop
echo "ok"
