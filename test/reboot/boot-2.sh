# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# After the reboot, in the guest: nobody has logged in, no app has run, nobody was asked.
# boot-2.sh TOP BUILD
set -u
top=$1 build=$2
source "$top/test/lib/outboardd.sh"
unset OUTBOARD_LIBEXEC

await-path --seconds 60 /run/outboard/control.sock || fail "outboardd" "its control socket" "none"
[ "$(cat /root/boot-id)" != "$(cat /proc/sys/kernel/random/boot_id)" ] ||
	fail "the boot id" "another" "the same"

until_property "the enabled one" org.example.Kept.agent running true
until_property "the one that wanted a reboot" org.example.Later.agent running_version '^2\.0'
expect "the disabled one" '^false$' "$(property org.example.Off.agent running)"
expect "the disabled one" '^false$' "$(property org.example.Off.agent enabled)"
expect "what waited" '^true$' "$(property org.example.Waiting.agent awaiting_approval)"
expect "what waited" '^false$' "$(property org.example.Waiting.agent running)"
expect "the old copy of Later" '^1$' \
	"$(outboardctl list --json | jq '[.[] | select(.identifier == "org.example.Later.agent" and .running)] | length')"
pgrep -x app >/dev/null && fail "the apps" "none has run" "$(pgrep -ax app)"
[ -z "$(who)" ] || fail "logins" "none" "$(who)"
outboardctl list
