/* SPDX-License-Identifier: Apache-2.0
 *
 * es_sync_client(): outboard-esd over the scope, children that end, and a handler that is held up until
 * the mark is behind their messages. What it was called behind is counted when it is called. Needs root, a
 * scope and the right to load BPF.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "endpoint/test-scene.h"

#define CHILDREN 300 /* more than a batch of the library's */

static const es_event_type_t exits[] = { ES_EVENT_TYPE_NOTIFY_EXIT };
static atomic_uint n_handled, n_called, handled_before;
static sem_t go_on;
static atomic_bool holds;

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	if (atomic_exchange(&holds, false))
		sem_wait(&go_on);
	n_handled++;
	sem_post(&something);
}

static void on_mark(void *context)
{
	assert_ptr_equal(context, &n_called);
	handled_before = n_handled;
	n_called++;
	sem_post(&something);
}

static es_client_t *new_client(ob_queue_t *queue)
{
	es_client_t *client;

	n_handled = n_called = handled_before = 0;
	holds = false;
	assert_int_equal(queue ? ob_es_new_client_on_queue_f(&client, queue, NULL, on_message)
			       : es_new_client_f(&client, NULL, on_message),
		ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, exits, 1), ES_RETURN_SUCCESS);
	return client;
}

static void end_children(unsigned n)
{
	while (n-- > 0) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
}

/* None of the messages has been handled when the mark is set, all of them when it is reached. */
static void test_behind_all(void **state)
{
	es_client_t *client = new_client(NULL);

	holds = true;
	end_children(CHILDREN);
	assert_int_equal(es_sync_client_f(client, &n_called, on_mark), ES_RETURN_SUCCESS);
	assert_int_equal(n_called, 0);
	sem_post(&go_on);
	await_count(&n_called, 1);
	assert_int_equal(handled_before, CHILDREN);
	/* and with nothing before it, at once */
	assert_int_equal(es_sync_client_f(client, &n_called, on_mark), ES_RETURN_SUCCESS);
	await_count(&n_called, 2);
	assert_int_equal(es_delete_client(client), ES_RETURN_SUCCESS);
}

/* What comes behind the mark is none of its business. */
static void test_before_the_rest(void **state)
{
	es_client_t *client = new_client(NULL);

	holds = true;
	end_children(5);
	assert_int_equal(es_sync_client_f(client, &n_called, on_mark), ES_RETURN_SUCCESS);
	end_children(CHILDREN);
	sem_post(&go_on);
	await_count(&n_called, 1);
	await_count(&n_handled, 5 + CHILDREN);
	assert_in_range(handled_before, 5, 5 + CHILDREN);
	assert_int_equal(es_delete_client(client), ES_RETURN_SUCCESS);
}

/* A client that is deleted has none: its marks are called all the same. */
static void test_deleted(void **state)
{
	ob_queue_t *queue;
	es_client_t *client;

	assert_int_equal(ob_queue_new("test", &queue), 0);
	assert_true(ob_queue_get_fd(queue) >= 0); /* driven here: nothing runs by itself */
	client = new_client(queue);
	end_children(3);
	assert_int_equal(es_sync_client_f(client, &n_called, on_mark), ES_RETURN_SUCCESS);
	assert_int_equal(es_delete_client(client), ES_RETURN_SUCCESS);
	assert_int_equal(n_called, 0);
	while (n_called == 0)
		assert_true(ob_queue_dispatch(queue) >= 0);
	assert_int_equal(handled_before, 0);
	ob_queue_release(queue);
}

/* What the one before has written is told, and the mark comes behind it. */
static void test_replaced(void **state)
{
	es_client_t *client = new_client(NULL);

	holds = true;
	end_children(7);
	esd_stop();
	assert_int_equal(es_sync_client_f(client, &n_called, on_mark), ES_RETURN_SUCCESS);
	sem_post(&go_on);
	await_count(&n_called, 1);
	assert_true(handled_before >= 7); /* its own end was told, too */
	esd_start(NULL);
	assert_int_equal(es_delete_client(client), ES_RETURN_SUCCESS);
}

static void test_nobodys(void **state)
{
	es_client_t *client = new_client(NULL);
	int status;
	pid_t pid;

	assert_int_equal(es_sync_client_f(NULL, &n_called, on_mark), ES_RETURN_SUCCESS);
	assert_int_equal(n_called, 1);
	assert_int_equal(es_sync_client_f(NULL, &n_called, NULL), ES_RETURN_ERROR);
	assert_int_equal(es_sync_client_f(client, &n_called, NULL), ES_RETURN_ERROR);
	pid = fork();
	if (pid == 0)
		_exit(es_sync_client_f(client, &n_called, on_mark) == ES_RETURN_ERROR &&
					n_called == 1
				? 0
				: 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(es_delete_client(client), ES_RETURN_SUCCESS);
}

static int begin_all(void **state)
{
	sem_init(&go_on, 0, 0);
	esd_start(NULL);
	return 0;
}

static int end_all(void **state)
{
	esd_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_behind_all),
		cmocka_unit_test(test_before_the_rest),
		cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_nobodys),
	};

	if (!scene_begin("test-sync"))
		return 77;
	return cmocka_run_group_tests(tests, begin_all, end_all);
}
