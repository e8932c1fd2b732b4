/* SPDX-License-Identifier: Apache-2.0
 *
 * <dispatch/dispatch.h>: making queues and putting work on them, now, later, many times.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/macros.h"
#include "outboard/dispatch.h"
#include "outboard/grant.h"
#include "outboard/loop.h"
#include "outboard/queue.h"

/* ---- Queues ----------------------------------------------------------------------------------- */

struct dispatch_queue_attr_s {
	bool concurrent;
	enum queue_priority priority;
};
ob_export const struct dispatch_queue_attr_s _dispatch_queue_attr_concurrent = { true,
	PRIORITY_DEFAULT };

static const struct dispatch_queue_attr_s attrs[2][PRIORITIES] = {
	{ { false, PRIORITY_HIGH }, { false, PRIORITY_DEFAULT }, { false, PRIORITY_LOW },
		{ false, PRIORITY_BACKGROUND } },
	{ { true, PRIORITY_HIGH }, { true, PRIORITY_DEFAULT }, { true, PRIORITY_LOW },
		{ true, PRIORITY_BACKGROUND } },
};

static const struct {
	intptr_t identifier;
	enum queue_priority priority;
} priorities[] = {
	{ DISPATCH_QUEUE_PRIORITY_HIGH, PRIORITY_HIGH },
	{ DISPATCH_QUEUE_PRIORITY_DEFAULT, PRIORITY_DEFAULT },
	{ DISPATCH_QUEUE_PRIORITY_LOW, PRIORITY_LOW },
	{ DISPATCH_QUEUE_PRIORITY_BACKGROUND, PRIORITY_BACKGROUND },
	{ QOS_CLASS_USER_INTERACTIVE, PRIORITY_HIGH },
	{ QOS_CLASS_USER_INITIATED, PRIORITY_HIGH },
	{ QOS_CLASS_DEFAULT, PRIORITY_DEFAULT },
	{ QOS_CLASS_UTILITY, PRIORITY_LOW },
	{ QOS_CLASS_BACKGROUND, PRIORITY_BACKGROUND },
};

static bool find_priority(intptr_t identifier, enum queue_priority *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(priorities); i++)
		if (priorities[i].identifier == identifier) {
			*ret = priorities[i].priority;
			return true;
		}
	return false;
}

static ob_queue_t globals[PRIORITIES];
static pthread_once_t globals_once = PTHREAD_ONCE_INIT;

static void init_globals(void)
{
	static char labels[PRIORITIES][40] = {
		"com.apple.root.user-initiated-qos",
		"com.apple.root.default-qos",
		"com.apple.root.utility-qos",
		"com.apple.root.background-qos",
	};

	for (size_t i = 0; i < PRIORITIES; i++) {
		object_init(&globals[i].object, OBJECT_QUEUE, NULL);
		atomic_store(&globals[i].object.n_references, OBJECT_CONSTANT);
		globals[i].label = labels[i];
		globals[i].pooled = globals[i].global = globals[i].concurrent = true;
		globals[i].priority = (enum queue_priority)i;
		pthread_mutex_init(&globals[i].lock, NULL);
		list_init(&globals[i].waiting);
	}
}

ob_export dispatch_queue_global_t dispatch_get_global_queue(intptr_t identifier, uintptr_t flags)
{
	enum queue_priority priority;

	if (flags || !find_priority(identifier, &priority))
		return NULL;
	pthread_once(&globals_once, init_globals);
	return &globals[priority];
}

ob_export dispatch_queue_main_t dispatch_get_main_queue(void)
{
	return ob_queue_main();
}

ob_export void dispatch_main(void)
{
	/* ended by ob_queue_stop(), which this call does not know; refused: another thread runs it */
	while (ob_queue_run(ob_queue_main()) == 0)
		continue;
	for (;;)
		pause();
}

ob_export dispatch_queue_t dispatch_queue_create_with_target(
	const char *label, dispatch_queue_attr_t attr, dispatch_queue_t target)
{
	ob_queue_t *queue = calloc(1, sizeof *queue);

	if (!queue)
		return NULL;
	queue->label = strdup(label ? label : "");
	if (!queue->label) {
		free(queue);
		return NULL;
	}
	object_init(&queue->object, OBJECT_QUEUE, queue_dispose);
	pthread_mutex_init(&queue->lock, NULL);
	list_init(&queue->waiting);
	queue->pooled = true;
	queue->concurrent = attr && attr->concurrent;
	queue->priority = attr ? attr->priority : PRIORITY_DEFAULT;
	if (target)
		queue_set_target(queue, target);
	return queue;
}

ob_export dispatch_queue_t dispatch_queue_create(const char *label, dispatch_queue_attr_t attr)
{
	return dispatch_queue_create_with_target(label, attr, NULL);
}

ob_export dispatch_queue_attr_t dispatch_queue_attr_make_with_qos_class(
	dispatch_queue_attr_t attr, dispatch_qos_class_t qos_class, int relative_priority)
{
	enum queue_priority priority;

	if (!find_priority((intptr_t)qos_class, &priority))
		priority = PRIORITY_DEFAULT;
	return &attrs[attr && attr->concurrent][priority];
}

/* ---- Asynchronous ----------------------------------------------------------------------------- */

static void put(dispatch_queue_t queue, void (*work)(void *), void *data, void (*destroy)(void *),
	bool barrier)
{
	struct item *item;

	object_trap_if(object_is_of_parent(&queue->object));
	item = memory_wait_for(sizeof *item);
	item->function = work;
	item->data = data;
	item->destroy = destroy;
	item->barrier = barrier;
	queue_push_wait(queue, item);
}

ob_export void dispatch_async_f(dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	put(queue, work, context, NULL, false);
}

ob_export void dispatch_async(dispatch_queue_t queue, void *block)
{
	put(queue, block_call, block_copy_wait(block), block_destroy, false);
}

ob_export void dispatch_barrier_async_f(
	dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	put(queue, work, context, NULL, true);
}

ob_export void dispatch_barrier_async(dispatch_queue_t queue, void *block)
{
	put(queue, block_call, block_copy_wait(block), block_destroy, true);
}

/* ---- Synchronous ------------------------------------------------------------------------------ */

struct sync {
	struct grant grant;
	struct item item;
	dispatch_function_t work;
	void *context;
	bool ran;
};

/* On a thread that is not the waiting one. */
static void run_for_other(void *data)
{
	struct sync *sync = data;

	sync->work(sync->context);
	sync->ran = true;
	grant_give(&sync->grant);
}

static void sync_on(dispatch_queue_t queue, void *context, dispatch_function_t work, bool barrier)
{
	struct sync sync = { .work = work, .context = context };

	object_trap_if(object_is_of_parent(&queue->object));
	/* it would wait for itself */
	object_trap_if(
		queue_is_current(queue) && (!queue->concurrent || (barrier && !queue->global)));
	grant_init(&sync.grant);
	sync.item.function = run_for_other;
	sync.item.data = &sync;
	sync.item.barrier = barrier;
	sync.item.owned = true;
	sync.item.grant = queue->pooled ? &sync.grant : NULL;
	queue_push_wait(queue, &sync.item);
	grant_wait(&sync.grant);
	if (sync.ran)
		return;
	/* our turn on a queue of the pool: run it here */
	sync.item.function = work;
	sync.item.data = context;
	queue_run_pool_item(&sync.item);
}

ob_export void dispatch_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	sync_on(queue, context, work, false);
}

ob_export void dispatch_sync(dispatch_queue_t queue, void *block)
{
	sync_on(queue, block, block_call, false);
}

ob_export void dispatch_async_and_wait_f(
	dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	sync_on(queue, context, work, false);
}

ob_export void dispatch_async_and_wait(dispatch_queue_t queue, void *block)
{
	sync_on(queue, block, block_call, false);
}

ob_export void dispatch_barrier_sync_f(
	dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	sync_on(queue, context, work, true);
}

ob_export void dispatch_barrier_sync(dispatch_queue_t queue, void *block)
{
	sync_on(queue, block, block_call, true);
}

/* ---- Many times ------------------------------------------------------------------------------- */

struct apply {
	atomic_uint n_references;
	atomic_size_t next, done;
	size_t iterations;
	void (*work)(void *context, size_t iteration);
	void *context;
	struct grant grant;
};

/* A helper may come when all is done, also long after: what it needs is counted. */
static void help(void *data)
{
	struct apply *apply = data;
	size_t i;

	while ((i = atomic_fetch_add(&apply->next, 1)) < apply->iterations) {
		apply->work(apply->context, i);
		if (atomic_fetch_add(&apply->done, 1) + 1 == apply->iterations)
			grant_give(&apply->grant);
	}
	if (atomic_fetch_sub(&apply->n_references, 1) == 1)
		free(apply);
}

static void apply_one_by_one(void *data)
{
	struct apply *apply = data;

	for (size_t i = 0; i < apply->iterations; i++)
		apply->work(apply->context, i);
}

static size_t n_helpers(size_t iterations)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	size_t helpers = n > 1 ? (size_t)n - 1 : 1;

	return iterations - 1 < helpers ? iterations - 1 : helpers;
}

ob_export void dispatch_apply_f(size_t iterations, dispatch_queue_t queue, void *context,
	void (*work)(void *context, size_t iteration))
{
	struct apply serial = { .iterations = iterations, .work = work, .context = context };
	struct apply *apply;
	size_t helpers;

	if (iterations == 0)
		return;
	if (!queue)
		queue = dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0);
	if (!queue->concurrent) {
		sync_on(queue, &serial, apply_one_by_one, false);
		return;
	}
	apply = memory_wait_for(sizeof *apply);
	helpers = n_helpers(iterations);
	apply->iterations = iterations;
	apply->work = work;
	apply->context = context;
	atomic_init(&apply->n_references, (unsigned)helpers + 2);
	grant_init(&apply->grant);
	for (size_t i = 0; i < helpers; i++)
		put(queue, help, apply, NULL, false);
	sync_on(queue, apply, help, false);
	grant_wait(&apply->grant);
	if (atomic_fetch_sub(&apply->n_references, 1) == 1)
		free(apply);
}

static void apply_block(void *context, size_t iteration)
{
	BLOCK_INVOKE(context, void (*)(void *, size_t))(context, iteration);
}

ob_export void dispatch_apply(size_t iterations, dispatch_queue_t queue, void *block)
{
	dispatch_apply_f(iterations, queue, block, apply_block);
}

/* ---- Labels and values ------------------------------------------------------------------------- */

ob_export const char *dispatch_queue_get_label(dispatch_queue_t queue)
{
	if (queue)
		return queue->label;
	return queue_frames ? queue_frames->queue->label : "";
}

ob_export void dispatch_assert_queue(dispatch_queue_t queue)
{
	object_trap_if(!queue_is_current(queue));
}

ob_export void dispatch_assert_queue_not(dispatch_queue_t queue)
{
	object_trap_if(queue_is_current(queue));
}

void queue_forget_specifics(ob_queue_t *queue)
{
	struct specific *specific, *next;

	for (specific = TAKE(queue->specifics); specific; specific = next) {
		next = specific->next;
		if (specific->destructor)
			specific->destructor(specific->value);
		free(specific);
	}
}

static struct specific *take_specific(ob_queue_t *queue, const void *key)
{
	struct specific **at = &queue->specifics, *found;

	while (*at && (*at)->key != key)
		at = &(*at)->next;
	found = *at;
	if (found)
		*at = found->next;
	return found;
}

ob_export void dispatch_queue_set_specific(
	dispatch_queue_t queue, const void *key, void *context, dispatch_function_t destructor)
{
	struct specific *before, *after = NULL;

	if (!key)
		return;
	if (context) {
		after = memory_wait_for(sizeof *after);
		*after = (struct specific){
			.key = key, .value = context, .destructor = destructor
		};
	}
	pthread_mutex_lock(&queue->lock);
	before = take_specific(queue, key);
	if (after) {
		after->next = queue->specifics;
		queue->specifics = after;
	}
	pthread_mutex_unlock(&queue->lock);
	if (before && before->destructor)
		before->destructor(before->value);
	free(before);
}

/* *ret_target: the queue below it */
static void *look(ob_queue_t *queue, const void *key, ob_queue_t **ret_target)
{
	const struct specific *specific;
	void *value;

	pthread_mutex_lock(&queue->lock);
	for (specific = queue->specifics; specific && specific->key != key;)
		specific = specific->next;
	value = specific ? specific->value : NULL;
	*ret_target = queue->target;
	pthread_mutex_unlock(&queue->lock);
	return value;
}

ob_export void *dispatch_queue_get_specific(dispatch_queue_t queue, const void *key)
{
	ob_queue_t *target;

	return look(queue, key, &target);
}

ob_export void *dispatch_get_specific(const void *key)
{
	ob_queue_t *queue = queue_frames ? (ob_queue_t *)(uintptr_t)queue_frames->queue : NULL;
	void *value = NULL;

	while (queue && !value)
		value = look(queue, key, &queue);
	return value;
}
