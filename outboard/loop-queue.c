/* SPDX-License-Identifier: Apache-2.0
 *
 * Queues that the program runs, or a thread of their own: ob_queue_main(), ob_queue_new().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/macros.h"
#include "outboard/internal.h"
#include "outboard/loop.h"
#include "outboard/queue.h"

static ob_queue_t main_queue = {
	.object = { .n_references = OBJECT_CONSTANT, .kind = OBJECT_QUEUE },
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.driver = DRIVER_PROGRAM,
};
static pthread_once_t main_once = PTHREAD_ONCE_INIT;

static void init_main(void)
{
	static char label[] = "com.apple.main-thread"; /* what macOS' has */

	main_queue.object.pid = process_id();
	main_queue.label = label;
	list_init(&main_queue.waiting);
}

ob_export ob_queue_t *ob_queue_main(void)
{
	pthread_once(&main_once, init_main);
	return &main_queue;
}

ob_export int ob_queue_new(const char *label, ob_queue_t **ret)
{
	ob_queue_t *queue;
	int r;

	if (!ret)
		return -EINVAL;
	queue = calloc(1, sizeof *queue);
	if (!queue)
		return -ENOMEM;
	queue->label = strdup(label ? label : "ob-queue");
	r = queue->label ? loop_new(&queue->loop) : -ENOMEM;
	if (r < 0) {
		free(queue->label);
		free(queue);
		return r;
	}
	object_init(&queue->object, OBJECT_QUEUE, queue_dispose);
	pthread_mutex_init(&queue->lock, NULL);
	list_init(&queue->waiting);
	*ret = queue;
	return 0;
}

/* ---- Running what waits ------------------------------------------------------------------------ */

/* At most what waited at the beginning; the number that were run. */
static int drain(ob_queue_t *queue, bool heed_stop)
{
	struct list batch;
	struct item *item;
	int n = 0;
	bool more;

	loop_quiet(queue->loop);
	pthread_mutex_lock(&queue->lock);
	list_init(&batch);
	if (queue->waiting.head && queue->n_suspended == 0) {
		batch = queue->waiting;
		list_init(&queue->waiting);
	}
	while (!(heed_stop && queue->stop) && queue->n_suspended == 0 && (item = batch.head)) {
		if (!(batch.head = item->next))
			batch.tail = &batch.head;
		pthread_mutex_unlock(&queue->lock);
		queue_run_item(item);
		n++;
		pthread_mutex_lock(&queue->lock);
	}
	if (batch.head) {
		/* stopped or suspended half-way: these stay the first */
		*batch.tail = queue->waiting.head;
		if (!queue->waiting.head)
			queue->waiting.tail = batch.tail;
		queue->waiting.head = batch.head;
	}
	more = queue->waiting.head && queue->n_suspended == 0;
	pthread_mutex_unlock(&queue->lock);
	if (more)
		loop_wake(queue->loop);
	return n;
}

static int open_loop(ob_queue_t *queue)
{
	return queue->loop ? 0 : loop_new(&queue->loop);
}

static int claim(ob_queue_t *queue)
{
	if (queue->pooled)
		return -EOPNOTSUPP;
	if (queue->driver == DRIVER_THREAD)
		return -EBUSY;
	queue->driver = DRIVER_PROGRAM;
	return open_loop(queue);
}

static int claim_checked(ob_queue_t *queue)
{
	int r;

	if (!queue)
		return -EINVAL;
	if (object_is_of_parent(&queue->object))
		return -ECHILD;
	pthread_mutex_lock(&queue->lock);
	r = claim(queue);
	if (r == 0 && queue->waiting.head)
		loop_wake(queue->loop);
	pthread_mutex_unlock(&queue->lock);
	return r;
}

ob_export int ob_queue_get_fd(ob_queue_t *queue)
{
	int r = claim_checked(queue);

	return r < 0 ? r : queue->loop->epoll_fd;
}

/* The queue is the caller's to run until leave(). */
static int enter(ob_queue_t *queue)
{
	int r = claim_checked(queue);

	if (r < 0)
		return r;
	if (queue_is_current(queue))
		return -EDEADLK;
	pthread_mutex_lock(&queue->lock);
	r = queue->running ? -EBUSY : 0;
	queue->running = true;
	pthread_mutex_unlock(&queue->lock);
	if (r == 0)
		object_ref(&queue->object);
	return r;
}

static void leave(ob_queue_t *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->running = false;
	pthread_mutex_unlock(&queue->lock);
	object_unref(&queue->object);
}

static bool take_stop(ob_queue_t *queue)
{
	bool stop;

	pthread_mutex_lock(&queue->lock);
	stop = queue->stop;
	queue->stop = false;
	pthread_mutex_unlock(&queue->lock);
	return stop;
}

ob_export int ob_queue_dispatch(ob_queue_t *queue)
{
	int r = enter(queue);

	if (r < 0)
		return r;
	loop_poll(queue->loop, 0);
	/* a stop is for ob_queue_run() */
	r = drain(queue, false);
	leave(queue);
	return r;
}

ob_export int ob_queue_run(ob_queue_t *queue)
{
	int r = enter(queue);

	if (r < 0)
		return r;
	while (!take_stop(queue)) {
		loop_poll(queue->loop, -1);
		drain(queue, true);
	}
	leave(queue);
	return 0;
}

ob_export void ob_queue_stop(ob_queue_t *queue)
{
	if (!queue || object_is_of_parent(&queue->object))
		return;
	pthread_mutex_lock(&queue->lock);
	if (queue->driver == DRIVER_PROGRAM && open_loop(queue) == 0) {
		queue->stop = true;
		loop_wake(queue->loop);
	}
	pthread_mutex_unlock(&queue->lock);
}

/* ---- A thread of its own ------------------------------------------------------------------------ */

static void free_queue(ob_queue_t *queue)
{
	queue_forget_specifics(queue);
	loop_free(queue->loop);
	pthread_mutex_destroy(&queue->lock);
	free(queue->label);
	free(queue);
}

/* What waits when the queue ends runs in spite of a suspension, since nobody can take that back. */
static void drain_to_end(ob_queue_t *queue)
{
	bool more;

	do {
		pthread_mutex_lock(&queue->lock);
		queue->n_suspended = 0;
		more = queue->waiting.head != NULL;
		pthread_mutex_unlock(&queue->lock);
		if (more)
			drain(queue, false);
	} while (more);
}

static bool is_ending(ob_queue_t *queue)
{
	bool ending;

	pthread_mutex_lock(&queue->lock);
	ending = queue->ending;
	pthread_mutex_unlock(&queue->lock);
	return ending;
}

static void *serve(void *data)
{
	ob_queue_t *queue = data;

	while (!is_ending(queue)) {
		loop_poll(queue->loop, -1);
		drain(queue, false);
	}
	drain_to_end(queue);
	if (queue->orphan)
		free_queue(queue);
	return NULL;
}

static int start(ob_queue_t *queue)
{
	int r = 0;

	if (queue->driver == DRIVER_PROGRAM)
		r = open_loop(queue);
	if (queue->driver == DRIVER_NOBODY) {
		r = thread_start(queue->label, serve, queue, true, &queue->thread);
		if (r == 0)
			queue->driver = DRIVER_THREAD;
	}
	return r;
}

int loop_queue_start(ob_queue_t *queue)
{
	int r;

	pthread_mutex_lock(&queue->lock);
	r = start(queue);
	pthread_mutex_unlock(&queue->lock);
	return r;
}

int loop_queue_push(ob_queue_t *queue, struct item *item)
{
	bool first;
	int r;

	pthread_mutex_lock(&queue->lock);
	r = start(queue);
	if (r == 0) {
		first = !queue->waiting.head;
		list_append(&queue->waiting, item);
		/* under the lock: once it is off, the queue may have run it and be gone */
		if (first)
			loop_wake(queue->loop);
	}
	pthread_mutex_unlock(&queue->lock);
	return r;
}

void loop_queue_dispose(ob_queue_t *queue)
{
	pthread_t thread;
	bool mine;

	if (queue->driver != DRIVER_THREAD) {
		drain_to_end(queue);
		free_queue(queue);
		return;
	}
	pthread_mutex_lock(&queue->lock);
	thread = queue->thread;
	mine = pthread_equal(thread, pthread_self());
	if (mine)
		pthread_detach(thread);
	queue->orphan = mine;
	queue->ending = true;
	loop_wake(queue->loop);
	pthread_mutex_unlock(&queue->lock);
	if (mine)
		return;
	pthread_join(thread, NULL);
	free_queue(queue);
}

ob_export ob_queue_t *ob_queue_retain(ob_queue_t *queue)
{
	if (queue)
		object_ref(&queue->object);
	return queue;
}

ob_export ob_queue_t *ob_queue_release(ob_queue_t *queue)
{
	if (queue)
		object_unref(&queue->object);
	return NULL;
}
