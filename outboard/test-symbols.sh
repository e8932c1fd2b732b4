#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The library's surface is said four times, and each time the same: what it exports, what its
# symbol file lists, what the headers declare, what the manual names. Private symbols have a prefix,
# a node of their own and a line in the internal header, and no manual.
# test-symbols.sh SOURCES LIBRARY
set -eu
sources=$1 library=$(realpath "$2")
cd "$sources"
failed=0

same() { # WHAT FILE FILE
	local difference
	difference=$(diff "$2" "$3") && return
	printf '%s:\n%s\n' "$1" "$difference"
	failed=1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
headers='include/Outboard/outboard.h include/Outboard/service.h include/dispatch/dispatch.h
	include/xpc/xpc.h include/os/log.h include/bsm/libbsm.h include/mach/mach_time.h'

nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
	sort >"$work/exported"
grep -v '^ob_private_' "$work/exported" >"$work/public"
grep '^ob_private_' "$work/exported" >"$work/private"
sed -n 's/^\t\([a-z_0-9]*\);$/\1/p' outboard/liboutboard.sym | sort >"$work/listed"
same "exported (<) and listed in liboutboard.sym (>)" "$work/exported" "$work/listed"

# As the compiler sees it: with blocks, so that their calls are declared, too.
for header in $headers; do
	echo "#include <${header#include/}>"
done | clang -fblocks -Iinclude -E -P -x c - | tr -d '\n' | tr ';' '\n' >"$work/declarations"
while IFS= read -r name; do
	grep -qE "(^|[^a-zA-Z0-9_])$name *(\(|,|\$)" "$work/declarations" && echo "$name"
done <"$work/public" >"$work/declared"
same "exported (<) and declared in a header (>)" "$work/public" "$work/declared"

sed -n 's/.*PRIVATE(\([a-z_0-9]*\)).*/ob_private_\1/p' outboard/internal.h |
	grep -v '^ob_private_name$' | sort >"$work/internal"
same "private (<) and in outboard/internal.h (>)" "$work/private" "$work/internal"

cat man/ob_queue.3 man/ob_error.3 man/ob_service.3 man/dispatch.3 man/xpc.3 man/os_log.3 \
	man/audit_token.3 | tr -c 'a-zA-Z0-9_' '\n' | sort -u >"$work/words"
# what macros stand for: OS_LOG_DEFAULT and the like
grep -vE '^_os_log_(default|disabled)$|^_xpc_bool_(true|false)$|^_dispatch_queue_attr_concurrent$' \
	"$work/public" >"$work/to-name"
comm -23 "$work/to-name" "$work/words" >"$work/unnamed"
: >"$work/none"
same "exported, and in no manual page (<)" "$work/unnamed" "$work/none"

[ "$(wc -l <"$work/public")" -gt 200 ] || { echo "that is not the library"; failed=1; }
exit $failed
