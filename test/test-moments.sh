#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# outboard-esd and its clients are killed and stopped at moments by chance: no program is held for longer
# than two seconds, none is denied, and clients come back by themselves; test-moments.c does it. In a
# scope with users. 20 moments, 300 with OUTBOARD_TEST_SIZE=long; OUTBOARD_TEST_SEED from the environment.
# test-moments.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
field=$OUTBOARD_ROOT/run/field
[ -e /sys/kernel/btf/vmlinux ] || { echo "test-moments: needs a kernel with BTF"; exit 77; }

mkdir -p "$field" "$OUTBOARD_ROOT/etc/outboard/conf.d"
mount -t tmpfs field "$field"
cp /bin/true "$field/good"
printf '[endpoint]\nscope_filesystems = %s\n' "$field" >"$OUTBOARD_ROOT/etc/outboard/conf.d/field.conf"
outboardd_start
outboardctl developer on >>"$log" 2>&1 || fail "developer on" "exit 0" "$(tail -n 1 "$log")"
# As long as outboardd knows of a client, there is an outboard-esd for those that come by the door.
mkfifo "$work/ask" "$work/said"
outboardctl dev run --entitlement com.apple.developer.endpoint-security.client -- \
	"$build/test/agents/test-watcher" <"$work/ask" >"$work/said" 2>>"$log" &
app_pid=$!
exec {ask}>"$work/ask" {app_fd}<"$work/said"
app_await '^client$'
"$build/endpoint/test-endpoint-moments" "$outboardd_pid" "$field" {ask}>&- ||
	fail "moments" "exit 0" "exit $?"
exec {ask}>&-
app_ended 0
outboardd_stop
umount -l "$field" # of outboard-esd, which outboardd takes with it, something may still be there
echo "ok"
