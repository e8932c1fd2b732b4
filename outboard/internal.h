/* SPDX-License-Identifier: Apache-2.0
 *
 * What the other libraries of Outboard take from liboutboard beyond its public headers: errors from
 * the wire, callbacks on a queue, descriptors watched by a queue, blocks without -fblocks. Exported
 * in the node OUTBOARD_PRIVATE, which changes with each release; every name gets a prefix in the
 * object file, so that none collides with one of the program's own.
 */
#ifndef OB_OUTBOARD_INTERNAL_H
#define OB_OUTBOARD_INTERNAL_H

#include <Outboard/outboard.h>
#include <xpc/xpc.h>
#include "base/macros.h"
#include "base/rules.h"

#define PRIVATE(name) __asm__("ob_private_" #name) ob_export

/*
 * An error with one reference. Never NULL: without memory it is one constant object that says so.
 * Fields that are not terminated are cut.
 */
const ob_error_t *error_of_wire(const struct wire_error *wire) PRIVATE(error_of_wire);

/*
 * Run @callback(@data) on @queue. 0; -ENOMEM; -ECHILD; -EAGAIN no thread; then it is not run.
 * Everything that is posted runs once, also after ob_queue_release(), in the order of the calls.
 */
int queue_post(ob_queue_t *queue, void (*callback)(void *data), void *data) PRIVATE(queue_post);
/* The same, where the owner of @queue may go before: @destroy(@data) after it, or instead of it. */
int queue_post_full(ob_queue_t *queue, void (*callback)(void *data), void *data,
	void (*destroy)(void *data)) PRIVATE(queue_post_full);
/* The same in @ms milliseconds. */
int queue_post_after(ob_queue_t *queue, unsigned ms, void (*callback)(void *data), void *data)
	PRIVATE(queue_post_after);
/* Does this thread run a callback of @queue at the moment? */
bool queue_is_current(const ob_queue_t *queue) PRIVATE(queue_is_current);

/*
 * @readable(@context) on @queue whenever @fd is readable or hung up, level-triggered, never two at
 * once. @fd and @context are borrowed until queue_source_free(), and @queue as well. On a queue that
 * the program drives no thread is started for it.
 *
 * queue_source_free() takes NULL, returns NULL, and may be called anywhere, in the callback too.
 * On return no new call begins; one that runs on another thread may still be running.
 */
struct queue_source;
int queue_source_new(ob_queue_t *queue, int fd, void (*readable)(void *context), void *context,
	struct queue_source **ret) PRIVATE(queue_source_new);
struct queue_source *queue_source_free(struct queue_source *source) PRIVATE(queue_source_free);

/* @block on the heap, by the block ABI. NULL: no memory. Traps where the program has no BlocksRuntime. */
void *block_copy(const void *block) PRIVATE(block_copy);
void block_release(const void *block) PRIVATE(block_release);
/* The function of a block: call it with the block as its first argument. */
struct block_layout {
	void *isa;
	int flags;
	int reserved;
	void (*invoke)(void);
};
#define BLOCK_INVOKE(block, type) ((type)((struct block_layout *)(block))->invoke)

/*
 * A value from JSON and back. Numbers: int64 where it fits, else uint64, else double. At most
 * @XPC_JSON_DEPTH levels. -EBADMSG not JSON, -E2BIG nested deeper, -ENOMEM.
 */
#define XPC_JSON_DEPTH 64
int xpc_of_json(const char *json, size_t bytes, xpc_object_t *ret) PRIVATE(xpc_of_json);
/* Free it. date: number of nanoseconds; data: hex; uuid: string. -EOPNOTSUPP: a descriptor is in it. */
int xpc_to_json(xpc_object_t value, char **ret) PRIVATE(xpc_to_json);

#endif
