# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# For tests of clients: outboard-esd by itself over this scope, which takes any root for a client.
# Sourced inside a scope; needs $build.
: "${build:?}"
export OUTBOARD_LIBEXEC=$build/libexec PATH=$build/test/lib:$PATH
esd_socket=$OUTBOARD_ROOT/run/outboard/endpoint.sock
mkdir -p "$(dirname "$esd_socket")"
# Not below this shell, whose own group and children are what some tests are about.
exec {esd_fd}< <(exec setsid "$OUTBOARD_LIBEXEC/outboard-esd" --standalone --listen "$esd_socket" --scope "$SCOPE_CGROUP")
esd_pid=$!
trap 'kill $esd_pid; wait' EXIT
# The socket is there before its programs are loaded, which takes a client's patience in a guest.
read -r -t 60 -u "$esd_fd" esd_word && [ "$esd_word" = ready ] || { echo "outboard-esd is not ready" >&2; exit 1; }
