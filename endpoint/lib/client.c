/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients: made, subscribed, told, ended. See lib.h.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <Outboard/service.h>
#include "base/fd.h"
#include "endpoint/engine/engine.h"
#include "endpoint/lib/lib.h"

static _Thread_local ob_error_t *new_client_error;

atomic_uint sources_seen = SOURCES_ALL;

void client_ref(es_client_t *client)
{
	atomic_fetch_add(&client->references, 1);
}

void client_unref(void *data)
{
	es_client_t *client = data;

	if (atomic_fetch_sub(&client->references, 1) != 1)
		return;
	wire_packet_done(&client->packet);
	box_unref(client->box);
	block_release(client->block);
	ob_error_release(client->last_error);
	mute_set_done(&client->mutes);
	pthread_mutex_destroy(&client->answer_lock);
	pthread_mutex_destroy(&client->lock);
	free(client);
}

/* ---- being told ------------------------------------------------------------------------------- */

static void handle(es_client_t *client, const void *record, size_t bytes)
{
	if (box_is_kept(client->box)) {
		struct box *fresh = box_new();

		if (!fresh) {
			sequence_pass(&client->sequence);
			return;
		}
		box_unref(client->box);
		client->box = fresh;
	}
	if (box_fill(client->box, record, bytes) < 0) {
		atomic_fetch_add(&client->malformed, 1);
		sequence_pass(&client->sequence);
		return;
	}
	sequence_number(&client->sequence, record, &client->box->message);
	atomic_fetch_add(&client->delivered, 1);
	client->box->client = client;
	client->handler_thread = pthread_self();
	atomic_store(&client->in_handler, true);
	client->handler(client, &client->box->message, client->context);
	atomic_store(&client->in_handler, false);
}

/*
 * On the queue: up to @most messages that lie in the ring; how many it were. The ring is only
 * exchanged and given up on the queue, too, or when es_delete_client() has made sure that this does
 * not run any more.
 */
unsigned client_tell(es_client_t *client, unsigned most)
{
	const void *record;
	unsigned n = 0;
	size_t bytes;

	while (!atomic_load(&client->ended) && n < most &&
		(record = ring_next(&client->ring, &bytes))) {
		handle(client, record, bytes);
		if (atomic_load(&client->ended))
			break; /* deleted in its handler: the ring is gone */
		ring_pass(&client->ring);
		n++;
	}
	return n;
}

static void ring_readable(void *data)
{
	es_client_t *client = data;
	unsigned left = CLIENT_BATCH;

	client_ref(client);
	do
		left -= client_tell(client, left);
	/* also at the end of a batch, after which the ring may be empty: nobody wakes without the flag */
	while (!atomic_load(&client->ended) && !ring_sleep(&client->ring) && left);
	client_unref(client);
}

void client_drain(es_client_t *client)
{
	while (client_tell(client, CLIENT_BATCH) == CLIENT_BATCH)
		;
}

int client_watch(es_client_t *client)
{
	int r = queue_source_new(
		client->queue, client->fd, connection_readable, client, &client->socket_source);

	/*
	 * Raised before the ring is watched: what came earlier is seen when watching begins, what
	 * comes later wakes. The other way round, one between the two would do neither.
	 */
	ring_sleep(&client->ring);
	if (r == 0)
		r = queue_source_new(client->queue, client->ring.fd, ring_readable, client,
			&client->ring_source);
	return r;
}

/* ---- making ----------------------------------------------------------------------------------- */

es_new_client_result_t client_fail_new(
	es_client_t *client, es_new_client_result_t result, const struct wire_error *error)
{
	ob_error_release(new_client_error);
	new_client_error = (ob_error_t *)(uintptr_t)error_of_wire(error);
	if (client) {
		connection_close(client);
		ob_queue_release(client->own_queue);
		client_unref(client);
	}
	return result;
}

static es_new_client_result_t fail_errno(es_client_t *client, int r)
{
	struct wire_error error;

	rule_error(&error, RULE_ENDPOINT_INTERNAL, "the client", strerrordesc_np(-r), NULL);
	return client_fail_new(client,
		r == -EINVAL ? ES_NEW_CLIENT_RESULT_ERR_INVALID_ARGUMENT
			     : ES_NEW_CLIENT_RESULT_ERR_INTERNAL,
		&error);
}

static es_new_client_result_t new_client(es_client_t **ret, enum client_kind kind,
	ob_queue_t *queue, void *context, void *block, ob_es_handler_function_t handler)
{
	es_new_client_result_t result = ES_NEW_CLIENT_RESULT_ERR_INTERNAL;
	struct wire_error error;
	es_client_t *client;
	int r;

	if (!ret || !handler) {
		block_release(block);
		return fail_errno(NULL, -EINVAL);
	}
	client = calloc(1, sizeof *client);
	if (!client) {
		block_release(block);
		return fail_errno(NULL, -ENOMEM);
	}
	*client = (es_client_t){ .pid = getpid(),
		.kind = kind,
		.fd = -1,
		.answer_fd = -1,
		.ring = RING_NONE,
		.queue = queue,
		.handler = handler,
		.context = context,
		.block = block };
	pthread_mutex_init(&client->lock, NULL);
	pthread_mutex_init(&client->answer_lock, NULL);
	client->deadlines = (struct endpoint_deadlines){
		.miss_mode = ES_DEADLINE_MISS_MODE_FAIL_OPEN,
		.milliseconds = { ENDPOINT_DEADLINE_MS, ENDPOINT_DEADLINE_MS }
	};
	atomic_init(&client->references, 1);
	client->box = box_new();
	r = client->box ? mute_set_fill(&client->mutes) : -ENOMEM;
	if (r == 0 && !queue)
		r = ob_queue_new("EndpointSecurity", &client->own_queue);
	if (r < 0)
		return fail_errno(client, r);
	if (!queue)
		client->queue = client->own_queue;
	r = connection_open(client, &result, &error);
	if (r != 0)
		return client_fail_new(client, result, &error);
	r = mute_send_all(client);
	if (r == 0)
		r = client_watch(client);
	if (r < 0)
		return fail_errno(client, r);
	*ret = client;
	return ES_NEW_CLIENT_RESULT_SUCCESS;
}

ob_export es_new_client_result_t es_new_client_f(
	es_client_t **ret, void *context, ob_es_handler_function_t handler)
{
	return new_client(ret, CLIENT_OF_ALL, NULL, context, NULL, handler);
}

ob_export es_new_client_result_t ob_es_new_client_on_queue_f(
	es_client_t **ret, ob_queue_t *queue, void *context, ob_es_handler_function_t handler)
{
	return queue ? new_client(ret, CLIENT_OF_ALL, queue, context, NULL, handler)
		     : fail_errno(NULL, -EINVAL);
}

static void call_block(es_client_t *client, const es_message_t *message, void *block)
{
	BLOCK_INVOKE(block, void (*)(void *, es_client_t *, const es_message_t *))
	(block, client, message);
}

static es_new_client_result_t new_block_client(
	es_client_t **ret, enum client_kind kind, void *block)
{
	void *copy = block ? block_copy(block) : NULL;

	if (!copy)
		return fail_errno(NULL, block ? -ENOMEM : -EINVAL);
	return new_client(ret, kind, NULL, copy, copy, call_block);
}

/* Declared with a block where the compiler has them: to this one a block is a pointer. */
es_new_client_result_t es_new_client(es_client_t **ret, void *block);
ob_export es_new_client_result_t es_new_client(es_client_t **ret, void *block)
{
	return new_block_client(ret, CLIENT_OF_ALL, block);
}

ob_export es_new_client_result_t es_new_descendants_client_f(
	es_client_t **ret, void *context, ob_es_handler_function_t handler)
{
	return new_client(ret, CLIENT_OF_DESCENDANTS, NULL, context, NULL, handler);
}

es_new_client_result_t es_new_descendants_client(es_client_t **ret, void *block);
ob_export es_new_client_result_t es_new_descendants_client(es_client_t **ret, void *block)
{
	return new_block_client(ret, CLIENT_OF_DESCENDANTS, block);
}

ob_export ob_error_t *ob_es_copy_new_client_error(void)
{
	return new_client_error ? ob_error_retain(new_client_error) : NULL;
}

/* ---- ending ----------------------------------------------------------------------------------- */

static void nothing(void *data)
{
	sem_post(data);
}

/* Nothing of the client runs on its queue any more, nor will it. */
static void wait_for_queue(es_client_t *client)
{
	sem_t done;

	if (client->own_queue && !queue_is_current(client->queue)) {
		sem_init(&done, 0, 0);
		if (queue_post(client->queue, nothing, &done) == 0)
			while (sem_wait(&done) < 0 && errno == EINTR)
				;
		sem_destroy(&done);
	}
}

ob_export es_return_t es_delete_client(es_client_t *client)
{
	if (!client)
		return ES_RETURN_SUCCESS;
	if (client->pid != getpid())
		return ES_RETURN_ERROR;
	atomic_store(&client->ended, true);
	pthread_mutex_lock(&client->lock);
	client->socket_source = queue_source_free(client->socket_source);
	client->ring_source = queue_source_free(client->ring_source);
	pthread_mutex_unlock(&client->lock);
	wait_for_queue(client);
	connection_close(client);
	ob_queue_release(client->own_queue);
	client_unref(client);
	return ES_RETURN_SUCCESS;
}

/* ---- subscribing ------------------------------------------------------------------------------ */

es_return_t client_fail(
	es_client_t *client, enum rule_id rule, const char *object, const char *detail)
{
	struct wire_error error;

	rule_error(&error, rule, object, detail, NULL);
	ob_error_release(client->last_error);
	client->last_error = (ob_error_t *)(uintptr_t)error_of_wire(&error);
	return ES_RETURN_ERROR;
}

/* Which of them this machine cannot watch: the first is named, all or none is the rule. */
static es_return_t check_events(es_client_t *client, const es_event_type_t *events, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		uint32_t event = (uint32_t)events[i];

		if (event >= ES_EVENT_TYPE_LAST || !capability_name(event))
			continue;
		if (!(client->can_watch[event / 64] & 1ull << event % 64))
			return client_fail(client, RULE_ENDPOINT_UNSUPPORTED,
				capability_name(event),
				capability_reason(event, client->sources)
					? capability_reason(event, client->sources)
					: "outboard-esd is of another version");
	}
	return ES_RETURN_SUCCESS;
}

static es_return_t put_set(es_client_t *client, const uint64_t set[static ES_EVENTS_MAX / 64])
{
	int r = connection_subscribe(client, set);

	if (r == -EPIPE || r == -ENOTCONN || r == -ESTALE) {
		/* it is being replaced: what is wanted is sent when it is back */
		memcpy(client->subscribed, set, sizeof client->subscribed);
		if (r == -ESTALE)
			connection_restarted(client);
		else if (r == -EPIPE)
			connection_lost(client);
		return ES_RETURN_SUCCESS;
	}
	if (r < 0)
		return client_fail(
			client, RULE_ENDPOINT_UNREACHABLE, "the client", strerrordesc_np(-r));
	memcpy(client->subscribed, set, sizeof client->subscribed);
	return ES_RETURN_SUCCESS;
}

static es_return_t change(es_client_t *client, const es_event_type_t *events, uint32_t n, bool on)
{
	uint64_t set[ES_EVENTS_MAX / 64];
	es_return_t result;
	uint32_t i;

	if (!client || client->pid != getpid() || (!events && n))
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	result = on ? check_events(client, events, n) : ES_RETURN_SUCCESS;
	memcpy(set, client->subscribed, sizeof set);
	for (i = 0; i < n; i++) {
		uint32_t event = (uint32_t)events[i];

		if (event >= ES_EVENT_TYPE_LAST)
			continue;
		if (on)
			set[event / 64] |= 1ull << event % 64;
		else
			set[event / 64] &= ~(1ull << event % 64);
	}
	if (result == ES_RETURN_SUCCESS)
		result = put_set(client, set);
	if (result == ES_RETURN_SUCCESS && on && !client->ready_told) {
		client->ready_told = true;
		ob_extension_ready();
	}
	pthread_mutex_unlock(&client->lock);
	return result;
}

ob_export es_return_t es_subscribe(
	es_client_t *client, const es_event_type_t *events, uint32_t event_count)
{
	return change(client, events, event_count, true);
}

ob_export es_return_t es_unsubscribe(
	es_client_t *client, const es_event_type_t *events, uint32_t event_count)
{
	return change(client, events, event_count, false);
}

ob_export es_return_t es_unsubscribe_all(es_client_t *client)
{
	static const uint64_t none[ES_EVENTS_MAX / 64];
	es_return_t result;

	if (!client || client->pid != getpid())
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	result = put_set(client, none);
	pthread_mutex_unlock(&client->lock);
	return result;
}

ob_export es_return_t es_subscriptions(
	es_client_t *client, size_t *count, es_event_type_t **subscriptions)
{
	es_event_type_t *list;
	size_t n = 0;
	uint32_t i;

	if (!client || client->pid != getpid() || !count || !subscriptions)
		return ES_RETURN_ERROR;
	list = calloc(ES_EVENT_TYPE_LAST, sizeof *list);
	if (!list)
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	for (i = 0; i < ES_EVENT_TYPE_LAST; i++)
		if (client->subscribed[i / 64] & 1ull << i % 64)
			list[n++] = (es_event_type_t)i;
	pthread_mutex_unlock(&client->lock);
	if (n == 0) {
		free(list);
		list = NULL;
	}
	*count = n;
	*subscriptions = list;
	return ES_RETURN_SUCCESS;
}

/* ---- ours ------------------------------------------------------------------------------------- */

ob_export ob_error_t *ob_es_client_copy_last_error(es_client_t *client)
{
	ob_error_t *error = NULL;

	pthread_mutex_lock(&client->lock);
	if (client->last_error)
		error = ob_error_retain(client->last_error);
	pthread_mutex_unlock(&client->lock);
	return error;
}

ob_export int ob_es_client_get_counters(es_client_t *client, ob_es_counters_t *ret)
{
	struct endpoint_counters counters;
	int r;

	if (!client || !ret || ret->size != sizeof *ret)
		return -EINVAL;
	if (client->pid != getpid())
		return -ECHILD;
	pthread_mutex_lock(&client->lock);
	r = connection_count(client, &counters);
	if (r == -ESTALE)
		connection_restarted(client);
	pthread_mutex_unlock(&client->lock);
	if (r < 0)
		return r;
	ret->delivered = atomic_load(&client->delivered);
	ret->dropped = counters.dropped;
	ret->deadline_misses = counters.missed;
	ret->unmade = counters.unmade;
	ret->unasked = counters.unasked;
	ret->exchanged = counters.exchanged;
	ret->malformed = atomic_load(&client->malformed);
	ret->restarts = atomic_load(&client->restarts);
	return 0;
}

ob_export int ob_es_event_get_support(es_event_type_t type, ob_es_event_support_t *ret)
{
	uint32_t sources = atomic_load(&sources_seen);
	const struct capability *capability = capability_of((uint32_t)type, sources);

	if (!ret || ret->size != sizeof *ret)
		return -EINVAL;
	if (!capability_name((uint32_t)type))
		return -ENOENT;
	ret->known = true;
	ret->name = capability_name((uint32_t)type);
	ret->can_ask = capability && capability_asks((uint32_t)type);
	ret->can_watch = capability && !ret->can_ask;
	ret->source = capability ? capability->by : NULL;
	ret->reason = capability_reason((uint32_t)type, sources);
	ret->imprecise = capability ? capability->imprecise : NULL;
	return 0;
}
