/* SPDX-License-Identifier: Apache-2.0
 *
 * <dispatch/dispatch.h> by its functions: order, barriers, groups, semaphores, times, sources. No
 * test sleeps: each waits for what is to happen, and what must not happen is asked about after
 * something that comes later.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <dispatch/dispatch.h>
#include "base/fd.h"
#include "base/macros.h"

#define global() dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0)

static void signal_semaphore(void *context)
{
	dispatch_semaphore_signal(context);
}

static void wait_for(dispatch_semaphore_t semaphore)
{
	assert_int_equal(dispatch_semaphore_wait(
				 semaphore, dispatch_time(DISPATCH_TIME_NOW, 60 * NSEC_PER_SEC)),
		0);
}

static void count(void *context)
{
	atomic_fetch_add((atomic_size_t *)context, 1);
}

static unsigned n_threads(void)
{
	_cleanup_free_ char *text = NULL;
	const char *at;

	assert_int_equal(file_read_at(-1, "/proc/self/status", 65536, &text, NULL), 0);
	at = strstr(text, "Threads:");
	assert_non_null(at);
	return (unsigned)strtoul(at + 8, NULL, 10);
}

/* 10,000 pieces of work and 64 threads at the most, fewer where none is blocked. */
static void test_pool(void **state)
{
	dispatch_group_t group = dispatch_group_create();
	atomic_size_t n = 0;

	for (int i = 0; i < 10000; i++)
		dispatch_group_async_f(group, global(), &n, count);
	assert_int_equal(dispatch_group_wait(group, DISPATCH_TIME_FOREVER), 0);
	assert_int_equal(n, 10000);
	assert_true(n_threads() < 70);
	dispatch_release(group);
}

struct ordered {
	size_t next, n;
	atomic_int inside;
	bool mixed, overlapped;
	size_t values[5000];
};

struct ordered_piece {
	struct ordered *ordered;
	size_t i;
};

static void run_piece(void *context)
{
	struct ordered_piece piece = *(struct ordered_piece *)context;

	free(context);
	if (atomic_fetch_add(&piece.ordered->inside, 1) != 0)
		piece.ordered->overlapped = true;
	if (piece.ordered->next++ != piece.i)
		piece.ordered->mixed = true;
	atomic_fetch_sub(&piece.ordered->inside, 1);
}

static void run_in_order(dispatch_queue_t queue, struct ordered *ordered, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ordered_piece *piece = malloc(sizeof *piece);

		*piece = (struct ordered_piece){ ordered, i };
		dispatch_async_f(queue, piece, run_piece);
	}
}

static void nothing(void *context)
{
}

static void assert_in_order(dispatch_queue_t queue, size_t n)
{
	struct ordered ordered = { 0 };

	run_in_order(queue, &ordered, n);
	dispatch_sync_f(queue, NULL, nothing);
	assert_int_equal(ordered.next, n);
	assert_false(ordered.mixed);
	assert_false(ordered.overlapped);
}

/* A serial queue: in order, never two at once; also over a target, and on a thread of its own. */
static void test_serial(void **state)
{
	dispatch_queue_t serial = dispatch_queue_create("serial", DISPATCH_QUEUE_SERIAL);
	dispatch_queue_t above = dispatch_queue_create_with_target(
		"above", DISPATCH_QUEUE_SERIAL, serial);
	ob_queue_t *own;

	assert_in_order(serial, 5000);
	assert_in_order(above, 2000);
	assert_int_equal(ob_queue_new("own", &own), 0);
	assert_in_order(own, 5000);
	ob_queue_release(own);
	dispatch_release(above);
	dispatch_release(serial);
}

/* Two concurrent queues over one serial target never run two at once. */
static void test_common_target(void **state)
{
	dispatch_queue_t serial = dispatch_queue_create("serial", DISPATCH_QUEUE_SERIAL);
	dispatch_queue_t a = dispatch_queue_create_with_target(
		"a", DISPATCH_QUEUE_CONCURRENT, serial);
	dispatch_queue_t b = dispatch_queue_create_with_target(
		"b", DISPATCH_QUEUE_CONCURRENT, serial);
	struct ordered ordered = { 0 };

	run_in_order(a, &ordered, 1000);
	run_in_order(b, &ordered, 1000);
	dispatch_barrier_sync_f(a, NULL, nothing);
	dispatch_barrier_sync_f(b, NULL, nothing);
	assert_int_equal(ordered.next, 2000);
	assert_false(ordered.overlapped);
	dispatch_release(a);
	dispatch_release(b);
	dispatch_release(serial);
}

struct barrier_test {
	atomic_int readers, writers, most_readers;
	atomic_bool wrong;
	dispatch_semaphore_t both;
};

static void read_it(void *context)
{
	struct barrier_test *test = context;
	int n = atomic_fetch_add(&test->readers, 1) + 1;

	if (n > test->most_readers)
		test->most_readers = n;
	if (test->writers)
		test->wrong = true;
	atomic_fetch_sub(&test->readers, 1);
}

static void write_it(void *context)
{
	struct barrier_test *test = context;

	if (atomic_fetch_add(&test->writers, 1) != 0 || test->readers)
		test->wrong = true;
	atomic_fetch_sub(&test->writers, 1);
}

static void meet(void *context)
{
	struct barrier_test *test = context;

	/* returns only where the other one is inside as well */
	if (atomic_fetch_add(&test->readers, 1) == 0)
		wait_for(test->both);
	else
		dispatch_semaphore_signal(test->both);
	atomic_fetch_sub(&test->readers, 1);
}

static void test_barrier(void **state)
{
	dispatch_queue_t queue = dispatch_queue_create("rw", DISPATCH_QUEUE_CONCURRENT);
	struct barrier_test test = { .both = dispatch_semaphore_create(0) };

	/* two at once, so it is concurrent */
	dispatch_async_f(queue, &test, meet);
	dispatch_async_f(queue, &test, meet);
	dispatch_barrier_sync_f(queue, NULL, nothing);
	for (int i = 0; i < 2000; i++) {
		if (i % 10 == 0)
			dispatch_barrier_async_f(queue, &test, write_it);
		else if (i % 10 == 5)
			dispatch_sync_f(queue, &test, read_it);
		else
			dispatch_async_f(queue, &test, read_it);
	}
	dispatch_barrier_sync_f(queue, &test, write_it);
	assert_int_equal(test.readers, 0);
	assert_false(test.wrong);
	dispatch_release(test.both);
	dispatch_release(queue);
}

static void note_thread(void *context)
{
	*(pthread_t *)context = pthread_self();
}

static void test_sync(void **state)
{
	dispatch_queue_t serial = dispatch_queue_create("serial", NULL);
	pthread_t thread;
	ob_queue_t *own;

	dispatch_sync_f(serial, &thread, note_thread);
	assert_true(pthread_equal(thread, pthread_self()));
	assert_int_equal(ob_queue_new("own", &own), 0);
	dispatch_sync_f(own, &thread, note_thread);
	assert_false(pthread_equal(thread, pthread_self()));
	ob_queue_release(own);
	dispatch_release(serial);
}

static void sync_again(void *context)
{
	dispatch_sync_f(context, NULL, nothing);
}

/* What would wait for itself for ever stops instead: seen from outside. */
static void test_sync_to_itself(void **state)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		dispatch_queue_t queue = dispatch_queue_create("serial", NULL);

		/* cmocka would catch it */
		signal(SIGILL, SIG_DFL);
		signal(SIGTRAP, SIG_DFL);
		dispatch_sync_f(queue, queue, sync_again);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP);
}

static void mark(void *context, size_t i)
{
	atomic_fetch_add((atomic_int *)context + i, 1);
}

static void assert_applied(dispatch_queue_t queue, size_t n)
{
	atomic_int *marks = calloc(n + 1, sizeof *marks);

	dispatch_apply_f(n, queue, marks, mark);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(marks[i], 1);
	free(marks);
}

static void test_apply(void **state)
{
	dispatch_queue_t serial = dispatch_queue_create("serial", NULL);
	dispatch_queue_t concurrent = dispatch_queue_create("c", DISPATCH_QUEUE_CONCURRENT);

	assert_applied(DISPATCH_APPLY_AUTO, 0);
	assert_applied(DISPATCH_APPLY_AUTO, 1);
	assert_applied(DISPATCH_APPLY_AUTO, 5000);
	assert_applied(serial, 500);
	assert_applied(concurrent, 500);
	dispatch_release(serial);
	dispatch_release(concurrent);
}

static void wait_and_count(void *context)
{
	void **all = context;

	wait_for(all[0]);
	count(all[1]);
}

/* Every thread of the pool is blocked, and what unblocks them waits behind: it still runs. */
static void test_blocked_pool(void **state)
{
	dispatch_semaphore_t semaphore = dispatch_semaphore_create(0);
	dispatch_group_t group = dispatch_group_create();
	atomic_size_t n = 0;
	void *all[2] = { semaphore, &n };

	for (int i = 0; i < 20; i++)
		dispatch_group_async_f(group, global(), all, wait_and_count);
	for (int i = 0; i < 20; i++)
		dispatch_group_async_f(group, global(), semaphore, signal_semaphore);
	assert_int_equal(dispatch_group_wait(group, DISPATCH_TIME_FOREVER), 0);
	assert_int_equal(n, 20);
	dispatch_release(group);
	dispatch_release(semaphore);
}

static void test_group(void **state)
{
	dispatch_group_t group = dispatch_group_create();
	dispatch_semaphore_t semaphore = dispatch_semaphore_create(0);

	/* empty: at once */
	dispatch_group_notify_f(group, global(), semaphore, signal_semaphore);
	wait_for(semaphore);
	dispatch_group_enter(group);
	dispatch_group_enter(group);
	dispatch_group_notify_f(group, global(), semaphore, signal_semaphore);
	assert_true(dispatch_group_wait(group, DISPATCH_TIME_NOW) != 0);
	dispatch_group_leave(group);
	dispatch_barrier_sync_f(global(), NULL, nothing);
	assert_true(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_NOW) != 0);
	dispatch_group_leave(group);
	wait_for(semaphore);
	/* once: the next emptying is another one's */
	dispatch_group_enter(group);
	dispatch_group_leave(group);
	assert_int_equal(dispatch_group_wait(group, DISPATCH_TIME_FOREVER), 0);
	assert_true(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_NOW) != 0);
	dispatch_release(group);
	dispatch_release(semaphore);
}

static void count_once(void *context)
{
	count(context);
	sched_yield();
}

struct once_test {
	dispatch_once_t predicate;
	atomic_size_t n, seen;
};

static void try_once(void *context, size_t i)
{
	struct once_test *test = context;

	dispatch_once_f(&test->predicate, &test->n, count_once);
	/* whoever returns, returns after it */
	if (test->n == 1)
		count(&test->seen);
}

static void test_once(void **state)
{
	for (int round = 0; round < 200; round++) {
		struct once_test test = { 0 };

		dispatch_apply_f(16, DISPATCH_APPLY_AUTO, &test, try_once);
		assert_int_equal(test.n, 1);
		assert_int_equal(test.seen, 16);
	}
}

static char after_order[4];
static atomic_size_t after_n;

static void note_a(void *context)
{
	after_order[after_n++] = 'a';
	dispatch_semaphore_signal(context);
}

static void note_b(void *context)
{
	after_order[after_n++] = 'b';
	dispatch_semaphore_signal(context);
}

static void test_after(void **state)
{
	dispatch_semaphore_t semaphore = dispatch_semaphore_create(0);
	dispatch_queue_t queue = dispatch_queue_create("later", NULL);
	dispatch_time_t start = dispatch_time(DISPATCH_TIME_NOW, 0);

	dispatch_after_f(
		dispatch_time(DISPATCH_TIME_NOW, 20 * NSEC_PER_MSEC), queue, semaphore, note_b);
	dispatch_after_f(dispatch_walltime(NULL, 2 * NSEC_PER_MSEC), queue, semaphore, note_a);
	dispatch_release(queue);
	wait_for(semaphore);
	wait_for(semaphore);
	assert_string_equal(after_order, "ab");
	assert_true(dispatch_time(DISPATCH_TIME_NOW, 0) - start >= 20 * NSEC_PER_MSEC);
	dispatch_release(semaphore);
}

static void test_time(void **state)
{
	dispatch_time_t now = dispatch_time(DISPATCH_TIME_NOW, 0);
	const struct timespec wall = { .tv_sec = 1000 };

	assert_int_equal(dispatch_time(now, 5) - now, 5);
	assert_int_equal(dispatch_time(DISPATCH_TIME_FOREVER, -5), DISPATCH_TIME_FOREVER);
	assert_int_equal(dispatch_time(now, INT64_MAX), DISPATCH_TIME_FOREVER);
	assert_int_equal(dispatch_walltime(&wall, 7), -(1000 * NSEC_PER_SEC + 7));
	assert_int_equal(
		dispatch_time(dispatch_walltime(&wall, 0), 7), dispatch_walltime(&wall, 7));
	/* 0, -1 and -2 stay what they mean */
	assert_true((int64_t)dispatch_time(now, INT64_MIN) > 0);
	assert_true((int64_t)dispatch_walltime(&wall, INT64_MIN) < -2);
}

static int key_a, key_b;

static void check_specific(void *context)
{
	assert_ptr_equal(dispatch_get_specific(&key_a), "above");
	assert_ptr_equal(dispatch_get_specific(&key_b), "below");
	assert_string_equal(dispatch_queue_get_label(DISPATCH_CURRENT_QUEUE_LABEL), "above");
	dispatch_assert_queue(context);
	dispatch_assert_queue_not(dispatch_get_main_queue());
}

static void test_specific(void **state)
{
	dispatch_queue_t below = dispatch_queue_create("below", NULL);
	dispatch_queue_t above = dispatch_queue_create_with_target("above", NULL, below);
	atomic_size_t n = 0;

	dispatch_queue_set_specific(above, &key_a, (void *)(uintptr_t) "above", NULL);
	dispatch_queue_set_specific(below, &key_b, (void *)(uintptr_t) "below", NULL);
	assert_null(dispatch_get_specific(&key_a));
	dispatch_sync_f(above, above, check_specific);
	dispatch_queue_set_specific(above, &key_a, &n, count);
	dispatch_queue_set_specific(above, &key_a, NULL, NULL);
	assert_int_equal(n, 1);
	assert_null(dispatch_queue_get_specific(above, &key_a));
	dispatch_release(above);
	dispatch_release(below);
}

static void test_suspend(void **state)
{
	dispatch_queue_t queue = dispatch_queue_create("s", NULL);
	dispatch_semaphore_t semaphore = dispatch_semaphore_create(0);

	dispatch_suspend(queue);
	dispatch_async_f(queue, semaphore, signal_semaphore);
	dispatch_barrier_sync_f(global(), NULL, nothing);
	assert_true(dispatch_semaphore_wait(semaphore, DISPATCH_TIME_NOW) != 0);
	dispatch_resume(queue);
	wait_for(semaphore);
	dispatch_release(queue);
	dispatch_release(semaphore);
}

/* ---- Sources ----------------------------------------------------------------------------------- */

struct source_test {
	dispatch_source_t source;
	dispatch_semaphore_t event, cancelled;
	atomic_size_t events, cancels;
	atomic_uintptr_t data;
	int fd;
	bool reads;
};

static void source_event(void *context)
{
	struct source_test *test = context;
	char buffer[64];

	atomic_fetch_add(&test->data, dispatch_source_get_data(test->source));
	count(&test->events);
	if (test->reads && read(test->fd, buffer, sizeof buffer) < 0)
		count(&test->events);
	dispatch_semaphore_signal(test->event);
}

static void source_cancelled(void *context)
{
	struct source_test *test = context;

	count(&test->cancels);
	dispatch_semaphore_signal(test->cancelled);
}

static void source_begin(struct source_test *test, dispatch_source_type_t type, uintptr_t handle,
	uintptr_t mask, dispatch_queue_t queue)
{
	*test = (struct source_test){ .event = dispatch_semaphore_create(0),
		.cancelled = dispatch_semaphore_create(0),
		.fd = (int)handle };
	test->source = dispatch_source_create(type, handle, mask, queue);
	assert_non_null(test->source);
	dispatch_set_context(test->source, test);
	dispatch_source_set_event_handler_f(test->source, source_event);
	dispatch_source_set_cancel_handler_f(test->source, source_cancelled);
}

/* The cancel handler: exactly once, after the last event, though it is cancelled twice. */
static void source_end(struct source_test *test)
{
	size_t events;

	dispatch_source_cancel(test->source);
	dispatch_source_cancel(test->source);
	wait_for(test->cancelled);
	events = test->events;
	assert_true(dispatch_source_testcancel(test->source) != 0);
	dispatch_release(test->source);
	dispatch_barrier_sync_f(global(), NULL, nothing);
	assert_int_equal(test->cancels, 1);
	assert_int_equal(test->events, events);
	dispatch_release(test->event);
	dispatch_release(test->cancelled);
}

static void test_source_data(void **state)
{
	struct source_test test;

	source_begin(&test, DISPATCH_SOURCE_TYPE_DATA_ADD, 0, 0, NULL);
	dispatch_source_merge_data(test.source, 3);
	dispatch_activate(test.source);
	wait_for(test.event);
	dispatch_source_merge_data(test.source, 4);
	wait_for(test.event);
	assert_int_equal(test.data, 7);
	source_end(&test);
}

static void test_source_read(void **state)
{
	dispatch_queue_t queue = dispatch_queue_create("io", NULL);
	struct source_test test;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	source_begin(&test, DISPATCH_SOURCE_TYPE_READ, (uintptr_t)fds[0], 0, queue);
	test.reads = true;
	dispatch_resume(test.source);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(write(fds[1], "abc", 3), 3);
		wait_for(test.event);
	}
	assert_int_equal(test.events, 50);
	assert_int_equal(test.data, 150);
	source_end(&test);
	dispatch_release(queue);
	close(fds[0]);
	close(fds[1]);
}

/* Reading and writing of one descriptor are two sources; end of file is an event. */
static void test_source_read_and_write(void **state)
{
	struct source_test in, out;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	source_begin(&in, DISPATCH_SOURCE_TYPE_READ, (uintptr_t)fds[0], 0, NULL);
	source_begin(&out, DISPATCH_SOURCE_TYPE_WRITE, (uintptr_t)fds[0], 0, NULL);
	dispatch_activate(in.source);
	dispatch_activate(out.source);
	wait_for(out.event);
	assert_int_equal(in.events, 0);
	source_end(&out);
	close(fds[1]);
	wait_for(in.event);
	source_end(&in);
	close(fds[0]);
}

static void test_source_timer(void **state)
{
	struct source_test test;

	source_begin(&test, DISPATCH_SOURCE_TYPE_TIMER, 0, 0, NULL);
	dispatch_source_set_timer(test.source, DISPATCH_TIME_NOW, NSEC_PER_MSEC, 0);
	dispatch_activate(test.source);
	for (int i = 0; i < 5; i++)
		wait_for(test.event);
	assert_true(test.data >= 5);
	dispatch_source_set_timer(test.source, DISPATCH_TIME_FOREVER, DISPATCH_TIME_FOREVER, 0);
	source_end(&test);
	/* once is once */
	source_begin(&test, DISPATCH_SOURCE_TYPE_TIMER, 0, 0, NULL);
	dispatch_source_set_timer(test.source, dispatch_time(DISPATCH_TIME_NOW, NSEC_PER_MSEC),
		DISPATCH_TIME_FOREVER, 0);
	dispatch_activate(test.source);
	wait_for(test.event);
	source_end(&test);
	assert_int_equal(test.data, 1);
}

static void test_source_signal(void **state)
{
	struct source_test test;

	source_begin(&test, DISPATCH_SOURCE_TYPE_SIGNAL, SIGUSR1, 0, NULL);
	dispatch_activate(test.source);
	kill(getpid(), SIGUSR1);
	wait_for(test.event);
	assert_int_equal(test.data, 1);
	source_end(&test);
}

static void test_source_process(void **state)
{
	struct source_test test;
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	source_begin(&test, DISPATCH_SOURCE_TYPE_PROC, (uintptr_t)child, DISPATCH_PROC_EXIT, NULL);
	dispatch_activate(test.source);
	assert_int_equal(test.events, 0);
	kill(child, SIGKILL);
	wait_for(test.event);
	assert_int_equal(test.data, DISPATCH_PROC_EXIT);
	assert_int_equal(waitpid(child, NULL, 0), child);
	source_end(&test);
}

static void test_source_refused(void **state)
{
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_null(dispatch_source_create(DISPATCH_SOURCE_TYPE_READ, 12345, 0, NULL));
	assert_null(dispatch_source_create(DISPATCH_SOURCE_TYPE_READ, (uintptr_t)file, 0, NULL));
	assert_null(dispatch_source_create(DISPATCH_SOURCE_TYPE_SIGNAL, 1000, 0, NULL));
	/* fork and exec of others cannot be watched here */
	assert_null(dispatch_source_create(
		DISPATCH_SOURCE_TYPE_PROC, (uintptr_t)getpid(), 0x40000000u, NULL));
	close(file);
}

/* Sources come and go while they fire, from many threads: for the sanitizers. */
static void churn(void *context, size_t i)
{
	struct source_test test;

	source_begin(&test, DISPATCH_SOURCE_TYPE_TIMER, 0, 0, context);
	dispatch_source_set_timer(test.source, DISPATCH_TIME_NOW, 100 * NSEC_PER_USEC, 0);
	dispatch_activate(test.source);
	wait_for(test.event);
	dispatch_source_cancel(test.source);
	wait_for(test.cancelled);
	dispatch_release(test.source);
	assert_int_equal(test.cancels, 1);
	dispatch_release(test.event);
	dispatch_release(test.cancelled);
}

static void test_churn(void **state)
{
	dispatch_queue_t queue = dispatch_queue_create("churn", NULL);
	ob_queue_t *own;

	assert_int_equal(ob_queue_new("churn", &own), 0);
	dispatch_apply_f(200, NULL, NULL, churn);
	dispatch_apply_f(200, NULL, queue, churn);
	dispatch_apply_f(200, NULL, own, churn);
	dispatch_release(queue);
	ob_queue_release(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first, as it wants the signal blocked before there are threads */
		cmocka_unit_test(test_source_signal),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_serial),
		cmocka_unit_test(test_common_target),
		cmocka_unit_test(test_barrier),
		cmocka_unit_test(test_sync),
		cmocka_unit_test(test_sync_to_itself),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_blocked_pool),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_after),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_specific),
		cmocka_unit_test(test_suspend),
		cmocka_unit_test(test_source_data),
		cmocka_unit_test(test_source_read),
		cmocka_unit_test(test_source_read_and_write),
		cmocka_unit_test(test_source_timer),
		cmocka_unit_test(test_source_process),
		cmocka_unit_test(test_source_refused),
		cmocka_unit_test(test_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
