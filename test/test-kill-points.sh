#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The manager is ended on one exact side of a write or sync of its registry, during activation,
# upgrade and removal. After each: the registry is whole, and what was asked for can be completed.
# test-kill-points.sh BUILD [ci|long]: of the points, ci takes every 7th, from one that the seed
# chooses; long takes all of them. test-kills.sh has the random moments, test-registry.sh the disk.
set -u
build=$1
case ${2:-ci} in
ci) step=7 ;;
long) step=1 ;;
*) exit 2 ;;
esac
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
command -v sqlite3 >/dev/null || { echo "test-kill-points: needs sqlite3"; exit 77; }
agents=$build/test/agents
name=points
id=org.example.$name.agent
seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "seed $seed"

outboardd_start
team_start points
policy_allow "$(outboardctl team list --json | jq -r '.[0].team')"
app_install "$OUTBOARD_ROOT/opt" $name 1.0-1 "$agents/agent-silent"
app_install "$OUTBOARD_ROOT/opt/newer" $name 2.0-2 "$agents/agent-silent"
old=$OUTBOARD_ROOT/opt/$name.app/Contents/MacOS/app
newer=$OUTBOARD_ROOT/opt/newer/$name.app/Contents/MacOS/app

manager_pid() {
	local found
	while ! found=$(pgrep -P "$outboardd_pid" -f outboardd-manager); do :; done
	echo "$found"
}

whole() { # WHAT
	local text
	text=$(sqlite3 "file:$OUTBOARD_ROOT/var/lib/outboard/registry.db?mode=ro" 'PRAGMA integrity_check' 2>&1)
	[ "$text" = ok ] || fail "$1: the registry" "ok" "$text"
	text=$(outboardctl list --json | jq '[.[] | select(.active)] | length')
	[ "$text" -le 1 ] || fail "$1: active copies" "at most one" "$text"
}

# What an app or an administrator does until it is done: a killed manager may cost the first answer.
activate() { as-user alice "$old" activate $id; }
upgrade() { as-user alice "$newer" activate $id replace; }
remove() { # the kill may have come when it was done, but for the answer
	[ -z "$(property $id state)" ] || outboardctl uninstall $id
}

to_nothing() { property $id state | grep -q . && { outboardctl uninstall $id >>"$log" 2>&1 || outboardctl uninstall $id >>"$log" 2>&1; }; :; }
to_old() { to_nothing; activate >>"$log" 2>&1; }

complete() { # WHAT COMMAND
	local try text
	for try in 1 2 3; do
		text=$($2 2>&1) && return 0
		echo "try $try of $2: $text" >>"$log"
	done
	fail "$1: $2 can be completed" "exit 0" "$text"
}

killed_at() { # COMMAND POINT: ends the manager at that point. False: there is no such point.
	local trace points=$work/points reader
	exec {trace}< <(exec kill-at --point "$2" "$(manager_pid)" 2>&1)
	read -r reader <&"$trace"
	[ "$reader" = attached ] || fail "kill-at" attached "$reader"
	$1 >>"$log" 2>&1
	pkill -TERM -P $$ kill-at
	cat <&"$trace" >"$points"
	exec {trace}<&-
	grep -m1 "^$2 " "$points" >>"$work/hit"
	grep -q '^killed' "$points"
}

# The state that a manager had told last when it was ended; the log's new part is on stdin.
state_hit() {
	awk '/"id":"PARENT_MANAGER_ENDED"/ { exit }
		/"id":"EXTENSION_STATE"/ && match($0, /"to":"[a-z_]+"/) { state = substr($0, RSTART + 6, RLENGTH - 7) }
		END { print state ? state : "before_the_first_change" }'
}

counted() { sort | uniq -c | awk '{ printf "%s%d", sep, $1; for (i = 2; i <= NF; i++) printf " %s", $i; sep = ", " }'; }

walk() { # COMMAND BEFORE EXPECTED-STATE
	local point=$((RANDOM % step + 1)) n=0 from
	: >"$work/hit"
	: >"$work/states"
	while $2; from=$(stat -c %s "$log"); killed_at "$1" $point; do
		tail -c +$((from + 1)) "$log" | state_hit >>"$work/states"
		whole "$1 at point $point"
		complete "$1 at point $point" "$1"
		until_property "$1 at point $point" $id state "$3"
		n=$((n + 1)) point=$((point + step))
	done
	[ $n -gt 0 ] || fail "$1" "points at which it writes" "none"
	printf '%s: ended at %d of %d points: %s\n' "$1" $n $((point - step)) \
		"$(awk '{ print $2, $3 }' "$work/hit" | counted)"
	printf '%s: in the states: %s\n' "$1" "$(counted <"$work/states")"
}

walk activate to_nothing '^activated_enabled$'
walk upgrade to_old '^activated_enabled$'
walk remove to_old '^$'

to_nothing
outboardd_stop
