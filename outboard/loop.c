/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop, see loop.h. An event names a slot and a generation, never an address: what it was meant
 * for may have been removed between epoll_wait(2) and the lock.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/macros.h"
#include "outboard/loop.h"
#include "outboard/object.h"

#define EVENTS_MAX 32
#define KEY_WAKE UINT64_MAX
#define KEY_CLOCK(clock) (UINT64_MAX - 1 - (uint64_t)(clock))

static const clockid_t clock_ids[LOOP_CLOCKS] = {
	[LOOP_MONOTONIC] = CLOCK_MONOTONIC,
	[LOOP_WALL] = CLOCK_REALTIME,
};

uint64_t clock_now_ns(enum loop_clock clock)
{
	struct timespec now;

	clock_gettime(clock_ids[clock], &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Making and waking ------------------------------------------------------------------------ */

static int add_fd(struct loop *loop, int fd, uint64_t key)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = key };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_loop(struct loop *loop)
{
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return -errno;
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		return -errno;
	return add_fd(loop, loop->wake_fd, KEY_WAKE);
}

int loop_new(struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof *loop);
	pthread_mutexattr_t recursive;
	int r;

	if (!loop)
		return -ENOMEM;
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&loop->lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
	loop->epoll_fd = loop->wake_fd = -1;
	loop->timer_fds[LOOP_MONOTONIC] = loop->timer_fds[LOOP_WALL] = -1;
	r = open_loop(loop);
	if (r < 0) {
		loop_free(loop);
		return r;
	}
	*ret = loop;
	return 0;
}

struct loop *loop_free(struct loop *loop)
{
	if (!loop)
		return NULL;
	for (size_t i = 0; i < LOOP_CLOCKS; i++) {
		fd_close(loop->timer_fds[i]);
		free(loop->heaps[i].timers);
	}
	fd_close(loop->wake_fd);
	fd_close(loop->epoll_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop->slots);
	free(loop);
	return NULL;
}

void loop_wake(struct loop *loop)
{
	uint64_t one = 1;

	/* full means that it is readable already */
	if (write(loop->wake_fd, &one, sizeof one) < 0)
		return;
}

void loop_quiet(struct loop *loop)
{
	uint64_t n;

	if (read(loop->wake_fd, &n, sizeof n) < 0)
		return;
}

/* ---- Descriptors ------------------------------------------------------------------------------ */

static int find_slot(struct loop *loop, uint32_t *ret)
{
	uint32_t i, n;
	void *slots;

	for (i = 0; i < loop->n_slots; i++)
		if (!loop->slots[i].watch) {
			*ret = i;
			return 0;
		}
	n = loop->n_slots ? loop->n_slots * 2 : 4;
	slots = reallocarray(loop->slots, n, sizeof *loop->slots);
	if (!slots)
		return -ENOMEM;
	loop->slots = slots;
	memset(loop->slots + loop->n_slots, 0, (n - loop->n_slots) * sizeof *loop->slots);
	*ret = loop->n_slots;
	loop->n_slots = n;
	return 0;
}

static int control(struct loop *loop, int operation, const struct watch *watch)
{
	uint32_t slot = watch->slot - 1;
	struct epoll_event event = {
		.events = watch->events | EPOLLONESHOT,
		.data.u64 = slot | (uint64_t)loop->slots[slot].generation << 32,
	};

	return epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) < 0 ? -errno : 0;
}

static int add_watch(struct loop *loop, struct watch *watch)
{
	uint32_t slot;
	int r = find_slot(loop, &slot);

	if (r < 0)
		return r;
	loop->slots[slot].watch = watch;
	/* kept below what KEY_WAKE and KEY_CLOCK look like */
	loop->slots[slot].generation = (loop->slots[slot].generation + 1) & INT32_MAX;
	watch->slot = slot + 1;
	r = control(loop, EPOLL_CTL_ADD, watch);
	if (r < 0) {
		loop->slots[slot].watch = NULL;
		watch->slot = 0;
	}
	return r;
}

int loop_add_watch(struct loop *loop, struct watch *watch)
{
	int r;

	pthread_mutex_lock(&loop->lock);
	r = add_watch(loop, watch);
	pthread_mutex_unlock(&loop->lock);
	return r;
}

void loop_arm_watch(struct loop *loop, struct watch *watch)
{
	pthread_mutex_lock(&loop->lock);
	if (watch->slot)
		control(loop, EPOLL_CTL_MOD, watch);
	pthread_mutex_unlock(&loop->lock);
}

void loop_remove_watch(struct loop *loop, struct watch *watch)
{
	pthread_mutex_lock(&loop->lock);
	if (watch->slot) {
		/* a descriptor that its owner has closed too early is gone from epoll already */
		epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
		loop->slots[watch->slot - 1].watch = NULL;
		watch->slot = 0;
	}
	pthread_mutex_unlock(&loop->lock);
}

/* ---- Times: one heap and one timerfd a clock --------------------------------------------------- */

static void put(struct heap *heap, size_t place, struct timer *timer)
{
	heap->timers[place] = timer;
	timer->place = place + 1;
}

static void sift(struct heap *heap, size_t place)
{
	struct timer *timer = heap->timers[place];

	for (size_t up = (place - 1) / 2; place > 0 && heap->timers[up]->at_ns > timer->at_ns;
		up = (place - 1) / 2) {
		put(heap, place, heap->timers[up]);
		place = up;
	}
	for (;;) {
		size_t down = 2 * place + 1;

		if (down + 1 < heap->n && heap->timers[down + 1]->at_ns < heap->timers[down]->at_ns)
			down++;
		if (down >= heap->n || heap->timers[down]->at_ns >= timer->at_ns)
			break;
		put(heap, place, heap->timers[down]);
		place = down;
	}
	put(heap, place, timer);
}

static void pop(struct heap *heap, struct timer *timer)
{
	size_t place = timer->place - 1;
	struct timer *last = heap->timers[--heap->n];

	timer->place = 0;
	if (last == timer)
		return;
	put(heap, place, last);
	sift(heap, place);
}

static int reserve(struct heap *heap)
{
	size_t room = heap->room ? heap->room * 2 : 8;
	void *timers;

	if (heap->n < heap->room)
		return 0;
	timers = reallocarray(heap->timers, room, sizeof(struct timer *));
	if (!timers)
		return -ENOMEM;
	heap->timers = timers;
	heap->room = room;
	return 0;
}

/* Tell the kernel of the earliest one. A changed wall clock ends the wait, too: timerfd_create(2). */
static void set_kernel(struct loop *loop, enum loop_clock clock)
{
	struct heap *heap = &loop->heaps[clock];
	struct itimerspec spec = { 0 };
	int flags = TFD_TIMER_ABSTIME | (clock == LOOP_WALL ? TFD_TIMER_CANCEL_ON_SET : 0);

	if (heap->n > 0) {
		uint64_t at_ns = heap->timers[0]->at_ns;

		spec.it_value.tv_sec = (time_t)(at_ns / 1000000000u);
		spec.it_value.tv_nsec = (long)(at_ns % 1000000000u);
		/* zero would disarm it */
		if (at_ns == 0)
			spec.it_value.tv_nsec = 1;
	}
	timerfd_settime(loop->timer_fds[clock], flags, &spec, NULL);
}

static int open_clock(struct loop *loop, enum loop_clock clock)
{
	_cleanup_fd_ int fd = -1;
	int r;

	if (loop->timer_fds[clock] >= 0)
		return 0;
	fd = timerfd_create(clock_ids[clock], TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	r = add_fd(loop, fd, KEY_CLOCK(clock));
	if (r < 0)
		return r;
	loop->timer_fds[clock] = TAKE_FD(fd);
	return 0;
}

static int set_timer(struct loop *loop, struct timer *timer)
{
	struct heap *heap = &loop->heaps[timer->clock];
	int r = open_clock(loop, timer->clock);

	if (r == 0)
		r = reserve(heap);
	if (r < 0)
		return r;
	put(heap, heap->n++, timer);
	sift(heap, heap->n - 1);
	if (heap->timers[0] == timer)
		set_kernel(loop, timer->clock);
	return 0;
}

int loop_set_timer(struct loop *loop, struct timer *timer)
{
	int r;

	pthread_mutex_lock(&loop->lock);
	r = set_timer(loop, timer);
	pthread_mutex_unlock(&loop->lock);
	return r;
}

void loop_remove_timer(struct loop *loop, struct timer *timer)
{
	pthread_mutex_lock(&loop->lock);
	if (timer->place)
		pop(&loop->heaps[timer->clock], timer);
	pthread_mutex_unlock(&loop->lock);
}

/* ---- What has happened ------------------------------------------------------------------------- */

static void fire_clock(struct loop *loop, enum loop_clock clock)
{
	struct heap *heap = &loop->heaps[clock];
	uint64_t n, now_ns = clock_now_ns(clock);

	/* ECANCELED: the wall clock was set; it is compared anew in any case */
	if (read(loop->timer_fds[clock], &n, sizeof n) < 0 && errno == EAGAIN)
		return;
	while (heap->n > 0 && heap->timers[0]->at_ns <= now_ns) {
		struct timer *timer = heap->timers[0];

		pop(heap, timer);
		timer->fire(timer);
	}
	set_kernel(loop, clock);
}

static void fire_watch(struct loop *loop, uint64_t key, uint32_t events)
{
	uint32_t slot = (uint32_t)key, generation = (uint32_t)(key >> 32);

	if (slot < loop->n_slots && loop->slots[slot].watch &&
		loop->slots[slot].generation == generation)
		loop->slots[slot].watch->fire(loop->slots[slot].watch, events);
}

void loop_poll(struct loop *loop, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(loop->epoll_fd, events, EVENTS_MAX, timeout_ms);

	if (n <= 0)
		return;
	pthread_mutex_lock(&loop->lock);
	for (int i = 0; i < n; i++) {
		if (events[i].data.u64 == KEY_WAKE)
			continue;
		if (events[i].data.u64 == KEY_CLOCK(LOOP_MONOTONIC))
			fire_clock(loop, LOOP_MONOTONIC);
		else if (events[i].data.u64 == KEY_CLOCK(LOOP_WALL))
			fire_clock(loop, LOOP_WALL);
		else
			fire_watch(loop, events[i].data.u64, events[i].events);
	}
	pthread_mutex_unlock(&loop->lock);
}

/* ---- Threads ---------------------------------------------------------------------------------- */

int thread_start(
	const char *name, void *(*function)(void *), void *data, bool joinable, pthread_t *ret)
{
	char short_name[16];
	sigset_t all, before;
	pthread_t thread;
	int r;

	/* inherited by the new thread, so that it never runs with a signal open */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&thread, NULL, function, data);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	strncpy(short_name, name, sizeof short_name - 1);
	short_name[sizeof short_name - 1] = '\0';
	pthread_setname_np(thread, short_name);
	if (ret)
		*ret = thread;
	if (!joinable)
		pthread_detach(thread);
	return 0;
}

static struct loop *shared;
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static void *serve(void *data)
{
	for (;;)
		loop_poll(data, -1);
	return NULL;
}

struct loop *loop_shared(void)
{
	struct loop *loop = NULL;

	pthread_mutex_lock(&shared_lock);
	if (!shared && loop_new(&loop) == 0) {
		if (thread_start("ob-events", serve, loop, false, NULL) == 0)
			shared = loop;
		else
			loop_free(loop);
	}
	loop = shared;
	pthread_mutex_unlock(&shared_lock);
	return loop;
}
