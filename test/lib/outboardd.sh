# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What a system test needs around it, sourced inside a scope: outboardd started as a service is, a
# team and signed apps, an app whose lines are awaited. Sets build's programs on PATH, $log to what
# everybody has said; fail() prints the end of it. Needs $build.
: "${build:?}"
export OUTBOARD_LIBEXEC=$build/libexec PATH=$build/libexec:$build/test/lib:$build/tools/outboardctl:$build/tools/systemextensionsctl:$PATH
source_top=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
work=$(mktemp -d)
log=$work/log
app_program=$build/test/agents/test-app
wait_s=20 # a ceiling for what takes milliseconds
: >"$log"

fail() { # WHAT EXPECTED HAPPENED
	printf 'FAILED: %s\n  expected: %s\n  happened: %s\n' "$1" "$2" "${3:-nothing}"
	tail -n 40 "$log" | sed 's/^/  | /'
	exit 1
}

expect() { # WHAT PATTERN TEXT [not]
	if grep -qE -e "$2" <<<"$3"; then
		[ "${4:-}" = not ] && fail "$1" "nothing like $2" "$3"
	else
		[ "${4:-}" = not ] || fail "$1" "$2" "$3"
	fi
	return 0
}

# ---- outboardd ------------------------------------------------------------------------------------

outboardd_start() {
	local deadline=$((SECONDS + wait_s))
	# Nothing outside the scope is seen.
	mkdir -p "$OUTBOARD_ROOT/etc/outboard/conf.d"
	printf '[endpoint]\nscope = %s\n' "$SCOPE_CGROUP" >"$OUTBOARD_ROOT/etc/outboard/conf.d/scope.conf"
	in-cgroup outboardd "$OUTBOARD_LIBEXEC/outboardd" >>"$log" 2>&1 &
	outboardd_pid=$!
	# Who connects may still meet the manager of one that was killed, which has the listener until it ends.
	until await-path --seconds $wait_s "$OUTBOARD_ROOT/run/outboard/control.sock" &&
		outboardctl status >>"$log" 2>&1; do
		[ $SECONDS -lt $deadline ] || fail "outboardd" "an answer to status" "$(tail -n 1 "$log")"
	done
}

# The parent starts another one; what is asked meanwhile waits for it.
outboardd_kill_manager() {
	local manager
	manager=$(pgrep -P "$outboardd_pid" -f outboardd-manager) ||
		fail "outboardd" "a manager below $outboardd_pid" "$(ps --ppid "$outboardd_pid" -o pid,args)"
	kill -9 "$manager"
}

outboardd_stop() {
	kill "$outboardd_pid"
	wait "$outboardd_pid"
}

property() { # IDENTIFIER NAME: of the active copy, or else of the newest
	outboardctl list --json 2>>"$log" | jq -r --arg id "$1" --arg name "$2" \
		'[.[] | select(.identifier == $id)] | sort_by(.active) | last | .[$name] | values'
}

# It may start again in the middle of a test: it holds no end of a client's input ($ask).
monitor_start() { exec {monitor_fd}< <([ ! -v ask ] || exec {ask}>&-; exec outboardctl monitor --json 2>&1); }

# A property, looked at again at each change that the monitor tells; sets value.
until_property() { # WHAT IDENTIFIER NAME PATTERN
	local deadline=$((SECONDS + wait_s)) change
	[ -v monitor_fd ] || monitor_start
	while value=$(property "$2" "$3"); ! [[ $value =~ $4 ]]; do
		[ $SECONDS -lt $deadline ] || fail "$1" "$3 like $4" "$3 is ${value:-nothing}"
		# A monitor that has ended with its outboardd is followed by another, which may have missed
		# something: so it is asked again after a second at the latest.
		read -r -t 1 -u "$monitor_fd" change || monitor_start
		echo "${change-}" >>"$log"
	done
}

until_status() { # WHAT PATTERN: a line of status, looked at again at each change that the monitor tells
	local deadline=$((SECONDS + wait_s)) change
	[ -v monitor_fd ] || monitor_start
	until outboardctl status 2>>"$log" | grep -qE -e "$2"; do
		[ $SECONDS -lt $deadline ] || fail "$1" "$2" "$(outboardctl status)"
		read -r -t 1 -u "$monitor_fd" change || monitor_start
	done
}

running_pid() { # IDENTIFIER: of its process, nothing when there is none
	property "$1" pid | grep -v '^0$'
}

# ---- Apps -----------------------------------------------------------------------------------------

team_start() { # NAME
	team_key=$work/$1.key
	outboardctl team generate "$1" "$team_key" >>"$log" 2>&1 ||
		fail "team" "a key" "$(tail -n 1 "$log")"
}

app_uninstall() { # IDENTIFIER: with all its copies, and wait until they are gone
	outboardctl uninstall "$1" >>"$log" 2>&1 || fail "uninstall $1" "exit 0" "$(tail -n 1 "$log")"
	until_property "$1 is gone" "$1" state '^$'
}

policy_allow() { # TEAM: by a file of policy.d, which is complete when it is there
	local folder=$OUTBOARD_ROOT/etc/outboard/policy.d
	mkdir -p "$folder"
	printf '{"AllowedTeamIdentifiers": ["%s"]}\n' "$1" >"$work/policy"
	mv "$work/policy" "$folder/allowed-$1.json"
}

app_install() { # FOLDER NAME VERSION AGENT [KEY=VALUE...]: signed, in FOLDER/NAME.app
	local folder=$1 name=$2 version=$3 agent=$4 made=$work/made
	shift 4
	"$source_top/test/agents/make-app" "$made" "$name" "$version" "$app_program" "$agent" "$@" ||
		fail "make-app $name" "an app" "see above"
	app_sign "$made" "$name"
	mkdir -p "$folder"
	rm -rf "$folder/$name.app"
	mv "$made/$name.app" "$folder/"
}

sign() { # BUNDLE ENTITLEMENTS
	outboardctl sign --key "$team_key" --entitlements "$2" "$1" >>"$log" 2>&1 ||
		fail "sign $1" "a signature" "$(tail -n 1 "$log")"
}

app_sign() { # FOLDER NAME: the inner one first, since the outer signature covers it
	sign "$1/$2.app/Contents/Library/SystemExtensions/org.example.$2.agent.systemextension" \
		"$1/$2.agent.entitlements"
	sign "$1/$2.app" "$1/$2.entitlements"
}

app_start() { # USER COMMAND...: what it prints is awaited below
	local user=$1 pipe
	shift
	pipe=$(mktemp -u "$work/app.XXXXXX")
	mkfifo "$pipe"
	as-user "$user" "$@" >"$pipe" 2>&1 &
	app_pid=$!
	exec {app_fd}<"$pipe"
	rm "$pipe"
}

app_await() { # PATTERN: reads lines until one matches; sets line
	local deadline=$((SECONDS + wait_s))
	line=
	while IFS= read -r -t $((deadline - SECONDS + 1)) -u "$app_fd" line; do
		echo "app: $line" >>"$log"
		[[ $line =~ $1 ]] && return
	done
	fail "the app" "a line like $1" "${line:-nothing more}"
}

app_ended() { # CODE
	local code
	cat <&"$app_fd" >>"$log"
	exec {app_fd}<&-
	wait "$app_pid"
	code=$?
	[ $code = "$1" ] || fail "the app's exit code" "$1" "$code"
}

app_kill() {
	kill -9 "$app_pid"
	wait "$app_pid" 2>>"$log"
	cat <&"$app_fd" >>"$log" # its end
	exec {app_fd}<&-
}
