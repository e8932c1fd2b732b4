/* SPDX-License-Identifier: Apache-2.0
 *
 * A pulse: who owes rings once, whatever order the two look in; a queue counts as long as it is open;
 * and the process that is watched can do nothing to the page that would end who watches it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/pulse.h"

static struct pulse parent, child;

static int begin(void **state)
{
	char text[128];

	assert_int_equal(pulse_new(&parent), 0);
	snprintf(text, sizeof text, "pulse-page=%d,pulse-bell=%d,pulse-queue=%d",
		dup(parent.fds[PULSE_PAGE]), dup(parent.fds[PULSE_BELL]),
		dup(parent.fds[PULSE_QUEUE]));
	setenv("OUTBOARD_FDS", text, 1);
	assert_int_equal(pulse_inherit(&child), 0);
	return 0;
}

static int end(void **state)
{
	pulse_done(&parent);
	pulse_done(&child);
	assert_null(child.page);
	return 0;
}

static bool is_readable(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) == 1;
}

static void test_it_rings_once(void **state)
{
	uint32_t before, after;

	pulse_beat(&child, false);
	assert_false(is_readable(parent.fds[PULSE_BELL]));
	pulse_beat(&child, true);
	assert_true(is_readable(parent.fds[PULSE_BELL]));
	pulse_watch(&parent, &before);
	assert_false(is_readable(parent.fds[PULSE_BELL]));
	pulse_beat(&child, true);
	assert_false(is_readable(parent.fds[PULSE_BELL]));
	assert_true(pulse_look(&parent, &after));
	assert_int_equal(after, before + 1);
	assert_true(pulse_look(&parent, &before));
	assert_int_equal(after, before);
	pulse_beat(&child, false);
	assert_false(pulse_look(&parent, &after));
	pulse_beat(&child, true);
	assert_true(is_readable(parent.fds[PULSE_BELL]));
}

static void test_a_queue(void **state)
{
	int ends[2];
	uint32_t beats;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(pulse_add_queue(&child, ends[0]), 0);
	assert_false(is_readable(parent.fds[PULSE_QUEUE]));
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_true(is_readable(parent.fds[PULSE_QUEUE]));
	pulse_watch(&parent, &beats);
	assert_true(pulse_look(&parent, &beats));
	close(ends[0]); /* the pulse did not keep it */
	assert_int_equal(write(ends[1], "x", 1), -1);
	assert_false(pulse_look(&parent, &beats));
	close(ends[1]);
}

static void test_a_page_that_stays(void **state)
{
	assert_int_equal(ftruncate(child.fds[PULSE_PAGE], 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(parent.page->beats, 0);
}

static void test_nobody_watches(void **state)
{
	static const struct pulse none = PULSE_NONE;
	struct pulse other = PULSE_NONE;

	setenv("OUTBOARD_FDS", "manager=0", 1);
	assert_int_equal(pulse_inherit(&other), -ENOENT);
	pulse_beat(&none, true);
	assert_int_equal(pulse_add_queue(&none, 0), 0);
	pulse_done(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_rings_once, begin, end),
		cmocka_unit_test_setup_teardown(test_a_queue, begin, end),
		cmocka_unit_test_setup_teardown(test_a_page_that_stays, begin, end),
		cmocka_unit_test(test_nobody_watches),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("pulse", tests, NULL, NULL);
}
