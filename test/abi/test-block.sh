#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test-block.c over an outboard-esd of this scope.
# test-block.sh BUILD PROGRAM
set -u
build=$1
# shellcheck source=test/lib/esd.sh
. "$(dirname "$(realpath "$0")")/../lib/esd.sh"
"$2"
