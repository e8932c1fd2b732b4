/* SPDX-License-Identifier: Apache-2.0
 *
 * Queues, see queue.h: what both kinds share, and how a pool queue lets its items go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/macros.h"
#include "outboard/grant.h"
#include "outboard/internal.h"
#include "outboard/loop.h"
#include "outboard/queue.h"

_Thread_local const struct queue_frame *queue_frames;

struct item *item_new(void (*function)(void *), void *data, void (*destroy)(void *))
{
	struct item *item = calloc(1, sizeof *item);

	if (!item)
		return NULL;
	item->function = function;
	item->data = data;
	item->destroy = destroy;
	return item;
}

void queue_run_item(struct item *item)
{
	const struct queue_frame frame = { item->queue, queue_frames };
	void (*destroy)(void *) = item->destroy;
	void *data = item->data;
	bool owned = item->owned;

	/* an owned item may be put on a queue again, or freed, by its function */
	queue_frames = &frame;
	item->function(data);
	if (destroy)
		destroy(data);
	queue_frames = frame.up;
	if (!owned)
		free(item);
}

bool queue_is_current(const ob_queue_t *queue)
{
	const struct queue_frame *frame;

	for (frame = queue_frames; frame; frame = frame->up)
		if (frame->queue == queue)
			return true;
	return false;
}

/* ---- Pool queues ------------------------------------------------------------------------------ */

/* Under the lock: the items that may run now, moved to @ready. */
static void take_ready(ob_queue_t *queue, struct list *ready)
{
	struct item *item;

	while (queue->n_suspended == 0 && !queue->barrier_running && (item = queue->waiting.head)) {
		if (item->barrier && queue->n_running > 0)
			break;
		list_take(&queue->waiting);
		queue->n_running++;
		queue->barrier_running = item->barrier;
		list_append(ready, item);
	}
}

static void run_carried(void *data)
{
	queue_run_pool_item(data);
}

/* On to the target, wrapped, as the item belongs to this queue until it has run. */
static void carry(struct item *item, ob_queue_t *target)
{
	struct item *carrier = memory_wait_for(sizeof *carrier);

	carrier->function = run_carried;
	carrier->data = item;
	carrier->barrier = !target->concurrent;
	queue_push_wait(target, carrier);
}

/* Not under the lock. */
static void let_go(ob_queue_t *queue, struct list *ready)
{
	struct item *item;
	ob_queue_t *target = NULL;

	if (ready->head) {
		pthread_mutex_lock(&queue->lock);
		target = queue->target;
		if (target)
			object_ref(&target->object);
		pthread_mutex_unlock(&queue->lock);
	}
	while ((item = list_take(ready))) {
		if (target)
			carry(item, target);
		else if (item->grant)
			grant_give(item->grant);
		else
			pool_push(item, queue->priority);
	}
	if (target)
		object_unref(&target->object);
}

static void pool_queue_push(ob_queue_t *queue, struct item *item)
{
	struct list ready;

	object_ref(&queue->object);
	if (queue->global) {
		item->barrier = false;
		if (item->grant)
			grant_give(item->grant);
		else
			pool_push(item, queue->priority);
		return;
	}
	list_init(&ready);
	pthread_mutex_lock(&queue->lock);
	item->barrier = item->barrier || !queue->concurrent;
	list_append(&queue->waiting, item);
	take_ready(queue, &ready);
	pthread_mutex_unlock(&queue->lock);
	let_go(queue, &ready);
}

void queue_run_pool_item(struct item *item)
{
	ob_queue_t *queue = item->queue;
	struct list ready;

	queue_run_item(item);
	if (!queue->global) {
		list_init(&ready);
		pthread_mutex_lock(&queue->lock);
		/* a barrier runs alone, so this was it if there is one */
		queue->barrier_running = false;
		queue->n_running--;
		take_ready(queue, &ready);
		pthread_mutex_unlock(&queue->lock);
		let_go(queue, &ready);
	}
	object_unref(&queue->object);
}

/* ---- Both ------------------------------------------------------------------------------------- */

int queue_push(ob_queue_t *queue, struct item *item)
{
	item->queue = queue;
	if (!queue->pooled)
		return loop_queue_push(queue, item);
	pool_queue_push(queue, item);
	return 0;
}

void queue_push_wait(ob_queue_t *queue, struct item *item)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	while (queue_push(queue, item) < 0)
		nanosleep(&pause, NULL);
}

struct loop *queue_loop(ob_queue_t *queue)
{
	if (queue->pooled)
		return loop_shared();
	return loop_queue_start(queue) < 0 ? NULL : queue->loop;
}

void queue_suspend(void *object)
{
	ob_queue_t *queue = object;

	if (queue->global)
		return;
	pthread_mutex_lock(&queue->lock);
	queue->n_suspended++;
	pthread_mutex_unlock(&queue->lock);
}

void queue_resume(void *object)
{
	ob_queue_t *queue = object;
	struct list ready;

	if (queue->global)
		return;
	list_init(&ready);
	pthread_mutex_lock(&queue->lock);
	object_trap_if(queue->n_suspended == 0);
	queue->n_suspended--;
	if (queue->pooled)
		take_ready(queue, &ready);
	else if (queue->loop)
		loop_wake(queue->loop);
	pthread_mutex_unlock(&queue->lock);
	let_go(queue, &ready);
}

void queue_set_target(void *object, ob_queue_t *target)
{
	ob_queue_t *queue = object, *before;
	enum queue_priority priority = PRIORITY_DEFAULT;

	/* loop queues and the global ones are where a chain of targets ends */
	if (!queue->pooled || queue->global)
		return;
	if (target && target->global) {
		priority = target->priority;
		target = NULL;
	}
	if (target)
		object_ref(&target->object);
	pthread_mutex_lock(&queue->lock);
	before = queue->target;
	queue->target = target;
	queue->priority = priority;
	pthread_mutex_unlock(&queue->lock);
	if (before)
		object_unref(&before->object);
}

void queue_dispose(struct object *object)
{
	ob_queue_t *queue = container_of(object, ob_queue_t, object);

	if (!queue->pooled) {
		loop_queue_dispose(queue);
		return;
	}
	if (queue->target)
		object_unref(&queue->target->object);
	queue_forget_specifics(queue);
	pthread_mutex_destroy(&queue->lock);
	free(queue->label);
	free(queue);
}

/* ---- What other libraries use ------------------------------------------------------------------ */

int queue_post_full(
	ob_queue_t *queue, void (*callback)(void *data), void *data, void (*destroy)(void *data))
{
	struct item *item;
	int r;

	if (object_is_of_parent(&queue->object))
		return -ECHILD;
	item = item_new(callback, data, destroy);
	if (!item)
		return -ENOMEM;
	r = queue_push(queue, item);
	if (r < 0)
		free(item);
	return r;
}

int queue_post(ob_queue_t *queue, void (*callback)(void *data), void *data)
{
	return queue_post_full(queue, callback, data, NULL);
}
