/* SPDX-License-Identifier: Apache-2.0
 *
 * es_sync_client(): a call behind all that has happened so far. What has happened when a system call
 * returns lies in the ring; so the mark is the ring's end at the time of the call, and who has read up to
 * there has handled all of it. It is looked for on the client's queue, where the handler runs, too.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "endpoint/lib/lib.h"

struct mark {
	es_client_t *client;
	uint64_t position;
	unsigned ring_number;
	void (*function)(void *context);
	void *context, *block;
	atomic_uint posts;
	bool called;
};

/* A ring that has been replaced since was read to its end before; one that is gone has nothing more. */
static bool is_reached(const struct mark *mark)
{
	const es_client_t *client = mark->client;

	return atomic_load(&client->ended) || !client->ring.producer ||
		client->ring_number != mark->ring_number ||
		*client->ring.consumer >= mark->position;
}

static void call(struct mark *mark)
{
	if (mark->called)
		return;
	mark->called = true;
	mark->function(mark->context);
}

/* After reach(), or instead of it, where the queue ends before. */
static void done(void *data)
{
	struct mark *mark = data;

	if (atomic_fetch_sub(&mark->posts, 1) != 1)
		return;
	call(mark);
	block_release(mark->block);
	client_unref(mark->client);
	free(mark);
}

static void reach(void *data);

static int post(struct mark *mark)
{
	int r;

	atomic_fetch_add(&mark->posts, 1);
	r = queue_post_full(mark->client->queue, reach, mark, done);
	if (r < 0)
		atomic_fetch_sub(&mark->posts, 1);
	return r;
}

/*
 * As the ring's own source: after a batch the others on the queue have their turn. What is read here may
 * be what that one was just woken for, which then finds nothing and is not told; so it is this one that
 * raises the flag, or reads on.
 */
static void reach(void *data)
{
	struct mark *mark = data;
	unsigned left;

	do {
		for (left = CLIENT_BATCH; left && !is_reached(mark); left--)
			if (client_tell(mark->client, 1) == 0)
				sched_yield(); /* the next one is being written */
		if (is_reached(mark)) {
			call(mark);
			if (atomic_load(&mark->client->ended) || ring_sleep(&mark->client->ring))
				return;
			client_tell(mark->client, CLIENT_BATCH);
		}
	} while (post(mark) < 0);
}

static es_return_t sync_client(
	es_client_t *client, void *context, void *block, void (*function)(void *context))
{
	struct mark *mark = calloc(1, sizeof *mark);
	int r = mark ? 0 : -ENOMEM;

	pthread_mutex_lock(&client->lock);
	if (mark) {
		*mark = (struct mark){ .client = client,
			.ring_number = client->ring_number,
			.position = client->ring.producer
				? __atomic_load_n(client->ring.producer, __ATOMIC_ACQUIRE)
				: 0,
			.function = function,
			.context = context,
			.block = block };
		client_ref(client);
		r = post(mark);
	}
	if (r < 0) {
		client_fail(
			client, RULE_ENDPOINT_INTERNAL, "es_sync_client()", strerrordesc_np(-r));
		if (mark)
			client_unref(client);
		free(mark);
		block_release(block);
	}
	pthread_mutex_unlock(&client->lock);
	return r < 0 ? ES_RETURN_ERROR : ES_RETURN_SUCCESS;
}

ob_export es_return_t es_sync_client_f(
	es_client_t *client, void *context, void (*function)(void *context))
{
	if (!function || (client && client->pid != getpid()))
		return ES_RETURN_ERROR;
	if (!client) {
		function(context);
		return ES_RETURN_SUCCESS;
	}
	return sync_client(client, context, NULL, function);
}

static void call_block(void *block)
{
	BLOCK_INVOKE(block, void (*)(void *))(block);
}

/* Declared with a block where the compiler has them: to this one a block is a pointer. */
es_return_t es_sync_client(es_client_t *client, void *block);
ob_export es_return_t es_sync_client(es_client_t *client, void *block)
{
	void *copy;

	if (!block || (client && client->pid != getpid()))
		return ES_RETURN_ERROR;
	if (!client) {
		call_block(block);
		return ES_RETURN_SUCCESS;
	}
	copy = block_copy(block);
	return copy ? sync_client(client, copy, copy, call_block) : ES_RETURN_ERROR;
}
