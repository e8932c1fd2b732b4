/* SPDX-License-Identifier: Apache-2.0
 *
 * The block twins of <dispatch/dispatch.h>, which the header declares for compilers with blocks
 * alone: here a block is a pointer, by the block ABI the same.
 */
#ifndef OB_OUTBOARD_DISPATCH_H
#define OB_OUTBOARD_DISPATCH_H

#include <dispatch/dispatch.h>
#include "outboard/internal.h"

#ifndef __BLOCKS__
void dispatch_async(dispatch_queue_t queue, void *block);
void dispatch_sync(dispatch_queue_t queue, void *block);
void dispatch_async_and_wait(dispatch_queue_t queue, void *block);
void dispatch_barrier_async(dispatch_queue_t queue, void *block);
void dispatch_barrier_sync(dispatch_queue_t queue, void *block);
void dispatch_after(dispatch_time_t when, dispatch_queue_t queue, void *block);
void dispatch_apply(size_t iterations, dispatch_queue_t queue, void *block);
void dispatch_once(dispatch_once_t *predicate, void *block);
void dispatch_group_async(dispatch_group_t group, dispatch_queue_t queue, void *block);
void dispatch_group_notify(dispatch_group_t group, dispatch_queue_t queue, void *block);
void dispatch_source_set_event_handler(dispatch_source_t source, void *handler);
void dispatch_source_set_cancel_handler(dispatch_source_t source, void *handler);
void dispatch_source_set_registration_handler(dispatch_source_t source, void *handler);
#endif

/* block.c: as functions of an item or a handler */
void *block_copy_wait(const void *block); /* does not give up */
void block_call(void *block);
void block_destroy(void *block);

/* Where a dispatch_time_t lies. False: never. */
enum loop_clock;
bool time_split(dispatch_time_t when, enum loop_clock *ret_clock, uint64_t *ret_ns);
/* The same on CLOCK_MONOTONIC, for pthread_cond_timedwait(3); the far future for "never". */
struct timespec time_monotonic(dispatch_time_t when);

#endif
