#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The lab tells what it is there to tell: how a program ended, what the kernel said, that a guest was
# lost, and what a disk keeps over a reboot.
# test-lab.sh FOLDER-OF-THE-LAB
set -u
lab=$1 failed=0
disk=$(mktemp /var/tmp/outboard-test-lab.XXXXXX)
trap 'rm -f "$disk"' EXIT

says() { # NAME CODE PATTERN ARGUMENT...
	local name=$1 code=$2 pattern=$3 text got
	shift 3
	text=$("$lab/run" "$@" 2>&1)
	got=$?
	if [ $got -eq 77 ] && [ "$code" -ne 77 ]; then
		echo "$text"
		exit 77
	fi
	if [ $got -eq "$code" ] && grep -qE -e "$pattern" <<<"$text"; then
		echo "ok: $name"
	else
		echo "FAILED: $name: expected exit $code and /$pattern/, got exit $got and: $text"
		failed=1
	fi
}

says "programs of both kinds" 1 'exit 5: ended with 5' -- true 'exit 5'
says "6.1" 0 '^6\.1\.' --kernel 6.1 -- 'uname -r'
says "all skipped" 77 'ended with 77' -- 'exit 77'
says "the kernel's word" 1 'the kernel said' -- 'echo "WARNING: at here" >/dev/kmsg' true
says "a hung program" 1 'sleep 99: ended with 124' --timeout 3 -- 'sleep 99' true
says "a guest that crashes" 3 'Kernel panic' -- 'echo c >/proc/sysrq-trigger'
says "a guest that does not boot" 3 'booted once more' --append 'rdinit=/nonesuch root=/dev/none' -- true
says "a device" 0 'nvme' --device '-drive if=none,id=n,driver=null-co,size=1M -device nvme,drive=n,serial=1' \
	-- 'modprobe nvme && ls /sys/class/nvme'
says "the monitor" 0 '"return"' --monitor -- 'exec 3<>"$LAB_MONITOR"; read -r hello <&3
	echo "{\"execute\": \"qmp_capabilities\"}" >&3; read -r answer <&3; echo "$answer"'
"$lab/disk" "$disk" || failed=1
says "a disk, before" 0 'running|starting' --disk "$disk" -- \
	'systemctl is-system-running; cat /proc/sys/kernel/random/boot_id | tee /root/boot-id' true
says "a disk, after the reboot" 0 'another boot' --disk "$disk" -- \
	'[ "$(cat /root/boot-id)" != "$(cat /proc/sys/kernel/random/boot_id)" ] && echo another boot'
exit $failed
