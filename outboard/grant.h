/* SPDX-License-Identifier: Apache-2.0
 *
 * A thread that waits for one thing: its turn on a queue, or the end of its item.
 */
#ifndef OB_OUTBOARD_GRANT_H
#define OB_OUTBOARD_GRANT_H

#include <pthread.h>
#include <stdbool.h>

struct grant {
	pthread_mutex_t lock;
	pthread_cond_t given_cond;
	bool given;
};

static inline void grant_init(struct grant *grant)
{
	pthread_mutex_init(&grant->lock, NULL);
	pthread_cond_init(&grant->given_cond, NULL);
	grant->given = false;
}

static inline void grant_give(struct grant *grant)
{
	/* under the lock to the end: the one who waits owns the memory, and goes at once */
	pthread_mutex_lock(&grant->lock);
	grant->given = true;
	pthread_cond_signal(&grant->given_cond);
	pthread_mutex_unlock(&grant->lock);
}

static inline void grant_wait(struct grant *grant)
{
	pthread_mutex_lock(&grant->lock);
	while (!grant->given)
		pthread_cond_wait(&grant->given_cond, &grant->lock);
	pthread_mutex_unlock(&grant->lock);
	pthread_cond_destroy(&grant->given_cond);
	pthread_mutex_destroy(&grant->lock);
}

#endif
