/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-esd's side of the manager: what it is told, and what it tells. The manager is the more
 * trusted side; without it, or against it, outboard-esd ends, and another takes its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "bundle/bundle.h"
#include "endpoint/daemon/esd.h"

#define ENTITLED_MAX 4096

static int on_settings(void *context, struct wire_packet *packet)
{
	struct esd *esd = context;
	const struct broker_settings *settings = (void *)packet->body;

	esd->developer_mode = settings->developer_mode != 0;
	esd->generation = settings->generation;
	esd->settled = true;
	return 0;
}

static struct connection *find_child(const struct esd *esd, uint64_t child)
{
	struct connection *at;

	for (at = esd->connections; at; at = at->next)
		if (at->handed && at->child == child)
			return at;
	return NULL;
}

static int on_add_client(void *context, struct wire_packet *packet)
{
	struct esd *esd = context;
	const struct broker_client *client = (void *)packet->body;
	const struct endpoint_restarted restarted = { .generation = esd->generation };
	struct connection *connection;
	int r;

	if (!esd->settled || !STR_FIELD_OK(client->identifier))
		return -EPROTO;
	/* a manager that was restarted says everything again: the packet closes the second socket */
	if (find_child(esd, client->child)) {
		manager_tell_clients(esd);
		return 0;
	}
	r = connection_new(esd, wire_take_fd(packet, 0), &connection);
	if (r < 0) {
		log_failure(LOG_ENDPOINT_CLIENT_LOST, client->identifier, r, NULL);
		return 0;
	}
	connection->handed = true;
	connection->child = client->child;
	connection->child_pid = client->pid;
	connection->peer.pid = client->pid;
	STR_PUT(connection->name, client->identifier);
	connection->entitlement_bits = client->entitlement_bits;
	connection->phase = PHASE_HELLO;
	connection->inherited = esd->generation > 1;
	/* the first one of all has nothing to forget */
	if (connection->inherited &&
		WIRE_SEND(connection->fd, ENDPOINT_RESTARTED, 0, &restarted) < 0)
		connection_free(connection);
	/* the answer, by which the manager sees that this process lives */
	manager_tell_clients(esd);
	return 0;
}

static int on_drop_client(void *context, struct wire_packet *packet)
{
	const struct broker_client *client = (void *)packet->body;

	connection_free(find_child(context, client->child));
	manager_tell_clients(context);
	return 0;
}

static struct entitled **find_entitled(struct esd *esd, const struct broker_entitled *is)
{
	struct entitled **at;

	for (at = &esd->entitled; *at; at = &(*at)->next)
		if ((*at)->is.device == is->device && (*at)->is.inode == is->inode)
			break;
	return at;
}

struct entitled *entitled_free(struct entitled *entitled)
{
	if (entitled)
		fd_close(entitled->fd);
	free(entitled);
	return NULL;
}

static struct entitled *put_entitled(struct entitled **at, const struct broker_entitled *is)
{
	if (!*at) {
		*at = calloc(1, sizeof **at);
		if (!*at)
			return NULL;
		(*at)->fd = -1;
	}
	(*at)->is = *is;
	(*at)->fd = fd_close((*at)->fd);
	return *at;
}

static int on_withhold(void *context, struct wire_packet *packet)
{
	const struct broker_entitled *is = (void *)packet->body;
	struct entitled **at = find_entitled(context, is), *withheld;

	if (!STR_FIELD_OK(is->identifier) || !STR_FIELD_OK(is->team))
		return -EPROTO;
	if (*at)
		identity_unentitled(context, *at);
	withheld = put_entitled(at, is);
	if (!withheld)
		return -ENOMEM;
	withheld->key = (struct es_identity_key){ 0 };
	withheld->withheld = true;
	return 0;
}

/* A manager that was restarted says everything again: the packet closes the second descriptor. */
static int on_entitle(void *context, struct wire_packet *packet)
{
	const struct broker_entitled *is = (void *)packet->body;
	struct entitled **at = find_entitled(context, is), *entitled = *at;

	if (!STR_FIELD_OK(is->identifier) || !STR_FIELD_OK(is->team))
		return -EPROTO;
	if (entitled && !entitled->withheld && entitled->is.ctime_ns == is->ctime_ns &&
		entitled->is.size == is->size) {
		entitled->is = *is; /* the same file with other rights */
		return 0;
	}
	entitled = put_entitled(at, is);
	if (!entitled)
		return -ENOMEM;
	entitled->withheld = false;
	entitled->fd = wire_take_fd(packet, 0);
	identity_entitled(context);
	return 0;
}

static int on_unentitle(void *context, struct wire_packet *packet)
{
	struct entitled **at = find_entitled(context, (void *)packet->body), *gone = *at;

	if (gone) {
		*at = gone->next;
		identity_unentitled(context, gone);
		entitled_free(gone);
	}
	return 0;
}

static int on_report(void *context, struct wire_packet *packet)
{
	report_send(context, wire_take_fd(packet, 0));
	return 0;
}

static const struct wire_row rows[] = {
	WIRE_ROW(BROKER_SETTINGS, struct broker_settings, 1, on_settings),
	{ .type = BROKER_ADD_CLIENT,
		.bytes_min = sizeof(struct broker_client),
		.name = "ADD_CLIENT",
		.bytes_max = sizeof(struct broker_client),
		.fds_min = 1,
		.fds_max = 1,
		.phases = 1,
		.handler = on_add_client },
	WIRE_ROW(BROKER_DROP_CLIENT, struct broker_client, 1, on_drop_client),
	{ .type = BROKER_ENTITLE,
		.bytes_min = sizeof(struct broker_entitled),
		.name = "ENTITLE",
		.bytes_max = sizeof(struct broker_entitled),
		.fds_max = 1,
		.phases = 1,
		.handler = on_entitle },
	WIRE_ROW(BROKER_UNENTITLE, struct broker_entitled, 1, on_unentitle),
	WIRE_ROW(BROKER_WITHHOLD, struct broker_entitled, 1, on_withhold),
	{ .type = BROKER_REPORT,
		.name = "REPORT",
		.fds_min = 1,
		.fds_max = 1,
		.phases = 1,
		.handler = on_report },
};

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct esd *esd = context;
	int r = wire_receive(fd, &esd->packet, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		r = wire_dispatch(rows, ARRAY_SIZE(rows), 1, &esd->packet, esd);
	wire_packet_done(&esd->packet);
	return r < 0 ? sd_event_exit(esd->event, r == -EPIPE ? 0 : 1) : 0;
}

int manager_open(struct esd *esd)
{
	int r = sd_event_add_io(esd->event, NULL, esd->manager_fd, EPOLLIN, on_readable, esd);

	if (r >= 0)
		r = wire_send(esd->manager_fd, BROKER_UP, 0, 0, NULL, 0, NULL, 0);
	return r;
}

void manager_tell_clients(struct esd *esd)
{
	const struct miss *last = &esd->misses[(esd->n_misses - 1) % MISSES_KEPT];
	struct broker_clients clients = { .n_clients = esd->n_clients,
		.n_misses = esd->n_misses + esd->n_unsaid };

	if (esd->n_misses) {
		STR_PUT(clients.client, last->client);
		STR_PUT(clients.event, capability_name(last->is.event));
		STR_PUT(clients.code, miss_code(last));
		STR_PUT(clients.outcome, miss_outcome(last));
		STR_PUT(clients.path, last->is.path);
	}
	if (esd->manager_fd >= 0)
		WIRE_SEND(esd->manager_fd, BROKER_CLIENTS, 0, &clients);
}

void manager_tell_failure(struct esd *esd, const char *detail)
{
	struct wire_error error;

	rule_error(&error, RULE_ENDPOINT_ENGINE, "outboard-esd", detail, NULL);
	if (esd->manager_fd >= 0)
		WIRE_SEND(esd->manager_fd, BROKER_FAILED, 0, &error);
	log_event(LOG_ENDPOINT_ENGINE, NULL, "error", error.description, NULL);
}

/*
 * By the file that the process runs, never by a path: device, inode, change time and size. Bundles
 * are in the list that have no right to be clients: it is that of who is who as well.
 */
const struct entitled *find_executable(const struct esd *esd, const struct peer *peer)
{
	const struct entitled *at;
	struct stat status;
	char path[32];

	snprintf(path, sizeof path, "/proc/%d/exe", (int)peer->pid);
	if (stat(path, &status) < 0 || !peer_is_alive(peer))
		return NULL;
	for (at = esd->entitled; at; at = at->next) {
		uint64_t changed = (uint64_t)status.st_ctim.tv_sec * 1000000000ull +
			(uint64_t)status.st_ctim.tv_nsec;

		if (at->is.device == status.st_dev && at->is.inode == status.st_ino &&
			at->is.ctime_ns == changed && at->is.size == (uint64_t)status.st_size)
			return at;
	}
	return NULL;
}
