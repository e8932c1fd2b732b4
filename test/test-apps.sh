#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Apps on disk, with the app not running: updated in place, replaced by another folder, by a version
# that does not come up, moved, unmounted, deleted, deleted while outboardd is down. In a scope with
# users.
# test-apps.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents opt=$OUTBOARD_ROOT/opt
id=org.example.apps.agent app=$opt/apps.app

ctl() { # VERB...
	outboardctl "$@" >>"$log" 2>&1 || fail "outboardctl $*" "exit 0" "$(tail -n 1 "$log")"
}

make() { # VERSION AGENT [KEY=VALUE...]: a signed app of it in $work/new
	local version=$1 agent=$2
	shift 2
	app_install "$work/new" apps "$version" "$agents/$agent" "$@"
}

outboardd_start
team_start apps

make 1.0-1 agent-silent
cp -r "$work/new/apps.app" "$opt/"
ctl activate --wait "$app"
until_property "activated" $id state '^activated_enabled$'

# As a package does it: file by file, each renamed into its place.
make 2.0-1 agent-silent
(cd "$work/new" && find apps.app -type f) | while read -r file; do
	cp -p "$work/new/$file" "$opt/$file.dpkg-new" && mv "$opt/$file.dpkg-new" "$opt/$file"
done
until_property "updated in place" $id running_version '^2.0/1$'

make 3.0-1 agent-silent
mv "$app" "$work/old.app"
mv "$work/new/apps.app" "$app"
until_property "replaced by another folder" $id running_version '^3.0/1$'

# One that does not come up: the old one is back, and it is not tried again and again.
make 4.0-1 agent-crash
cp -rT "$work/new/apps.app" "$app"
until_property "does not come up" $id reason '^rolled back'
until_property "the old one is back" $id running_version '^3.0/1$'
until_property "the old one is up" $id state '^activated_enabled$'
expect "and says why" '^rolled back: version 4.0' "$(property $id reason)"
expect "its last error" 'supervision.not-up.*(Aborted|SIGABRT|signal 6)' "$(property $id last_error | tr '\n' ' ')"

# One that ends well, and before it counts as up, has not come up, either.
make 4.1-1 agent-brief
cp -rT "$work/new/apps.app" "$app"
until_property "does not come up" $id last_error 'does not come up: .*0'
until_property "the old one is back" $id running_version '^3.0/1$'
until_property "and is what counts" $id state '^activated_enabled$'
pid=$(running_pid $id)

# More rights than were approved: it waits, the older one runs on.
make 5.0-1 agent-silent entitlement:org.outboard.file-system.write=/var/tmp
cp -rT "$work/new/apps.app" "$app"
deadline=$((SECONDS + wait_s))
until outboardctl list --json | jq -e ".[] | select(.identifier == \"$id\" and .awaiting_approval)" >/dev/null; do
	[ $SECONDS -lt $deadline ] || fail "asks for more" "a copy that waits" "$(outboardctl list)"
	read -r -t 1 -u "$monitor_fd" _
done
expect "the older one runs on" "^$pid\$" "$(running_pid $id)"
ctl approve $id --yes
until_property "approved" $id running_version '^5.0/1$'
pid=$(running_pid $id)

mv "$app" "$opt/moved.app"
until_property "moved" $id app_path '/moved.app$'
expect "moved: the same process" "^$pid\$" "$(running_pid $id)"

rm -rf "$opt/moved.app"
until_property "deleted" $id identifier '^$'
expect "nothing runs" '^$' "$(pgrep -f "$OUTBOARD_ROOT/var/lib/outboard/extensions")"
expect "nothing is staged" '^$' "$(ls "$OUTBOARD_ROOT/var/lib/outboard/extensions")"

# Its file system is not there: that is no deletion. It comes back: nothing has happened.
mkdir "$opt/disk"
mount -t tmpfs disk "$opt/disk"
make 1.0-1 agent-silent
cp -r "$work/new/apps.app" "$opt/disk/"
mount --bind "$opt/disk" "$work"/old.app
ctl activate --wait "$opt/disk/apps.app"
pid=$(running_pid $id)
umount "$opt/disk"
until_property "unmounted" $id reason 'not mounted'
outboardctl gc >>"$log" 2>&1
expect "unmounted: the same process" "^$pid\$" "$(running_pid $id)"
mount --bind "$work/old.app" "$opt/disk"
until_property "mounted again" $id reason '^$'
expect "mounted again: the same process" "^$pid\$" "$(running_pid $id)"
umount "$work/old.app"

# Deleted while nobody looks.
outboardd_stop
rm -rf "$opt/disk/apps.app"
outboardd_start
until_property "deleted while outboardd was down" $id identifier '^$'
umount "$opt/disk"

outboardd_stop
echo "ok"
