#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Requests of an app against the real daemons: what its delegate is told, and what has become of the
# extension. In a scope with users. Who is asked and when: approval, replacement, supersession, an app
# that ends while it waits, an outboardd that is killed meanwhile.
# test-requests.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents
name=requests
id=org.example.$name.agent

outboardd_start
team_start requests
app_install "$OUTBOARD_ROOT/opt" $name 1.0-1 "$agents/agent-service-1" NSEndpointSecurityMachServiceName=org.example.service
app=$OUTBOARD_ROOT/opt/$name.app/Contents/MacOS/app

# An unknown identifier is refused with what it is and where it was looked for.
expect "an identifier that the app does not have" '^failed 4 .*nonesuch' \
	"$(as-user alice "$app" activate org.example.nonesuch)"

# It waits for approval, and ends when somebody approves.
app_start alice "$app" activate $id
app_await '^needs-approval$'
expect "the state while it waits" '^activated_waiting_for_user$' "$(property $id state)"
expect "nothing runs" '^$' "$(running_pid $id)"
outboardctl approve $id --yes >>"$log" 2>&1 || fail "approve" "exit 0" "$(tail -n 1 "$log")"
app_await '^finished 0$'
app_ended 0
pid=$(running_pid $id)
expect "it runs" '^[1-9]' "$pid"

# Asked again, also by another user: done at once, nobody is asked, nothing is restarted.
for user in alice bob; do
	expect "$user asks again" '^finished 0$' "$(as-user $user "$app" activate $id)"
	expect "the same process after $user has asked" "^$pid\$" "$(running_pid $id)"
done
expect "its properties" "^found $id 1.0/1 activated_enabled enabled=1 awaiting=0 uninstalling=0 running=1.0/1 pid=$pid\$" \
	"$(as-user alice "$app" properties $id)"

# A second copy, elsewhere, of a newer version: CANCEL leaves everything, REPLACE replaces.
app_install "$OUTBOARD_ROOT/opt/newer" $name 2.0-2 "$agents/agent-service-2" NSEndpointSecurityMachServiceName=org.example.service
newer=$OUTBOARD_ROOT/opt/newer/$name.app/Contents/MacOS/app
said=$(as-user alice "$newer" activate $id cancel)
expect "the existing copy" "^existing $id 1.0/1 " "$said"
expect "the new copy" "^extension $id 2.0/2 " "$said"
expect "canceled" '^failed 11 request.not-replaced ' "$said"
expect "the old process after CANCEL" "^$pid\$" "$(running_pid $id)"
said=$(as-user alice "$newer" activate $id replace)
expect "the existing copy" "^existing $id 1.0/1 " "$said"
expect "replaced" '^finished 0$' "$said"
expect "the new version runs" '^2.0/2$' "$(property $id running_version)"
expect "another process after REPLACE" "^$pid\$" "$(running_pid $id)" not

# Deactivated, which takes an administrator: nothing is left of it.
expect "alice may not take it away" '^failed 13 request.authorization ' \
	"$(as-user alice "$newer" deactivate $id)"
expect "an app that does not hold it may not either" '^failed 4 request.not-container ' \
	"$("$app" deactivate $id)"
expect "deactivated" '^finished 0$' "$("$newer" deactivate $id)"
expect "nothing runs" '^$' "$(running_pid $id)"
expect "no properties of what is gone" '^found .*activated' "$(as-user alice "$newer" properties $id)" not

# The app ends while it waits: its request is gone, the state stays, an approval completes it.
name2=waiting id2=org.example.$name2.agent
app_install "$OUTBOARD_ROOT/opt" $name2 1.0-1 "$agents/agent-silent"
app2=$OUTBOARD_ROOT/opt/$name2.app/Contents/MacOS/app
app_start alice "$app2" activate $id2
app_await '^needs-approval$'
app_kill
expect "the state without its app" '^activated_waiting_for_user$' "$(property $id2 state)"

# A second request supersedes one that is open.
app_start alice "$app2" activate $id2
app_await '^needs-approval$'
first_fd=$app_fd first_pid=$app_pid
app_start alice "$app2" activate $id2
app_await '^needs-approval$'
second_fd=$app_fd second_pid=$app_pid
app_fd=$first_fd app_pid=$first_pid
app_await '^failed 12 request.superseded '
app_ended 1

# outboardd is killed while it waits: the app is not told, and its request is completed.
app_fd=$second_fd app_pid=$second_pid
outboardd_kill_manager
outboardctl approve $id2 --yes >>"$log" 2>&1 || fail "approve" "exit 0" "$(tail -n 1 "$log")"
app_await '^finished 0$'
app_ended 0
expect "it runs" '^[1-9]' "$(running_pid $id2)"

app_uninstall $id2

# Sixteen requests of one process can be open; one more is refused, until one of them has ended.
many=$work/made/many.app/Contents/Library/SystemExtensions/org.example.many.agent.systemextension
"$source_top/test/agents/make-app" "$work/made" many 1.0-1 "$build/test/agents/test-asker" "$agents/agent-silent" ||
	fail "make-app" "an app" "see above"
for n in {1..17}; do
	cp -r "$many" "${many/agent/$n}"
	sed -i "s/many\.agent/many.$n/" "${many/agent/$n}/Contents/Info.plist"
	sign "${many/agent/$n}" "$work/made/many.agent.entitlements"
done
app_sign "$work/made" many
mv "$work/made/many.app" "$OUTBOARD_ROOT/opt/"
mkfifo "$work/asks" "$work/told"
as-user alice "$OUTBOARD_ROOT/opt/many.app/Contents/MacOS/app" <"$work/asks" >"$work/told" 2>&1 &
app_pid=$!
exec {asks}>"$work/asks" {app_fd}<"$work/told"
printf 'org.example.many.%s\n' {1..16} >&"$asks"
for n in {1..16}; do
	app_await ' (needs-approval|failed|finished)'
	expect "request $n of 16" '^org.example.many.[0-9]+ needs-approval$' "$line"
done
echo org.example.many.17 >&"$asks"
app_await '^org.example.many.17 '
expect "one more" '^org.example.many.17 failed 1 request.too-many org.example.many.17: too many requests: 16 ' "$line"
echo cancel org.example.many.3 >&"$asks"
app_await '^org.example.many.3 failed 11 request.canceled org.example.many.3: '
echo org.example.many.17 >&"$asks"
app_await '^org.example.many.17 '
expect "one more, when one has ended" '^org.example.many.17 needs-approval$' "$line"
expect "what waits, canceled or not" '^17$' \
	"$(outboardctl list --json | jq '[.[] | select(.state == "activated_waiting_for_user")] | length')"
exec {asks}>&-
app_kill
outboardd_stop
echo "ok"
