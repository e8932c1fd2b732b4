#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What needs nothing but libc compiles for aarch64: base, the public libraries and their headers.
# Daemons need libraries that a machine has for its own processor only.
# aarch64.sh SOURCE-FOLDER BUILD-FOLDER
set -u
cd "$1" || exit 2
cc=aarch64-linux-gnu-gcc
command -v $cc >/dev/null || { echo "$cc is missing" >&2; exit 77; }
failed=0 n=0
while IFS= read -r file; do
	if ! $cc -std=gnu17 -D_GNU_SOURCE -DOUTBOARD_VERSION=\"0\" -O2 -Wall -Wextra -Werror -Wno-unused-parameter \
		-Wno-missing-field-initializers -I. -Iinclude -I"$2" -c -o /dev/null "$file"; then
		echo "$file does not compile for aarch64"
		failed=1
	fi
	n=$((n + 1))
done < <(find base outboard manager/lib endpoint/lib -maxdepth 1 -name '*.c' ! -name 'test-*' 2>/dev/null)
echo "$n files"
exit $failed
