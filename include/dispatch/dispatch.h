/* SPDX-License-Identifier: Apache-2.0
 *
 * Grand Central Dispatch as far as agents and drivers use it, on the same objects as Outboard's own
 * queues: a dispatch_queue_t is an ob_queue_t *. Blocks need clang -fblocks; every call that takes
 * one has a twin _f with a context and a function, and both are symbols of liboutboard. See
 * dispatch(3), which lists what differs from macOS.
 *
 * Ownership: dispatch_*_create() gives one reference, yours, or NULL: no memory or a bad argument.
 * What is handed to a call is retained as long as the call needs it. Blocks are copied.
 * Threads: any, unless said otherwise. In the child of fork(2) calls on what was made before trap.
 * Misuse that macOS traps on traps here too: dispatch_sync() to the queue one runs on, a group left
 * more often than entered, a resume too many.
 * Since: 0.1. Source: dispatch/dispatch.h, macOS 10.6 and later.
 */
#ifndef DISPATCH_DISPATCH_H
#define DISPATCH_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include <Outboard/outboard.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void *dispatch_object_t;
typedef struct dispatch_queue_s *dispatch_queue_t;
typedef struct dispatch_queue_s *dispatch_queue_main_t;
typedef struct dispatch_queue_s *dispatch_queue_global_t;
typedef struct dispatch_queue_s *dispatch_queue_serial_t;
typedef struct dispatch_queue_s *dispatch_queue_concurrent_t;
typedef struct dispatch_group_s *dispatch_group_t;
typedef struct dispatch_semaphore_s *dispatch_semaphore_t;
typedef struct dispatch_source_s *dispatch_source_t;
typedef const struct dispatch_queue_attr_s *dispatch_queue_attr_t;
typedef const struct dispatch_source_type_s *dispatch_source_type_t;
typedef void (*dispatch_function_t)(void *context);
#ifdef __BLOCKS__
typedef void (^dispatch_block_t)(void);
#endif

/* ---- Time ------------------------------------------------------------------------------------- */

/* Nanoseconds of CLOCK_MONOTONIC; with the highest bit set, minus nanoseconds of CLOCK_REALTIME. */
typedef uint64_t dispatch_time_t;
#define DISPATCH_TIME_NOW (0ull)
#define DISPATCH_TIME_FOREVER (~0ull)
#define DISPATCH_WALLTIME_NOW (~1ull)
#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_USEC 1000ull
#define USEC_PER_SEC 1000000ull

/** dispatch_time() - @delta nanoseconds after @when, on the clock of @when */
dispatch_time_t dispatch_time(dispatch_time_t when, int64_t delta);
/** dispatch_walltime() - @delta nanoseconds after @when of the wall clock, NULL: now; it follows changes of the clock */
dispatch_time_t dispatch_walltime(const struct timespec *when, int64_t delta);

/* ---- Objects ---------------------------------------------------------------------------------- */

/** dispatch_retain() - one more reference */
void dispatch_retain(dispatch_object_t object);
/** dispatch_release() - give one back; without effect on the main and the global queues */
void dispatch_release(dispatch_object_t object);
/** dispatch_get_context() - what dispatch_set_context() left, or NULL */
void *dispatch_get_context(dispatch_object_t object);
/** dispatch_set_context() - hand a pointer to finalizer and _f handlers of a source */
void dispatch_set_context(dispatch_object_t object, void *context);
/** dispatch_set_finalizer_f() - called with the context, if not NULL, when the object goes */
void dispatch_set_finalizer_f(dispatch_object_t object, dispatch_function_t finalizer);
/** dispatch_suspend() - start no further block of a queue, call no further handler of a source */
void dispatch_suspend(dispatch_object_t object);
/** dispatch_resume() - take one suspension back; the first one of a source activates it */
void dispatch_resume(dispatch_object_t object);
/** dispatch_activate() - let a source begin; without effect when it has */
void dispatch_activate(dispatch_object_t object);
/**
 * dispatch_set_target_queue() - where the blocks of a queue, the handlers of a source, run
 * @object: a queue of dispatch_queue_create() or a source
 * @queue:  any queue; NULL: the default global queue
 *
 * What was started before runs where it was. Queues with a common serial target never run two
 * blocks at once. A loop of targets hangs, as on macOS.
 */
void dispatch_set_target_queue(dispatch_object_t object, dispatch_queue_t queue);

/* ---- Queues ----------------------------------------------------------------------------------- */

#define DISPATCH_QUEUE_PRIORITY_HIGH 2
#define DISPATCH_QUEUE_PRIORITY_DEFAULT 0
#define DISPATCH_QUEUE_PRIORITY_LOW (-2)
#define DISPATCH_QUEUE_PRIORITY_BACKGROUND INT16_MIN

typedef unsigned int dispatch_qos_class_t;
#ifndef QOS_CLASS_DEFAULT
#define QOS_CLASS_USER_INTERACTIVE 0x21u
#define QOS_CLASS_USER_INITIATED 0x19u
#define QOS_CLASS_DEFAULT 0x15u
#define QOS_CLASS_UTILITY 0x11u
#define QOS_CLASS_BACKGROUND 0x09u
#define QOS_CLASS_UNSPECIFIED 0x00u
#endif

extern const struct dispatch_queue_attr_s _dispatch_queue_attr_concurrent;
#define DISPATCH_QUEUE_SERIAL ((dispatch_queue_attr_t)0)
#define DISPATCH_QUEUE_CONCURRENT (&_dispatch_queue_attr_concurrent)
#define DISPATCH_TARGET_QUEUE_DEFAULT ((dispatch_queue_t)0)
#define DISPATCH_CURRENT_QUEUE_LABEL ((dispatch_queue_t)0)
#define DISPATCH_APPLY_AUTO ((dispatch_queue_t)0)

/** dispatch_get_main_queue() - ob_queue_main() */
dispatch_queue_main_t dispatch_get_main_queue(void);
/** dispatch_main() - run the main queue for ever */
void dispatch_main(void) __attribute__((noreturn));
/** dispatch_get_global_queue() - the pool itself; a priority or a QOS class; @flags 0; NULL: neither */
dispatch_queue_global_t dispatch_get_global_queue(intptr_t identifier, uintptr_t flags);
/** dispatch_queue_create() - a queue that the pool runs: serial, or concurrent with barriers */
dispatch_queue_t dispatch_queue_create(const char *label, dispatch_queue_attr_t attr);
/** dispatch_queue_create_with_target() - the same with its target */
dispatch_queue_t dispatch_queue_create_with_target(
	const char *label, dispatch_queue_attr_t attr, dispatch_queue_t target);
/** dispatch_queue_attr_make_with_qos_class() - the same kind of queue with a priority in the pool */
dispatch_queue_attr_t dispatch_queue_attr_make_with_qos_class(
	dispatch_queue_attr_t attr, dispatch_qos_class_t qos_class, int relative_priority);
/** dispatch_queue_get_label() - borrowed, never NULL; of NULL: of the queue that runs here */
const char *dispatch_queue_get_label(dispatch_queue_t queue);
/** dispatch_queue_set_specific() - a value under a key, an address; @destructor when it is replaced or the queue goes */
void dispatch_queue_set_specific(
	dispatch_queue_t queue, const void *key, void *context, dispatch_function_t destructor);
/** dispatch_queue_get_specific() - the value of that queue, or NULL */
void *dispatch_queue_get_specific(dispatch_queue_t queue, const void *key);
/** dispatch_get_specific() - the value of the queue that runs here, or of one of its targets */
void *dispatch_get_specific(const void *key);
/** dispatch_assert_queue() - trap unless this runs on @queue */
void dispatch_assert_queue(dispatch_queue_t queue);
/** dispatch_assert_queue_not() - trap if this runs on @queue */
void dispatch_assert_queue_not(dispatch_queue_t queue);

/** dispatch_async_f() - run it on the queue, do not wait */
void dispatch_async_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
/** dispatch_sync_f() - run it on the queue and wait: on the calling thread where the pool runs the queue */
void dispatch_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
/** dispatch_async_and_wait_f() - as dispatch_sync_f() */
void dispatch_async_and_wait_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
/** dispatch_barrier_async_f() - when everything before has ended, before anything after begins */
void dispatch_barrier_async_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
/** dispatch_barrier_sync_f() - the same, and wait */
void dispatch_barrier_sync_f(dispatch_queue_t queue, void *context, dispatch_function_t work);
/** dispatch_after_f() - at that time */
void dispatch_after_f(
	dispatch_time_t when, dispatch_queue_t queue, void *context, dispatch_function_t work);
/** dispatch_apply_f() - @iterations calls, several at once where the queue allows; returns after the last */
void dispatch_apply_f(size_t iterations, dispatch_queue_t queue, void *context,
	void (*work)(void *context, size_t iteration));
#ifdef __BLOCKS__
/** dispatch_async() - dispatch_async_f() with a block */
void dispatch_async(dispatch_queue_t queue, dispatch_block_t block);
/** dispatch_sync() - dispatch_sync_f() with a block */
void dispatch_sync(dispatch_queue_t queue, dispatch_block_t block);
/** dispatch_async_and_wait() - dispatch_sync() */
void dispatch_async_and_wait(dispatch_queue_t queue, dispatch_block_t block);
/** dispatch_barrier_async() - dispatch_barrier_async_f() with a block */
void dispatch_barrier_async(dispatch_queue_t queue, dispatch_block_t block);
/** dispatch_barrier_sync() - dispatch_barrier_sync_f() with a block */
void dispatch_barrier_sync(dispatch_queue_t queue, dispatch_block_t block);
/** dispatch_after() - dispatch_after_f() with a block */
void dispatch_after(dispatch_time_t when, dispatch_queue_t queue, dispatch_block_t block);
/** dispatch_apply() - dispatch_apply_f() with a block */
void dispatch_apply(size_t iterations, dispatch_queue_t queue, void (^block)(size_t iteration));
#endif

/* ---- Once ------------------------------------------------------------------------------------- */

typedef intptr_t dispatch_once_t; /* static or global, 0 */

/** dispatch_once_f() - once a process; whoever comes meanwhile waits until it has returned */
void dispatch_once_f(dispatch_once_t *predicate, void *context, dispatch_function_t function);
#ifdef __BLOCKS__
/** dispatch_once() - the same with a block */
void dispatch_once(dispatch_once_t *predicate, dispatch_block_t block);
#endif

/* ---- Groups ----------------------------------------------------------------------------------- */

/** dispatch_group_create() - an empty group */
dispatch_group_t dispatch_group_create(void);
/** dispatch_group_enter() - one more member */
void dispatch_group_enter(dispatch_group_t group);
/** dispatch_group_leave() - one less; with the last one, what notify and wait wait for happens */
void dispatch_group_leave(dispatch_group_t group);
/** dispatch_group_wait() - until it is empty: 0; not 0: @timeout passed before */
intptr_t dispatch_group_wait(dispatch_group_t group, dispatch_time_t timeout);
/** dispatch_group_async_f() - dispatch_async_f() as a member of the group */
void dispatch_group_async_f(
	dispatch_group_t group, dispatch_queue_t queue, void *context, dispatch_function_t work);
/** dispatch_group_notify_f() - dispatch_async_f() once the group is empty, at once if it is */
void dispatch_group_notify_f(
	dispatch_group_t group, dispatch_queue_t queue, void *context, dispatch_function_t work);
#ifdef __BLOCKS__
/** dispatch_group_async() - dispatch_group_async_f() with a block */
void dispatch_group_async(dispatch_group_t group, dispatch_queue_t queue, dispatch_block_t block);
/** dispatch_group_notify() - dispatch_group_notify_f() with a block */
void dispatch_group_notify(dispatch_group_t group, dispatch_queue_t queue, dispatch_block_t block);
#endif

/* ---- Semaphores ------------------------------------------------------------------------------- */

/** dispatch_semaphore_create() - with that value; NULL for a negative one */
dispatch_semaphore_t dispatch_semaphore_create(intptr_t value);
/** dispatch_semaphore_wait() - take one: 0; not 0: @timeout passed before */
intptr_t dispatch_semaphore_wait(dispatch_semaphore_t semaphore, dispatch_time_t timeout);
/** dispatch_semaphore_signal() - give one; not 0: somebody waited */
intptr_t dispatch_semaphore_signal(dispatch_semaphore_t semaphore);

/* ---- Sources ---------------------------------------------------------------------------------- */

extern const struct dispatch_source_type_s _dispatch_source_type_data_add,
	_dispatch_source_type_data_or, _dispatch_source_type_data_replace,
	_dispatch_source_type_read, _dispatch_source_type_write, _dispatch_source_type_timer,
	_dispatch_source_type_signal, _dispatch_source_type_proc;
#define DISPATCH_SOURCE_TYPE_DATA_ADD (&_dispatch_source_type_data_add)
#define DISPATCH_SOURCE_TYPE_DATA_OR (&_dispatch_source_type_data_or)
#define DISPATCH_SOURCE_TYPE_DATA_REPLACE (&_dispatch_source_type_data_replace)
#define DISPATCH_SOURCE_TYPE_READ (&_dispatch_source_type_read)
#define DISPATCH_SOURCE_TYPE_WRITE (&_dispatch_source_type_write)
#define DISPATCH_SOURCE_TYPE_TIMER (&_dispatch_source_type_timer)
#define DISPATCH_SOURCE_TYPE_SIGNAL (&_dispatch_source_type_signal)
#define DISPATCH_SOURCE_TYPE_PROC (&_dispatch_source_type_proc)
#define DISPATCH_PROC_EXIT 0x80000000u
#define DISPATCH_TIMER_STRICT 0x1u

/**
 * dispatch_source_create() - watch something, call a handler on a queue
 * @type:   DISPATCH_SOURCE_TYPE_*
 * @handle: a descriptor, borrowed until the cancel handler runs; a signal; a pid; else 0
 * @mask:   DISPATCH_PROC_EXIT of a process, 0 or DISPATCH_TIMER_STRICT of a timer, else 0
 * @queue:  where handlers run; NULL: the default global queue
 *
 * It begins at dispatch_activate() or the first dispatch_resume(). The handlers of a source never
 * run two at once, and what happens meanwhile is one more call after it.
 *
 * A signal is blocked in the calling thread by this call, and must be in every other thread of the
 * program (create the source before the threads); one source a signal. A process is watched until
 * it has ended, also when it is not a child; its other events do not exist here.
 *
 * Errors:  NULL: @handle does not exist; is a file, which is always ready; @mask asks for what does
 *          not exist; no memory, no descriptor
 */
dispatch_source_t dispatch_source_create(
	dispatch_source_type_t type, uintptr_t handle, uintptr_t mask, dispatch_queue_t queue);
/** dispatch_source_set_event_handler_f() - called with the source's context; may be set anew at any time */
void dispatch_source_set_event_handler_f(dispatch_source_t source, dispatch_function_t handler);
/** dispatch_source_set_cancel_handler_f() - called once, the last call of all: here the handle may be closed */
void dispatch_source_set_cancel_handler_f(dispatch_source_t source, dispatch_function_t handler);
/** dispatch_source_set_registration_handler_f() - called once, the first call of all */
void dispatch_source_set_registration_handler_f(
	dispatch_source_t source, dispatch_function_t handler);
#ifdef __BLOCKS__
/** dispatch_source_set_event_handler() - the same with a block */
void dispatch_source_set_event_handler(dispatch_source_t source, dispatch_block_t handler);
/** dispatch_source_set_cancel_handler() - the same with a block */
void dispatch_source_set_cancel_handler(dispatch_source_t source, dispatch_block_t handler);
/** dispatch_source_set_registration_handler() - the same with a block */
void dispatch_source_set_registration_handler(dispatch_source_t source, dispatch_block_t handler);
#endif
/** dispatch_source_cancel() - no further event; then the cancel handler, also when it is suspended later */
void dispatch_source_cancel(dispatch_source_t source);
/** dispatch_source_testcancel() - not 0: it was cancelled */
intptr_t dispatch_source_testcancel(dispatch_source_t source);
/** dispatch_source_get_data() - in the handler: bytes to read, times a timer or signal came, merged data */
uintptr_t dispatch_source_get_data(dispatch_source_t source);
/** dispatch_source_get_handle() - as it was created */
uintptr_t dispatch_source_get_handle(dispatch_source_t source);
/** dispatch_source_get_mask() - as it was created */
uintptr_t dispatch_source_get_mask(dispatch_source_t source);
/** dispatch_source_merge_data() - of a DATA source: add, or, replace; 0 is nothing */
void dispatch_source_merge_data(dispatch_source_t source, uintptr_t value);
/** dispatch_source_set_timer() - at @start, then every @interval ns, DISPATCH_TIME_FOREVER: once; @leeway is not used */
void dispatch_source_set_timer(
	dispatch_source_t source, dispatch_time_t start, uint64_t interval, uint64_t leeway);

#ifdef __cplusplus
}
#endif

#endif
