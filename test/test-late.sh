#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A disk that does not answer, to an extension that is stopped, to one that is upgraded, and to who
# judges a bundle: each is given up when its time is up, says so, and nothing waits for ever; when the
# disk answers again the same is done. With OUTBOARD_TEST_SIZE=long an app is asked for, too, which is
# given five minutes. In a scope with users.
# test-late.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents opt=$OUTBOARD_ROOT/opt
fault=$work/fault apps=$work/apps disk=$OUTBOARD_ROOT/opt/disk
still=org.example.still.agent late=org.example.late.agent
inside=Contents/Library/SystemExtensions/org.example.judged.agent.systemextension/Contents/MacOS/agent
[ -x "$build/test/lib/eio-fs" ] || { echo "test-late: needs libfuse3 (libfuse3-dev) when it is built"; exit 77; }

stuck_disk() { # FOLDER MOUNT-POINT NAME
	eio-fs --stuck --while "$fault" "$@" 2>>"$log"
	code=$?
	[ $code = 0 ] || { tail -n 1 "$log"; exit $code; }
}

# A job's status and what it has said: its ceiling is what the contract says, and ten seconds.
ended() { # WHAT PID SECONDS FILE: sets code and said
	local began=$SECONDS
	wait "$2"
	code=$?
	[ $((SECONDS - began)) -le "$3" ] || fail "$1" "an end within $3 s" "$((SECONDS - began)) s"
	said=$(cat "$4")
}

mkdir -p "$work/slow" "$disk"
chmod 755 "$work"
echo data >"$work/slow/file"
stuck_disk "$work/slow" /mnt file
outboardd_start
team_start late
policy_allow "$(outboardctl team list --json | jq -r '.[0].team')"
app_install "$apps" judged 1.0-1 "$agents/agent-silent"
stuck_disk "$apps" "$disk" "judged.app/$inside"
app_install "$opt" still 1.0-1 "$agents/agent-stuck"
app_install "$opt" late 1.0-1 "$agents/agent-stuck"
app_install "$opt/newer" late 2.0-2 "$agents/agent-silent"

touch "$fault"
for name in still late; do
	expect "$name: one that waits in the kernel counts as one that runs" '^finished 0$' \
		"$(as-user alice "$opt/$name.app/Contents/MacOS/app" activate org.example.$name.agent)"
done
outboardctl verify "$disk/judged.app" >"$work/verified" 2>&1 &
verify=$!
if [ "${OUTBOARD_TEST_SIZE:-ci}" = long ]; then
	as-user alice "$disk/judged.app/Contents/MacOS/app" activate org.example.judged.agent >"$work/asked" 2>&1 &
	asked=$!
fi
as-user alice "$opt/newer/late.app/Contents/MacOS/app" activate $late replace >"$work/upgraded" 2>&1 &
upgrade=$!
outboardctl disable $still >>"$log" 2>&1 || fail "disable" "exit 0" "$(tail -n 1 "$log")"
until_property "one that cannot be ended" $still state '^terminating_for_disable_but_still_running$'

ended "an upgrade of what cannot be ended" $upgrade 40 "$work/upgraded"
expect "the upgrade" "^failed 1 state.deadline $late: it took too long to leave the state activated_waiting_to_upgrade" "$said"
expect "what is active" '^1.0/1$' "$(property $late short_version)/$(property $late version)"
ended "a bundle that cannot be read" $verify 70 "$work/verified"
[ $code = 1 ] || fail "verify" "exit 1" "exit $code: $said"
expect "verify" "$disk/judged.app could not be read in time: no verdict within 60 seconds.* \\[bundle.timeout\\]" "$said"
if [ -v asked ]; then
	expect "others meanwhile" '^\[' "$(outboardctl list --json)"
	ended "an app that cannot be read" "$asked" 310 "$work/asked"
	expect "its app" "^failed 9 bundle.timeout $disk/judged.app could not be read in time: no verdict within 300 seconds" "$said"
fi

rm "$fault"
until_property "it has ended" $still state '^activated_disabled$'
until_property "the old version goes on" $late state '^activated_enabled$'
expect "the old version" '^1.0/1$' "$(property $late running_version)"
expect "the upgrade, asked for again" '^finished 0$' \
	"$(as-user alice "$opt/newer/late.app/Contents/MacOS/app" activate $late replace)"
expect "the new version" '^2.0/2$' "$(property $late running_version)"
outboardctl verify "$disk/judged.app" >>"$log" 2>&1 || fail "verify again" "exit 0" "$(tail -n 1 "$log")"
expect "the app, asked again" '^finished 0$' \
	"$(as-user alice "$disk/judged.app/Contents/MacOS/app" activate org.example.judged.agent)"
for name in still late judged; do
	app_uninstall org.example.$name.agent
done
outboardd_stop
umount /mnt "$disk"
echo "ok"
