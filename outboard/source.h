/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources: something happens, a handler is called on a queue. All handlers of a source are called by
 * one item, which is on the queue at most once, so that no two of them ever run at once.
 */
#ifndef OB_OUTBOARD_SOURCE_H
#define OB_OUTBOARD_SOURCE_H

#include <dispatch/dispatch.h>
#include "outboard/loop.h"
#include "outboard/object.h"
#include "outboard/queue.h"

enum handler_kind { HANDLER_EVENT, HANDLER_CANCEL, HANDLER_REGISTRATION, HANDLERS };

/* What differs from type to type: source-types.c. */
struct dispatch_source_type_s {
	uintptr_t mask; /* bits that may be asked for */
	/* Check the handle; make source->watch.fd where the loop is to watch another one. */
	int (*open)(dispatch_source_t source);
	uint32_t events; /* of epoll(7); 0: nothing for the loop to watch */
	/* What the event counts for; 0: nothing for the handler. Under the locks of loop and source. */
	uintptr_t (*collect)(dispatch_source_t source, uint32_t events);
	uintptr_t (*merge)(uintptr_t before, uintptr_t value);
	bool own_fd, once, manual, timer;
};

struct handler {
	void (*function)(void *data);
	void *block; /* NULL: function is called with the source's context */
	void *data;  /* ours: instead of the context */
};

struct dispatch_source_s {
	struct object object;
	const struct dispatch_source_type_s *type;
	uintptr_t handle, mask;
	struct item item;

	pthread_mutex_t lock; /* of all below */
	ob_queue_t *queue;
	struct loop *loop; /* once active; the queue's at that moment */
	struct handler handlers[HANDLERS];
	bool activating, active, registered, cancelled, cancel_done;
	bool happened; /* since the last call */
	bool busy;     /* the item is on the queue, or running */
	bool disarmed;
	unsigned n_suspended;
	uintptr_t pending;     /* for the next call */
	atomic_uintptr_t data; /* of the present one */

	struct watch watch;
	bool owns_fd; /* watch.fd is ours */
	struct timer timer;
	uint64_t interval_ns; /* 0: once */
	bool timer_set;
};

void source_suspend(void *source);
void source_resume(void *source);
void source_activate(void *source);
void source_set_target(void *source, ob_queue_t *queue);

/* Something has happened; from fire() or a call. */
void source_happened(dispatch_source_t source, uintptr_t value);

#endif
