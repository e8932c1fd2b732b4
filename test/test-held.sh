#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Nobody is held for longer than two seconds by an outboard-esd that is killed, stopped or stuck, and
# its clients come back by themselves. What is asked about is one file system of the scope.
# test-held.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
guard=$build/test/agents/test-guard
field=$OUTBOARD_ROOT/run/field
held_ms=4000 # two seconds, and for a guest to end a process
wait_s=60 # outboard-esd begins several times, which takes a guest long
[ -e /sys/kernel/btf/vmlinux ] || { echo "test-held: needs a kernel with BTF"; exit 77; }

client_start() {
	mkfifo "$work/ask" "$work/said"
	outboardctl dev run --entitlement com.apple.developer.endpoint-security.client -- "$guard" \
		<"$work/ask" >"$work/said" 2>>"$log" &
	app_pid=$!
	exec {ask}>"$work/ask" {app_fd}<"$work/said"
	rm "$work/ask" "$work/said"
	app_await '^guards$'
}

esd_find() {
	esd=$(pgrep -P "$outboardd_pid" -f outboard-esd) ||
		fail "outboard-esd" "one" "$(ps --ppid "$outboardd_pid" -o pid,args)"
}

# A program that is held, until it has run.
held_start() {
	held_since=${EPOCHREALTIME/[.,]/}
	"$field/good" {ask}>&- &
	held_pid=$!
}
held_end() { # WHAT MILLISECONDS
	local code took
	wait "$held_pid"
	code=$?
	took=$(((${EPOCHREALTIME/[.,]/} - held_since) / 1000))
	[ $code = 0 ] || fail "$1: the program" "exit 0" "exit $code"
	[ $took -lt "$2" ] || fail "$1: the program" "let go within $2 ms" "after $took ms"
	echo "$1: held for $took ms"
}

# The client is asked again, by the next outboard-esd. Whoever was not asked was let on meanwhile.
comes_back() { # WHAT
	local deadline=$((SECONDS + wait_s)) before=$esd
	line=
	until [ "$line" = asked ]; do
		[ $SECONDS -lt $deadline ] || fail "$1" "the client is asked again" "nothing"
		"$field/good" {ask}>&- || fail "$1: a program" "exit 0" "exit $?"
		read -r -t 0.2 -u "$app_fd" line || line=
	done
	while read -r -t 0 -u "$app_fd"; do read -r -u "$app_fd" line; done
	esd_find
	[ "$esd" != "$before" ] || fail "$1" "another outboard-esd" "the same"
}

mkdir -p "$field" "$OUTBOARD_ROOT/etc/outboard/conf.d"
mount -t tmpfs field "$field"
cp /bin/true "$field/good"
printf '[endpoint]\nscope_filesystems = %s\n' "$field" >"$OUTBOARD_ROOT/etc/outboard/conf.d/field.conf"
outboardd_start
outboardctl developer on >>"$log" 2>&1 || fail "developer on" "exit 0" "$(tail -n 1 "$log")"
client_start
esd_find
held_start
app_await '^asked$'
held_end "answered" 2000

# Killed while somebody waits for an answer that never comes.
echo silent >&"$ask"
app_await '^silent$'
held_start
app_await '^asked$'
kill -9 "$esd"
held_end "killed" 2000
echo answer >&"$ask"
app_await '^answer$'
comes_back "killed"

# Stopped before anybody came, and while somebody waits.
kill -STOP "$esd"
held_start
held_end "stopped" $held_ms
comes_back "stopped"
echo silent >&"$ask"
app_await '^silent$'
held_start
app_await '^asked$'
kill -STOP "$esd"
held_end "stopped with a question" $held_ms
echo answer >&"$ask"
app_await '^answer$'
comes_back "stopped with a question"

# One thread alone: the loop goes on, and says that all is well.
mkfifo "$work/stop" "$work/stopped"
stop-thread "$esd" decide <"$work/stop" >"$work/stopped" 2>>"$log" &
stop_pid=$!
exec {stop}>"$work/stop" {stopped}<"$work/stopped"
read -r -t $wait_s -u "$stopped" line || fail "stop-thread" "stopped" "nothing"
held_start
held_end "stuck" $held_ms
exec {stop}>&- {stopped}<&-
wait $stop_pid
comes_back "stuck"

expect "what the log says" 'a broker does nothing while others wait for it, and is killed' "$(cat "$log")"
exec {ask}>&-
wait "$app_pid"
outboardd_stop
# It ends with outboard-esd, but not in the middle of a file.
pgrep -f outboard-identity-worker | while read -r pid; do tail --pid="$pid" -f /dev/null; done
umount -l "$field" # of outboard-esd, which outboardd takes with it, something may still be there
echo "ok"
