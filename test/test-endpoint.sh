#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each result of es_new_client() by what has become of the program. What an administrator sees: clients, counters, what can be watched, and an extension
# whose answer fails and that does not look: who waits is held until the deadline, and log, counters and
# status name client, event, path and code. And outboard-esd that is not there, stopped, and killed. In a
# scope with users.
# test-endpoint.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
[ -e /sys/kernel/btf/vmlinux ] || { echo "test-endpoint: needs a kernel with BTF (/sys/kernel/btf/vmlinux)"; exit 77; }
id=org.example.careless.agent
deadline_ms=400 # test/agents/careless.c
field=$work/field

ctl() { # VERB...
	outboardctl "$@" >>"$log" 2>&1 || fail "outboardctl $*" "exit 0" "$(tail -n 1 "$log")"
}

says() { # WHAT EXIT PATTERN COMMAND...
	local text got
	text=$("${@:4}" 2>&1 </dev/null)
	got=$?
	[ $got = "$2" ] || fail "$1" "exit $2" "exit $got: $text"
	expect "$1" "$3" "$text"
}

asks() { # FILTER: of the whole document, by jq
	outboardctl endpoint --json 2>>"$log" | jq -r "$1"
}

# What outboard-esd says cannot be waited for otherwise: it tells nobody without being asked.
until_asks() { # WHAT FILTER PATTERN
	local deadline=$((SECONDS + wait_s)) value
	until value=$(asks "$2") && [[ $value =~ $3 ]]; do
		[ $SECONDS -lt $deadline ] || fail "$1" "$2 like $3" "$value"
		read -r -t 0.05 <> <(:)
	done
}

held_ms() { # PROGRAM: how long it took as a user
	local began=${EPOCHREALTIME/./} code
	as-user alice "$1"
	code=$?
	[ $code = 0 ] || fail "$1" "exit 0" "exit $code"
	echo $(((${EPOCHREALTIME/./} - began) / 1000))
}

agent=$build/test/agents/agent-careless

staged() { # the executable of the newest copy, run by hand
	"$(property $id staged_path)"/Contents/MacOS/agent "$@"
}

mkdir "$field" && chmod 755 "$work" "$field" && mount -t tmpfs -o mode=755 field "$field" ||
	fail "the field" "a tmpfs" "none"
cp /bin/true "$field/right" && cp /bin/true "$field/wrong"
mkdir -p "$OUTBOARD_ROOT/etc/outboard/conf.d"
printf '[endpoint]\nscope_filesystems = %s\n' "$field" >"$OUTBOARD_ROOT/etc/outboard/conf.d/field.conf"
says "nobody listens" 2 '^endpoint.unreachable$' "$agent"
outboardd_start

says "nobody needs it" 1 'outboard-esd cannot be asked: not running: no client .endpoint.not-running' \
	outboardctl endpoint
says "a user asks" 1 'ReadEndpoint is for root only; this is user 2001' \
	as-user alice env OUTBOARD_ROOT="$OUTBOARD_ROOT" outboardctl endpoint clients

team_start careless
app_install "$OUTBOARD_ROOT/opt" careless 1.0-1 "$agent"
outboardctl activate "$OUTBOARD_ROOT/opt/careless.app" $id --wait >>"$log" 2>&1 ||
	fail "activate" "exit 0" "$(tail -n 1 "$log")"
until_asks "the client" '.clients[0].subscriptions | join(" ")' '^AUTH_EXEC NOTIFY_EXEC$'
expect "who it is" "^$id $(running_pid $id) 0 true watching\$" \
	"$(asks '.clients[0] | [.name, .pid, .uid, .extension, .state] | join(" ")')"
mutes=$(asks '.clients[0].muted.paths') # with the default set
[ "$mutes" -ge 1 ] || fail "mutes" "one at least" "$mutes"
says "the events" 0 '^AUTH_EXEC +ask +fanotify FAN_OPEN_EXEC_PERM .1 client.$' outboardctl endpoint events
says "the events" 0 'this version of Outboard cannot hold this operation until it is answered:$' \
	outboardctl endpoint events
says "no misses" 0 '^no deadline was missed$' outboardctl endpoint misses

# ---- who may be a client --------------------------------------------------------------------------------
says "nothing is missing" 0 '^$' staged one
says "a pointer is missing" 1 '^endpoint.client-failed$' staged null
says "the same program elsewhere" 3 '^endpoint.not-entitled$' "$agent"
says "the same by a user" 5 '^endpoint.not-privileged$' as-user alice "$agent"
says "64 are there" 6 '^endpoint.too-many-clients$' staged many
ctl disable $id
until_property "it is disabled" $id state '^activated_disabled$'
says "its extension is disabled" 4 '^endpoint.not-permitted$' staged
ctl enable $id
until_property "it is enabled" $id state '^activated_enabled$'
says "it is enabled again" 0 '^$' staged one
# another copy, which nobody has approved: it asks for more
app_install "$OUTBOARD_ROOT/opt/more" careless 2.0-2 "$agent" entitlement:org.outboard.file-system.write=/var/tmp
app_start alice "$OUTBOARD_ROOT/opt/more/careless.app/Contents/MacOS/app" activate $id
app_await '^needs-approval$'
waiting=$(outboardctl list --json | jq -r '.[] | select(.awaiting_approval) | .staged_path')
says "its extension is not approved" 4 '^endpoint.not-permitted$' "$waiting/Contents/MacOS/agent"
app_kill
until_asks "the client" '.clients[0].subscriptions | join(" ")' '^AUTH_EXEC NOTIFY_EXEC$'

# ---- an answer that fails, at which nobody looks --------------------------------------------------------
ms=$(held_ms "$field/right")
[ "$ms" -lt $deadline_ms ] || fail "an answer" "less than $deadline_ms ms" "$ms ms"
ms=$(held_ms "$field/wrong")
{ [ "$ms" -ge $deadline_ms ] && [ "$ms" -lt $((10 * deadline_ms)) ]; } ||
	fail "no answer" "$deadline_ms ms and not much more" "$ms ms"
missed="$id, AUTH_EXEC, ES_RESPOND_RESULT_ERR_EVENT_TYPE, allowed: $field/wrong"
until_status "status" "^endpoint-security-deadlines: 1 missed; the last: $missed\$"
says "misses" 0 "^[a-z0-9 ]+: $id, pid $(running_pid $id): AUTH_EXEC $field/wrong\$" outboardctl endpoint misses
expect "misses" "^$id AUTH_EXEC $field/wrong ES_RESPOND_RESULT_ERR_EVENT_TYPE allowed\$" \
	"$(asks '.misses[] | [.client, .event, .path, .code, .outcome] | join(" ")')"
expect "its counters" '^2 1 1 0 1 400$' \
	"$(asks '.clients[0] | [.asked, .answered, .wrong_answers, .open_questions, .deadline_misses, .deadline_milliseconds.AUTH_EXEC] | join(" ")')"
expect "all counters" '^1 1$' "$(asks '.counters | [.deadline_misses, .wrong_answers] | join(" ")')"
expect "the log" "^$id AUTH_EXEC $field/wrong ES_RESPOND_RESULT_ERR_EVENT_TYPE allowed\$" \
	"$(outboardctl log --source outboard --json |
		jq -r 'select(.id == "ENDPOINT_MISSED") | [.object, .event, .path, .code, .outcome] | join(" ")')"
unasked=$(asks '.counters.unasked')
as-user alice true # on no file system of the scope's
[ "$(asks '.counters.unasked')" -gt "$unasked" ] || fail "unasked" "more than $unasked" "the same"

# ---- outboard-esd that does not answer, and another one -------------------------------------------------
esd=$(pgrep -P "$outboardd_pid" -f outboard-esd) || fail "outboard-esd" "one" "none"
kill -STOP "$esd"
says "it is stopped" 1 'outboard-esd does not answer: it is stopped, or busy' outboardctl endpoint
says "outboardd answers meanwhile" 0 'endpoint-security: +up, 1 client' outboardctl
kill -CONT "$esd"
says "it goes on" 0 "^outboard-esd, pid [0-9]+: tracepoints" outboardctl endpoint
kill -9 "$esd"
until_asks "another one, with its client" '.clients[0].subscriptions | join(" ")' '^AUTH_EXEC NOTIFY_EXEC$'
says "it knows who is not approved" 4 '^endpoint.not-permitted$' "$waiting/Contents/MacOS/agent"
expect "it has missed nothing" '^0$' "$(asks '.misses | length')"
expect "status" 'endpoint-security-deadlines' "$(outboardctl)" not

app_uninstall $id
outboardd_stop
umount "$field" || fail "umount" "nobody in $field" "$(mount | grep "$field")"
echo "ok"
