#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Figures of activation, of asking for what is active and of restarting what was killed, see
# activation.c. In a scope; root has approved it before, so that nobody is asked.
# activation.sh BUILD
set -u
build=$1
# shellcheck source=test/lib/outboardd.sh
. "$(dirname "$(realpath "$0")")/../test/lib/outboardd.sh"
# shellcheck disable=SC2034 # of test/lib/outboardd.sh
app_program=$build/bench/bench-activation
id=org.example.bench.agent

outboardd_start
team_start bench
app_install "$OUTBOARD_ROOT/opt" bench 1.0-1 "$build/test/agents/agent-service-1" \
	NSEndpointSecurityMachServiceName=org.example.service
outboardctl activate "$OUTBOARD_ROOT/opt/bench.app" $id --wait >>"$log" 2>&1 ||
	fail "activate" "exit 0" "$(tail -n 1 "$log")"
outboardctl deactivate $id --wait >>"$log" 2>&1 || fail "deactivate" "exit 0" "$(tail -n 1 "$log")"
"$OUTBOARD_ROOT/opt/bench.app/Contents/MacOS/app"
code=$?
until_property "it is gone" $id state '^$'
outboardd_stop
exit $code
