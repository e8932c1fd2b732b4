/* SPDX-License-Identifier: Apache-2.0
 *
 * Observers against an outboardd that says what the test has it say: added and refused, told once
 * each, added again after a restart, and silent from the moment that remove has returned.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/str.h"
#include "manager/lib/test-double.h"

static void enabled(const os_system_extension_info_t *info, void *context)
{
	calls_add(CALL_ENABLED, context, 0, os_system_extension_info_get_bundle_version(info));
}

static void disabled(const os_system_extension_info_t *info, void *context)
{
	calls_add(
		CALL_DISABLED, context, 0, os_system_extension_info_get_bundle_short_version(info));
}

static void inactive(const os_system_extension_info_t *info, void *context)
{
	calls_add(CALL_INACTIVE, context, 0, os_system_extension_info_get_bundle_identifier(info));
}

static const os_system_extensions_workspace_observer_t observer = {
	.size = sizeof observer,
	.system_extension_will_become_enabled = enabled,
	.system_extension_will_become_disabled = disabled,
	.system_extension_will_become_inactive = inactive,
};

/* add_observer() waits for outboardd, which here is the test: so it has a thread of its own. */
struct adding {
	pthread_t thread;
	const os_system_extensions_workspace_observer_t *observer;
	ob_queue_t *queue;
	void *context;
	ob_system_extensions_observation_t *observation;
	int result;
};

static void *add(void *data)
{
	struct adding *adding = data;

	adding->result = os_system_extensions_workspace_add_observer(
		adding->observer, adding->queue, adding->context, &adding->observation);
	return NULL;
}

static void begin(struct adding *adding)
{
	if (!adding->observer)
		adding->observer = &observer;
	adding->context = adding;
	assert_int_equal(pthread_create(&adding->thread, NULL, add, adding), 0);
}

static int finish(struct adding *adding)
{
	assert_int_equal(pthread_join(adding->thread, NULL), 0);
	return adding->result;
}

static void say_status(struct double_server *server, uint32_t on, int status)
{
	const struct wire_status wire = { .status = status };
	uint64_t id = double_expect(server, WORKSPACE_OBSERVE);
	struct request_observe observe;

	memcpy(&observe, server->packet.body, sizeof observe);
	assert_int_equal(observe.on, on);
	double_say(server, WIRE_STATUS, id, &wire, sizeof wire);
}

static void say_event(struct double_server *server, uint32_t event)
{
	struct request_workspace_event wire = { .event = event };

	STR_PUT(wire.identifier, "org.example.agent");
	STR_PUT(wire.version, "17");
	STR_PUT(wire.short_version, "2.0");
	double_say(server, WORKSPACE_EVENT, 0, &wire, sizeof wire);
}

static void test_events(void **state)
{
	struct double_server *server = *state;
	struct adding one = { 0 }, two = { 0 };

	begin(&one);
	double_meet(server);
	say_status(server, 1, 0);
	assert_int_equal(finish(&one), 0);
	/* the second needs no word of outboardd's */
	begin(&two);
	assert_int_equal(finish(&two), 0);
	say_event(server, WORKSPACE_WILL_BECOME_ENABLED);
	say_event(server, 77);
	calls_wait(2);
	say_event(server, WORKSPACE_WILL_BECOME_DISABLED);
	calls_wait(4);
	one.observation = os_system_extensions_workspace_remove_observer(one.observation);
	say_event(server, WORKSPACE_WILL_BECOME_INACTIVE);
	assert_ptr_equal(calls_wait(5)->object, &two);
	assert_string_equal(calls_at(4)->text, "org.example.agent");
	assert_int_equal(calls_at(0)->call, CALL_ENABLED);
	assert_string_equal(calls_at(0)->text, "17");
	assert_int_equal(calls_at(2)->call, CALL_DISABLED);
	assert_string_equal(calls_at(2)->text, "2.0");
	os_system_extensions_workspace_remove_observer(two.observation);
	double_expect_gone(server);
	assert_int_equal(calls_count(), 5);
}

static void test_refused(void **state)
{
	struct double_server *server = *state;
	struct adding adding = { 0 };

	begin(&adding);
	double_meet(server);
	say_status(server, 1, -EACCES);
	assert_int_equal(finish(&adding), -EACCES);
	assert_null(adding.observation);
	double_expect_gone(server);
}

static void test_nobody_there(void **state)
{
	struct double_server *server = *state;
	struct adding adding = { 0 };

	double_unlisten(server);
	manager.patience_ns = 200 * NS_PER_MS;
	begin(&adding);
	assert_int_equal(finish(&adding), -ENOTCONN);
	double_listen(server);
}

static void test_garbage(void **state)
{
	struct double_server *server = *state;
	struct adding adding = { 0 };

	begin(&adding);
	double_meet(server);
	double_expect(server, WORKSPACE_OBSERVE);
	double_say(server, REQUEST_SUBMIT, 1, NULL, 0);
	assert_int_equal(finish(&adding), -ENOTCONN);
}

/* outboardd is restarted: the observer is added again without a call. */
static void test_restart(void **state)
{
	struct double_server *server = *state;
	struct adding adding = { 0 };

	begin(&adding);
	double_meet(server);
	say_status(server, 1, 0);
	assert_int_equal(finish(&adding), 0);
	double_meet(server);
	say_status(server, 1, 0);
	say_event(server, WORKSPACE_WILL_BECOME_ENABLED);
	assert_ptr_equal(calls_wait(1)->object, &adding);
	os_system_extensions_workspace_remove_observer(adding.observation);
	double_expect_gone(server);
}

/* With a request open beside it, outboardd is told that nobody observes any more. */
static void test_off(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request;
	struct adding adding = { 0 };
	uint64_t id;

	assert_int_equal(os_system_extension_request_new_activation("agent", NULL, &request), 0);
	os_system_extension_request_set_delegate(request, &calls_delegate, "");
	assert_int_equal(os_system_extension_manager_submit_request(request), 0);
	double_meet(server);
	id = double_expect_submit(server, REQUEST_ACTIVATE, "agent");
	begin(&adding);
	say_status(server, 1, 0);
	assert_int_equal(finish(&adding), 0);
	os_system_extensions_workspace_remove_observer(adding.observation);
	say_status(server, 0, 0);
	begin(&adding);
	say_status(server, 1, 0);
	assert_int_equal(finish(&adding), 0);
	os_system_extensions_workspace_remove_observer(adding.observation);
	say_status(server, 0, 0);
	double_finish(server, id, 0);
	calls_wait(1);
	double_expect_gone(server);
	os_system_extension_request_release(request);
}

static void remove_itself(const os_system_extension_info_t *info, void *context)
{
	struct adding *adding = context;

	adding->observation = os_system_extensions_workspace_remove_observer(adding->observation);
	calls_add(CALL_ENABLED, adding, 0, "");
}

/* Removed in its own callback, with more on the way: that was the last. */
static void test_remove_inside(void **state)
{
	const os_system_extensions_workspace_observer_t once = { .size = sizeof once,
		.system_extension_will_become_enabled = remove_itself };
	struct double_server *server = *state;
	struct adding adding = { .observer = &once, .queue = ob_queue_main() };

	begin(&adding);
	double_meet(server);
	say_status(server, 1, 0);
	assert_int_equal(finish(&adding), 0);
	say_event(server, WORKSPACE_WILL_BECOME_DISABLED);
	say_event(server, WORKSPACE_WILL_BECOME_ENABLED);
	say_event(server, WORKSPACE_WILL_BECOME_ENABLED);
	while (calls_count() == 0)
		assert_true(ob_queue_dispatch(ob_queue_main()) >= 0);
	double_expect_gone(server);
	while (ob_queue_dispatch(ob_queue_main()) > 0)
		;
	assert_int_equal(calls_count(), 1);
}

static pthread_barrier_t entered;

static bool is_listed(const ob_system_extensions_observation_t *observation)
{
	const ob_system_extensions_observation_t *at = manager.observations;

	while (at && at != observation)
		at = at->next;
	return at != NULL;
}

/*
 * Runs until it is being removed. remove_observer() holds the lock from the mark to the end, but for
 * when it waits: so it waits for this one if the observation is still in the list.
 */
static void slow(const os_system_extension_info_t *info, void *context)
{
	struct adding *adding = context;
	bool removed = false;

	pthread_barrier_wait(&entered);
	while (!removed) {
		sched_yield();
		pthread_mutex_lock(&manager.lock);
		removed = adding->observation->removed;
		if (removed)
			adding->result = is_listed(adding->observation) ? 17 : 18;
		pthread_mutex_unlock(&manager.lock);
	}
}

/* remove returns after the callback that runs, so that its context may go. */
static void test_remove_waits(void **state)
{
	const os_system_extensions_workspace_observer_t slow_one = { .size = sizeof slow_one,
		.system_extension_will_become_enabled = slow };
	struct double_server *server = *state;
	struct adding adding = { .observer = &slow_one };

	pthread_barrier_init(&entered, NULL, 2);
	begin(&adding);
	double_meet(server);
	say_status(server, 1, 0);
	assert_int_equal(finish(&adding), 0);
	say_event(server, WORKSPACE_WILL_BECOME_ENABLED);
	pthread_barrier_wait(&entered);
	os_system_extensions_workspace_remove_observer(adding.observation);
	assert_int_equal(adding.result, 17);
	pthread_barrier_destroy(&entered);
}

static void test_misuse(void **state)
{
	const os_system_extensions_workspace_observer_t no_size = { 0 };
	ob_system_extensions_observation_t *observation;

	assert_int_equal(
		os_system_extensions_workspace_add_observer(NULL, NULL, NULL, &observation),
		-EINVAL);
	assert_int_equal(
		os_system_extensions_workspace_add_observer(&no_size, NULL, NULL, &observation),
		-EINVAL);
	assert_int_equal(
		os_system_extensions_workspace_add_observer(&observer, NULL, NULL, NULL), -EINVAL);
	assert_null(os_system_extensions_workspace_remove_observer(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, double_setup, double_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_events),
		TEST(test_refused),
		TEST(test_nobody_there),
		TEST(test_garbage),
		TEST(test_restart),
		TEST(test_off),
		TEST(test_remove_inside),
		TEST(test_remove_waits),
		cmocka_unit_test(test_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
