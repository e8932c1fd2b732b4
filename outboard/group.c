/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups, semaphores, once: waiting for each other.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/macros.h"
#include "outboard/dispatch.h"
#include "outboard/loop.h"
#include "outboard/queue.h"

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

/* ---- Groups ----------------------------------------------------------------------------------- */

struct notify {
	struct item item;
	struct notify *next;
	ob_queue_t *queue;
	dispatch_function_t work;
	void *data;
	void (*destroy)(void *data);
};

struct dispatch_group_s {
	struct object object;
	pthread_mutex_t lock;
	pthread_cond_t empty;
	size_t n_members;
	struct notify *notifies, **notifies_end;
};

static void group_dispose(struct object *object)
{
	dispatch_group_t group = container_of(object, struct dispatch_group_s, object);

	pthread_cond_destroy(&group->empty);
	pthread_mutex_destroy(&group->lock);
	free(group);
}

ob_export dispatch_group_t dispatch_group_create(void)
{
	dispatch_group_t group = calloc(1, sizeof *group);

	if (!group)
		return NULL;
	object_init(&group->object, OBJECT_GROUP, group_dispose);
	pthread_mutex_init(&group->lock, NULL);
	init_condition(&group->empty);
	group->notifies_end = &group->notifies;
	return group;
}

/* A group with members or notifies has a reference of its own, so that it may be released meanwhile. */
ob_export void dispatch_group_enter(dispatch_group_t group)
{
	object_trap_if(object_is_of_parent(&group->object));
	object_ref(&group->object);
	pthread_mutex_lock(&group->lock);
	group->n_members++;
	pthread_mutex_unlock(&group->lock);
}

static void run_notify(void *data)
{
	struct notify *notify = data;
	ob_queue_t *queue = notify->queue;

	notify->work(notify->data);
	if (notify->destroy)
		notify->destroy(notify->data);
	free(notify);
	object_unref(&queue->object);
}

static void push_notify(struct notify *notify)
{
	notify->item.function = run_notify;
	notify->item.data = notify;
	notify->item.owned = true;
	queue_push_wait(notify->queue, &notify->item);
}

ob_export void dispatch_group_leave(dispatch_group_t group)
{
	struct notify *notify = NULL, *next;

	object_trap_if(object_is_of_parent(&group->object));
	pthread_mutex_lock(&group->lock);
	object_trap_if(group->n_members == 0);
	if (--group->n_members == 0) {
		notify = TAKE(group->notifies);
		group->notifies_end = &group->notifies;
		pthread_cond_broadcast(&group->empty);
	}
	pthread_mutex_unlock(&group->lock);
	for (; notify; notify = next) {
		next = notify->next;
		push_notify(notify);
	}
	object_unref(&group->object);
}

ob_export intptr_t dispatch_group_wait(dispatch_group_t group, dispatch_time_t timeout)
{
	const struct timespec until = time_monotonic(timeout);
	intptr_t r = 0;

	object_trap_if(object_is_of_parent(&group->object));
	pthread_mutex_lock(&group->lock);
	while (group->n_members > 0 && r == 0)
		r = pthread_cond_timedwait(&group->empty, &group->lock, &until);
	if (group->n_members == 0)
		r = 0;
	pthread_mutex_unlock(&group->lock);
	return r;
}

static void notify_when_empty(dispatch_group_t group, dispatch_queue_t queue, void *data,
	dispatch_function_t work, void (*destroy)(void *))
{
	struct notify *notify = memory_wait_for(sizeof *notify);
	bool empty;

	object_trap_if(object_is_of_parent(&group->object));
	object_ref(&queue->object);
	notify->queue = queue;
	notify->work = work;
	notify->data = data;
	notify->destroy = destroy;
	pthread_mutex_lock(&group->lock);
	empty = group->n_members == 0;
	if (!empty) {
		*group->notifies_end = notify;
		group->notifies_end = &notify->next;
	}
	pthread_mutex_unlock(&group->lock);
	if (empty)
		push_notify(notify);
}

ob_export void dispatch_group_notify_f(
	dispatch_group_t group, dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	notify_when_empty(group, queue, context, work, NULL);
}

ob_export void dispatch_group_notify(dispatch_group_t group, dispatch_queue_t queue, void *block)
{
	notify_when_empty(group, queue, block_copy_wait(block), block_call, block_destroy);
}

struct member {
	dispatch_group_t group;
	dispatch_function_t work;
	void *data;
	void (*destroy)(void *data);
};

static void run_member(void *data)
{
	struct member member = *(struct member *)data;

	free(data);
	member.work(member.data);
	if (member.destroy)
		member.destroy(member.data);
	dispatch_group_leave(member.group);
}

static void async_in(dispatch_group_t group, dispatch_queue_t queue, void *data,
	dispatch_function_t work, void (*destroy)(void *))
{
	struct member *member = memory_wait_for(sizeof *member);

	*member = (struct member){ group, work, data, destroy };
	dispatch_group_enter(group);
	dispatch_async_f(queue, member, run_member);
}

ob_export void dispatch_group_async_f(
	dispatch_group_t group, dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	async_in(group, queue, context, work, NULL);
}

ob_export void dispatch_group_async(dispatch_group_t group, dispatch_queue_t queue, void *block)
{
	async_in(group, queue, block_copy_wait(block), block_call, block_destroy);
}

/* ---- Semaphores ------------------------------------------------------------------------------- */

struct dispatch_semaphore_s {
	struct object object;
	pthread_mutex_t lock;
	pthread_cond_t given;
	intptr_t value;
	size_t n_waiting;
};

static void semaphore_dispose(struct object *object)
{
	dispatch_semaphore_t semaphore = container_of(object, struct dispatch_semaphore_s, object);

	pthread_cond_destroy(&semaphore->given);
	pthread_mutex_destroy(&semaphore->lock);
	free(semaphore);
}

ob_export dispatch_semaphore_t dispatch_semaphore_create(intptr_t value)
{
	dispatch_semaphore_t semaphore = value < 0 ? NULL : calloc(1, sizeof *semaphore);

	if (!semaphore)
		return NULL;
	object_init(&semaphore->object, OBJECT_SEMAPHORE, semaphore_dispose);
	pthread_mutex_init(&semaphore->lock, NULL);
	init_condition(&semaphore->given);
	semaphore->value = value;
	return semaphore;
}

ob_export intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t timeout)
{
	const struct timespec until = time_monotonic(timeout);
	intptr_t r = 0;

	object_trap_if(object_is_of_parent(&semaphore->object));
	pthread_mutex_lock(&semaphore->lock);
	semaphore->n_waiting++;
	while (semaphore->value == 0 && r == 0)
		r = pthread_cond_timedwait(&semaphore->given, &semaphore->lock, &until);
	semaphore->n_waiting--;
	if (semaphore->value > 0) {
		semaphore->value--;
		r = 0;
	}
	pthread_mutex_unlock(&semaphore->lock);
	return r;
}

ob_export intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore)
{
	intptr_t waited;

	object_trap_if(object_is_of_parent(&semaphore->object));
	pthread_mutex_lock(&semaphore->lock);
	waited = semaphore->n_waiting > 0;
	semaphore->value++;
	pthread_cond_signal(&semaphore->given);
	pthread_mutex_unlock(&semaphore->lock);
	return waited;
}

/* ---- Once ------------------------------------------------------------------------------------- */

/* -1, as macOS' inline callers expect of one that is done */
enum { ONCE_NEVER = 0, ONCE_RUNNING = 1, ONCE_WAITED_FOR = 2, ONCE_DONE = -1 };

static void once_sleep(atomic_intptr_t *state)
{
	intptr_t running = ONCE_RUNNING;

	/* the low half of a word that is 1, 2 or -1 tells them apart: little-endian */
	if (atomic_compare_exchange_strong(state, &running, ONCE_WAITED_FOR) ||
		running == ONCE_WAITED_FOR)
		syscall(SYS_futex, state, FUTEX_WAIT_PRIVATE, ONCE_WAITED_FOR, NULL, NULL, 0);
}

ob_export void dispatch_once_f(
	dispatch_once_t *predicate, void *context, dispatch_function_t function)
{
	atomic_intptr_t *state = (atomic_intptr_t *)predicate;
	intptr_t before = ONCE_NEVER;

	if (atomic_load_explicit(state, memory_order_acquire) == ONCE_DONE)
		return;
	if (atomic_compare_exchange_strong(state, &before, ONCE_RUNNING)) {
		function(context);
		if (atomic_exchange(state, ONCE_DONE) == ONCE_WAITED_FOR)
			syscall(SYS_futex, state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
		return;
	}
	while (atomic_load_explicit(state, memory_order_acquire) != ONCE_DONE)
		once_sleep(state);
}

ob_export void dispatch_once(dispatch_once_t *predicate, void *block)
{
	dispatch_once_f(predicate, block, block_call);
}
