#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a boot makes of what the last one has left, in a scope: every process of Outboard is killed at
# once, as by a loss of power, /run is empty, and the boot id is another. Above all, the versions that
# want a reboot (NSEndpointSecurityRebootRequired). test/reboot is the same over a real one.
# test-boots.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents opt=$OUTBOARD_ROOT/opt
boot_id=/proc/sys/kernel/random/boot_id

power_off() {
	echo 1 >"$SCOPE_CGROUP/outboardd/cgroup.kill"
	wait "$outboardd_pid" 2>>"$log"
}

power_on() { # BOOT-ID, or nothing: the same boot, as after a kill of everything
	if [ $# -gt 0 ]; then
		rm -rf "$OUTBOARD_ROOT/run/outboard"
		! mountpoint -q $boot_id || umount $boot_id
		echo "00000000-0000-0000-0000-00000000000$1" >"$work/boot-id"
		mount --bind "$work/boot-id" $boot_id
	fi
	outboardd_start
	monitor_start
}

id() { echo "org.example.$1.agent"; }

install() { # NAME VERSION [AGENT]: in place, as a package manager does it
	app_install "$work/new" "$1" "$2.0-$2" "$agents/agent-${3:-silent}" \
		NSEndpointSecurityRebootRequired=true
	rm -rf "$work/old.app"
	mkdir -p "$opt"
	[ ! -e "$opt/$1.app" ] || mv "$opt/$1.app" "$work/old.app"
	mv "$work/new/$1.app" "$opt/"
}

activate() { # NAME
	outboardctl activate --wait "$opt/$1.app" 2>>"$log"
}

wants_reboot() { # NAME [AGENT]: its version 1 runs, its version 2 waits
	local pid
	pid=$(running_pid "$(id "$1")")
	install "$1" 2 "${2:-silent}"
	expect "activate the second $1" 'will complete after reboot' "$(activate "$1")"
	expect "asked again by its app" '^finished 1$' \
		"$(as-user alice "$opt/$1.app/Contents/MacOS/app" activate "$(id "$1")")"
	still_runs "$1" "$pid"
	expect "the copies of $1" '^1/activated_enabled 2/activated_waiting_to_upgrade_on_reboot $' \
		"$(copies "$1")"
}

still_runs() { # NAME PID
	expect "$1: the old version" "^$2\$" "$(running_pid "$(id "$1")")"
	expect "$1: its version" '^1\.0/1$' "$(property "$(id "$1")" running_version)"
}

copies() { # NAME: VERSION/STATE of each
	outboardctl list --json | jq -j --arg id "$(id "$1")" \
		'[.[] | select(.identifier == $id)] | sort_by(.version)[] | .version + "/" + .state + " "'
}

until_copies() { # WHAT NAME PATTERN
	local deadline=$((SECONDS + wait_s)) change
	while value=$(copies "$2"); ! [[ $value =~ $3 ]]; do
		[ $SECONDS -lt $deadline ] || fail "$1" "copies like $3" "${value:-none}"
		read -r -t 1 -u "$monitor_fd" change || monitor_start
		echo "${change-}" >>"$log"
	done
}

power_on 1
team_start boots
asking=()
for name in Later Broken Off Gone; do
	install $name 1
	activate $name >"$work/$name" &
	asking+=($!)
done
wait "${asking[@]}"
for name in Later Broken Off Gone; do
	expect "activate $name" 'completed' "$(cat "$work/$name")"
done

# The one that wants a reboot, and one whose new version does not come up.
wants_reboot Later
later_pid=$(running_pid "$(id Later)")
wants_reboot Broken crash

# Switched off while its new version waits: what was said last holds.
wants_reboot Off
outboardctl disable "$(id Off)" >>"$log" 2>&1 || fail "disable" "exit 0" "$(tail -n 1 "$log")"
until_property "Off" "$(id Off)" state '^activated_disabled$'

# Taken away while its new version waits: both are.
wants_reboot Gone
app_uninstall "$(id Gone)"

# No boot: an outboardd that is killed, and one that is stopped, is followed by another.
outboardd_kill_manager
until_property "Later" "$(id Later)" running true
still_runs Later "$later_pid"
outboardd_stop
power_on
still_runs Later "$later_pid"
until_copies "within the boot" Later '^1/activated_enabled 2/activated_waiting_to_upgrade_on_reboot $'
power_off
power_on
until_property "everything killed within the boot" "$(id Later)" running true
expect "what runs then" '^1\.0/1$' "$(property "$(id Later)" running_version)"

# The boot.
power_off
power_on 2
until_copies "the new one is up and the old one gone" Later '^2/activated_enabled $'
expect "what runs" '^2\.0/2$' "$(property "$(id Later)" running_version)"
until_copies "the old one is back" Broken '^1/activated_enabled $'
expect "why it is back" '^rolled back: version 2\.0' "$(property "$(id Broken)" reason)"
until_copies "the one that was switched off" Off '^2/activated_disabled $'
expect "it does not run" '^false$' "$(property "$(id Off)" running)"
expect "who has switched it off" '^disabled by root$' "$(property "$(id Off)" reason)"
expect "the one that was taken away" '^$' "$(copies Gone)"

# The boots after it: nothing changes any more.
later=$(copies Later) off=$(copies Off) broken=$(copies Broken)
power_off
power_on 3
for name in Later Broken; do
	until_property "$name after the next boot" "$(id $name)" state '^activated_enabled$'
	until_property "$name after the next boot" "$(id $name)" running true
done
expect "the copies of all" "^$later$off$broken\$" "$(copies Later)$(copies Off)$(copies Broken)"

# Switched on again, it is the new version that runs.
outboardctl enable "$(id Off)" >>"$log" 2>&1 || fail "enable" "exit 0" "$(tail -n 1 "$log")"
until_property "Off is on" "$(id Off)" running true
expect "what runs of it" '^2\.0/2$' "$(property "$(id Off)" running_version)"

for name in Later Broken Off; do
	app_uninstall "$(id $name)"
done
outboardd_stop
umount $boot_id
echo "ok"
