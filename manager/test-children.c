/* SPDX-License-Identifier: Apache-2.0
 *
 * The manager's side of its parent, over its wire: the test is the parent. What is told from the
 * loop is not told before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "manager/children.h"

#define NUMBER 7000000000ull

static struct {
	sd_event *event;
	struct children *children;
	int parent_fd; /* the parent's end: we are it */
	unsigned n_spawned, n_ended;
} test;

static struct wire_packet packet;

static void ended(void *context, uint64_t child, int code, int status)
{
	test.n_ended++;
	assert_true(child == NUMBER);
	assert_int_equal(code, CLD_EXITED);
	assert_int_equal(status, 7);
}

static void tell(uint16_t type, uint64_t id, const void *body, size_t bytes)
{
	assert_int_equal(
		wire_send(test.parent_fd, type, id ? WIRE_FLAG_REPLY : 0, id, body, bytes, NULL, 0),
		0);
}

static int start(void **state)
{
	int pair[2];

	assert_int_equal(wire_pair(pair), 0);
	test.parent_fd = pair[0];
	test.n_spawned = test.n_ended = 0;
	assert_true(sd_event_new(&test.event) >= 0);
	tell(PARENT_BEGIN, 0, NULL, 0);
	assert_int_equal(children_new(test.event, pair[1], ended, NULL, &test.children), 0);
	return 0;
}

static int stop(void **state)
{
	test.children = children_free(test.children);
	test.event = sd_event_unref(test.event);
	test.parent_fd = fd_close(test.parent_fd);
	return 0;
}

static bool has_message(void)
{
	struct pollfd poll_fd = { .fd = test.parent_fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

static void turn_loop(void)
{
	while (sd_event_run(test.event, 0) > 0)
		;
}

/* A child is started by a manager that has not come to its loop, with what the parent says first. */
static void spawn_after(uint64_t number, uint16_t type, const void *body, size_t bytes)
{
	const struct parent_child child = { .child = number, .pid = 4711, .start_time = 1 };
	uint64_t start_time = 0;
	pid_t pid = 0;

	tell(type, 0, body, bytes);
	tell(PARENT_SPAWNED, ++test.n_spawned, &child, sizeof child);
	assert_int_equal(
		children_spawn(test.children, number, PARENT_PROGRAM_LAUNCH, 0, "control",
			(const int[]){ STDERR_FILENO, STDERR_FILENO }, 2, &pid, &start_time),
		0);
	assert_int_equal(pid, 4711);
	assert_int_equal(wire_receive(test.parent_fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, PARENT_SPAWN);
	wire_packet_done(&packet);
}

/* Answer in on_ping() to make this red: outboardd would be ready before its extensions run. */
static void a_ping_is_answered_by_the_loop(void **state)
{
	spawn_after(NUMBER, PARENT_PING, NULL, 0);
	assert_false(has_message());
	turn_loop();
	assert_true(has_message());
	assert_int_equal(wire_receive(test.parent_fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, PARENT_PONG);
	wire_packet_done(&packet);
	turn_loop();
	assert_false(has_message());
}

static void an_end_is_told_by_the_loop(void **state)
{
	const struct parent_child end = { .child = NUMBER, .code = CLD_EXITED, .status = 7 };

	spawn_after(NUMBER, PARENT_PING, NULL, 0);
	spawn_after(NUMBER + 1, PARENT_EXITED, &end, sizeof end);
	assert_int_equal(test.n_ended, 0);
	turn_loop();
	assert_int_equal(test.n_ended, 1);
	assert_false(children_is_alive(test.children, NUMBER));
}

/* The manager ends with its parent. */
static void the_loop_ends_with_the_parent(void **state)
{
	test.parent_fd = fd_close(test.parent_fd);
	assert_int_equal(sd_event_loop(test.event), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(a_ping_is_answered_by_the_loop),
		TEST(an_end_is_told_by_the_loop),
		TEST(the_loop_ends_with_the_parent),
#undef TEST
	};

	return cmocka_run_group_tests_name("children", tests, NULL, NULL);
}
