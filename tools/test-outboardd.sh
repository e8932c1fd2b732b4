#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The tools against a real outboardd, in a scope: what test-tools.c shows with a double behind the
# server, here with a registry, a launcher and a process that runs.
# test-outboardd.sh BUILD-FOLDER
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/../test/lib/outboardd.sh"
agent=org.example.Tools.agent

says() { # EXIT PATTERN COMMAND...
	local code=$1 pattern=$2 text got
	shift 2
	text=$("$@" 2>&1 </dev/null)
	got=$?
	[ $got = "$code" ] || fail "$*" "exit $code" "exit $got: $text"
	expect "$*" "$pattern" "$text"
}

await_line() { # WHAT PATTERN: from the descriptor $stream
	local line deadline=$((SECONDS + wait_s))
	while IFS= read -r -t $((deadline - SECONDS + 1)) -u "$stream" line; do
		echo "$line" >>"$log"
		[[ $line =~ $2 ]] && return
	done
	fail "$1" "a line like $2" "${line:-nothing more}"
}

says 1 "outboardd is not running" outboardctl
outboardd_start
says 0 "0 extensions: 0 running" outboardctl
# What no machine has in this version is said, too.
says 0 'exec-entitlements: +not known.*network-extension: +not in this version' \
	sh -c 'outboardctl --json | jq -r ".manager.capabilities | to_entries[] | .key + \": \" + .value" | tr "\n" " "'
[ "$(systemextensionsctl list)" = "0 extension(s)" ] ||
	fail "list of nothing" "0 extension(s)" "$(systemextensionsctl list)"

# ---- activate: every change is printed as it happens, and the golden line is Apple's ----------------
team_start Tools
app_install "$OUTBOARD_ROOT/opt" Tools 1.0-7 "$build/test/agents/agent-silent"
app=$OUTBOARD_ROOT/opt/Tools.app
says 0 "system extension $agent .1.0/7., signed by Tools" outboardctl verify "$app"
says 0 "app org.example.Tools .1.0/7., signed by Tools .*, [0-9]+ files" outboardctl verify "$app"
says 0 '^true [0-9a-f]{64}$' sh -c "outboardctl verify --json $app | jq -r '\"\(.accepted) \(.digest)\"'"
says 0 "entitlements +.*system-extension.install" outboardctl inspect "$app"
says 0 '^null app$' sh -c "outboardctl inspect --json $app | jq -r '\"\(.accepted) \(.kind)\"'"
touch "$app/Contents/more"
says 1 "signature.file-extra" outboardctl verify "$app"
says 1 '^false signature.file-extra$' \
	sh -c "outboardctl verify --json $app >$work/json || { jq -r '\"\(.accepted) \(.rule)\"' $work/json; exit 1; }"
rm "$app/Contents/more"
exec {stream}< <(exec outboardctl monitor --json 2>&1)
monitor_pid=$!
# The first line may only be missed while the monitor is not yet connected: developer mode is told.
until read -r -t 0.05 -u "$stream"; do outboardctl developer on && outboardctl developer off; done
says 0 "completed" outboardctl activate "$OUTBOARD_ROOT/opt/Tools.app" --wait
await_line "monitor" '"event":"added".*"identifier":"org.example.Tools.agent"'
await_line "monitor" '"running":true'
kill $monitor_pid
team=$(property $agent team)
printf '1 extension(s)\n--- com.apple.system_extension.endpoint_security\nenabled\tactive\tteamID\tbundleID (version)\tname\t[state]\n*\t*\t%s\t%s (1.0/7)\t%s\t[activated enabled]\n' \
	"$team" $agent $agent >"$work/golden"
systemextensionsctl list >"$work/list" || fail "list" "exit 0" "exit $?"
cmp "$work/golden" "$work/list" || fail "list" "$(cat -A "$work/golden")" "$(cat -A "$work/list")"
pid=$(running_pid $agent)
kill -0 "${pid:-none}" 2>>"$log" || fail "pid" "a process" "$pid"
says 0 "1\.0/7, pid $pid" outboardctl
says 0 "A test of Outboard" outboardctl show $agent
says 0 '"completed"|completed' outboardctl activate "$OUTBOARD_ROOT/opt/Tools.app" $agent --wait
[ "$(running_pid $agent)" = "$pid" ] || fail "activate again" "pid $pid" "$(running_pid $agent)"
says 1 "nobody.app" outboardctl activate /nobody.app x

# ---- a change, its inverse, and who may ---------------------------------------------------------------
says 1 "Disable is for root only; this is user 2001" as-user alice env \
	OUTBOARD_ROOT="$OUTBOARD_ROOT" outboardctl disable $agent
says 0 "$agent" as-user alice env OUTBOARD_ROOT="$OUTBOARD_ROOT" systemextensionsctl list
says 0 "" outboardctl disable $agent
says 0 "activated disabled|terminating" outboardctl list
until_property "it has ended" $agent state '^activated_disabled$'
says 0 "" outboardctl enable $agent
until pid=$(running_pid $agent); do read -r -t 0.02 <> <(:); done

# ---- log, config, developer mode, dev run ---------------------------------------------------------------
says 0 '"source"' outboardctl config --json
says 0 '"from"' outboardctl log --json
says 1 "developer mode" outboardctl dev run -- true
exec {stream}< <(exec outboardctl log --follow --json 2>&1)
follow_pid=$!
says 0 "" outboardctl developer on
await_line "log --follow" 'DEVELOPER_MODE'
kill $follow_pid
# shellcheck disable=SC2016 # the inner shell's variable
says 0 "control=[0-9]+,endpoint=[0-9]+" outboardctl dev run \
	--entitlement com.apple.developer.endpoint-security.client -- sh -c 'echo $OUTBOARD_FDS'
# shellcheck disable=SC2016 # the inner shell's variable
says 0 "^control=[0-9]+$" outboardctl dev run -- sh -c 'echo $OUTBOARD_FDS'
says 0 "" outboardctl developer off

# ---- away -------------------------------------------------------------------------------------------
says 0 "0 removed" outboardctl gc
says 0 "Successfully uninstalled" systemextensionsctl uninstall "$team" $agent
says 0 "^0 extensions: 0 running" outboardctl
! kill -0 "$pid" 2>>"$log" || fail "uninstall" "no process" "$pid"
says 1 "" systemextensionsctl uninstall "$team" $agent
outboardd_kill_manager
says 0 "outboardd " outboardctl
outboardd_stop
says 1 "outboardd is not running" outboardctl
