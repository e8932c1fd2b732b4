/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool: as many threads as there are processors to run on, and more only where all of them are
 * blocked, seen by nothing having been started for 10 ms; at most 64. A thread without work ends
 * after 5 s, so that an idle process has none, and no wake-ups.
 */
#include <errno.h>
#include <sched.h>
#include <time.h>
#include "base/macros.h"
#include "outboard/loop.h"
#include "outboard/queue.h"

#define THREADS_MAX 64u
#define IDLE_SECONDS 5
#define STUCK_NS 10000000u

static struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list lists[PRIORITIES];
	unsigned width; /* 0: not used yet */
	unsigned n_threads, n_idle, n_waiting;
	uint64_t n_started; /* items, for ever */

	/* the watch over blocked threads, in the shared loop */
	struct timer watch;
	bool watching;
	uint64_t n_started_then;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static unsigned n_processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 2;

	return n < 2 ? 2 : n > (int)THREADS_MAX ? THREADS_MAX : (unsigned)n;
}

static void first_use(void)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&pool.work, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (size_t i = 0; i < PRIORITIES; i++)
		list_init(&pool.lists[i]);
	pool.width = n_processors();
}

static struct item *next_item(void)
{
	struct item *item = NULL;

	for (size_t i = 0; i < PRIORITIES && !item; i++)
		item = list_take(&pool.lists[i]);
	return item;
}

/* Under the lock. False: nothing came for so long that the thread is to end. */
static bool wait_for_work(void)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_SECONDS;
	pool.n_idle++;
	while (pool.n_waiting == 0 && r == 0)
		r = pthread_cond_timedwait(&pool.work, &pool.lock, &until);
	pool.n_idle--;
	return pool.n_waiting > 0;
}

static void *work(void *data)
{
	pthread_mutex_lock(&pool.lock);
	while (pool.n_waiting > 0 || wait_for_work()) {
		struct item *item = next_item();

		pool.n_waiting--;
		pool.n_started++;
		pthread_mutex_unlock(&pool.lock);
		queue_run_pool_item(item);
		pthread_mutex_lock(&pool.lock);
	}
	pool.n_threads--;
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

static void add_thread(void)
{
	if (thread_start("ob-pool", work, NULL, false, NULL) == 0)
		pool.n_threads++;
}

static void watch_fired(struct timer *timer)
{
	struct loop *loop = loop_shared();
	bool again;

	pthread_mutex_lock(&pool.lock);
	again = pool.n_waiting > 0;
	if (again && pool.n_started == pool.n_started_then && pool.n_threads < THREADS_MAX)
		add_thread();
	pool.n_started_then = pool.n_started;
	pool.watching = again;
	pthread_mutex_unlock(&pool.lock);
	if (!again)
		return;
	timer->at_ns = clock_now_ns(LOOP_MONOTONIC) + STUCK_NS;
	loop_set_timer(loop, timer);
}

/* Not under the pool's lock: the loop's comes before it. */
static void start_watch(void)
{
	struct loop *loop = loop_shared();

	pool.watch.fire = watch_fired;
	pool.watch.clock = LOOP_MONOTONIC;
	pool.watch.at_ns = clock_now_ns(LOOP_MONOTONIC) + STUCK_NS;
	if (loop && loop_set_timer(loop, &pool.watch) == 0)
		return;
	pthread_mutex_lock(&pool.lock);
	pool.watching = false;
	pthread_mutex_unlock(&pool.lock);
}

void pool_push(struct item *item, enum queue_priority priority)
{
	bool watch = false;

	pthread_mutex_lock(&pool.lock);
	if (pool.width == 0)
		first_use();
	list_append(&pool.lists[priority], item);
	pool.n_waiting++;
	if (pool.n_idle > 0)
		pthread_cond_signal(&pool.work);
	if (pool.n_waiting > pool.n_idle && pool.n_threads < pool.width)
		add_thread();
	if (pool.n_waiting > pool.n_idle && !pool.watching) {
		watch = pool.watching = true;
		pool.n_started_then = pool.n_started;
	}
	pthread_mutex_unlock(&pool.lock);
	if (watch)
		start_watch();
}
