#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each public header compiles alone: as C17 under gcc and clang, with blocks, and as C++17, with
# every warning an error. What a client includes first must not decide whether it builds.
# headers.sh [FOLDER]
set -u
cd "${1:-$(dirname "$(realpath "$0")")/..}" || exit 2
warn='-Wall -Wextra -Werror -Wno-pragma-once-outside-header -fsyntax-only -Iinclude'
ways=(
	"gcc -x c -std=c17 -pedantic"
	"gcc -x c -std=gnu17"
	"clang -x c -std=c17"
	"clang -x c -std=gnu17 -fblocks"
	"g++ -x c++ -std=c++17"
)
failed=0 n=0
for way in "${ways[@]}"; do
	if ! command -v "${way%% *}" >/dev/null; then
		echo "${way%% *} is missing" >&2
		exit 77
	fi
done
while IFS= read -r header; do
	for way in "${ways[@]}"; do
		# shellcheck disable=SC2086 # words on purpose
		if ! printf '#include <%s>\nextern int more_than_macros;\n' "${header#include/}" | $way $warn -; then
			echo "$header: $way"
			failed=1
		fi
		n=$((n + 1))
	done
done < <(find include -name '*.h' | sort)
echo "$n compilations"
exit $failed
