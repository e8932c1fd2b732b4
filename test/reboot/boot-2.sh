# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# After the reboot, in the guest: nobody has logged in, no app has run, nobody was asked.
# boot-2.sh TOP BUILD
set -u
top=$1 build=$2
# shellcheck source=test/lib/outboardd.sh
source "$top/test/lib/outboardd.sh"
unset OUTBOARD_LIBEXEC
# shellcheck source=test/reboot/guest.sh
source "$top/test/reboot/guest.sh"

await-path --seconds 60 /run/outboard/control.sock || fail "outboardd" "its control socket" "none"
[ "$(cat /root/boot-id)" != "$(cat /proc/sys/kernel/random/boot_id)" ] ||
	fail "the boot id" "another" "the same"

# The enabled one, and the new version in the place of the old one, which is gone.
until_table "after the boot" '^Kept 1 activated_enabled running 1\.0/1 ' \
	'^Later 2 activated_enabled running 2\.0/2 '
deadline=$((SECONDS + wait_s))
while grep -q '^Later 1 ' <<<"$table"; do # it goes once the new one is up
	[ $SECONDS -lt $deadline ] || fail "the old copy of Later" "none" "$table"
	read -r -t 1 -u "$monitor_fd" _
	table=$(table)
done
for name in Kept Later; do
	expect "the copies of $name on disk" '^1$' \
		"$(find /var/lib/outboard/extensions -name "$(id $name).systemextension" | wc -l)"
	pid=$(pgrep -f "/var/lib/outboard/extensions/.*/$(id $name)")
	expect "the process of $name, one" "^$name .* pid $pid restarts 0 " "$table"
	expect "the process of $name, one" '^[0-9]+$' "$pid"

	# Before any login: before systemd lets users in.
	started=$(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 20)
	let_in=$(systemctl show -P ExecMainStartTimestampMonotonic systemd-user-sessions)
	[ $((started * 1000000 / $(getconf CLK_TCK))) -lt "$let_in" ] ||
		fail "$name" "started before logins, at $let_in us" "at $started ticks"
done
[ -z "$(who)$(loginctl --no-legend list-sessions)" ] || fail "logins" "none" "$(who && loginctl)"

# Without its app, and on the word that was given before the reboot.
pgrep -x app && fail "the apps" "none has run" "$(pgrep -ax app)"
[ "$(sed -n 's/^Kept .* approved //p' /root/before)" = "$(sed -n 's/^Kept .* approved //p' <<<"$table")" ] ||
	fail "the approval of Kept" "$(grep '^Kept ' /root/before)" "$(grep '^Kept ' <<<"$table")"

# What was off is off, what waited waits.
expect "the disabled one" '^Off 1 activated_disabled running  pid 0 ' "$table"
expect "what waited" '^Waiting 1 activated_waiting_for_user running  pid 0 ' "$table"
for name in Off Waiting; do
	pgrep -f "/var/lib/outboard/extensions/.*/$(id $name)" && fail "$name" "no process" "one"
done
echo "$table"
