#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An extension that crashes in a loop, spins on every core, takes all its memory, forks without end,
# opens every descriptor or floods its log: exec, open and connect beside it never take longer than
# ten times the p99 measured without it (at least 50 ms are allowed), another extension and outboardd
# are the same processes as before, and `list` says what has happened. In a scope.
# test-neighbours.sh BUILD [AGENT...]
set -u
build=$1
shift
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents opt=$OUTBOARD_ROOT/opt rounds=100 floor_us=50000
[ $# -gt 0 ] || set -- crash spin memory fork descriptors flood

# What each comes to, as `outboardctl list --json` has it: property and value.
declare -A comes_to=(
	[crash]='state ^activated_disabled$'
	[spin]='state ^activated_enabled$'
	[memory]='restarts ^[1-9]'
	[fork]='state ^activated_enabled$'
	[descriptors]='state ^activated_enabled$'
	[flood]='state ^activated_enabled$'
)
declare -A and_says=(
	[crash]='last_exit (Aborted|SIGABRT|signal 6)'
	[memory]='last_exit (Killed|SIGKILL|memory|signal 9)'
)

# Microseconds of CPU that were used outside the scope: clock ticks of all CPUs, less what is ours.
used_by_others() {
	local word user nice system idle iowait irq softirq ours rest
	read -r word user nice system idle iowait irq softirq rest </proc/stat
	ours=$(sed -n 's/^usage_usec //p' "$SCOPE_CGROUP/cpu.stat")
	echo $(((user + nice + system + irq + softirq) * (1000000 / $(getconf CLK_TCK)) - ours))
}

# Sets taken[exec p99] and so on, in microseconds. What somebody else keeps waiting says nothing about
# an extension: when others took more than a quarter of a CPU, it is measured again.
measure() {
	local began others try
	for ((try = 0; try < 40; try++)); do
		others=$(used_by_others) began=${EPOCHREALTIME/./}
		measure_once
		others=$(($(used_by_others) - others))
		[ $((others * 4)) -gt $((${EPOCHREALTIME/./} - began)) ] || return 0
	done
	outboardctl reset --yes >>"$log" 2>&1
	outboardd_stop
	echo "needs a machine that does nothing else: others take more than a quarter of a CPU"
	exit 77
}

measure_once() {
	local kind word
	declare -gA taken=()
	while read -r kind word; do
		set -- $word
		while [ $# -gt 1 ]; do
			taken[$kind $1]=$2
			shift 2
		done
	done < <(latency $rounds)
	[ ${#taken[@]} -gt 0 ] || fail "latency" "figures" "none"
}

outboardd_start
team_start neighbours
app_install "$opt" quiet 1.0-1 "$agents/agent-silent"
outboardctl activate "$opt/quiet.app" org.example.quiet.agent --wait >>"$log" 2>&1 ||
	fail "activate quiet" "exit 0" "$(tail -n 1 "$log")"
quiet=$(running_pid org.example.quiet.agent)
manager=$(pgrep -P "$outboardd_pid" -f outboardd-manager)
measure
declare -A before=()
for kind in exec open connect; do
	before[$kind]=${taken[$kind p99]}
done

for agent; do
	id=org.example.$agent.agent
	app_install "$opt" "$agent" 1.0-1 "$agents/agent-$agent"
	outboardctl activate "$opt/$agent.app" "$id" >>"$log" 2>&1 ||
		fail "activate $agent" "exit 0" "$(tail -n 1 "$log")"
	until_property "$agent is at it" "$id" state '^activated_'
	measure
	for kind in exec open connect; do
		bound=$((before[$kind] * 10 > floor_us ? before[$kind] * 10 : floor_us))
		[ "${taken[$kind max]}" -le $bound ] ||
			fail "$kind beside $agent" "at most $bound us" "${taken[$kind max]} us"
		p99=${taken[$kind p99]}
		percent=$((p99 * 100 / before[$kind]))
		printf '%s: %s p99 %d us, %d without it, ratio %d.%02d\n' "$agent" "$kind" "$p99" \
			"${before[$kind]}" $((percent / 100)) $((percent % 100))
	done
	read -r name pattern <<<"${comes_to[$agent]}"
	until_property "what $agent comes to" "$id" "$name" "$pattern"
	if [ -v "and_says[$agent]" ]; then
		read -r name pattern <<<"${and_says[$agent]}"
		expect "what list says of $agent" "$pattern" "$(property "$id" "$name")"
	fi
	expect "the other extension beside $agent" "^$quiet\$" "$(running_pid org.example.quiet.agent)"
	expect "outboardd's manager beside $agent" "^$manager\$" "$(pgrep -P "$outboardd_pid" -f outboardd-manager)"
	app_uninstall "$id"
done

app_uninstall org.example.quiet.agent
outboardd_stop
echo "ok"
