/* SPDX-License-Identifier: Apache-2.0
 *
 * Outboard's own queue: driven by the program, by a foreign loop, by a thread; what is refused; what
 * runs before it is gone. And ob_error_t.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <Outboard/outboard.h>
#include "base/fd.h"
#include "outboard/internal.h"

static void count(void *data)
{
	atomic_fetch_add((atomic_int *)data, 1);
}

static void stop(void *data)
{
	ob_queue_stop(data);
}

static void test_main_queue(void **state)
{
	ob_queue_t *queue = ob_queue_main();
	atomic_int n = 0;

	assert_ptr_equal(queue, ob_queue_main());
	assert_int_equal(ob_queue_dispatch(queue), 0);
	assert_int_equal(queue_post(queue, count, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(ob_queue_dispatch(queue), 1);
	assert_int_equal(n, 1);
	/* what comes after the stop waits for the next run */
	queue_post(queue, stop, queue);
	queue_post(queue, count, &n);
	assert_int_equal(ob_queue_run(queue), 0);
	assert_int_equal(n, 1);
	assert_int_equal(ob_queue_dispatch(queue), 1);
	assert_int_equal(n, 2);
	/* a stop of before is used up by one run */
	ob_queue_stop(queue);
	assert_int_equal(ob_queue_run(queue), 0);
	assert_null(ob_queue_release(queue));
}

struct more {
	ob_queue_t *queue;
	atomic_int n;
};

static void post_more(void *data)
{
	struct more *more = data;

	if (++more->n < 5)
		queue_post(more->queue, post_more, more);
}

/* A loop of epoll's: readable when something waits, quiet when nothing does; timers and sources in it. */
static void test_foreign_loop(void **state)
{
	_cleanup_fd_ int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };
	struct more more = { 0 };
	atomic_int n = 0;
	int fd;

	assert_int_equal(ob_queue_new("foreign", &more.queue), 0);
	fd = ob_queue_get_fd(more.queue);
	assert_true(fd >= 0);
	assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event), 0);
	assert_int_equal(epoll_wait(epoll_fd, &event, 1, 0), 0);
	queue_post(more.queue, post_more, &more);
	/* one callback a round: what it adds waits for the next */
	for (int i = 1; i <= 5; i++) {
		assert_int_equal(epoll_wait(epoll_fd, &event, 1, -1), 1);
		assert_int_equal(ob_queue_dispatch(more.queue), 1);
		assert_int_equal(more.n, i);
	}
	assert_int_equal(epoll_wait(epoll_fd, &event, 1, 0), 0);
	assert_int_equal(queue_post_after(more.queue, 3, count, &n), 0);
	while (n == 0) {
		assert_int_equal(epoll_wait(epoll_fd, &event, 1, -1), 1);
		assert_true(ob_queue_dispatch(more.queue) >= 0);
	}
	assert_int_equal(epoll_wait(epoll_fd, &event, 1, 0), 0);
	assert_null(ob_queue_release(more.queue));
}

static unsigned n_threads(void)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(file_read_at(-1, "/proc/self/status", 65536, &text, NULL), 0);
	return (unsigned)strtoul(strstr(text, "Threads:") + 8, NULL, 10);
}

struct eventful {
	int fd;
	atomic_int n;
	ob_queue_t *queue;
	struct queue_source *source;
	bool free_inside;
};

static void readable(void *context)
{
	struct eventful *test = context;
	uint64_t value;

	assert_int_equal(read(test->fd, &value, sizeof value), sizeof value);
	test->n++;
	if (test->free_inside)
		test->source = queue_source_free(test->source);
}

static void raise_event(int fd)
{
	uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof one), sizeof one);
}

/* On a queue that the program drives nothing starts a thread. */
static void test_source_without_thread(void **state)
{
	struct eventful test = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.queue = ob_queue_main() };
	unsigned before = n_threads();

	assert_int_equal(queue_source_new(test.queue, test.fd, readable, &test, &test.source), 0);
	for (int i = 1; i <= 3; i++) {
		raise_event(test.fd);
		while (test.n < i)
			assert_true(ob_queue_dispatch(test.queue) >= 0);
	}
	assert_int_equal(test.n, 3);
	assert_int_equal(n_threads(), before);
	raise_event(test.fd);
	test.source = queue_source_free(test.source);
	for (int i = 0; i < 3; i++)
		ob_queue_dispatch(test.queue);
	assert_int_equal(test.n, 3);
	assert_null(queue_source_free(NULL));
	/* freed in its own callback */
	test.free_inside = true;
	assert_int_equal(queue_source_new(test.queue, test.fd, readable, &test, &test.source), 0);
	while (test.n < 4)
		assert_true(ob_queue_dispatch(test.queue) >= 0);
	raise_event(test.fd);
	ob_queue_dispatch(test.queue);
	assert_int_equal(test.n, 4);
	close(test.fd);
}

static char thread_name[16];
static sigset_t thread_mask;

static void look_at_thread(void *data)
{
	pthread_getname_np(pthread_self(), thread_name, sizeof thread_name);
	pthread_sigmask(SIG_SETMASK, NULL, &thread_mask);
}

static void test_own_thread(void **state)
{
	ob_queue_t *queue;
	atomic_int n = 0;

	assert_int_equal(ob_queue_new("a label of more bytes", &queue), 0);
	queue_post(queue, look_at_thread, NULL);
	for (int i = 0; i < 1000; i++)
		queue_post(queue, count, &n);
	/* a thread of ours runs it: the program cannot */
	assert_int_equal(ob_queue_dispatch(queue), -EBUSY);
	assert_int_equal(ob_queue_get_fd(queue), -EBUSY);
	/* everything runs before the release returns */
	assert_null(ob_queue_release(queue));
	assert_int_equal(n, 1000);
	assert_string_equal(thread_name, "a label of more");
	assert_true(sigismember(&thread_mask, SIGTERM));
	assert_true(sigismember(&thread_mask, SIGUSR1));
}

static void release(void *data)
{
	ob_queue_release(data);
}

static void test_release_inside(void **state)
{
	ob_queue_t *queue;
	atomic_int n = 0;

	for (int i = 0; i < 50; i++) {
		assert_int_equal(ob_queue_new("inside", &queue), 0);
		ob_queue_retain(queue);
		queue_post(queue, release, queue);
		queue_post_full(queue, count, &n, count);
		ob_queue_release(queue);
	}
	/* the last release may be the thread's own: then nobody waits for it but us */
	while (n < 100)
		sched_yield();
}

/* A queue that nobody has driven runs what it has when it goes. */
static void test_release_undriven(void **state)
{
	ob_queue_t *queue;
	atomic_int n = 0;

	assert_int_equal(ob_queue_new("driven", &queue), 0);
	assert_true(ob_queue_get_fd(queue) >= 0);
	queue_post(queue, count, &n);
	assert_int_equal(n, 0);
	ob_queue_release(queue);
	assert_int_equal(n, 1);
}

static int inner;

static void dispatch_inside(void *data)
{
	inner = ob_queue_dispatch(data);
}

static void *dispatch_elsewhere(void *data)
{
	inner = ob_queue_dispatch(data);
	return NULL;
}

static void dispatch_from_thread(void *data)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, dispatch_elsewhere, data), 0);
	pthread_join(thread, NULL);
}

static void test_one_at_a_time(void **state)
{
	ob_queue_t *queue = ob_queue_main();

	queue_post(queue, dispatch_inside, queue);
	assert_int_equal(ob_queue_dispatch(queue), 1);
	assert_int_equal(inner, -EDEADLK);
	queue_post(queue, dispatch_from_thread, queue);
	assert_int_equal(ob_queue_dispatch(queue), 1);
	assert_int_equal(inner, -EBUSY);
}

static void test_refused(void **state)
{
	assert_int_equal(ob_queue_new("x", NULL), -EINVAL);
	assert_int_equal(ob_queue_get_fd(NULL), -EINVAL);
	assert_int_equal(ob_queue_dispatch(NULL), -EINVAL);
	assert_int_equal(ob_queue_run(NULL), -EINVAL);
	assert_null(ob_queue_release(NULL));
	ob_queue_stop(NULL);
}

/* In the child of fork(2) what was made before says -ECHILD, and what is made there works. */
static void test_fork(void **state)
{
	ob_queue_t *queue, *fresh = NULL;
	atomic_int n = 0;
	int status;
	pid_t child;

	assert_int_equal(ob_queue_new("before", &queue), 0);
	ob_queue_main();
	child = fork();
	if (child == 0) {
		bool good = ob_queue_get_fd(queue) == -ECHILD &&
			ob_queue_dispatch(queue) == -ECHILD && ob_queue_run(queue) == -ECHILD &&
			queue_post(queue, count, &n) == -ECHILD &&
			queue_post_after(queue, 1, count, &n) == -ECHILD &&
			ob_queue_dispatch(ob_queue_main()) == -ECHILD;

		ob_queue_release(queue);
		good = good && ob_queue_new("after", &fresh) == 0 &&
			queue_post(fresh, count, &n) == 0;
		ob_queue_release(fresh);
		_exit(good && n == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	ob_queue_release(queue);
}

static void test_error(void **state)
{
	struct wire_error wire;
	const ob_error_t *error;
	ob_error_t *kept;

	rule_error(&wire, RULE_INTERNAL, "org.example.agent", "out of paper", NULL);
	error = error_of_wire(&wire);
	assert_int_equal(ob_error_get_code(error), 1);
	assert_string_equal(ob_error_get_domain(error), wire.domain);
	assert_string_equal(ob_error_get_stage(error), "internal");
	assert_string_equal(ob_error_get_rule(error), "internal.error");
	assert_non_null(strstr(ob_error_get_localized_description(error), "org.example.agent"));
	assert_non_null(strstr(ob_error_get_localized_description(error), "out of paper"));
	assert_non_null(ob_error_get_recovery_suggestion(error));
	assert_int_equal(ob_error_get_evidence(error)[0], '{');
	kept = ob_error_retain(error);
	assert_null(ob_error_release((ob_error_t *)(uintptr_t)error));
	assert_int_equal(ob_error_get_code(kept), 1);
	assert_null(ob_error_release(kept));
	/* a field without an end is cut, not followed */
	memset(&wire, 'x', sizeof wire);
	error = error_of_wire(&wire);
	assert_int_equal(strlen(ob_error_get_rule(error)), sizeof wire.rule - 1);
	ob_error_release((ob_error_t *)(uintptr_t)error);
	assert_int_equal(ob_error_get_code(NULL), 0);
	assert_null(ob_error_release(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_main_queue),
		cmocka_unit_test(test_foreign_loop),
		cmocka_unit_test(test_source_without_thread),
		cmocka_unit_test(test_own_thread),
		cmocka_unit_test(test_release_inside),
		cmocka_unit_test(test_release_undriven),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
