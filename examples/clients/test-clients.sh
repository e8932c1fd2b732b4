#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The clients in other languages see the program that they start, by path and pid, over a real
# outboard-esd in a scope; and say so when they may not be clients.
# test-clients.sh BUILD python|rust
set -u
build=$1 language=$2
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
case $language in
python)
	command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 77; }
	client=(python3 "$here/client.py")
	;;
rust)
	command -v rustc >/dev/null || { echo "rustc is missing" >&2; exit 77; }
	rustc -D warnings -A dead_code -O "$here/client.rs" -o "$work/client" -L "$build/lib" || exit 1
	client=("$work/client")
	;;
esac
chmod 755 "$work"
# shellcheck source=test/lib/esd.sh
. "$here/../../test/lib/esd.sh"
export LD_LIBRARY_PATH=$build/lib

# The program says its own pid, and the path is what a link to it leads to.
ln -s "$(command -v bash)" "$work/link"
# shellcheck disable=SC2016 # for the shell that is started
got=$("${client[@]}" "$work/link" -c 'echo $$')
want=$(printf '%s\nsaw %s %s' "${got%%$'\n'*}" "${got%%$'\n'*}" "$(realpath "$work/link")")
if [ "$got" != "$want" ] || ! [[ $got =~ ^[0-9]+ ]]; then
	printf 'seen: %s\nwanted: %s\n' "$got" "$want"
	exit 1
fi
if got=$(as-user alice "${client[@]}" 2>&1) || ! grep -q es_new_client_f <<<"$got"; then
	printf 'a user: %s\nwanted: a refusal\n' "$got"
	exit 1
fi
echo "$language: $want"
