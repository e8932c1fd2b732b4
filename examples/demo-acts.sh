# SPDX-License-Identifier: Apache-2.0
#
# The acts of ./demo, inside its scope. Every act says in one line what was measured; one that does
# not hold says what was expected and what happened, and ends the demo. Nothing waits for a time:
# a line of a program that runs, a change that outboardctl monitor prints, the end of a process.
# demo-acts.sh TOP BUILD LOG
set -u
top=$1 build=$2
source "$top/test/lib/outboardd.sh"
log=$3
agent=org.example.ProcessMonitor.agent
app=$OUTBOARD_ROOT/opt/ProcessMonitor.app
program=$app/Contents/MacOS/ProcessMonitor
chmod 755 "$work"

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
start() { began=$(now_ms); }
did() { printf '%6d ms  %s\n' $(($(now_ms) - began)) "$*"; }
show() { sed 's/^/             | /'; } # what a program printed

fail() { # WHAT EXPECTED HAPPENED
	timeout 10 outboardctl log --lines 100 >>"$log" 2>&1
	printf 'FAILED: %s\n  expected: %s\n  happened: %s\n  log: %s\n' "$1" "$2" "${3:-nothing}" "$log"
	exit 1
}

lists() { # PATTERN
	systemextensionsctl list >"$work/list" 2>&1
	expect "systemextensionsctl list" "$1" "$(cat "$work/list")"
}

# USER NAME: a value of what the extension says of itself
told() { as-user "$1" "$program" status 2>&1 | tr ' ' '\n' | sed -n "s/^$2=//p"; }

place() { # VERSION: as an installer does: beside, then in its place at once
	rm -rf "$app.new" "$app.old"
	cp -r "$work/$1/ProcessMonitor.app" "$app.new"
	[ ! -e "$app" ] || mv "$app" "$app.old"
	mv "$app.new" "$app"
	rm -rf "$app.old"
}

act_verify() {
	local text version
	start
	team_start demo
	for version in 1.0 2.0; do
		cp -r "$build/examples/ProcessMonitor/ProcessMonitor-$version" "$work/$version"
		text=$work/$version/ProcessMonitor.app
		sign "$text/Contents/Library/SystemExtensions/$agent.systemextension" \
			"$top/examples/ProcessMonitor/agent/agent.entitlements"
		sign "$text" "$top/examples/ProcessMonitor/ProcessMonitor.entitlements"
	done
	did "signed two versions of ProcessMonitor.app with a team's key"
	start
	text=$(outboardctl verify "$work/1.0/ProcessMonitor.app" 2>&1) || fail "verify" "exit 0" "$text"
	did "verified: $(head -n 1 <<<"$text" | sed "s,^.*\.systemextension: ,,")"
	start
	cp -r "$work/1.0" "$work/tampered"
	printf '\1' | dd of="$work/tampered/ProcessMonitor.app/Contents/MacOS/ProcessMonitor" bs=1 \
		seek=4096 conv=notrunc status=none
	text=$(outboardctl verify "$work/tampered/ProcessMonitor.app" 2>&1) &&
		fail "one byte changed" "refused" "$text"
	expect "one byte changed" 'Contents/MacOS/ProcessMonitor' "$text"
	did "one byte changed: $(head -n 1 <<<"${text//$work\//}")"
}

act_activate() {
	start
	# What may be asked about lies on a file system of the scope's own; and all that is written is kept.
	mkdir -p "$OUTBOARD_ROOT/etc/outboard/conf.d"
	printf '%s\n' '[endpoint]' "scope_filesystems = $OUTBOARD_ROOT" '[log]' 'lines_per_second = 100000' \
		'bytes_per_second = 64M' >"$OUTBOARD_ROOT/etc/outboard/conf.d/demo.conf"
	outboardd_start
	did "outboardd is up, pid $outboardd_pid"
	monitor_start
	place 1.0
	start
	app_start alice "$program"
	app_await 'requires user approval'
	did "alice's app asks: $line"
	lists 'activated waiting for user'
	show <"$work/list"
	start
	outboardctl approve $agent --yes >>"$log" 2>&1 || fail "approve" "exit 0" "$(tail -n 1 "$log")"
	app_await 'done'
	until_property "running" $agent running true
	did "root approves; alice's app hears: $line"
	app_ended 0
	pid=$(running_pid $agent)
	lists 'activated enabled'
	tail -n 1 "$work/list" | show
}

act_again() { # USER
	local text
	start
	text=$(as-user "$1" "$program" 2>&1) || fail "$1 asks" "exit 0" "$text"
	expect "$1 asks" approval "$text" not
	[ "$(running_pid $agent)" = "$pid" ] || fail "$1 asks" "pid $pid goes on" "$(running_pid $agent)"
	did "$1's app asks: $(head -n 1 <<<"$text"); the same pid $pid, and nobody was asked"
}

act_upgrade() {
	local text
	place 2.0
	start
	text=$(as-user alice "$program" 2>&1) || fail "upgrade" "exit 0" "$text"
	expect "upgrade" 'replacing 1.0 by 2.0' "$text"
	until_property "upgrade" $agent running_version '^2\.0'
	did "$(grep -m 1 replacing <<<"$text"); pid $pid is now $(running_pid $agent)"
	[ "$(told bob version)" = 2.0 ] || fail "bob asks the service" "2.0" "$(told bob version)"
}

act_remove() {
	start
	rm -rf "$app"
	until_property "removal" $agent identifier '^$'
	lists '^0 extension'
	did "rm -rf ProcessMonitor.app: its extension has ended and is gone: $(cat "$work/list")"
	start
	outboardd_stop
	did "outboardd has ended with $?"
}

# shellcheck source=examples/demo-endpoint.sh
. "$top/examples/demo-endpoint.sh"
programs_place
act_verify
act_activate
act_again alice
act_sees
act_thousand
act_denies
act_again bob
act_kill_extension
act_kill_broker
act_kill_outboardd
act_silent
act_upgrade
act_remove
exec {monitor_fd}<&-
