#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The commands of examples/ProcessMonitor/README.md, by every compiler: what a reader does first must
# work, with nothing but -Iinclude and the name of the framework.
# test-by-hand.sh TOP LIBRARIES
set -eu
top=$1 libraries=$2 n=0
example=$top/examples/ProcessMonitor
out=$(mktemp -d)
trap 'rm -r "$out"' EXIT

for compiler in gcc clang; do
	command -v $compiler >/dev/null || continue
	$compiler -Wall -Wextra -Werror -Wno-unused-parameter -I"$top/include" "$example/main.c" \
		-o "$out/ProcessMonitor" -L"$libraries" -lSystemExtensions
	n=$((n + 1))
	[ -e "$libraries/libEndpointSecurity.so" ] || continue
	$compiler -Wall -Wextra -Werror -Wno-unused-parameter -I"$top/include" -DVERSION='"1.0"' \
		"$example/agent/agent.c" -o "$out/agent" -L"$libraries" -lEndpointSecurity
	"$example/make-app" "$out/app" 1.0 1 "$out/ProcessMonitor" "$out/agent"
done
echo "$n compilers"
if LD_LIBRARY_PATH=$libraries "$out/ProcessMonitor" nonsense 2>"$out/usage"; then
	echo "nonsense was no error"
	exit 1
fi
grep -q '^usage: ProcessMonitor ' "$out/usage"
