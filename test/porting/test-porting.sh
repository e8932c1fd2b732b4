#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Programs in the style of clients of macOS compile here as they are, with nothing but -Iinclude and
# the names of libraries that they link there, and without a warning. Each is started, too: where no
# outboard-esd is, es_new_client() says so and the program ends as it does on macOS.
# test-porting.sh SOURCES LIBRARIES
set -u
sources=$1 libraries=$2 failed=0 n=0
command -v clang >/dev/null || { echo "clang is missing" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LD_LIBRARY_PATH=$libraries OUTBOARD_ROOT=$work

for program in "$sources"/test/porting/*.c; do
	name=$(basename "$program" .c)
	# What is not declared is an error, as it is with later compilers.
	if ! clang -fblocks -Wall -Werror -Werror=implicit-function-declaration -I"$sources/include" \
		"$program" -o "$work/$name" -L"$libraries" -lEndpointSecurity -lbsm; then
		echo "$name does not compile"
		failed=1
		continue
	fi
	timeout 20 "$work/$name" >"$work/out" 2>&1
	code=$?
	if [ $code != 1 ]; then
		echo "$name: exit $code: $(cat "$work/out")"
		failed=1
	fi
	n=$((n + 1))
done
echo "$n programs"
exit $failed
