/* SPDX-License-Identifier: Apache-2.0
 *
 * What a queue waits for beside callbacks: descriptors and times. A queue that the program drives,
 * or that has a thread of its own, has a loop of its own, so nothing else has to run for it; all
 * queues of the pool share one, served by one thread.
 *
 * Lock order: a loop's lock, then a source's, then a queue's, or the pool's. fire() runs with the
 * loop's lock held, so that what it belongs to cannot go meanwhile; all it does is put something on
 * a queue. The loops of queues come before the shared one.
 */
#ifndef OB_OUTBOARD_LOOP_H
#define OB_OUTBOARD_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum loop_clock { LOOP_MONOTONIC, LOOP_WALL, LOOP_CLOCKS };

struct watch {
	void (*fire)(struct watch *watch, uint32_t events);
	int fd; /* borrowed */
	uint32_t events;
	uint32_t slot; /* + 1; 0: not in the loop */
};

struct timer {
	void (*fire)(struct timer *timer);
	enum loop_clock clock;
	uint64_t at_ns;
	size_t place; /* + 1 in the heap; 0: not in it */
};

struct heap {
	struct timer **timers;
	size_t n, room;
};

struct loop {
	pthread_mutex_t lock; /* recursive */
	int epoll_fd;	      /* readable when something is to be done */
	int wake_fd;
	int timer_fds[LOOP_CLOCKS]; /* -1 until needed */
	struct heap heaps[LOOP_CLOCKS];
	struct {
		struct watch *watch;
		uint32_t generation;
	} * slots;
	uint32_t n_slots;
};

int loop_new(struct loop **ret);
struct loop *loop_free(struct loop *loop);

/* Make it readable, from any thread; loop_quiet() takes it back. */
void loop_wake(struct loop *loop);
void loop_quiet(struct loop *loop);
/* Wait until something happens, at most @timeout_ms (-1: for ever), and fire what has. */
void loop_poll(struct loop *loop, int timeout_ms);

/* One event, then it has to be armed again. -errno of epoll_ctl(2), -ENOMEM. */
int loop_add_watch(struct loop *loop, struct watch *watch);
void loop_arm_watch(struct loop *loop, struct watch *watch);
/* After it, fire() is not running and will not. Idle when it is not in the loop. */
void loop_remove_watch(struct loop *loop, struct watch *watch);

/* Set, or set anew, for timer->at_ns of timer->clock. -ENOMEM, -EMFILE. */
int loop_set_timer(struct loop *loop, struct timer *timer);
void loop_remove_timer(struct loop *loop, struct timer *timer);

uint64_t clock_now_ns(enum loop_clock clock);

/* The pool's, with its thread; NULL: there is no memory or thread for it now. */
struct loop *loop_shared(void);

/* A thread with all signals blocked, named @name. */
int thread_start(
	const char *name, void *(*function)(void *), void *data, bool joinable, pthread_t *ret);

#endif
