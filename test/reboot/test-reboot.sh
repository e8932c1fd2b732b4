#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a reboot keeps: a guest of the lab with a disk of its own, its own systemd, and Outboard
# installed on it is booted twice. Before: extensions are approved, disabled, left waiting, and
# replaced by a version that wants a reboot. After: boot-2.sh says how each must be, with nobody
# logged in and no app run.
# test-reboot.sh TOP BUILD [6.12|6.1]
set -u
top=$1 build=$2 kernel=${3:-6.12}
export OUTBOARD_ROOT
OUTBOARD_ROOT=$(mktemp -d /var/tmp/outboard-reboot.XXXXXX)
disk=$OUTBOARD_ROOT.img
trap 'rm -rf "$OUTBOARD_ROOT" "$disk" "$work"' EXIT
chmod 755 "$OUTBOARD_ROOT"
# shellcheck source=test/lib/outboardd.sh
source "$top/test/lib/outboardd.sh"

team_start reboot
for name in Kept Off Waiting Later; do
	app_install "$OUTBOARD_ROOT/opt" $name 1.0-1 "$build/test/agents/agent-silent"
done
app_install "$OUTBOARD_ROOT/root" Later 2.0-2 "$build/test/agents/agent-silent" \
	NSEndpointSecurityRebootRequired=true
"$top/lab/disk" --install "$build" --add "$OUTBOARD_ROOT" "$disk" || exit
for boot in 1 2; do
	echo "boot $boot, after $SECONDS s"
	"$top/lab/run" --kernel "$kernel" --disk "$disk" --timeout 120 -- \
		"bash $top/test/reboot/boot-$boot.sh $top $build" || exit
done
echo "done after $SECONDS s"
