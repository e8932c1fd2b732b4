#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What an extension prints is in the log whoever was killed before: the manager, which reads it, and
# outboardd, which holds the pipe that it is read from. In a scope.
# test-output.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents service=org.example.service id=org.example.output.agent

printed() { outboardctl log --source $id --lines 1000 2>>"$log" | grep -c 'asked pid$'; }

asked() { # WHAT TIMES: it is asked once more, and what it prints about that is read
	local deadline=$((SECONDS + wait_s))
	"$agents/caller" $service 1 /dev/null >>"$log" 2>&1 || fail "$1" "an answer" "$(tail -n 1 "$log")"
	until [ "$(printed)" = "$2" ]; do
		[ $SECONDS -lt $deadline ] || fail "$1" "$2 lines in the log" "$(printed)"
	done
}

outboardd_start
team_start output
policy_allow "$(outboardctl team list --json | jq -r '.[0].team')"
app_install "$OUTBOARD_ROOT/opt" output 1.0-1 "$agents/agent-service-1" NSEndpointSecurityMachServiceName=$service
outboardctl activate --wait "$OUTBOARD_ROOT/opt/output.app" $id >>"$log" 2>&1 ||
	fail "activate" "exit 0" "$(tail -n 1 "$log")"
pid=$(running_pid $id)
asked "nobody was killed" 1
outboardd_kill_manager
until_property "the next manager" $id pid "^$pid\$"
asked "the manager was killed" 2
kill -9 "$outboardd_pid"
wait "$outboardd_pid" 2>/dev/null
outboardd_start
until_property "the next outboardd" $id pid "^$pid\$"
asked "outboardd was killed" 3
app_uninstall $id
outboardd_stop
echo "ok"
