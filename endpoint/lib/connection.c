/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection to outboard-esd: by the socket that an extension inherits, or through the
 * door. When outboard-esd is replaced, a client that has inherited its socket hears RESTARTED on it;
 * one whose socket has closed connects again until it is let in. Both send their state again.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/peer.h"
#include "endpoint/lib/lib.h"

#define START_SECONDS 30 /* to load its programs: as long as outboardd gives it */
#define ANSWER_SECONDS 5
#define PAUSE_MIN_MS 20u
#define PAUSE_MAX_MS 1000u

static void on_restarted(void *data);

/* Refused by no socket that is one. */
static void set_patience(es_client_t *client, int seconds)
{
	const struct timeval patience = { .tv_sec = seconds };

	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

/* The answer with that id; what else comes is looked at on the way. */
static int await(es_client_t *client, uint64_t id)
{
	for (;;) {
		int r = wire_receive(client->fd, &client->packet, 0);

		if (r < 0)
			return r == -EAGAIN ? -ETIMEDOUT : r;
		if (client->packet.header.type == ENDPOINT_RESTARTED)
			return -ESTALE;
		if (!(client->packet.header.flags & WIRE_FLAG_REPLY) ||
			client->packet.header.id != id)
			continue;
		if (!(client->packet.header.flags & WIRE_FLAG_MORE))
			return 0;
		/* it is at it: programs are loaded first */
		set_patience(client, START_SECONDS);
	}
}

static int ask(es_client_t *client, uint16_t type, const void *body, size_t bytes)
{
	uint64_t id = ++client->last_id;
	int r;

	if (client->fd < 0 || client->restarting)
		return -ENOTCONN;
	r = wire_send(client->fd, type, 0, id, body, bytes, NULL, 0);
	return r < 0 ? r : await(client, id);
}

static int open_socket(es_client_t *client)
{
	int inherited = client->pause_ms ? -1 : fd_inherited("endpoint");
	char path[PATH_MAX];

	/* a second client of the same process, and one whose socket has closed, use the door */
	static atomic_bool taken;
	if (inherited >= 0 && !atomic_exchange(&taken, true)) {
		client->inherited = true;
		client->fd = inherited;
	} else {
		client->inherited = false;
		client->fd = wire_connect(path_get(PATH_ENDPOINT_SOCKET, NULL, path));
		if (client->fd < 0)
			return client->fd;
	}
	set_patience(client, START_SECONDS);
	return client->inherited ? 0 : peer_prove(client->fd, &client->packet);
}

/* Who waits for the result of an answer finds the socket closed first. */
static void put_answer_fd(es_client_t *client, int fd)
{
	if (client->answer_fd >= 0)
		shutdown(client->answer_fd, SHUT_RDWR);
	pthread_mutex_lock(&client->answer_lock);
	fd_close(client->answer_fd);
	client->answer_fd = fd;
	pthread_mutex_unlock(&client->answer_lock);
}

/* RING or REFUSED. */
static int take_ring(
	es_client_t *client, es_new_client_result_t *ret_result, struct wire_error *error)
{
	const struct endpoint_refused *refused = (void *)client->packet.body;
	const struct endpoint_ring *ring = (void *)client->packet.body;
	size_t bytes = client->packet.body_bytes;

	if (client->packet.header.type == ENDPOINT_REFUSED && bytes == sizeof *refused) {
		*ret_result = (es_new_client_result_t)refused->result;
		*error = refused->error;
		return 1;
	}
	if (client->packet.header.type != ENDPOINT_RING || bytes != sizeof *ring ||
		client->packet.n_fds < 2 || client->packet.n_fds > 3 ||
		ring->record_version != ES_RECORD_VERSION ||
		ring->ring_bytes < ENDPOINT_RING_BYTES_MIN ||
		ring->ring_bytes > ENDPOINT_RING_BYTES_MAX ||
		ring->ring_bytes & (ring->ring_bytes - 1))
		return -EPROTO;
	memcpy(client->can_watch, ring->can_watch, sizeof client->can_watch);
	client->sources = ring->sources;
	atomic_store(&sources_seen, ring->sources);
	client->ring_number++;
	put_answer_fd(client, client->packet.n_fds > 2 ? wire_take_fd(&client->packet, 2) : -1);
	return ring_map(&client->ring, wire_take_fd(&client->packet, 0),
		wire_take_fd(&client->packet, 1), ring->ring_bytes);
}

/* From HELLO on: 0, 1 refused, -errno. */
static int begin(es_client_t *client, es_new_client_result_t *ret_result, struct wire_error *error)
{
	const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };
	const struct endpoint_new new = { .record_version = ES_RECORD_VERSION,
		.flags = client->kind == CLIENT_OF_DESCENDANTS ? ENDPOINT_NEW_DESCENDANTS : 0 };
	int r, tries = 0;

	set_patience(client, START_SECONDS);
	do {
		/* RESTARTED may lie in front of the answer: then it was to the one before */
		r = ask(client, WIRE_HELLO, &hello, sizeof hello);
		if (r == 0)
			r = ask(client, ENDPOINT_NEW, &new, sizeof new);
	} while (r == -ESTALE && tries++ < 8);
	if (r == 0)
		r = take_ring(client, ret_result, error);
	set_patience(client, ANSWER_SECONDS);
	wire_packet_done(&client->packet);
	return r;
}

int connection_open(
	es_client_t *client, es_new_client_result_t *ret_result, struct wire_error *error)
{
	int r = open_socket(client);

	if (r == 0)
		r = begin(client, ret_result, error);
	if (r == 0)
		return 0;
	if (r < 0) {
		*ret_result = ES_NEW_CLIENT_RESULT_ERR_INTERNAL;
		rule_error(
			error, RULE_ENDPOINT_UNREACHABLE, "the client", strerrordesc_np(-r), NULL);
	}
	client->fd = fd_close(client->fd);
	return r;
}

int connection_ask(es_client_t *client, uint16_t question, const void *body, size_t body_bytes,
	uint16_t type, size_t bytes)
{
	int r = ask(client, question, body, body_bytes);

	if (r == 0 && (client->packet.header.type != type || client->packet.body_bytes != bytes))
		r = -EPROTO;
	return r;
}

static int ask_status(es_client_t *client, uint16_t type, const void *body, size_t bytes)
{
	int r = connection_ask(client, type, body, bytes, WIRE_STATUS, sizeof(struct wire_status));

	if (r == 0)
		r = ((const struct wire_status *)(void *)client->packet.body)->status;
	wire_packet_done(&client->packet);
	return r;
}

int connection_subscribe(es_client_t *client, const uint64_t events[static ES_EVENTS_MAX / 64])
{
	struct endpoint_set set;

	int r;

	memcpy(set.events, events, sizeof set.events);
	r = ask_status(client, ENDPOINT_SUBSCRIBE, &set, sizeof set);
	set_patience(client, ANSWER_SECONDS);
	return r;
}

int connection_deadlines(es_client_t *client, const struct endpoint_deadlines *deadlines)
{
	return ask_status(client, ENDPOINT_DEADLINES, deadlines, sizeof *deadlines);
}

int connection_count(es_client_t *client, struct endpoint_counters *ret)
{
	int r = connection_ask(client, ENDPOINT_COUNT, NULL, 0, ENDPOINT_COUNTERS, sizeof *ret);

	if (r == 0)
		memcpy(ret, client->packet.body, sizeof *ret);
	wire_packet_done(&client->packet);
	return r;
}

void connection_close(es_client_t *client)
{
	client->socket_source = queue_source_free(client->socket_source);
	client->ring_source = queue_source_free(client->ring_source);
	ring_done(&client->ring);
	put_answer_fd(client, -1);
	client->fd = fd_close(client->fd);
}

/* ---- when outboard-esd was replaced ----------------------------------------------------------- */

static void try_again(es_client_t *client)
{
	client->pause_ms = client->pause_ms ? client->pause_ms * 2 : PAUSE_MIN_MS;
	if (client->pause_ms > PAUSE_MAX_MS)
		client->pause_ms = PAUSE_MAX_MS;
	client_ref(client);
	if (queue_post_after(client->queue, client->pause_ms, on_restarted, client) < 0)
		client_unref(client);
}

/* Ring and sources are of the one before. Lock held. */
static void come_back(es_client_t *client)
{
	es_new_client_result_t result;
	struct wire_error error;
	bool same_socket = client->inherited && client->fd >= 0;
	int r, tries = 0;

	client->restarting = false;
	if (client->ring.producer) /* once, however often it is tried */
		sequence_restart(&client->sequence, client->subscribed);
	do {
		/* replaced once more meanwhile: it has said so, and begins anew */
		ring_done(&client->ring);
		r = same_socket ? begin(client, &result, &error)
				: connection_open(client, &result, &error);
		if (r == 0)
			r = mute_send_all(client);
		if (r == 0)
			r = connection_deadlines(client, &client->deadlines);
		if (r == 0)
			r = connection_subscribe(client, client->subscribed);
	} while (r == -ESTALE && same_socket && tries++ < 8);
	if (r == 0)
		r = client_watch(client);
	if (r == 0) {
		atomic_fetch_add(&client->restarts, 1);
		client->pause_ms = 0;
		return;
	}
	connection_close(client);
	try_again(client);
}

/* What the one before has written is told first: it ended with its last record whole. */
static void on_restarted(void *data)
{
	es_client_t *client = data;

	client_drain(client);
	pthread_mutex_lock(&client->lock);
	if (!atomic_load(&client->ended))
		come_back(client);
	pthread_mutex_unlock(&client->lock);
	client_unref(client);
}

void connection_restarted(es_client_t *client)
{
	client->socket_source = queue_source_free(client->socket_source);
	client->ring_source = queue_source_free(client->ring_source);
	client->restarting = true;
	try_again(client);
}

/* The ring stays until come_back(), which is on the queue, where it may be being read. */
void connection_lost(es_client_t *client)
{
	client->fd = fd_close(client->fd);
	connection_restarted(client);
}

void connection_readable(void *data)
{
	es_client_t *client = data;
	bool restarted = false;
	int r;

	client_ref(client);
	pthread_mutex_lock(&client->lock);
	r = client->fd < 0 ? -EAGAIN : wire_receive(client->fd, &client->packet, MSG_DONTWAIT);
	if (r == 0 && client->packet.header.type == ENDPOINT_RESTARTED) {
		client->socket_source = queue_source_free(client->socket_source);
		client->ring_source = queue_source_free(client->ring_source);
		client->restarting = restarted = true;
	} else if (r < 0 && r != -EAGAIN) {
		connection_lost(client);
	}
	wire_packet_done(&client->packet);
	pthread_mutex_unlock(&client->lock);
	if (restarted)
		on_restarted(client);
	else
		client_unref(client);
}
