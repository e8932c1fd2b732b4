/* SPDX-License-Identifier: Apache-2.0
 *
 * The call that takes a block, for callers whose compiler has them. This library is compiled
 * without: to it a block is an object that liboutboard copies, and whose function it finds.
 */
#include <errno.h>
#include "manager/lib/lib.h"

int ob_system_extension_manager_submit_request(
	os_system_extension_request_t *request, const void *handler);

typedef void handler_function(void *self, os_system_extension_request_t *request,
	os_system_extension_request_result_t result, const ob_error_t *error);

static void invoke(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, const ob_error_t *error, void *context)
{
	BLOCK_INVOKE(context, handler_function *)(context, request, result, error);
	block_release(context);
}

ob_export int ob_system_extension_manager_submit_request(
	os_system_extension_request_t *request, const void *handler)
{
	void *copy;
	int r;

	if (!handler)
		return -EINVAL;
	copy = block_copy(handler);
	if (!copy)
		return -ENOMEM;
	r = ob_system_extension_manager_submit_request_f(request, copy, invoke);
	if (r < 0)
		block_release(copy);
	return r;
}
