/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue: an ordered list of items, and who runs them. A *loop queue* (ob_queue_main(),
 * ob_queue_new()) is run by the program or by a thread of its own. A *pool queue*
 * (dispatch_queue_create(), the global ones) hands each item to the pool, or to its target, as soon
 * as the items before it allow: every item of a serial queue is a barrier, that is all there is to it.
 */
#ifndef OB_OUTBOARD_QUEUE_H
#define OB_OUTBOARD_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <Outboard/outboard.h>
#include "outboard/object.h"

struct item {
	struct item *next;
	ob_queue_t *queue; /* set by queue_push() */
	void (*function)(void *data);
	void *data;
	void (*destroy)(void *data); /* after it; NULL none */
	struct grant *grant;	     /* somebody waits, to run it himself */
	bool barrier;
	bool owned; /* by someone else: not freed */
};

struct list {
	struct item *head, **tail;
};

static inline void list_init(struct list *list)
{
	list->head = NULL;
	list->tail = &list->head;
}

static inline void list_append(struct list *list, struct item *item)
{
	item->next = NULL;
	*list->tail = item;
	list->tail = &item->next;
}

static inline struct item *list_take(struct list *list)
{
	struct item *item = list->head;

	if (item && !(list->head = item->next))
		list->tail = &list->head;
	return item;
}

enum queue_driver {
	DRIVER_NOBODY,	/* not used yet */
	DRIVER_PROGRAM, /* ob_queue_dispatch(), ob_queue_run() */
	DRIVER_THREAD,	/* ours */
};

enum queue_priority {
	PRIORITY_HIGH,
	PRIORITY_DEFAULT,
	PRIORITY_LOW,
	PRIORITY_BACKGROUND,
	PRIORITIES
};

struct specific {
	struct specific *next;
	const void *key;
	void *value;
	void (*destructor)(void *value);
};

struct dispatch_queue_s {
	struct object object;
	char *label;
	bool pooled, concurrent, global; /* never change */

	pthread_mutex_t lock; /* of all below */
	struct list waiting;
	unsigned n_suspended;
	struct specific *specifics;

	/* loop queues */
	enum queue_driver driver;
	struct loop *loop;
	pthread_t thread;
	bool running; /* somebody is inside queue_drain() */
	bool stop;    /* ob_queue_stop() */
	bool ending;  /* the thread is to run what waits, and end */
	bool orphan;  /* the thread frees the queue itself */

	/* pool queues */
	bool barrier_running;
	unsigned n_running;
	enum queue_priority priority;
	ob_queue_t *target; /* NULL: the pool */
};

/* Who is running on this thread, innermost first. */
struct queue_frame {
	const ob_queue_t *queue;
	const struct queue_frame *up;
};
extern _Thread_local const struct queue_frame *queue_frames;

/* An item that is freed after it has run; NULL: no memory. */
struct item *item_new(void (*function)(void *), void *data, void (*destroy)(void *));
/* 0, or -EAGAIN, -ENOMEM, -EMFILE: a loop queue's thread could not be started. */
int queue_push(ob_queue_t *queue, struct item *item);
/* The same, which does not give up. */
void queue_push_wait(ob_queue_t *queue, struct item *item);
/* Function, destroy, frame; frees the item unless it is owned. */
void queue_run_item(struct item *item);
/* The same on a pool queue: lets the next ones go after it. */
void queue_run_pool_item(struct item *item);

/* A loop queue's own loop, whose driver is decided by it, or the shared one. NULL: none to be had. */
struct loop *queue_loop(ob_queue_t *queue);

void queue_suspend(void *queue);
void queue_resume(void *queue);
void queue_set_target(void *queue, ob_queue_t *target);
void queue_dispose(struct object *object);
void queue_forget_specifics(ob_queue_t *queue);

/* loop-queue.c */
int loop_queue_push(ob_queue_t *queue, struct item *item);
int loop_queue_start(ob_queue_t *queue);
void loop_queue_dispose(ob_queue_t *queue);

/* pool.c: never fails; what cannot be run now is run when there is a thread. */
void pool_push(struct item *item, enum queue_priority priority);

#endif
