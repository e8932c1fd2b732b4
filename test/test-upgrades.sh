#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A thousand requests through a service across ten upgrades: none is lost, none is answered by an old
# copy once a newer one has answered, no caller waits longer than a second, and list never shows two
# active copies. In a scope.
# test-upgrades.sh BUILD [UPGRADES] [REQUESTS]
set -u
build=$1 upgrades=${2:-10} requests=${3:-1000}
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/lib/outboardd.sh"
opt=$OUTBOARD_ROOT/opt service=org.example.service id=org.example.upgrades.agent

install_version() { # NUMBER
	app_install "$opt/$1" upgrades "$1.0-$1" "$build/test/agents/agent-service-1" \
		NSEndpointSecurityMachServiceName=$service
}

outboardd_start
team_start upgrades
install_version 1
outboardctl activate "$opt/1/upgrades.app" $id --wait >>"$log" 2>&1 ||
	fail "activate" "exit 0" "$(tail -n 1 "$log")"

"$build/test/agents/caller" $service "$requests" "$work/done" >"$work/caller" 2>&1 &
caller=$!
for ((version = 2; version <= upgrades + 1; version++)); do
	install_version $version
	expect "upgrade to $version" '^finished 0$' \
		"$("$opt/$version/upgrades.app/Contents/MacOS/app" activate $id)"
	expect "what runs after it" "^$version.0/$version\$" "$(property $id running_version)"
	expect "how many are active" '^1$' \
		"$(outboardctl list --json | jq --arg id $id '[.[] | select(.identifier == $id and .active)] | length')"
done
touch "$work/done"
wait $caller || fail "the caller" "every request answered" "$(cat "$work/caller")"
said=$(cat "$work/caller")
read -r _ asked _ answered _ copies _ <<<"$said"
[ "$asked" = "$answered" ] && [ "$asked" -ge "$requests" ] ||
	fail "the caller" "$requests requests or more, each answered" "$said"
[ "$copies" = $((upgrades + 1)) ] || fail "the caller" "answers of $((upgrades + 1)) copies" "$said"
longest=$(sed 's/.*longest \([0-9]*\) ms/\1/' <<<"$said")
[ "$longest" -le 1000 ] || fail "the longest wait" "at most 1000 ms" "$longest ms"
app_uninstall $id
outboardd_stop
echo "ok: $said"
