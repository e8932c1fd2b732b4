/* SPDX-License-Identifier: Apache-2.0
 *
 * Time: dispatch_time_t, and work that waits for a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "base/macros.h"
#include "outboard/dispatch.h"
#include "outboard/loop.h"
#include "outboard/queue.h"

#define WALL (1ull << 63)
#define NS_MAX (WALL - 1)

/* Both halves of a dispatch_time_t are saturated: before the beginning is the beginning. */
static dispatch_time_t add(uint64_t ns, int64_t delta, bool wall)
{
	int64_t sum;

	if (__builtin_add_overflow((int64_t)ns, delta, &sum))
		sum = delta > 0 ? INT64_MAX : 1;
	if (sum < 1)
		sum = 1;
	if (sum == INT64_MAX)
		return DISPATCH_TIME_FOREVER;
	if (!wall)
		return (uint64_t)sum;
	/* -1 and -2 have meanings of their own */
	return (uint64_t) - (sum < 3 ? 3 : sum);
}

bool time_split(dispatch_time_t when, enum loop_clock *ret_clock, uint64_t *ret_ns)
{
	if (when == DISPATCH_TIME_FOREVER)
		return false;
	if (when == DISPATCH_WALLTIME_NOW || when == DISPATCH_TIME_NOW) {
		*ret_clock = when ? LOOP_WALL : LOOP_MONOTONIC;
		*ret_ns = clock_now_ns(*ret_clock);
		return true;
	}
	*ret_clock = when & WALL ? LOOP_WALL : LOOP_MONOTONIC;
	*ret_ns = when & WALL ? -when : when;
	return true;
}

ob_export dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta)
{
	enum loop_clock clock;
	uint64_t ns;

	if (!time_split(when, &clock, &ns))
		return DISPATCH_TIME_FOREVER;
	return add(ns, delta, clock == LOOP_WALL);
}

ob_export dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta)
{
	uint64_t ns = when ? (uint64_t)when->tv_sec * NSEC_PER_SEC + (uint64_t)when->tv_nsec
			   : clock_now_ns(LOOP_WALL);

	return add(ns & NS_MAX, delta, true);
}

struct timespec time_monotonic(dispatch_time_t when)
{
	uint64_t ns = NS_MAX, now_ns;
	enum loop_clock clock;

	if (time_split(when, &clock, &ns) && clock == LOOP_WALL) {
		/* as the wall clock stands at this moment */
		now_ns = clock_now_ns(LOOP_WALL);
		ns = clock_now_ns(LOOP_MONOTONIC) + (ns > now_ns ? ns - now_ns : 0);
	}
	return (struct timespec){ .tv_sec = (time_t)(ns / NSEC_PER_SEC),
		.tv_nsec = (long)(ns % NSEC_PER_SEC) };
}

/* ---- dispatch_after() -------------------------------------------------------------------------- */

struct late_call {
	struct timer timer;
	struct item item;
	ob_queue_t *queue; /* one reference, given back after the call, not under its loop's lock */
	void (*function)(void *);
	void *data;
	void (*destroy)(void *);
};

static void fired(struct timer *timer)
{
	struct late_call *call = container_of(timer, struct late_call, timer);

	queue_push_wait(call->queue, &call->item);
}

static void run_late(void *data)
{
	struct late_call *call = data;
	ob_queue_t *queue = call->queue;

	call->function(call->data);
	if (call->destroy)
		call->destroy(call->data);
	free(call);
	object_unref(&queue->object);
}

static int call_late(ob_queue_t *queue, struct late_call *call, enum loop_clock clock, uint64_t ns)
{
	struct loop *loop = queue_loop(queue);
	int r;

	if (!loop)
		return -EAGAIN;
	object_ref(&queue->object);
	call->queue = queue;
	call->item.function = run_late;
	call->item.data = call;
	call->item.owned = true;
	call->timer.fire = fired;
	call->timer.clock = clock;
	call->timer.at_ns = ns;
	r = loop_set_timer(loop, &call->timer);
	if (r < 0)
		object_unref(&queue->object);
	return r;
}

static void after(dispatch_time_t when, dispatch_queue_t queue, void (*work)(void *), void *data,
	void (*destroy)(void *))
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct late_call *call;
	enum loop_clock clock;
	uint64_t ns;

	object_trap_if(object_is_of_parent(&queue->object));
	if (!time_split(when, &clock, &ns)) {
		/* never */
		if (destroy)
			destroy(data);
		return;
	}
	call = memory_wait_for(sizeof *call);
	call->function = work;
	call->data = data;
	call->destroy = destroy;
	while (call_late(queue, call, clock, ns) < 0)
		nanosleep(&pause, NULL);
}

ob_export void dispatch_after_f(
	dispatch_time_t when, dispatch_queue_t queue, void *context, dispatch_function_t work)
{
	after(when, queue, work, context, NULL);
}

ob_export void dispatch_after(dispatch_time_t when, dispatch_queue_t queue, void *block)
{
	after(when, queue, block_call, block_copy_wait(block), block_destroy);
}

int queue_post_after(ob_queue_t *queue, unsigned ms, void (*callback)(void *data), void *data)
{
	struct late_call *call;
	int r;

	if (object_is_of_parent(&queue->object))
		return -ECHILD;
	call = calloc(1, sizeof *call);
	if (!call)
		return -ENOMEM;
	call->function = callback;
	call->data = data;
	r = call_late(
		queue, call, LOOP_MONOTONIC, clock_now_ns(LOOP_MONOTONIC) + ms * NSEC_PER_MSEC);
	if (r < 0)
		free(call);
	return r;
}
