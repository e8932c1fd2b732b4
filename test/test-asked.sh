#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each row of the table "Who is asked" in SystemExtensions(7): what an app is told that asks for its
# extension, by what has become of the extension before. In a scope with users.
# test-asked.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents opt=$OUTBOARD_ROOT/opt
id=org.example.asked.agent app=$opt/asked.app/Contents/MacOS/app

ctl() { # VERB...
	outboardctl "$@" >>"$log" 2>&1 || fail "outboardctl $*" "exit 0" "$(tail -n 1 "$log")"
}

finishes() { # ROW [APP]: nobody is asked
	local said
	said=$(as-user alice "${2:-$app}" activate $id)
	expect "$1" '^finished 0$' "$said"
	expect "$1" '^needs-approval$' "$said" not
	expect "$1: it runs" '^activated_enabled$' "$(property $id state)"
}

fails() { # ROW PATTERN: nobody is asked
	local said
	said=$(as-user alice "$app" activate $id)
	expect "$1" "$2" "$said"
	expect "$1" '^needs-approval$' "$said" not
}

waits() { # ROW [APP]: somebody is asked; approve it afterwards
	app_start alice "${2:-$app}" activate $id
	app_await '^needs-approval$'
}

approved() {
	ctl approve $id --yes
	app_await '^finished 0$'
	app_ended 0
}

outboardd_start
team_start asked
app_install "$opt" asked 1.0-1 "$agents/agent-silent"

waits "unknown"
app_kill
waits "waiting already"
approved
finishes "enabled, the same"

ctl disable $id
waits "disabled"
approved

ctl deactivate $id --wait
finishes "deactivated, approved before"

app_install "$opt/newer" asked 2.0-2 "$agents/agent-silent"
finishes "newer, asks for no more" "$opt/newer/asked.app/Contents/MacOS/app"

app_install "$opt/more" asked 3.0-3 "$agents/agent-silent" \
	entitlement:org.outboard.file-system.write=/var/tmp
waits "newer, asks for more" "$opt/more/asked.app/Contents/MacOS/app"
expect "the older one runs on" '^2.0/2$' "$(property $id running_version)"
approved
expect "the newer one runs" '^3.0/3$' "$(property $id running_version)"
app_uninstall $id

# denied: the same rights are not asked for again
id=org.example.denied.agent app=$opt/denied.app/Contents/MacOS/app
app_install "$opt" denied 1.0-1 "$agents/agent-silent"
waits "unknown, then denied"
ctl deny $id
app_await '^failed 13 approval.denied '
app_ended 1
fails "denied" '^failed 13 approval.denied-before '
ctl activate "$opt/denied.app" $id --wait
expect "root approves by asking" '^activated_enabled$' "$(property $id state)"
app_uninstall $id

# a crash loop is not started again by asking
id=org.example.crash.agent app=$opt/crash.app/Contents/MacOS/app
app_install "$opt" crash 1.0-1 "$agents/agent-crash"
ctl activate "$opt/crash.app" $id
until_property "it crashes, with longer and longer pauses" $id state '^activated_disabled$'
fails "in a crash loop" '^failed 9 supervision.crash-loop '
app_uninstall $id

# allowed by policy: what waits is completed, and the next one of the team is not asked about
id=org.example.allowed.agent app=$opt/allowed.app/Contents/MacOS/app
app_install "$opt" allowed 1.0-1 "$agents/agent-silent"
waits "not yet allowed by policy"
policy_allow "$(property $id team)"
app_await '^finished 0$'
app_ended 0
app_uninstall $id
id=org.example.also.agent app=$opt/also.app/Contents/MacOS/app
app_install "$opt" also 1.0-1 "$agents/agent-silent"
finishes "allowed by policy"
app_uninstall $id

outboardd_stop
echo "ok"
