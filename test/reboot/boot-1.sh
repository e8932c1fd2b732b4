# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Before the reboot, in the guest, once its system is up. boot-1.sh TOP BUILD
set -u
top=$1 build=$2
source "$top/test/lib/outboardd.sh"
unset OUTBOARD_LIBEXEC # what is installed

await-path --seconds 60 /run/outboard/control.sock || fail "outboardd" "its control socket" "none"
cat /proc/sys/kernel/random/boot_id >/root/boot-id

activate() { # NAME
	outboardctl activate "/opt/$1.app" >>"$log" 2>&1 || fail "activate $1" "exit 0" "$(tail -n 1 "$log")"
	until_property "$1" "org.example.$1.agent" awaiting_approval true
}

for name in Kept Off Later; do
	activate $name
	outboardctl approve "org.example.$name.agent" --yes >>"$log" 2>&1 ||
		fail "approve $name" "exit 0" "$(tail -n 1 "$log")"
	until_property $name "org.example.$name.agent" running true
done
outboardctl disable org.example.Off.agent >>"$log" 2>&1 || fail "disable" "exit 0" "$(tail -n 1 "$log")"
until_property Off org.example.Off.agent running false
activate Waiting

# The second version of Later wants a reboot: the first one runs on without a gap.
pid=$(running_pid org.example.Later.agent)
rm -rf /opt/Later.app
cp -r /root/Later.app /opt/
text=$(outboardctl activate /opt/Later.app --wait 2>&1)
expect "the answer" 'reboot' "$text"
[ "$(running_pid org.example.Later.agent)" = "$pid" ] ||
	fail "the old copy" "pid $pid" "$(running_pid org.example.Later.agent)"
expect "what runs" '^1\.0' "$(property org.example.Later.agent running_version)"
outboardctl list
