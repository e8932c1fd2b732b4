/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests against an outboardd that says what the test has it say: the order of callbacks, exactly
 * one end, cancelling, and what callbacks are handed.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/lib/test-double.h"

/* The whole of the article: a replacement, an approval, an end; in that order, on one thread. */
static void test_order(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = submitted(AGENT);
	const struct request_replace replace = { double_properties("1", 0),
		double_properties("2", 0) };
	const struct request_replace_answer *answer = (const void *)server->packet.body;
	uint64_t id;

	double_meet(server);
	id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
	double_say(server, REQUEST_REPLACE, id, &replace, sizeof replace);
	assert_int_equal(double_expect(server, REQUEST_REPLACE_ANSWER), id);
	assert_int_equal(answer->action, 1);
	double_say(server, REQUEST_NEEDS_APPROVAL, id, NULL, 0);
	double_finish(server, id, 0);
	assert_call(calls_wait(3), CALL_FINISHED, request, 0, "");
	assert_call(calls_at(0), CALL_REPLACE, request, 0, "1>2");
	assert_call(calls_at(1), CALL_APPROVAL, request, 0, "context");
	/* nothing is open: the connection is given up */
	double_expect_gone(server);
	os_system_extension_request_release(request);
}

static void test_replace_answers(void **state)
{
	static const struct {
		int action;
		bool asked;
		uint32_t sent;
	} rows[] = { { 0, true, 0 }, { 1, true, 1 }, { 7, true, 0 }, { 0, false, 1 } };
	struct double_server *server = *state;
	const struct request_replace replace = { double_properties("1", 0),
		double_properties("2", 0) };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		os_system_extension_request_t *request = activation(AGENT);
		os_system_extension_request_delegate_t delegate = calls_delegate;
		struct request_replace_answer answer;
		uint64_t id;

		calls_reset();
		calls_action = (os_system_extension_replacement_action_t)rows[i].action;
		if (!rows[i].asked)
			delegate.action_for_replacing_extension = NULL;
		os_system_extension_request_set_delegate(request, &delegate, "");
		assert_int_equal(os_system_extension_manager_submit_request(request), 0);
		double_meet(server);
		id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
		double_say(server, REQUEST_REPLACE, id, &replace, sizeof replace);
		assert_int_equal(double_expect(server, REQUEST_REPLACE_ANSWER), id);
		memcpy(&answer, server->packet.body, sizeof answer);
		assert_int_equal(answer.action, rows[i].sent);
		double_finish(server, id, 0);
		calls_wait(rows[i].asked ? 2 : 1);
		double_expect_gone(server);
		os_system_extension_request_release(request);
	}
}

/* Whatever comes after the end of a request, or twice, is not told. */
static void test_one_end(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = submitted(AGENT), *other = submitted("other");
	uint64_t id, other_id;

	double_meet(server);
	id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
	other_id = double_expect_submit(server, REQUEST_ACTIVATE, "other");
	assert_int_not_equal(id, other_id);
	double_say(server, REQUEST_NEEDS_APPROVAL, id, NULL, 0);
	double_say(server, REQUEST_NEEDS_APPROVAL, id, NULL, 0);
	double_finish(server, id, 0);
	double_fail(server, id, 10);
	double_finish(server, id, 0);
	double_say(server, REQUEST_NEEDS_APPROVAL, id, NULL, 0);
	double_fail(server, other_id, 10);
	calls_wait(3);
	double_expect_gone(server);
	assert_int_equal(calls_count(), 3);
	os_system_extension_request_release(request);
	os_system_extension_request_release(other);
}

static void test_failure(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = submitted(AGENT);

	double_meet(server);
	double_fail(server, double_expect_submit(server, REQUEST_ACTIVATE, AGENT), 13);
	assert_call(calls_wait(1), CALL_FAILED, request, 13, "approval.denied");
	assert_int_equal(os_system_extension_manager_submit_request(request), -EALREADY);
	assert_int_equal(ob_system_extension_request_cancel(request), -EALREADY);
	os_system_extension_request_release(request);
}

/* Results that this release does not know are passed through. */
static void test_result(void **state)
{
	static const uint32_t results[] = { 0, 1, 9 };
	struct double_server *server = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(results); i++) {
		const struct request_finished finished = { .result = results[i] };
		os_system_extension_request_t *request = activation(AGENT);
		uint64_t id;

		calls_reset();
		assert_int_equal(
			ob_system_extension_manager_submit_request_f(request, "h", calls_handler),
			0);
		double_meet(server);
		id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
		double_say(server, REQUEST_FINISHED, id, &finished, sizeof finished);
		assert_call(calls_wait(2), CALL_HANDLER, request, -(int)results[i], "h");
		assert_call(calls_at(0), CALL_FINISHED, request, (int)results[i], "");
		double_expect_gone(server);
		os_system_extension_request_release(request);
	}
}

static void test_properties(void **state)
{
	static const char *const versions[] = { "1", "2", "3" };
	struct double_server *server = *state;
	size_t n, i;

	for (n = 0; n <= ARRAY_SIZE(versions); n++) {
		os_system_extension_request_t *request;
		const char *const texts[] = { "", "1 ", "1 2 ", "1 2 3 " };
		uint64_t id;

		calls_reset();
		assert_int_equal(
			os_system_extension_request_new_properties(AGENT, NULL, &request), 0);
		os_system_extension_request_set_delegate(request, &calls_delegate, "");
		assert_int_equal(os_system_extension_manager_submit_request(request), 0);
		double_meet(server);
		id = double_expect_submit(server, REQUEST_PROPERTIES_OF, AGENT);
		for (i = 0; i < n; i++) {
			const struct wire_properties wire = double_properties(versions[i], 0);

			assert_int_equal(wire_send(server->fd, REQUEST_PROPERTIES,
						 i + 1 < n ? WIRE_FLAG_MORE : 0, id, &wire,
						 sizeof wire, NULL, 0),
				0);
		}
		double_finish(server, id, (uint32_t)n);
		assert_call(calls_wait(2), CALL_FINISHED, request, 0, "");
		assert_call(calls_at(0), CALL_FOUND, request, (int)n, texts[n]);
		double_expect_gone(server);
		os_system_extension_request_release(request);
	}
}

static void test_getters(void **state)
{
	const struct wire_properties wire = double_properties(
		"17", PROPERTIES_ENABLED | PROPERTIES_AWAITING_USER_APPROVAL | PROPERTIES_RUNNING);
	struct wire_properties other = double_properties(
		"17", PROPERTIES_UNINSTALLING | PROPERTIES_ACTIVE);
	const os_system_extension_properties_t *p, *q;
	const char *version = "untouched";
	pid_t pid = 1;

	assert_int_equal(properties_new(&wire, &p), 0);
	assert_int_equal(properties_new(&other, &q), 0);
	assert_string_equal(os_system_extension_properties_get_bundle_identifier(p), AGENT);
	assert_string_equal(os_system_extension_properties_get_bundle_version(p), "17");
	assert_string_equal(os_system_extension_properties_get_bundle_short_version(p), "2.0");
	assert_string_equal(
		os_system_extension_properties_get_url(p), "file:///opt/A%20b%25.app/%C3%A4");
	assert_string_equal(ob_system_extension_properties_get_path(p), wire.path);
	assert_string_equal(ob_system_extension_properties_get_team_identifier(p), "ABCDEFGHIJ");
	assert_string_equal(ob_system_extension_properties_get_digest(p), "00ff");
	assert_string_equal(ob_system_extension_properties_get_state(p), "activated_enabled");
	assert_true(os_system_extension_properties_is_enabled(p));
	assert_true(os_system_extension_properties_is_awaiting_user_approval(p));
	assert_false(os_system_extension_properties_is_uninstalling(p));
	assert_false(os_system_extension_properties_is_enabled(q));
	assert_true(ob_system_extension_properties_is_active(q));
	assert_false(ob_system_extension_properties_is_active(p));
	assert_true(os_system_extension_properties_is_uninstalling(q));
	assert_int_equal(ob_system_extension_properties_get_running(q, &pid, &version), -ESRCH);
	assert_int_equal(pid, 1);
	assert_int_equal(ob_system_extension_properties_get_running(p, &pid, &version), 0);
	assert_int_equal(pid, 4711);
	assert_string_equal(version, "2.0/17");
	assert_int_equal(ob_system_extension_properties_get_running(p, NULL, NULL), 0);
	memset(other.state, 'x', sizeof other.state);
	properties_unref(q);
	assert_int_equal(properties_new(&other, &q), -EPROTO);
	properties_unref(p);
}

static void test_cancel(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = submitted(AGENT);
	uint64_t id;

	double_meet(server);
	id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
	assert_int_equal(ob_system_extension_request_cancel(request), 0);
	assert_int_equal(ob_system_extension_request_cancel(request), -EALREADY);
	assert_int_equal(double_expect(server, REQUEST_CANCEL), id);
	double_fail(server, id, 11);
	assert_call(calls_wait(1), CALL_FAILED, request, 11, "approval.denied");
	os_system_extension_request_release(request);
}

/* The end was on its way when it was cancelled: that end comes, and only that. */
static void test_cancel_too_late(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = submitted(AGENT);
	uint64_t id;

	double_meet(server);
	id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
	assert_int_equal(ob_system_extension_request_cancel(request), 0);
	double_finish(server, id, 0);
	assert_call(calls_wait(1), CALL_FINISHED, request, 0, "");
	assert_int_equal(calls_count(), 1);
	os_system_extension_request_release(request);
}

static void test_cancel_unheard(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request;

	manager.cancel_patience_ns = 100 * NS_PER_MS;
	request = submitted(AGENT);
	double_meet(server);
	double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
	assert_int_equal(ob_system_extension_request_cancel(request), 0);
	assert_call(calls_wait(1), CALL_FAILED, request, 11, "connection.canceled");
	os_system_extension_request_release(request);
}

static void test_cancel_unconnected(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request;

	double_unlisten(server);
	request = submitted(AGENT);
	assert_int_equal(ob_system_extension_request_cancel(request), 0);
	assert_call(calls_wait(1), CALL_FAILED, request, 11, "connection.canceled");
	os_system_extension_request_release(request);
	/* never submitted: nothing to end, and no way back */
	request = activation(AGENT);
	assert_int_equal(ob_system_extension_request_cancel(request), 0);
	assert_int_equal(os_system_extension_manager_submit_request(request), -EALREADY);
	assert_int_equal(calls_count(), 1);
	os_system_extension_request_release(request);
	double_listen(server);
}

static void test_misuse(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = NULL;
	char name[300];

	memset(name, 'a', sizeof name);
	name[256] = '\0';
	assert_int_equal(os_system_extension_request_new_activation("", NULL, &request), -EINVAL);
	assert_int_equal(os_system_extension_request_new_activation(NULL, NULL, &request), -EINVAL);
	assert_int_equal(
		os_system_extension_request_new_activation(name, NULL, &request), -ENAMETOOLONG);
	assert_null(request);
	name[255] = '\0';
	request = submitted(name);
	assert_string_equal(os_system_extension_request_get_identifier(request), name);
	assert_int_equal(os_system_extension_manager_submit_request(request), -EALREADY);
	assert_int_equal(os_system_extension_manager_submit_request(NULL), -EINVAL);
	assert_int_equal(
		ob_system_extension_manager_submit_request_f(request, NULL, NULL), -EINVAL);
	assert_int_equal(ob_system_extension_request_cancel(NULL), -EINVAL);
	assert_null(os_system_extension_request_release(NULL));
	double_meet(server);
	double_finish(server, double_expect_submit(server, REQUEST_ACTIVATE, name), 0);
	calls_wait(1);
	os_system_extension_request_release(request);
}

/* The app lets go of its reference at once; the library's keeps the request. */
static void test_release_early(void **state)
{
	struct double_server *server = *state;

	os_system_extension_request_release(submitted(AGENT));
	double_meet(server);
	double_finish(server, double_expect_submit(server, REQUEST_ACTIVATE, AGENT), 0);
	assert_int_equal(calls_wait(1)->call, CALL_FINISHED);
}

/* A delegate compiled against less, and one with nothing in it. */
static void test_small_delegate(void **state)
{
	struct double_server *server = *state;
	const os_system_extension_request_delegate_t empty = { .size = sizeof empty };
	os_system_extension_request_delegate_t small = calls_delegate;
	os_system_extension_request_t *request = activation(AGENT);
	const struct request_replace replace = { double_properties("1", 0),
		double_properties("2", 0) };
	uint64_t id;

	small.size = offsetof(os_system_extension_request_delegate_t, did_fail_with_error);
	os_system_extension_request_set_delegate(request, &small, "");
	assert_int_equal(
		ob_system_extension_manager_submit_request_f(request, "h", calls_handler), 0);
	double_meet(server);
	id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
	double_fail(server, id, 4);
	/* did_fail_with_error lies beyond its size */
	assert_call(calls_wait(1), CALL_HANDLER, request, 4, "h");
	double_expect_gone(server);
	os_system_extension_request_release(request);

	request = activation(AGENT);
	os_system_extension_request_set_delegate(request, &empty, NULL);
	assert_int_equal(
		ob_system_extension_manager_submit_request_f(request, "h", calls_handler), 0);
	double_meet(server);
	id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
	double_say(server, REQUEST_NEEDS_APPROVAL, id, NULL, 0);
	double_say(server, REQUEST_REPLACE, id, &replace, sizeof replace);
	double_expect(server, REQUEST_REPLACE_ANSWER);
	double_finish(server, id, 0);
	assert_call(calls_wait(2), CALL_HANDLER, request, 0, "h");
	os_system_extension_request_release(request);
}

/* The app's own loop runs the callbacks, and nothing else does. */
static void test_own_queue(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request;
	struct pollfd poll_fd = { .events = POLLIN };
	int r;

	assert_int_equal(
		os_system_extension_request_new_deactivation(AGENT, ob_queue_main(), &request), 0);
	os_system_extension_request_set_delegate(request, &calls_delegate, "");
	poll_fd.fd = ob_queue_get_fd(ob_queue_main());
	assert_true(poll_fd.fd >= 0);
	assert_int_equal(os_system_extension_manager_submit_request(request), 0);
	double_meet(server);
	double_finish(server, double_expect_submit(server, REQUEST_DEACTIVATE, AGENT), 0);
	assert_int_equal(poll(&poll_fd, 1, 20000), 1);
	assert_int_equal(calls_count(), 0);
	while ((r = ob_queue_dispatch(ob_queue_main())) == 0)
		poll(&poll_fd, 1, 1000);
	assert_true(r > 0);
	assert_call(calls_wait(1), CALL_FINISHED, request, 0, "");
	os_system_extension_request_release(request);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, double_setup, double_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_replace_answers),
		TEST(test_one_end),
		TEST(test_failure),
		TEST(test_result),
		TEST(test_properties),
		cmocka_unit_test(test_getters),
		TEST(test_cancel),
		TEST(test_cancel_too_late),
		TEST(test_cancel_unheard),
		TEST(test_cancel_unconnected),
		TEST(test_misuse),
		TEST(test_release_early),
		TEST(test_small_delegate),
		TEST(test_own_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
