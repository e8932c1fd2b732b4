/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-esd's clients: who they are, their ring, what they are told of. A client that sends what
 * is not of the protocol, that does not prove itself within five seconds, or that does not read its
 * answers is dropped; nobody ever waits for one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "bundle/bundle.h"
#include "endpoint/daemon/esd.h"

#define PROVE_USEC 5000000

/* es_new_client_result_t */
enum {
	RESULT_INVALID = 1,
	RESULT_INTERNAL,
	RESULT_NOT_ENTITLED,
	RESULT_NOT_PERMITTED,
	RESULT_NOT_PRIVILEGED,
	RESULT_TOO_MANY
};

static void leave_slot(struct connection *connection)
{
	struct esd *esd = connection->esd;

	if (connection->slot < 0)
		return;
	engine_drop_client(esd->engine, (uint32_t)connection->slot);
	esd->slots[connection->slot] = NULL;
	connection->slot = -1;
	esd->n_clients--;
	watching_changed(esd);
	manager_tell_clients(esd);
}

struct connection *connection_free(struct connection *connection)
{
	struct esd *esd;
	struct connection **at;

	if (!connection)
		return NULL;
	esd = connection->esd;
	for (at = &esd->connections; *at; at = &(*at)->next) {
		if (*at == connection) {
			*at = connection->next;
			esd->n_connections--;
			break;
		}
	}
	leave_slot(connection);
	sd_event_source_disable_unref(connection->io);
	sd_event_source_disable_unref(connection->timer);
	sd_event_source_disable_unref(connection->life);
	peer_done(&connection->peer);
	fd_close(connection->fd);
	free(connection);
	return NULL;
}

static int answer(struct connection *connection, uint16_t type, const void *body, size_t bytes,
	const int *fds, size_t n_fds)
{
	return wire_send(connection->fd, type, WIRE_FLAG_REPLY, connection->esd->packet.header.id,
		body, bytes, fds, n_fds);
}

int connection_answer(struct connection *connection, uint16_t type, const void *body, size_t bytes)
{
	return answer(connection, type, body, bytes, NULL, 0);
}

static int refuse(
	struct connection *connection, uint32_t result, enum rule_id rule, const char *detail)
{
	struct endpoint_refused refused = { .result = result };
	char who[64];

	snprintf(who, sizeof who, "process %d", (int)connection->peer.pid);
	rule_error(&refused.error, rule, connection->handed ? "the extension" : who, detail, NULL);
	answer(connection, ENDPOINT_REFUSED, &refused, sizeof refused, NULL, 0);
	return -EPERM; /* said what there is to say: the connection ends */
}

static int on_ended(sd_event_source *source, int fd, uint32_t events, void *context)
{
	connection_free(context);
	return 0;
}

/* A child of its may have inherited the socket, and would hold it open. */
static int on_nonce(void *context, struct wire_packet *packet)
{
	struct connection *connection = context;
	int r = peer_answer(&connection->peer, packet);

	if (r == 0)
		r = sd_event_add_io(connection->esd->event, &connection->life,
			connection->peer.pid_fd, EPOLLIN, on_ended, connection);
	if (r < 0)
		return r;
	connection->phase = PHASE_HELLO;
	return 0;
}

static int on_hello(void *context, struct wire_packet *packet)
{
	struct connection *connection = context;
	const struct wire_hello *hello = (void *)packet->body, ours = { .protocol = WIRE_PROTOCOL };

	if (hello->protocol != WIRE_PROTOCOL)
		return -EPROTO;
	leave_slot(connection);
	connection->phase = PHASE_NEW;
	return answer(connection, WIRE_HELLO, &ours, sizeof ours, NULL, 0);
}

/* Of one that comes by itself: for the log and for who asks. */
static void set_name(struct connection *connection, const struct entitled *bundle)
{
	char link[32];
	ssize_t n;

	if (bundle) {
		STR_PUT(connection->name, bundle->is.identifier);
		return;
	}
	snprintf(link, sizeof link, "/proc/%d/exe", (int)connection->peer.pid);
	n = readlink(link, connection->name, sizeof connection->name - 1);
	connection->name[n < 0 ? 0 : n] = '\0';
}

static int check_right(struct connection *connection)
{
	const struct esd *esd = connection->esd;
	const struct entitled *bundle;

	if (connection->handed)
		return connection->entitlement_bits & ENTITLEMENT_ENDPOINT_SECURITY_CLIENT
			? 0
			: refuse(connection, RESULT_NOT_ENTITLED, RULE_ENDPOINT_NOT_ENTITLED,
				  "its manifest does not have com.apple.developer.endpoint-security.client");
	if (connection->peer.uid != 0)
		return refuse(connection, RESULT_NOT_PRIVILEGED, RULE_ENDPOINT_NOT_PRIVILEGED,
			"only root can be a client");
	bundle = find_executable(esd, &connection->peer);
	set_name(connection, bundle);
	if (esd->developer_mode ||
		(bundle && bundle->is.entitlement_bits & ENTITLEMENT_ENDPOINT_SECURITY_CLIENT))
		return 0;
	if (bundle && bundle->is.withheld_bits & ENTITLEMENT_ENDPOINT_SECURITY_CLIENT)
		return refuse(connection, RESULT_NOT_PERMITTED, RULE_ENDPOINT_NOT_PERMITTED,
			"its extension is not approved, or disabled");
	return refuse(connection, RESULT_NOT_ENTITLED, RULE_ENDPOINT_NOT_ENTITLED,
		"its executable is not of an activated bundle that has the entitlement, and developer mode is off");
}

static int find_slot(const struct esd *esd)
{
	int i;

	for (i = 0; i < ES_CLIENTS_MAX; i++)
		if (!esd->slots[i])
			return i;
	return -1;
}

static void describe(const struct esd *esd, struct endpoint_ring *ret)
{
	uint32_t i;

	ret->record_version = ES_RECORD_VERSION;
	ret->generation = esd->generation;
	ret->sources = engine_sources(esd->engine);
	for (i = 0; i < ES_EVENTS_MAX; i++)
		if (capability_of(i, ret->sources))
			ret->can_watch[i / 64] |= 1ull << i % 64;
}

/* Who an extension is, the manager has said; who came by itself has proved it. */
static pid_t pid_of(const struct connection *connection)
{
	return connection->handed ? connection->child_pid : connection->peer.pid;
}

static int add_to_engine(struct connection *connection, int slot, uint32_t ring_bytes, int *ret_fds)
{
	pid_t pid = pid_of(connection);
	_cleanup_fd_ int pid_fd = process_pidfd(pid);

	return engine_add_client(connection->esd->engine, (uint32_t)slot, ring_bytes, pid,
		pid_fd < 0 ? -1 : pid_fd, ret_fds);
}

static int descend(struct connection *connection, int slot, const int *fds)
{
	struct engine *engine = connection->esd->engine;
	int i, r = engine_descend(engine, (uint32_t)slot, pid_of(connection));

	if (r == 0)
		return 0;
	engine_drop_client(engine, (uint32_t)slot);
	for (i = 0; i < CLIENT_FDS; i++)
		fd_close(fds[i]);
	return r;
}

static int on_new(void *context, struct wire_packet *packet)
{
	struct connection *connection = context;
	struct esd *esd = connection->esd;
	const struct endpoint_new *new = (void *)packet->body;
	struct endpoint_ring ring = { .ring_bytes = new->ring_bytes ? new->ring_bytes
								    : ENDPOINT_RING_BYTES };
	int i, slot, fds[CLIENT_FDS], r = check_right(connection);

	if (r < 0)
		return r;
	slot = find_slot(esd);
	if (slot < 0)
		return refuse(connection, RESULT_TOO_MANY, RULE_ENDPOINT_TOO_MANY,
			"64 clients are there already");
	if (new->record_version != ES_RECORD_VERSION || new->flags & ~ENDPOINT_NEW_DESCENDANTS ||
		ring.ring_bytes < ENDPOINT_RING_BYTES_MIN ||
		ring.ring_bytes > ENDPOINT_RING_BYTES_MAX)
		return refuse(connection, RESULT_INVALID, RULE_ENDPOINT_INTERNAL,
			"the library is of another version, or the ring of no size that is allowed");
	r = add_to_engine(connection, slot, ring.ring_bytes, fds);
	if (r == 0 && new->flags & ENDPOINT_NEW_DESCENDANTS)
		r = descend(connection, slot, fds);
	if (r < 0)
		return refuse(connection, RESULT_INTERNAL, RULE_ENDPOINT_INTERNAL, strerror(-r));
	describe(esd, &ring);
	r = answer(connection, ENDPOINT_RING, &ring, sizeof ring, fds,
		fds[CLIENT_ANSWERS] < 0 ? CLIENT_ANSWERS : CLIENT_FDS);
	for (i = 0; i < CLIENT_FDS; i++)
		fd_close(fds[i]);
	connection->timer = sd_event_source_disable_unref(connection->timer);
	connection->phase = PHASE_CLIENT;
	connection->slot = slot;
	esd->slots[slot] = connection;
	esd->n_clients++;
	manager_tell_clients(esd);
	return r;
}

static int on_subscribe(void *context, struct wire_packet *packet)
{
	return watching_subscribe(context, (void *)packet->body, packet->header.id);
}

static int on_count(void *context, struct wire_packet *packet)
{
	struct connection *connection = context;
	struct endpoint_counters counters = { 0 };
	int r = engine_count(connection->esd->engine, (uint32_t)connection->slot, &counters);

	return r < 0 ? r
		     : answer(connection, ENDPOINT_COUNTERS, &counters, sizeof counters, NULL, 0);
}

static int on_deadlines(void *context, struct wire_packet *packet)
{
	struct connection *connection = context;
	const struct endpoint_deadlines *deadlines = (void *)packet->body;
	struct wire_status status = { 0 };
	int i;

	for (i = 0; i < 2; i++)
		if (deadlines->milliseconds[i] < 1 ||
			deadlines->milliseconds[i] > ENDPOINT_DEADLINE_MS)
			status.status = -EINVAL;
	if (deadlines->miss_mode > ENDPOINT_MISS_FAIL_CLOSED)
		status.status = -EINVAL;
	if (status.status == 0)
		engine_set_deadlines(
			connection->esd->engine, (uint32_t)connection->slot, deadlines);
	return answer(connection, WIRE_STATUS, &status, sizeof status, NULL, 0);
}

static const struct wire_row rows[] = {
	WIRE_ROW(ENDPOINT_DEADLINES, struct endpoint_deadlines, PHASE_CLIENT, on_deadlines),
	WIRE_ROW(WIRE_NONCE, struct wire_nonce, PHASE_PROVE, on_nonce),
	WIRE_ROW(WIRE_HELLO, struct wire_hello, PHASE_HELLO | PHASE_INHERITED, on_hello),
	WIRE_ROW(ENDPOINT_NEW, struct endpoint_new, PHASE_NEW, on_new),
	WIRE_ROW(ENDPOINT_SUBSCRIBE, struct endpoint_set, PHASE_CLIENT, on_subscribe),
	{ .type = ENDPOINT_MUTE,
		.bytes_min = sizeof(struct endpoint_mute),
		.bytes_max = WIRE_BYTES_MAX,
		.phases = PHASE_CLIENT,
		.handler = mute_on_rows,
		.name = "ENDPOINT_MUTE" },
	WIRE_ROW(ENDPOINT_INVERT, struct endpoint_invert, PHASE_CLIENT, mute_on_invert),
	{ .type = ENDPOINT_STILL_MUTED,
		.bytes_min = sizeof(struct endpoint_muted_process),
		.bytes_max = ENDPOINT_MUTED_PROCESSES_MAX * sizeof(struct endpoint_muted_process),
		.phases = PHASE_CLIENT,
		.handler = mute_on_still,
		.name = "ENDPOINT_STILL_MUTED" },
	{ .type = ENDPOINT_COUNT,
		.phases = PHASE_CLIENT,
		.handler = on_count,
		.name = "ENDPOINT_COUNT" },
};

/*
 * A socket that another outboard-esd had before may still hold what was said to that one, a HELLO
 * among it: until RESTARTED has reached the client, what is no HELLO is passed over, and each HELLO
 * begins anew.
 */
static int take(struct connection *connection, struct wire_packet *packet)
{
	uint32_t phase = connection->phase;

	if (connection->inherited && phase == PHASE_HELLO && packet->header.type != WIRE_HELLO)
		return 0;
	return wire_dispatch(rows, ARRAY_SIZE(rows),
		phase | (connection->inherited ? PHASE_INHERITED : 0), packet, connection);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct connection *connection = context;
	struct wire_packet *packet = &connection->esd->packet;
	int r = wire_receive(fd, packet, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		r = take(connection, packet);
	wire_packet_done(packet);
	if (r == -EPROTO)
		log_event(
			LOG_PEER_BAD_MESSAGE, NULL, "pid", LOG_NUMBER(connection->peer.pid), NULL);
	if (r < 0)
		connection_free(connection);
	return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *context)
{
	connection_free(context);
	return 0;
}

int connection_new(struct esd *esd, int fd, struct connection **ret)
{
	struct connection *connection = calloc(1, sizeof *connection);
	int r;

	if (!connection || esd->n_connections >= CONNECTIONS_MAX) {
		free(connection);
		fd_close(fd);
		return connection ? -EUSERS : -ENOMEM;
	}
	*connection = (struct connection){
		.next = esd->connections, .esd = esd, .fd = fd, .slot = -1, .peer = PEER_INIT
	};
	esd->connections = connection;
	esd->n_connections++;
	/* what a client does not read must not hold anybody else */
	r = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ? -errno : 0;
	if (r == 0)
		r = sd_event_add_io(
			esd->event, &connection->io, fd, EPOLLIN, on_readable, connection);
	if (r < 0) {
		connection_free(connection);
		return r;
	}
	*ret = connection;
	return 0;
}

static int accept_one(struct esd *esd)
{
	int fd = accept4(esd->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *connection;
	int r;

	if (fd < 0)
		return -errno;
	r = connection_new(esd, fd, &connection);
	if (r < 0)
		return r;
	connection->phase = PHASE_PROVE;
	r = peer_ask(&connection->peer, fd);
	if (r == 0)
		r = sd_event_add_time_relative(esd->event, &connection->timer, CLOCK_MONOTONIC,
			PROVE_USEC, 0, on_late, connection);
	if (r < 0)
		connection_free(connection);
	return 0;
}

static int on_caller(sd_event_source *source, int fd, uint32_t events, void *context)
{
	accept_one(context);
	return 0;
}

int listener_open(struct esd *esd)
{
	int flags = fcntl(esd->listen_fd, F_GETFL);

	/* another generation of outboard-esd may have taken the caller first */
	if (flags < 0 || fcntl(esd->listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return sd_event_add_io(esd->event, NULL, esd->listen_fd, EPOLLIN, on_caller, esd);
}
