#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# outboardd is killed while an extension is activated, upgraded and taken away, at random moments: its
# manager, and every fourth time its parent, or its parent is stopped for a while. Afterwards the
# request is completed, the registry is whole, one copy is staged, and one process runs. In a scope
# with users. 20 moments, 200 with OUTBOARD_TEST_SIZE=long; ROUNDS and SEED from the environment.
# test-kills.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents opt=$OUTBOARD_ROOT/opt
id=org.example.kills.agent app=$opt/kills.app
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "seed $seed"
case ${OUTBOARD_TEST_SIZE:-ci} in
long) rounds=${ROUNDS:-121} ;;
*) rounds=${ROUNDS:-13} ;;
esac
declare -A moments=([manager]=0 [parent]=0 [stop]=0)

copies() { find "$OUTBOARD_ROOT/var/lib/outboard/extensions" -mindepth 1 -maxdepth 1 | wc -l; }
processes() { pgrep -c -f "$OUTBOARD_ROOT/var/lib/outboard/extensions"; }

kill_one() { # ROUND
	# any moment of a request: that is what is measured here
	sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
	case $(($1 % 4)) in
	0)
		kill -9 "$outboardd_pid"
		wait "$outboardd_pid" 2>/dev/null
		outboardd_start
		moments[parent]=$((moments[parent] + 1))
		;;
	2)
		kill -STOP "$outboardd_pid"
		sleep "0.$((RANDOM % 10))" # stopped: what is measured
		kill -CONT "$outboardd_pid"
		moments[stop]=$((moments[stop] + 1))
		;;
	*)
		outboardd_kill_manager
		moments[manager]=$((moments[manager] + 1))
		;;
	esac
}

request() { # USER KIND: its app is told the end, whoever is killed
	as-user "$1" "$app/Contents/MacOS/app" "$2" $id replace 20 >"$work/said" 2>&1 &
	app_pid=$!
}

ended() { # WHAT
	wait "$app_pid"
	expect "$1" '^finished 0$' "$(cat "$work/said")"
}

outboardd_start
team_start kills
for ((round = 1; round <= rounds; round++)); do
	app_install "$work/new" kills "$round.0-1" "$agents/agent-silent" \
		NSEndpointSecurityMachServiceName=org.example.kills
	rm -rf "$work/old.app"
	[ ! -e "$app" ] || mv "$app" "$work/old.app"
	mv "$work/new/kills.app" "$app"
	if [ "$round" = 1 ]; then
		outboardctl activate --wait "$app" >>"$log" 2>&1
	else
		request alice activate
		kill_one "$round"
		ended "round $round: upgrade"
	fi
	until_property "round $round" $id running_version "^$round\\.0/1\$"
	until_property "round $round" $id state '^activated_enabled$'
	expect "round $round: processes" '^1$' "$(processes)"
	[ -S "$OUTBOARD_ROOT/run/outboard/services/org.example.kills" ] ||
		fail "round $round: service" "a socket" "none"
	[ $((round % 3)) = 0 ] || continue
	request root deactivate
	kill_one "$round"
	ended "round $round: removal"
	until_property "round $round: removed" $id identifier '^$'
	expect "round $round: copies left" '^0$' "$(copies)"
	expect "round $round: processes left" '^0$' "$(processes)"
	request alice activate
	kill_one "$((round + 1))"
	ended "round $round: activation"
	until_property "round $round: again" $id state '^activated_enabled$'
	expect "round $round: copies" '^1$' "$(copies)"
done
outboardctl uninstall $id >>"$log" 2>&1 || fail "uninstall" "exit 0" "$(tail -n 1 "$log")"
until_property "removed" $id identifier '^$'
outboardd_stop
echo "manager killed ${moments[manager]} times, parent ${moments[parent]}, parent stopped ${moments[stop]}"
