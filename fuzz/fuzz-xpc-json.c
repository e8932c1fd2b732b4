/* SPDX-License-Identifier: Apache-2.0
 *
 * Values from JSON: whatever is taken can be written, and what is written is taken as the same.
 */
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "fuzz/fuzz.h"
#include "outboard/internal.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	_cleanup_free_ char *json = NULL, *again = NULL, *description = NULL;
	xpc_object_t value, back, copy;

	if (xpc_of_json((const char *)data, bytes, &value) < 0)
		return 0;
	require(xpc_to_json(value, &json) == 0);
	require(xpc_of_json(json, strlen(json), &back) == 0);
	require(xpc_equal(value, back));
	require(xpc_hash(value) == xpc_hash(back));
	require(xpc_to_json(back, &again) == 0);
	require(strcmp(json, again) == 0);
	copy = xpc_copy(value);
	require(xpc_equal(copy, value));
	description = xpc_copy_description(value);
	require(description != NULL);
	xpc_release(copy);
	xpc_release(back);
	xpc_release(value);
	return 0;
}
