#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The disk that an app lies on is broken in one place, or the one that copies go to is full or has
# turned read-only: the delegate gets OSSystemExtensionErrorUnknown (1) with what could not be read and
# what to do about it, or ValidationFailed (9) where a file changed while it was read; nothing is left
# of the attempt; with the disk mended the same request, asked again, completes. In a scope with users.
# test-disks.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
agents=$build/test/agents state=$OUTBOARD_ROOT/var/lib/outboard
name=disks id=org.example.disks.agent
plain=$work/plain disk=$OUTBOARD_ROOT/opt/disk fault=$work/fault
inside=Contents/Library/SystemExtensions/$id.systemextension/Contents/MacOS/agent
[ -x "$build/test/lib/eio-fs" ] || { echo "test-disks: needs libfuse3 (libfuse3-dev) when it is built"; exit 77; }
command -v sqlite3 >/dev/null || { echo "test-disks: needs sqlite3"; exit 77; }

ask() { as-user alice "$disk/$name.app/Contents/MacOS/app" activate $id replace 20; }

eventually() { # WHAT COMMAND...: of what nobody tells the end, tried until it holds
	local what=$1 deadline=$((SECONDS + wait_s))
	shift
	until "$@" 2>>"$log"; do
		[ $SECONDS -lt $deadline ] || fail "$what" "within $wait_s s: $*" "not yet"
		sleep 0.05
	done
}

swept() { [ -z "$(ls "$state/extensions")" ]; }

nothing_left() { # AFTER WHAT
	eventually "$1: staging" swept # by a child, after the answer
	expect "$1: the list" '^\[\]$' "$(outboardctl list --json | jq -c .)"
	expect "$1: the registry" '^ok$' "$(sqlite3 -readonly "$state/registry.db" 'PRAGMA integrity_check')"
	expect "$1: its rows" '^0$' "$(sqlite3 -readonly "$state/registry.db" 'SELECT count(*) FROM extensions')"
}

completes() { # AFTER WHAT
	expect "$1: asked again" '^finished 0$' "$(ask)"
	expect "$1: it runs" '^[1-9]' "$(running_pid $id)"
}

refuses() { # WHAT RULE SENTENCE ADVICE [CODE]
	said=$(ask)
	expect "$1" "^failed ${5-1} $2 .*$3" "$said"
	expect "$1: what to do" "^advice .*$4" "$said"
	nothing_left "$1"
}

# How many copies had been begun when the nth request was refused, by the log from its beginning.
copies_begun() { # N
	local refused=0 begun=0 deadline=$((SECONDS + wait_s)) line
	exec {stream}< <(exec outboardctl log --follow --lines 10000 --json 2>&1)
	stream_pid=$!
	while [ $refused -lt "$1" ]; do
		IFS= read -r -t $((deadline - SECONDS + 1)) -u "$stream" line ||
			fail "the log" "$1 requests that were refused" "$refused"
		case $line in
		*REQUEST_FAILED*$id*) refused=$((refused + 1)) ;;
		*EXTENSION_STATE*$id*'"to":"validating"'*) begun=$((begun + 1)) ;;
		esac
	done
	kill $stream_pid
	exec {stream}<&-
	echo $begun
}

mkdir -p "$state/extensions" "$disk"
mount -t tmpfs -o mode=755,size=16m extensions "$state/extensions"
outboardd_start
team_start disks
policy_allow "$(outboardctl team list --json | jq -r '.[0].team')"
app_install "$plain" $name 1.0-1 "$agents/agent-silent"
chmod 755 "$work"
disk_begin() { # [--short] NAME
	eio-fs --while "$fault" ${2:+"$1"} "$plain" "$disk" "${2-$1}" 2>>"$log"
	code=$?
	[ $code = 0 ] || { tail -n 1 "$log"; exit $code; }
}
disk_begin "$name.app/$inside"

# Met by the worker, which judges the app: it is sent the file and cannot read it.
touch "$fault"
refuses "a file that cannot be read" bundle.unreadable "$disk/$name.app/$inside cannot be read: Input/output error" \
	"Check the disk.*$disk/$name.app/$inside"
refuses "the same again" bundle.unreadable "$disk/$name.app/$inside cannot be read" "Check the disk"
expect "copies that had begun" '^0$' "$(copies_begun 2)"
rm "$fault"
completes "a file that can be read again"
app_uninstall $id

# Met by the copy: the app was found to be sound before, and has not changed since.
touch "$fault"
refuses "a file that cannot be copied" bundle.unreadable "$disk/$name.app/$inside cannot be read: Input/output error" \
	"Check the disk.*$disk/$name.app/$inside"
expect "copies that had begun" '^2$' "$(copies_begun 3)"
rm "$fault"
completes "a file that can be copied again"
app_uninstall $id

# No room for the copy.
dd if=/dev/zero of="$state/extensions/.fill" bs=64k 2>>"$log"
said=$(ask)
expect "a full disk" "^failed 1 staging.no-space .*$disk/$name.app.*No space left on device" "$said"
expect "a full disk: what to do" '^advice Free space .*/var/lib/outboard' "$said"
rm "$state/extensions/.fill"
nothing_left "a full disk"
completes "a disk with room"
app_uninstall $id

# It has turned read-only, as ext4 does after an error. mount(8) is refused for as long as somebody
# holds a file that was removed: the identity worker, which has yet to hash it.
eventually "a disk that turns read-only" mount -o remount,ro "$state/extensions"
refuses "a disk that is read-only" staging.failed "$disk/$name.app.*$id.*Read-only file system" /var/lib/outboard
mount -o remount,rw "$state/extensions"
completes "a disk that can be written again"
app_uninstall $id

# A folder that cannot be opened: that of the app, or that of the extension in an app found sound before.
folder=$name.app/${inside%/Contents/MacOS/agent}
for row in "$name.app app.unreadable $disk/$name.app" "$folder extension.unreadable $disk/$folder"; do
	read -r broken rule object <<<"$row"
	umount "$disk"
	disk_begin "$broken"
	if [ "$rule" = extension.unreadable ]; then # found sound on this mount, whose number is another
		completes "an app that is found sound"
		app_uninstall $id
	fi
	touch "$fault"
	refuses "a folder that cannot be opened" "$rule" "$object: .* cannot be opened: Input/output error" "file system is whole"
	rm "$fault"
	completes "a folder that can be opened again"
	app_uninstall $id
done

# A file that is emptied between its size and its bytes.
umount "$disk"
disk_begin --short "$name.app/$inside"
touch "$fault"
refuses "a file that changes" bundle.changed "$disk/$name.app/$inside changed while it was read: .*size" \
	"nothing writes to .*$disk/$name.app/$inside" 9
rm "$fault"
completes "a file that does not change"
app_uninstall $id

outboardd_stop
umount "$disk" "$state/extensions"
echo "ok"
