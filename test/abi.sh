#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the public libraries promise and no more: each symbol is declared in a public header, has a
# version node and stands in a manual page; each function that a header declares is exported by a
# library; and a library needs libc and liboutboard alone, so that an agent's process stays clean.
# abi.sh SOURCE-FOLDER BUILD-FOLDER
set -u
cd "$1" || exit 2
build=$2 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mapfile -t libraries < <(find "$build" -type f -name 'lib*.so.0*' ! -name '*.symbols' | sort -u)
if [ ${#libraries[@]} -eq 0 ]; then
	echo "no public library in $build"
	exit 1
fi
bad() {
	echo "$*"
	failed=1
}

find include -name "*.h" -exec cat {} + >"$work/headers"
cat man/*.3 man/*.7 >"$work/manual" 2>/dev/null
: >"$work/exported"
for library in "${libraries[@]}"; do
	name=$(basename "$library")
	while read -r needed; do
		case $needed in
		libc.so.6 | liboutboard.so.0 | ld-linux-*) ;;
		libasan.so.* | libubsan.so.* | libm.so.6) ;; # of a sanitizer's build
		*) bad "$name needs $needed" ;;
		esac
	done < <(readelf -d "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
	while read -r symbol; do
		plain=${symbol%%@*}
		echo "$plain" >>"$work/exported"
		[[ $symbol == *@* ]] || bad "$name: $plain has no version node"
		grep -qw -- "$plain" "$work/headers" || bad "$name: $plain is in no public header"
		[[ $plain == _* ]] || grep -qw -- "$plain" "$work/manual" || bad "$name: $plain is in no manual page"
	done < <(nm -D --defined-only --with-symbol-versions "$library" | awk '$2 ~ /[TDBRVWi]/ && $3 !~ /^ob_private_/ && $3 !~ /^(OUTBOARD|LIB)[A-Z_]*[0-9.]*@@/ { print $3 }')
done
sort -u -o "$work/exported" "$work/exported"

# The compiler says what a header declares: functions that are neither static nor the C library's.
while IFS= read -r header; do
	echo "#include <${header#include/}>" |
		gcc -x c -std=gnu17 -Iinclude -fsyntax-only -aux-info "$work/declared" - 2>/dev/null
	sed -n 's,^/\* include/[^ ]* \*/ extern [^(]*[ *]\([a-z_][A-Za-z0-9_]*\) (.*,\1,p' "$work/declared"
done < <(find include -name "*.h") | sort -u >"$work/functions"
while read -r function; do
	bad "$function is declared and exported by no library"
done < <(comm -23 "$work/functions" "$work/exported" | grep -v '^_') # the compiler's own
echo "${#libraries[@]} libraries, $(wc -l <"$work/exported") symbols, $(wc -l <"$work/functions") functions in headers"
exit $failed
