#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the manual promises to whoever ports a program: -Iinclude and one -l, under gcc, under clang,
# under clang with blocks, and as C++; and that nothing but libc and liboutboard comes into the process.
# test-link.sh SOURCES LIBRARIES
set -eu
sources=$1 libraries=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LD_LIBRARY_PATH=$libraries
cd "$sources"

build() { # NAME COMPILER...
	local name=$1
	shift
	"$@" -Wall -Wextra -Werror -Iinclude "-L$libraries" -o "$work/$name"
	"$work/$name"
}

cat >"$work/plain.c" <<'END'
#include <bsm/libbsm.h>
#include <dispatch/dispatch.h>
static void nothing(void *context)
{
	(void)context;
}
int main(void)
{
	audit_token_t token = { { 0, 0, 0, 0, 0, 7, 0, 0 } };

	dispatch_sync_f(dispatch_get_global_queue(0, 0), NULL, nothing);
	return audit_token_to_pid(token) == 7 ? 0 : 1;
}
END
build gcc gcc -std=c17 "$work/plain.c" -loutboard
build clang clang -std=c17 "$work/plain.c" -lbsm -loutboard
build cxx g++ -std=c++17 -x c++ "$work/plain.c" -x none -loutboard
build blocks clang -fblocks outboard/link/test-blocks.c -loutboard

# C without blocks does not get the runtime of blocks
if readelf -d "$work/gcc" | grep -q BlocksRuntime; then
	echo "libBlocksRuntime is linked where nothing needs it"
	exit 1
fi
for library in "$libraries"/lib*.so.0; do
	name=$(basename "$library" .so.0)
	echo 'int main(void) { return 0; }' >"$work/empty.c"
	build "$name" gcc "$work/empty.c" -Wl,--no-as-needed "-l${name#lib}"
	if needed=$(readelf -d "$library" | grep NEEDED | grep -v 'liboutboard\.so\.0\|libc\.so\.6\|ld-linux'); then
		echo "$name needs more than libc and liboutboard: $needed"
		exit 1
	fi
done
