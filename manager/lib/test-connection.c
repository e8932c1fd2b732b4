/* SPDX-License-Identifier: Apache-2.0
 *
 * What a server that is slow, dead, restarted or mad leads to, and many threads, and fork(2).
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

/* What is no message of the protocol ends what is open with an error that says so. */
static void test_garbage(void **state)
{
	const struct {
		uint16_t type;
		size_t n_bytes;
	} rows[] = {
		{ 99, 0 },
		{ REQUEST_SUBMIT, sizeof(struct request_submit) },
		{ WIRE_HELLO, sizeof(struct wire_hello) },
		{ REQUEST_FINISHED, sizeof(struct request_finished) - 1 },
		{ REQUEST_NEEDS_APPROVAL, 1 },
		{ REQUEST_FAILED, sizeof(struct wire_error) },		/* strings without an end */
		{ REQUEST_PROPERTIES, sizeof(struct wire_properties) }, /* nobody has asked */
		{ REQUEST_REPLACE, sizeof(struct request_replace) },
		{ WORKSPACE_EVENT, sizeof(struct request_workspace_event) },
		{ WIRE_STATUS, sizeof(struct wire_status) },
	};
	struct double_server *server = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		os_system_extension_request_t *request = submitted(AGENT), *two = submitted("two");
		static char large[sizeof(struct request_replace)];
		uint64_t id;

		memset(large, 'x', sizeof large);
		double_meet(server);
		id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
		double_expect_submit(server, REQUEST_ACTIVATE, "two");
		double_say(server, rows[i].type, id, large, rows[i].n_bytes);
		double_expect_gone(server);
		calls_wait(2);
		assert_call(
			calls_at(0), CALL_FAILED, calls_at(0)->object, 1, "connection.protocol");
		assert_call(
			calls_at(1), CALL_FAILED, calls_at(1)->object, 1, "connection.protocol");
		calls_reset();
		os_system_extension_request_release(request);
		os_system_extension_request_release(two);
	}
}

static void test_garbage_raw(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = submitted(AGENT);

	double_accept(server);
	double_expect(server, WIRE_HELLO);
	assert_int_equal(send(server->fd, "HTTP/1.1 400 Bad Request", 24, MSG_NOSIGNAL), 24);
	assert_call(calls_wait(1), CALL_FAILED, request, 1, "connection.protocol");
	os_system_extension_request_release(request);
}

static void test_wrong_count(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = submitted(AGENT);

	double_meet(server);
	double_finish(server, double_expect_submit(server, REQUEST_ACTIVATE, AGENT), 1);
	assert_call(calls_wait(1), CALL_FAILED, request, 1, "connection.protocol");
	os_system_extension_request_release(request);
}

/* outboardd is killed and comes back, three times: the request is made again, and told once. */
static void test_restart(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = submitted(AGENT);
	uint64_t id = 0;
	int i;

	for (i = 0; i < 3; i++) {
		double_meet(server);
		id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
		double_say(server, REQUEST_NEEDS_APPROVAL, id, NULL, 0);
		calls_wait(1);
		double_unlisten(server);
		double_hang_up(server);
		double_listen(server);
	}
	double_meet(server);
	double_finish(server, double_expect_submit(server, REQUEST_ACTIVATE, AGENT), 0);
	assert_call(calls_wait(2), CALL_FINISHED, request, 0, "");
	double_expect_gone(server);
	assert_int_equal(calls_count(), 2);
	os_system_extension_request_release(request);
}

/* The answer to a question of the outboardd before is not given to the one after. */
static void test_restart_in_question(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request;
	const struct request_replace replace = { double_properties("1", 0),
		double_properties("2", 0) };
	struct request_replace_answer answer;
	pthread_barrier_t hold;
	uint64_t id;

	pthread_barrier_init(&hold, NULL, 2);
	calls_hold = &hold;
	calls_action = OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_CANCEL;
	request = submitted(AGENT);
	double_meet(server);
	id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
	double_say(server, REQUEST_REPLACE, id, &replace, sizeof replace);
	calls_wait(1);
	double_meet(server);
	id = double_expect_submit(server, REQUEST_ACTIVATE, AGENT);
	/* now the first callback returns its CANCEL, and the second is asked */
	calls_action = OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_REPLACE;
	double_say(server, REQUEST_REPLACE, id, &replace, sizeof replace);
	pthread_barrier_wait(&hold);
	calls_wait(2);
	pthread_barrier_wait(&hold);
	double_expect(server, REQUEST_REPLACE_ANSWER);
	memcpy(&answer, server->packet.body, sizeof answer);
	assert_int_equal(answer.action, 1);
	double_finish(server, id, 0);
	assert_call(calls_wait(3), CALL_FINISHED, request, 0, "");
	os_system_extension_request_release(request);
	pthread_barrier_destroy(&hold);
}

static void test_nobody_there(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request;

	double_unlisten(server);
	manager.patience_ns = 200 * NS_PER_MS;
	request = submitted(AGENT);
	assert_call(calls_wait(1), CALL_FAILED, request, 1, "connection.no-outboardd");
	os_system_extension_request_release(request);
	double_listen(server);
}

/* It starts late, and in time. */
static void test_late(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request;

	double_unlisten(server);
	request = submitted(AGENT);
	/* it has looked, has found nobody, and will look again */
	pthread_mutex_lock(&manager.lock);
	assert_int_equal(manager.phase, PHASE_CLOSED);
	assert_int_equal(manager.why_closed, -ENOENT);
	assert_true(manager.next_attempt_ns > 0);
	pthread_mutex_unlock(&manager.lock);
	assert_int_equal(calls_count(), 0);
	double_listen(server);
	double_meet(server);
	double_finish(server, double_expect_submit(server, REQUEST_ACTIVATE, AGENT), 0);
	calls_wait(1);
	os_system_extension_request_release(request);
}

/* It accepts and says nothing; nor does it accept. */
static void test_silent(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request;

	manager.patience_ns = 200 * NS_PER_MS;
	request = submitted(AGENT);
	assert_call(calls_wait(1), CALL_FAILED, request, 1, "connection.no-outboardd");
	os_system_extension_request_release(request);
	calls_reset();
	double_accept(server);
	double_expect(server, WIRE_HELLO);
	double_expect_gone(server);
	request = submitted(AGENT);
	double_accept(server);
	double_expect(server, WIRE_HELLO);
	assert_call(calls_wait(1), CALL_FAILED, request, 1, "connection.no-outboardd");
	os_system_extension_request_release(request);
}

/* As far as it gets before the library loses patience, which it may at any step. */
static void die_of_request(struct double_server *server)
{
	const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };
	const struct wire_nonce nonce = { { 0 } };

	double_accept(server);
	WIRE_SEND(server->fd, WIRE_HELLO, 0, &hello);
	WIRE_SEND(server->fd, WIRE_NONCE, 0, &nonce);
	while (wire_receive(server->fd, &server->packet, 0) == 0 &&
		server->packet.header.type != REQUEST_SUBMIT)
		;
	double_hang_up(server);
}

/* It dies of each request: that is not tried for ever. */
static void test_dies_each_time(void **state)
{
	struct double_server *server = *state;
	struct pollfd poll_fd = { .fd = server->listen_fd, .events = POLLIN };
	os_system_extension_request_t *request;

	manager.patience_ns = 300 * NS_PER_MS;
	request = submitted(AGENT);
	while (calls_count() == 0)
		if (poll(&poll_fd, 1, 50) == 1)
			die_of_request(server);
	assert_call(calls_wait(1), CALL_FAILED, request, 1, "connection.no-outboardd");
	os_system_extension_request_release(request);
}

#define N_THREADS 8
#define N_EACH 64

static void *submit_many(void *data)
{
	int i;

	for (i = 0; i < N_EACH; i++) {
		os_system_extension_request_t *request;
		char name[64];

		snprintf(name, sizeof name, "agent.%d.%d", (int)(intptr_t)data, i);
		if (os_system_extension_request_new_activation(name, ob_queue_main(), &request) < 0)
			abort();
		os_system_extension_request_set_delegate(request, &calls_delegate, "");
		if (os_system_extension_manager_submit_request(request) < 0)
			abort();
		if (i % 3 == 0)
			ob_system_extension_request_cancel(request);
		os_system_extension_request_release(request);
	}
	return NULL;
}

/* Whatever comes is answered; the library may hang up and come again between any two of them. */
static void serve_one(struct double_server *server)
{
	const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };
	const struct wire_nonce nonce = { { 0 } };
	const struct request_finished finished = { 0 };
	int r = wire_receive(server->fd, &server->packet, MSG_DONTWAIT);

	if (r == -EPIPE) {
		double_hang_up(server);
	} else if (r == 0 && server->packet.header.type == WIRE_HELLO) {
		WIRE_SEND(server->fd, WIRE_HELLO, 0, &hello);
		WIRE_SEND(server->fd, WIRE_NONCE, 0, &nonce);
	} else if (r == 0 && server->packet.header.type == REQUEST_SUBMIT) {
		WIRE_SEND(server->fd, REQUEST_FINISHED, server->packet.header.id, &finished);
	}
}

/* More than the socket holds, from many threads, a third of it cancelled; each ends once. */
static void test_many(void **state)
{
	struct double_server *server = *state;
	pthread_t threads[N_THREADS];
	size_t n = 0, i;

	for (i = 0; i < N_THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, submit_many, (void *)(intptr_t)i), 0);
	while (n < N_THREADS * N_EACH) {
		struct pollfd poll_fds[3] = { { .fd = server->fd, .events = POLLIN },
			{ .fd = ob_queue_get_fd(ob_queue_main()), .events = POLLIN },
			{ .fd = server->listen_fd, .events = POLLIN } };
		int r;

		assert_true(poll(poll_fds, 3, 20000) > 0);
		if (poll_fds[0].revents)
			serve_one(server);
		if (server->fd < 0 && poll_fds[2].revents)
			double_accept(server);
		r = ob_queue_dispatch(ob_queue_main());
		assert_true(r >= 0);
		n += (size_t)r;
	}
	for (i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(calls_count(), N_THREADS * N_EACH);
}

/* In a child after fork(2) nothing works, and says so, even while a lock was held. */
static void test_fork(void **state)
{
	struct double_server *server = *state;
	os_system_extension_request_t *request = submitted(AGENT), *fresh = activation("fresh");
	int status;
	pid_t child;

	pthread_mutex_lock(&manager.lock);
	child = fork();
	if (child == 0) {
		os_system_extension_request_t *own = NULL;
		bool good = os_system_extension_manager_submit_request(fresh) == -ECHILD &&
			ob_system_extension_request_cancel(request) == -ECHILD &&
			os_system_extension_request_new_activation("x", NULL, &own) == 0 &&
			os_system_extension_manager_submit_request(own) == -ECHILD &&
			ob_system_extension_request_cancel(own) == -ECHILD;

		os_system_extension_request_set_delegate(own, &calls_delegate, NULL);
		os_system_extension_request_set_delegate(fresh, NULL, NULL);
		_exit(good ? 0 : 1);
	}
	pthread_mutex_unlock(&manager.lock);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	double_meet(server);
	double_finish(server, double_expect_submit(server, REQUEST_ACTIVATE, AGENT), 0);
	calls_wait(1);
	os_system_extension_request_release(request);
	os_system_extension_request_release(fresh);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, double_setup, double_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_garbage),
		TEST(test_garbage_raw),
		TEST(test_wrong_count),
		TEST(test_restart),
		TEST(test_restart_in_question),
		TEST(test_nobody_there),
		TEST(test_late),
		TEST(test_silent),
		TEST(test_dies_each_time),
		TEST(test_many),
		TEST(test_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
