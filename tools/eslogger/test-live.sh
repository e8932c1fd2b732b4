#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# eslogger over a real outboard-esd, in a scope: what programs do is printed, its own group is not,
# and each way to fail has its word and its exit status.
# test-live.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/esd.sh
. "$(dirname "$(realpath "$0")")/../../test/lib/esd.sh"
eslogger=$build/tools/eslogger/eslogger
work=$(mktemp -d)

fail() { # WHAT EXPECTED HAPPENED
	printf 'FAILED: %s\n  expected: %s\n  happened: %s\n' "$@"
	tail -n 5 "$work"/*
	exit 1
}

says() { # EXIT PATTERN COMMAND...
	local code=$1 pattern=$2 text got
	shift 2
	text=$("$@" 2>&1 </dev/null)
	got=$?
	[ $got = "$code" ] || fail "$*" "exit $code" "exit $got: $text"
	grep -qE -e "$pattern" <<<"$text" || fail "$*" "$pattern" "$text"
}

# Programs are started until one is seen: from then on the events are subscribed to.
start() { # COMMAND...: its lines come from the descriptor $lines
	coproc logger { exec "$@" 2>>"$work/stderr"; }
	lines=${logger[0]} logger_job=$logger_PID
	while ! read -r -t 0.05 -u "$lines" line; do
		kill -0 "$logger_job" || fail "$*" "a line" "it has ended"
		/bin/true
	done
}

# All lines until that of a program which is started here; read without starting one, which would
# bring another line.
gather() { # to $work/lines
	: >"$work/lines"
	/bin/echo the-end >/dev/null
	while read -r -t 20 -u "$lines" line; do
		printf '%s\n' "$line" >>"$work/lines"
		[[ $line == *the-end* ]] && break
	done
	kill "$logger_job"
	wait "$logger_job"
	jq -e . "$work/lines" >/dev/null || fail "lines" "JSON" "something else"
}

there() { # WHAT FILTER TIMES: as often the jq filter is true
	local n
	n=$(jq -s "map(select($2)) | length" "$work/lines")
	[ "$n" = "$3" ] || fail "$1" "$3 of $2" "$n"
}

# ---- What a program does --------------------------------------------------------------------------

start setsid "$eslogger" exec fork exit
as-user alice /bin/sh -c 'printf "%s\n" $$; exec /usr/bin/env -i A=b /bin/sh -c "exit 7" "x\"y"' >"$work/pid"
(exit 3) &
child=$!
wait $child
gather
is=".process.audit_token.pid == $(cat "$work/pid")"
last="$is and .event.exec.args == [\"/bin/sh\", \"-c\", \"exit 7\", \"x\\\"y\"]"
sh=$(realpath /bin/sh) env=$(realpath /usr/bin/env)
there "each program once" "$is and .event.exec" 4 # as-user, sh, env, sh
there "the last one" "$last and .event.exec.env == [\"A=b\"]" 1
there "what it was before" "$last and .process.executable.path == \"$env\"" 1
there "what it is" "$last and .event.exec.target.executable.path == \"$sh\"" 1
there "who it is" "$last and (.event.exec.target.audit_token | .pid == $(cat "$work/pid") and .euid == 2001 and .rgid == 3001)" 1
there "its parent" "$last and .event.exec.target.ppid == $$" 1
there "the message" "$last and .schema_version == 1 and .version == 11 and .event_type == 9 and .action_type == 1 and
	.action == {result: {result_type: 0, result: {auth: 0}}} and (.event | keys) == [\"exec\"]" 1
there "the time" "$last and (.time | test(\"^20..-..-..T..:..:..[.][0-9]{9}Z$\"))" 1
there "its end" "$is and .event_type == 15 and .event == {exit: {stat: 1792}}" 1 # 7 << 8
there "a fork" ".event.fork.child.audit_token.pid == $child and .event.fork.child.ppid == $$ and .process.audit_token.pid == $$" 1
there "its end" ".process.audit_token.pid == $child and .event.exit.stat == 768" 1
[ "$(jq -s '[.[].global_seq_num] | . == sort and length == (unique | length)' "$work/lines")" = true ] ||
	fail "numbers" "one after the other" "$(jq -c .global_seq_num "$work/lines")"

# ---- Its own group --------------------------------------------------------------------------------

# This shell is in the group: what it does is not told, what its children do is.
for command in "$eslogger" "setsid $eslogger"; do
	# shellcheck disable=SC2086 # words on purpose
	start $command exec fork
	(exec /bin/echo told) >/dev/null
	gather
	there "a child of this shell, $command" '.event.exec.args[1] == "told"' 1
	[ "$command" = "$eslogger" ] && own=0 || own='[1-9].*'
	n=$(jq -s "map(select(.process.audit_token.pid == $$)) | length" "$work/lines")
	[[ $n =~ ^$own$ ]] || fail "this shell, $command" "$own" "$n"
done
[ "$(grep -c 'cannot be muted' "$work/stderr")" -le 1 ] || fail "muting" "one line at most" "$(cat "$work/stderr")"

# ---- The log --------------------------------------------------------------------------------------

start setsid sh -c 'exec "$0" "$@" 2>&1' "$eslogger" --oslog --oslog-subsystem org.example --oslog-category c exit
(exit 5) &
child=$!
: >"$work/lines"
while read -r -t 20 -u "$lines" line; do
	printf '%s\n' "$line" >>"$work/lines"
	[[ $line == *'"stat\":1280'* ]] && break # 5 << 8
done
kill "$logger_job"
wait "$logger_job"
there "the log" ".subsystem == \"org.example\" and .category == \"c\" and .level == \"notice\" and
	(.text | fromjson | .event.exit.stat == 1280 and .process.audit_token.pid == $child)" 1

# ---- Ends and refusals ----------------------------------------------------------------------------

# Who has read enough ends it. The loop goes on for what the closed pipe is found by.
setsid "$eslogger" exec > >(head -n 1 >"$work/head") 2>>"$work/stderr" &
logger_job=$!
while kill -0 $logger_job 2>/dev/null; do
	/bin/true
done
wait $logger_job
got=$?
[ $got = 0 ] || fail "a closed pipe" "exit 0" "exit $got"
jq -e .event.exec "$work/head" >/dev/null || fail "a closed pipe" "its first line" "$(cat "$work/head")"

says 1 'ES_NEW_CLIENT_RESULT_ERR_NOT_PRIVILEGED: ' as-user alice "$eslogger" exec
says 1 'ES_RETURN_ERROR: .*NOTIFY_KEXTLOAD' "$eslogger" exec kextload
says 2 "no event 'execve'" "$eslogger" exec execve
says 2 "no event 'auth_exec'" "$eslogger" auth_exec
says 2 "the only format is json, not 'xml'" "$eslogger" --format xml exec
says 2 "no option '--frob'" "$eslogger" --frob exec
says 2 "a value is missing behind '--oslog-category'" "$eslogger" exec --oslog-category
says 2 'which events' "$eslogger"
says 0 '^exec$' as-user alice "$eslogger" --list-events
kill $esd_pid
wait $esd_pid
trap - EXIT
rm "$esd_socket"
says 1 'ES_NEW_CLIENT_RESULT_ERR_INTERNAL: .*outboard-esd' "$eslogger" exec
echo "eslogger: exec, fork, exit, its own group, the log, ends and refusals"
