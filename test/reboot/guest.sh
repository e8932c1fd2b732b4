# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What both boots use, sourced: outboardctl asked as seldom as can be, since the guest is emulated.

wait_s=60

id() { echo "org.example.$1.agent"; }

# One line a copy: "Kept 1 activated_enabled running 1.0/1 pid 279 restarts 0 approved root@17955..."
table() {
	outboardctl list --json | jq -r 'sort_by(.identifier, .version)[]
		| "\(.identifier | split(".")[2]) \(.version) \(.state) running \(.running_version)"
		+ " pid \(.pid) restarts \(.restarts) approved \(.approved_by)@\(.approved_at)"'
}

until_table() { # WHAT PATTERN...: each in it, looked at again at each change; sets table
	local deadline=$((SECONDS + wait_s)) what=$1 pattern missing
	shift
	while table=$(table) && missing= && for pattern; do
		grep -qE -e "$pattern" <<<"$table" || missing=$pattern
	done && [ -n "$missing" ]; do
		[ $SECONDS -lt $deadline ] || fail "$what" "a copy like $missing" "$table"
		[ -v monitor_fd ] || monitor_start
		read -r -t 1 -u "$monitor_fd" _
	done
}
