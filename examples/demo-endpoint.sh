# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The acts of ./demo that show what the extension does: it sees every program that starts, it lets some
# not start, and nobody hangs when it is killed, when what it depends on is, and when it does not answer.
# Sourced by demo-acts.sh. What is asked about lies in $programs: on a file system of the scope's own.
programs=$OUTBOARD_ROOT/programs
denied=$OUTBOARD_ROOT/etc/ProcessMonitor.denied
deadline_ms=1000 # DEADLINE_MS of the extension
start_many=$build/examples/start-many

programs_place() {
	local name
	mkdir -p "$programs"
	for name in brief last forbidden; do
		cp "$build/examples/brief" "$programs/$name"
	done
}

# LINES: what the extension has written, which os_log(3) puts into JSON
written() { outboardctl log --source "$agent" --lines "$1" 2>>"$log" | sed -n 's/.*"text":"\(.*\)"}$/\1/p'; }

# It writes after the program has started: it is asked again until the line is there, which sets $line.
until_written() { # WHAT PATTERN
	local deadline=$((SECONDS + wait_s))
	until line=$(written 1000 | grep -E -e "$2" | tail -n 1) && [ -n "$line" ]; do
		[ $SECONDS -lt $deadline ] || fail "$1" "a line like $2" "$(written 3)"
	done
}

act_sees() {
	local deadline=$((SECONDS + wait_s))
	start
	as-user bob /usr/bin/id >/dev/null
	until_written "what the extension has seen" '^exec .* path=/usr/bin/id '
	did "bob runs id, and the extension writes who, by whom, and what:"
	echo "$line" | show
	start
	# The first time it is new here, and its package is still being looked up.
	until line=$(written 1000 | grep -E 'path=/usr/bin/id cdhash=[0-9a-f]{40} id=deb:' | tail -n 1) && [ -n "$line" ]; do
		[ $SECONDS -lt $deadline ] || fail "the program's identity" "cdhash, and id=deb:..." "$(written 3)"
		as-user bob /usr/bin/id >/dev/null
	done
	did "again: now it is known as what it is, by its SHA-256 and the package that brought it:"
	echo "$line" | show
}

# Of as many processes as it takes until a thousand have lived for less than a millisecond.
act_thousand() {
	local short=0 total missing nameless lost median
	start
	: >"$work/started"
	while [ "$short" -lt 1000 ]; do
		"$start_many" 1000 "$programs/brief" >>"$work/started"
		total=$(wc -l <"$work/started")
		short=$(awk '$2 == 0 && $4 < 1000' "$work/started" | wc -l)
		[ "$total" -lt 5000 ] || fail "brief processes" "1000 of less than 1 ms" "$short of $total"
	done
	median=$(awk '{ print $4 }' "$work/started" | sort -n | sed -n "$((total / 2))p")
	"$programs/last"
	until_written "the last of them" "^exec .* path=$programs/last "
	written 10000 >"$work/written"
	sed -n "s,^exec pid=\([0-9]*\) .* path=$programs/brief .*,\1,p" "$work/written" | sort >"$work/seen"
	missing=$(awk '{ print $1 }' "$work/started" | sort | comm -23 - "$work/seen" | wc -l)
	nameless=$(grep -c ' path= ' "$work/written")
	lost=$(told alice lost)
	[ "$missing" = 0 ] && [ "$(wc -l <"$work/seen")" = "$total" ] ||
		fail "brief processes" "each of the $total once" "$missing not seen, $(wc -l <"$work/seen") lines"
	[ "$nameless" = 0 ] && [ "$lost" = 0 ] ||
		fail "brief processes" "none without a path, none lost" "$nameless without, $lost lost"
	did "$total programs came and went, $short had ended within a millisecond of being there (median $median us after their caller went on): $total seen, $lost lost, $nameless without a path"
}

reload() { as-user alice "$program" reload >>"$log" 2>&1 || fail "reload" "exit 0" "$(tail -n 1 "$log")"; }

act_denies() {
	local said mark=/tmp/it-ran
	start
	echo "$programs/forbidden" >"$denied"
	reload
	said=$(as-user alice "$start_many" 1 "$programs/forbidden" "$mark")
	expect "a program on the list" '^0 1 ' "$said"
	[ ! -e $mark ] || fail "a program on the list" "that it does nothing" "it has made $mark"
	until_written "a program on the list" "^denied .* path=$programs/forbidden "
	did "a program on the list: execve fails with EPERM in its caller, nothing of it ran:"
	echo "$line" | show
	start
	: >"$denied"
	reload
	said=$(as-user alice "$start_many" 1 "$programs/forbidden" "$mark")
	expect "off the list" '^[1-9][0-9]* 0 ' "$said"
	[ -e $mark ] || fail "off the list" "that it runs" "it has not made $mark"
	rm $mark
	did "off the list: the same program runs"
	echo "$programs/forbidden" >"$denied"
	reload
}

# Asked and answered again: what is on the list does not start.
until_denied() { # WHAT
	local deadline=$((SECONDS + wait_s)) said
	until said=$("$start_many" 1 "$programs/forbidden") && [[ $said == "0 1 "* ]]; do
		[ $SECONDS -lt $deadline ] || fail "$1" "that the list holds again" "$said"
	done
}

# WHAT COMMAND...: 300 programs start, and after the hundredth COMMAND is done; sets worst, in ms.
during_300() {
	local what=$1 many one n=0
	shift
	: >"$work/300"
	exec {many}< <(exec "$start_many" 300 "$programs/brief")
	while IFS= read -r -t $wait_s -u "$many" one; do
		echo "$one" >>"$work/300"
		n=$((n + 1))
		[ $n != 100 ] || "$@"
	done
	exec {many}<&-
	[ $n = 300 ] || fail "$what" "that 300 programs start and end" "$n did, one hangs"
	n=$(awk '$2 != 0' "$work/300" | wc -l)
	[ "$n" = 0 ] || fail "$what" "that none is denied" "$n of 300 were"
	worst=$(awk '{ ms = ($3 + $4) / 1000; if (ms > most) most = ms } END { printf "%.1f", most }' "$work/300")
}

until_replaced() { # OLD: another process of the extension runs
	until_property "restart" "$agent" pid "^[1-9][0-9]*$"
	while [ "$value" = "$1" ]; do # its end has not been seen yet
		read -r -t 1 -u "$monitor_fd"
		until_property "restart" "$agent" pid "^[1-9][0-9]*$"
	done
	pid=$value
}

act_kill_extension() {
	local old=$pid
	start
	during_300 "kill -9 of the extension" kill -9 "$old"
	until_replaced "$old"
	until_denied "kill -9 of the extension"
	did "kill -9 of the extension while 300 programs start: none hangs (longest $worst ms); pid $old is now $pid, its list holds"
}

act_kill_broker() {
	local broker
	start
	broker=$(pgrep -P "$outboardd_pid" outboard-esd) || fail "outboard-esd" "one below outboardd" "none"
	during_300 "kill -9 of outboard-esd" kill -9 "$broker"
	until_denied "kill -9 of outboard-esd"
	[ "$(running_pid "$agent")" = "$pid" ] || fail "outboard-esd" "pid $pid goes on" "$(running_pid "$agent")"
	did "kill -9 of outboard-esd: none hangs (longest $worst ms); the extension goes on as pid $pid, its list holds again"
}

outboardd_kill() {
	kill -9 "$outboardd_pid"
	wait "$outboardd_pid" 2>/dev/null
}

act_kill_outboardd() {
	start
	during_300 "kill -9 of outboardd's manager" outboardd_kill_manager
	until_property "manager" "$agent" pid "^$pid$"
	did "kill -9 of outboardd's manager: none hangs (longest $worst ms); the next one answers, the extension goes on"
	start
	during_300 "kill -9 of outboardd" outboardd_kill
	outboardd_start
	until_property "parent" "$agent" pid "^[1-9]"
	pid=$value
	until_denied "kill -9 of outboardd"
	did "kill -9 of outboardd itself: none hangs (longest $worst ms); started again, the extension runs as pid $pid"
}

act_silent() {
	local said ms
	start
	kill -STOP "$pid"
	said=$("$start_many" 1 "$programs/last")
	kill -CONT "$pid"
	read -r _ code ms _ <<<"$said"
	ms=$((ms / 1000))
	[ "$code" = 0 ] && [ $ms -ge $deadline_ms ] && [ $ms -lt $((deadline_ms * 2)) ] ||
		fail "an extension that does not answer" "a start after $deadline_ms ms" "error $code after $ms ms"
	did "an extension that does not answer (SIGSTOP): a program waits $ms ms, its deadline is $deadline_ms, and starts"
	start
	until_written "a late answer" '^es_respond_auth_result failed'
	did "when it goes on its answer comes too late, and it says so:"
	echo "$line" | show
}
