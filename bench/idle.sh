#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What outboardd takes when nothing happens, with one extension that runs: memory of its processes, and
# how often each was woken in 30 s, against the figures that they are held against. In a scope.
# idle.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/../test/lib/outboardd.sh"
id=org.example.idle.agent
seconds=30

status() { # PID KEY: of /proc/PID/status, a number
	sed -n "s/^$2:[[:space:]]*\([0-9]*\).*/\1/p" "/proc/$1/status"
}

outboardd_start
team_start idle
app_install "$OUTBOARD_ROOT/opt" idle 1.0-1 "$build/test/agents/agent-silent"
outboardctl activate "$OUTBOARD_ROOT/opt/idle.app" $id --wait >>"$log" 2>&1 ||
	fail "activate" "exit 0" "$(tail -n 1 "$log")"
until_property "it runs" $id running true
exec {monitor_fd}<&-

declare -A pids=(
	[outboardd]=$outboardd_pid
	[manager]=$(pgrep -P "$outboardd_pid" -f outboardd-manager)
	[outboard-esd]=$(pgrep -x outboard-esd)
)
declare -A before=()
sleep 5 # what activation has left to do
for name in "${!pids[@]}"; do
	before[$name]=$(status "${pids[$name]}" voluntary_ctxt_switches)
done
sleep $seconds # what is measured is that nothing happens
anon=0 rss=0
for name in outboardd manager outboard-esd; do
	pid=${pids[$name]}
	printf '%-13s RssAnon %5d kB  VmRSS %6d kB  woken %d times in %d s\n' "$name" \
		"$(status "$pid" RssAnon)" "$(status "$pid" VmRSS)" \
		$(($(status "$pid" voluntary_ctxt_switches) - before[$name])) $seconds
	[ $name = outboard-esd ] && continue
	anon=$((anon + $(status "$pid" RssAnon))) rss=$((rss + $(status "$pid" VmRSS)))
done
awk -v anon=$anon -v rss=$rss 'BEGIN {
	printf "both of outboardd: RssAnon %.2f MiB  figure 4 MiB  ratio %.2f\n", anon / 1024, anon / 4096
	printf "both of outboardd: VmRSS  %.2f MiB  figure 14 MiB  ratio %.2f\n", rss / 1024, rss / 14336
}'
app_uninstall $id
outboardd_stop
