#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a client of Endpoint Security is told that cannot be one, or whose outboard-esd is stopped or
# cannot watch this machine; and the same client without that one fault. In a scope with users.
# test-clients.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
watcher=$build/test/agents/test-watcher
grant=(--entitlement com.apple.developer.endpoint-security.client)
btf=/sys/kernel/btf/vmlinux
[ -e $btf ] || { echo "test-clients: needs a kernel with BTF ($btf)"; exit 77; }

says() { # WHAT PATTERN COMMAND...: the first line of a client whose input has ended
	expect "$1" "$2" "$("${@:3}" </dev/null 2>>"$log" | head -n 1)"
}

# A client of dev run, whose lines are awaited; each line on $ask is a subscription.
client_start() {
	mkfifo "$work/ask" "$work/said"
	outboardctl dev run "${grant[@]}" -- "$watcher" <"$work/ask" >"$work/said" 2>>"$log" &
	app_pid=$!
	exec {ask}>"$work/ask" {app_fd}<"$work/said"
	rm "$work/ask" "$work/said"
}
client_end() {
	exec {ask}>&-
	app_ended 0
}

says "nobody listens" '^failed 1 endpoint.unreachable the client cannot reach outboard-esd: No such file' "$watcher"
outboardd_start
outboardctl developer on >>"$log" 2>&1 || fail "developer on" "exit 0" "$(tail -n 1 "$log")"
client_start
app_await '^client$'
says "not root" '^failed 13 endpoint.not-privileged process [0-9]+ may not be .* as that user: only root' \
	as-user alice "$watcher"
says "root, in developer mode" '^client$' "$watcher"
outboardctl developer off >>"$log" 2>&1 || fail "developer off" "exit 0" "$(tail -n 1 "$log")"
says "root, without it" '^failed 2 endpoint.not-entitled process [0-9]+ may not be .*developer mode is off' "$watcher"
outboardctl developer on >>"$log" 2>&1 || fail "developer on" "exit 0" "$(tail -n 1 "$log")"

# It is there and does not answer: the call says so, and can be made again.
esd=$(pgrep -P "$outboardd_pid" -f outboard-esd) || fail "outboard-esd" "one" "$(ps --ppid "$outboardd_pid" -o pid,args)"
kill -STOP "$esd"
echo >&"$ask"
app_await '^(failed|subscribed)'
expect "it is stopped" '^failed 1 endpoint.unreachable the client cannot reach outboard-esd: Connection timed out' "$line"
kill -CONT "$esd"
echo >&"$ask"
app_await '^(failed|subscribed)'
expect "it goes on" '^subscribed$' "$line"
client_end
outboardd_stop

# endpoint.engine-failed: a kernel without BTF, as this one is seen from here until it is there again.
mount --bind /dev/null $btf
outboardd_start
monitor_start # before the client, of whose pipes it would hold an end
client_start
until_status "endpoint.engine-failed: no BTF" 'endpoint-security: +down: outboard-esd cannot watch this machine: .'
umount $btf
until_status "with BTF" 'endpoint-security: +up, 1 client'
app_await '^(client$|failed 1 endpoint.unreachable )' # it has waited for 5 s
exec {ask}>&-
wait "$app_pid"
client_start
app_await '^client$'
client_end
outboardd_stop
echo "ok"
