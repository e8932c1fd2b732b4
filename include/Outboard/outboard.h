/* SPDX-License-Identifier: Apache-2.0
 *
 * What all frameworks of Outboard share: the queue on which callbacks run, and the error that says
 * why something did not happen. Link with -loutboard, or with any framework, which brings it along.
 *
 * See ob_queue(3), ob_error(3) and ob_error(7).
 */
#ifndef OUTBOARD_OUTBOARD_H
#define OUTBOARD_OUTBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if !defined(__linux__) || __SIZEOF_POINTER__ != 8 || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Outboard runs on 64-bit little-endian Linux"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Queues ----------------------------------------------------------------------------------- */

/*
 * Where callbacks run: one at a time, in order. With <dispatch/dispatch.h> a dispatch_queue_t is
 * the same object. NULL in a call of a framework that takes a queue: a thread of the library's own,
 * named after the object, with all signals blocked.
 */
typedef struct dispatch_queue_s ob_queue_t;

/**
 * ob_queue_main() - the queue that the program runs itself
 *
 * The queue, borrowed, never freed and the same at each call. Nothing runs on it before
 * ob_queue_run(), dispatch_main() or ob_queue_dispatch() is called.
 *
 * Threads: any
 * Since:   0.1
 * Source:  dispatch_get_main_queue, macOS 10.6
 */
ob_queue_t *ob_queue_main(void);

/**
 * ob_queue_new() - a queue with a thread of its own, or for a loop of yours
 * @label: names the thread (its first 15 bytes) and shows in debuggers; copied; NULL none
 * @ret:   one reference, yours; ob_queue_release()
 *
 * Who runs it is decided at its first use. Where that is a callback to be run, or a descriptor to
 * be watched, a thread is started, with all signals blocked. Where it is ob_queue_get_fd(),
 * ob_queue_dispatch() or ob_queue_run(), no thread ever is, and the caller runs it.
 *
 * Errors:  -EINVAL @ret is NULL; -ENOMEM; -EMFILE, -ENFILE no descriptor for it
 * Threads: any
 * Since:   0.1
 */
int ob_queue_new(const char *label, ob_queue_t **ret);

/**
 * ob_queue_get_fd() - a descriptor for epoll, sd-event, GLib or libuv
 * @queue: borrowed
 *
 * The descriptor, borrowed: readable when a callback waits. Watch it for reading, level-triggered,
 * and call ob_queue_dispatch(); never read from it, never close it.
 *
 * Errors:  -EINVAL NULL; -EBUSY a thread of the library runs the queue already; -EOPNOTSUPP a queue
 *          of the pool: dispatch_queue_create(), dispatch_get_global_queue(); -ECHILD made before
 *          fork(2); -EMFILE, -ENFILE, -ENOMEM
 * Threads: any
 * Since:   0.1
 */
int ob_queue_get_fd(ob_queue_t *queue);

/**
 * ob_queue_dispatch() - run what waits, do not wait
 * @queue: borrowed
 *
 * How many callbacks were run. Those that are added meanwhile wait for the next call, so that a
 * loop is not held.
 *
 * Errors:  as ob_queue_get_fd(), and -EBUSY another thread runs a callback of it at this moment;
 *          -EDEADLK called inside a callback of the same queue
 * Threads: any, one at a time
 * Since:   0.1
 */
int ob_queue_dispatch(ob_queue_t *queue);

/**
 * ob_queue_run() - run callbacks until ob_queue_stop()
 * @queue: borrowed
 *
 * 0 after ob_queue_stop(), which may also have come before; that one stop is then used up.
 *
 * Errors:  as ob_queue_dispatch()
 * Threads: any, one at a time
 * Since:   0.1
 */
int ob_queue_run(ob_queue_t *queue);

/**
 * ob_queue_stop() - end ob_queue_run()
 * @queue: borrowed; NULL is fine
 *
 * The callback that runs at the moment is the last one; what waits, waits for the next run. Without
 * effect on a queue that a thread of the library runs.
 *
 * Threads: any, and signal-unsafe: from a signal's handler use a signal source
 * Since:   0.1
 */
void ob_queue_stop(ob_queue_t *queue);

/**
 * ob_queue_retain() - one more reference
 * @queue: borrowed; NULL is fine
 *
 * @queue.
 *
 * Threads: any
 * Since:   0.1
 */
ob_queue_t *ob_queue_retain(ob_queue_t *queue);

/**
 * ob_queue_release() - give one reference back
 * @queue: yours; NULL is fine
 *
 * Always NULL. With the last one: what was added before still runs, on the queue's thread where
 * there is one, else here. Then the thread ends; it is waited for, unless it is the caller.
 *
 * Threads: any
 * Since:   0.1
 */
ob_queue_t *ob_queue_release(ob_queue_t *queue);

/* ---- Errors ----------------------------------------------------------------------------------- */

/*
 * What went wrong in another process, and what mends it. Immutable, reference counted; borrowed in
 * a callback: ob_error_retain() keeps it. All strings are borrowed and live as long as the object.
 * Threads: any. Since: 0.1. Source: NSError, macOS 10.0; stage, rule and evidence are ours.
 */
typedef struct ob_error_s ob_error_t;

/** ob_error_get_domain() - whose numbers the code is of: "OSSystemExtensionErrorDomain", ...; "" for NULL */
const char *ob_error_get_domain(const ob_error_t *error);
/** ob_error_get_code() - Apple's number in that domain; 0 for NULL */
int ob_error_get_code(const ob_error_t *error);
/** ob_error_get_localized_description() - one sentence: what failed, on which object, why; "" for NULL */
const char *ob_error_get_localized_description(const ob_error_t *error);
/** ob_error_get_recovery_suggestion() - what mends it, often a command; NULL: nothing that is known */
const char *ob_error_get_recovery_suggestion(const ob_error_t *error);
/** ob_error_get_stage() - "signature", "approval", ...: promised names, ob_error(7); "" for NULL */
const char *ob_error_get_stage(const ob_error_t *error);
/** ob_error_get_rule() - which rule of that stage: "signature.file-changed"; promised names, ob_error(7); "" for NULL */
const char *ob_error_get_rule(const ob_error_t *error);
/** ob_error_get_evidence() - a JSON object: paths, digests, keys, values that decided; "{}": none */
const char *ob_error_get_evidence(const ob_error_t *error);

/**
 * ob_error_retain() - keep an error after the callback
 * @error: borrowed; NULL is fine
 *
 * @error without const, one reference, yours.
 *
 * Threads: any
 * Since:   0.1
 */
ob_error_t *ob_error_retain(const ob_error_t *error);
/** ob_error_release() - give one reference back; NULL is fine; always NULL back */
ob_error_t *ob_error_release(ob_error_t *error);

#ifdef __cplusplus
}
#endif

#endif
