#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# lint-style finds what it is there to find: one bad tree for each rule, and a good one.
# test-lint.sh LINT-STYLE
set -u
lint=$1 failed=0
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
git -C "$tree" init -q

finds() { # PATTERN FILE TEXT: with TEXT in FILE the linter fails and says PATTERN
	local text
	mkdir -p "$tree/$(dirname "$2")"
	printf '%b' "$3" >"$tree/$2"
	if text=$("$lint" "$tree") || ! grep -qE "$1" <<<"$text"; then
		echo "FAILED: $1 not found in $2: $text"
		failed=1
	fi
	rm "$tree/$2"
}

spdx='/* SPDX-License-Identifier: Apache-2.0 */\n'
finds 'no SPDX' a.c 'int a;\n'
finds 'no SPDX' tool '#!/bin/sh\n'
finds 'two licences' x/bpf/a.c "$spdx"
finds 'under Apache' a.c '/* SPDX-License-Identifier: MIT */\n'
finds 'a.c:2: 81 lines' a.c "$spdx{\n$(printf 'x;\\n%.0s' {1..81})}\n"
finds 'a.c: 801 lines' a.c "$spdx$(printf 'int x;\\n%.0s' {1..800})"
finds 'no goto' a.c "$spdx\tgoto out;\n"
finds 'unfinished' README "TO""DO: all\n"
finds 'no paths' README "see /wo""rk/x\n"

printf '%b' "$spdx{\n$(printf 'x;\\n%.0s' {1..80})}\n" >"$tree/good.c"
if ! text=$("$lint" "$tree"); then
	echo "FAILED: a good tree is refused: $text"
	failed=1
fi
exit $failed
