# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Before the reboot, in the guest, once its system is up. boot-1.sh TOP BUILD
set -u
top=$1 build=$2
# shellcheck source=test/lib/outboardd.sh
source "$top/test/lib/outboardd.sh"
unset OUTBOARD_LIBEXEC # what is installed
# shellcheck source=test/reboot/guest.sh
source "$top/test/reboot/guest.sh"

await-path --seconds 60 /run/outboard/control.sock || fail "outboardd" "its control socket" "none"
cat /proc/sys/kernel/random/boot_id >/root/boot-id
expect "what systemd says of the unit" '.' \
	"$(journalctl -b --no-pager _PID=1 | grep -E 'outboardd\.service:[0-9]+:')" not

# Alice's apps ask, side by side; root says yes to three of them, the fourth ends while it waits.
declare -A fds pids
as() { # NAME: of whom app_await and the others speak
	app_fd=${fds[$1]} app_pid=${pids[$1]}
}
for name in Kept Off Later Waiting; do
	app_start alice "/opt/$name.app/Contents/MacOS/app" activate "$(id $name)"
	fds[$name]=$app_fd pids[$name]=$app_pid
done
for name in Kept Off Later; do
	as $name
	app_await '^needs-approval$'
	outboardctl approve "$(id $name)" --yes >>"$log" 2>&1 ||
		fail "approve $name" "exit 0" "$(tail -n 1 "$log")"
done
for name in Kept Off Later; do
	as $name
	app_await '^finished 0$'
	app_ended 0
done
as Waiting
app_await '^needs-approval$'
app_kill
outboardctl disable "$(id Off)" >>"$log" 2>&1 || fail "disable" "exit 0" "$(tail -n 1 "$log")"
until_table "before the upgrade" '^Kept 1 activated_enabled .* restarts 0 ' \
	'^Later 1 activated_enabled .* restarts 0 ' '^Off 1 activated_disabled running  pid 0 ' \
	'^Waiting 1 activated_waiting_for_user running  pid 0 '
before=$(grep -E '^(Kept|Later) ' <<<"$table")

# The second version of Later wants a reboot: its app is told so, and the first one runs on.
mv /opt/Later.app /root/old.app
mv /root/Later.app /opt/
said=$(as-user alice /opt/Later.app/Contents/MacOS/app activate "$(id Later)" replace)
expect "the answer" '^finished 1$' "$said"
goes_on() { # WHEN: the same processes, never started again, and the new copy waits
	local now
	now=$(table)
	expect "Later, $1" '^Later 2 activated_waiting_to_upgrade_on_reboot running  pid 0 ' "$now"
	now=$(grep -E '^(Kept|Later) 1 ' <<<"$now")
	[ "$now" = "$before" ] || fail "$1" "$before" "$now"
	pgrep -f /var/lib/outboard/extensions/ >"$work/pids"
	[ "$(sed 's/.* pid \([0-9]*\) .*/\1/' <<<"$now" | sort)" = "$(sort "$work/pids")" ] ||
		fail "$1" "these processes: $now" "$(cat "$work/pids")"
}
goes_on "asked for its second version"

# By systemd: what runs goes on, whether outboardd is restarted or killed.
systemctl restart outboardd || fail "systemctl restart" "exit 0" "$(systemctl status outboardd)"
goes_on "outboardd restarted"
main=$(systemctl show -P MainPID outboardd)
kill -9 "$main"
await-path --gone --seconds 20 "/proc/$main"
await-path --seconds 60 /run/outboard/control.sock || fail "outboardd" "its control socket" "none"
goes_on "outboardd killed"
table | tee /root/before
