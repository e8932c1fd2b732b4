/* SPDX-License-Identifier: Apache-2.0
 *
 * The call that takes a block, from a compiler that has them: called once, with what it has captured,
 * and let go of.
 */
#include <errno.h>
#include "manager/lib/test-double.h"

static void test_block(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request;
	int captured = 17;

	assert_int_equal(os_system_extension_request_new_activation("agent", NULL, &request), 0);
	assert_int_equal(ob_system_extension_manager_submit_request(request, NULL), -EINVAL);
	assert_int_equal(ob_system_extension_manager_submit_request(request,
				 ^(os_system_extension_request_t *of,
					 os_system_extension_request_result_t result,
					 const ob_error_t *error) {
				   calls_add(CALL_HANDLER, of,
					   error ? ob_error_get_code(error) : captured, "");
				 }),
		0);
	double_meet(server);
	double_finish(server, double_expect_submit(server, REQUEST_ACTIVATE, "agent"), 0);
	assert_int_equal(calls_wait(1)->value, 17);
	assert_ptr_equal(calls_at(0)->object, request);
	/* submitted before: the block is not called, nor kept */
	assert_int_equal(ob_system_extension_manager_submit_request(request,
				 ^(os_system_extension_request_t *of,
					 os_system_extension_request_result_t result,
					 const ob_error_t *error) {
				   calls_add(CALL_HANDLER, of, captured, "");
				 }),
		-EALREADY);
	double_expect_gone(server);
	assert_int_equal(calls_count(), 1);
	os_system_extension_request_release(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_block, double_setup, double_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
