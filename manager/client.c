/* SPDX-License-Identifier: Apache-2.0
 *
 * manager.sock: whoever includes libSystemExtensions. Any process of the machine may come, so each
 * connection and each user has limits, nobody is waited for, and one that does not read or sends
 * what is not of the protocol is dropped with its requests.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/manager.h"

#define CLIENTS_MAX 128u
#define CLIENTS_PER_USER 32u
#define REQUESTS_PER_CLIENT 16u
#define HANDSHAKE_USEC (5 * 1000000ull)
#define ACCEPT_AT_ONCE 32

enum { PHASE_HELLO = 1, PHASE_NONCE = 2, PHASE_OPEN = 4 };

struct client {
	struct client *next;
	struct manager *manager;
	int fd;
	uint32_t phase, uid;
	bool dead, observes;
	unsigned n_requests;
	struct peer peer;
	sd_event_source *source, *timer, *end;
};

static struct wire_packet packet;

static void client_free(struct client *client)
{
	struct manager *manager = client->manager;
	struct request *request, *next;
	struct client **at;

	for (request = manager->requests; request; request = next) {
		next = request->next;
		if (request->client != client)
			continue;
		request->client = NULL;
		request_abandon(request);
	}
	for (at = &manager->clients; *at; at = &(*at)->next) {
		if (*at != client)
			continue;
		*at = client->next;
		manager->n_clients--;
		break;
	}
	sd_event_source_disable_unref(client->source);
	sd_event_source_disable_unref(client->timer);
	sd_event_source_disable_unref(client->end);
	peer_done(&client->peer);
	fd_close(client->fd);
	free(client);
}

static int end_client(sd_event_source *source, void *context)
{
	client_free(context);
	return 0;
}

/* Never within a call that may be walking over its requests. */
static void drop(struct client *client)
{
	client->dead = true;
	sd_event_source_set_enabled(client->source, SD_EVENT_OFF);
	sd_event_source_set_enabled(client->end, SD_EVENT_ONESHOT);
}

int client_send(struct client *client, uint16_t type, uint16_t flags, uint64_t id, const void *body,
	size_t bytes)
{
	int r = client->dead ? -EPIPE
			     : wire_send(client->fd, type, flags, id, body, bytes, NULL, 0);

	if (r < 0 && !client->dead)
		drop(client);
	return r;
}

void client_request_gone(struct request *request)
{
	request->client->n_requests--;
}

void client_observe(struct client *client, uint64_t id, bool on, int status)
{
	const struct wire_status body = { .status = status };

	client->observes = on && status == 0;
	client_send(client, WIRE_STATUS, WIRE_FLAG_REPLY, id, &body, sizeof body);
}

/*
 * The app of a client is the bundle that holds its executable, as this process sees it: in a mount
 * namespace of its own a client could make any file appear at any path.
 */
int client_find_app(struct client *client, char ret[static 4096], struct stat *ret_executable)
{
	char link[64], path[PATH_MAX];
	struct stat by_path;
	ssize_t n;

	snprintf(link, sizeof link, "/proc/%d/exe", client->peer.pid);
	n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	if (stat(link, ret_executable) < 0)
		return -errno;
	if (!peer_is_alive(&client->peer))
		return -ESRCH;
	if (stat(path, &by_path) < 0 || by_path.st_dev != ret_executable->st_dev ||
		by_path.st_ino != ret_executable->st_ino)
		return -ENOENT;
	return bundle_app_of_executable(path, ret);
}

static struct request *find_request(struct client *client, uint64_t id)
{
	struct request *request = client->manager->requests;

	while (request && !(request->client == client && request->client_id == id))
		request = request->next;
	return request;
}

static bool is_identifier(const char *identifier)
{
	return identifier[0] && identifier[0] != '.' && !strchr(identifier, '/') &&
		strspn(identifier,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			".-_") == strlen(identifier);
}

static void send_properties(struct request *request)
{
	struct extension *extension;
	struct wire_properties properties;

	for (extension = request->manager->extensions; extension; extension = extension->next) {
		if (!streq(extension->info.identifier, request->identifier) ||
			extension->state == STATE_VALIDATING)
			continue;
		extension_fill(extension, &properties);
		client_send(request->client, REQUEST_PROPERTIES, WIRE_FLAG_REPLY | WIRE_FLAG_MORE,
			request->client_id, &properties, sizeof properties);
		request->n_properties++;
	}
	request_finish(request, 0);
}

static void begin(struct request *request)
{
	if (!is_identifier(request->identifier)) {
		request_fail_rule(request, RULE_REQUEST_IDENTIFIER,
			request->identifier[0] ? request->identifier : "the request",
			request->identifier[0] ? "letters, digits, dots, - and _ are allowed"
					       : "it is empty");
		return;
	}
	if (request->kind == REQUEST_PROPERTIES_OF)
		send_properties(request);
	else if (request->kind == REQUEST_DEACTIVATE)
		remove_begin(request);
	else
		activate_begin(request);
}

static int on_submit(void *context, struct wire_packet *got)
{
	struct client *client = context;
	const struct request_submit *submit = (void *)got->body;
	uint64_t id = got->header.id;
	struct request *request;
	int r;

	if (id == 0 || !STR_FIELD_OK(submit->identifier) || submit->again > 1 ||
		submit->kind < REQUEST_ACTIVATE || submit->kind > REQUEST_PROPERTIES_OF ||
		find_request(client, id))
		return -EPROTO;
	r = request_new(client->manager, submit->kind, ORIGIN_APP, submit->identifier, &request);
	if (r < 0)
		return r;
	request->client = client;
	request->client_id = id;
	request->again = submit->again != 0;
	request->uid = client->uid;
	request->pid = (uint32_t)client->peer.pid;
	client->n_requests++;
	control_request_changed(client->manager->control, request->number);
	if (client->n_requests > REQUESTS_PER_CLIENT)
		request_fail_rule(request, RULE_REQUEST_TOO_MANY, request->identifier,
			"16 of one connection are open");
	else
		begin(request);
	return 0;
}

/* Else the same version would be put in place because it lies in the app. */
static void remember_refusal(struct request *request)
{
	struct extension *active = extension_other(request->manager, request->extension);

	if (!active)
		return;
	STR_PUT(active->refused_digest, request->extension->info.digest);
	extension_write(active);
}

static int on_replace_answer(void *context, struct wire_packet *got)
{
	const struct request_replace_answer *body = (void *)got->body;
	struct request *request = find_request(context, got->header.id);

	if (body->action > 1)
		return -EPROTO;
	/* it may have ended while the answer was on its way */
	if (!request || request->step != STEP_REPLACEMENT)
		return 0;
	if (body->action == 0) {
		remember_refusal(request);
		request_fail_rule(request, RULE_REQUEST_NOT_REPLACED, request->identifier,
			"its app has chosen to keep the one that is there");
	} else {
		request->replace_agreed = true;
		activate_decide(request);
	}
	return 0;
}

static int on_cancel(void *context, struct wire_packet *got)
{
	struct request *request = find_request(context, got->header.id);

	if (request)
		request_fail_rule(request, RULE_REQUEST_CANCELED, request->identifier,
			"its app has taken it back");
	return 0;
}

/* Apple's condition is the entitlement, so the app is verified as for an activation. */
static int on_observe(void *context, struct wire_packet *got)
{
	struct client *client = context;
	const struct request_observe *observe = (void *)got->body;
	struct request *request;
	int r;

	if (observe->on > 1 || observe->reserved != 0 || got->header.id == 0 ||
		find_request(client, got->header.id))
		return -EPROTO;
	if (!observe->on || client->uid == 0 || client->manager->developer_mode) {
		client_observe(client, got->header.id, observe->on, 0);
		return 0;
	}
	r = request_new(client->manager, REQUEST_OBSERVE, ORIGIN_APP, "the app", &request);
	if (r < 0)
		return r;
	request->client = client;
	request->client_id = got->header.id;
	request->uid = client->uid;
	client->n_requests++;
	if (client->n_requests > REQUESTS_PER_CLIENT)
		request_fail_rule(request, RULE_REQUEST_TOO_MANY, request->identifier,
			"16 of one connection are open");
	else
		activate_begin(request);
	return 0;
}

static int on_hello(void *context, struct wire_packet *got)
{
	struct client *client = context;
	const struct wire_hello *hello = (void *)got->body;
	const struct wire_hello ours = { .protocol = WIRE_PROTOCOL };

	if (hello->protocol == 0)
		return -EPROTO;
	if (client_send(client, WIRE_HELLO, 0, 0, &ours, sizeof ours) < 0)
		return 0;
	client->phase = PHASE_NONCE;
	return peer_ask(&client->peer, client->fd);
}

static int on_nonce(void *context, struct wire_packet *got)
{
	struct client *client = context;
	int r = peer_answer(&client->peer, got);

	if (r < 0)
		return r;
	client->uid = client->peer.uid;
	client->phase = PHASE_OPEN;
	client->timer = sd_event_source_disable_unref(client->timer);
	return 0;
}

static const struct wire_row rows[] = {
	WIRE_ROW(WIRE_HELLO, struct wire_hello, PHASE_HELLO, on_hello),
	WIRE_ROW(WIRE_NONCE, struct wire_nonce, PHASE_NONCE, on_nonce),
	WIRE_ROW(REQUEST_SUBMIT, struct request_submit, PHASE_OPEN, on_submit),
	WIRE_ROW(REQUEST_REPLACE_ANSWER, struct request_replace_answer, PHASE_OPEN,
		on_replace_answer),
	{ .type = REQUEST_CANCEL, .phases = PHASE_OPEN, .handler = on_cancel, .name = "CANCEL" },
	WIRE_ROW(WORKSPACE_OBSERVE, struct request_observe, PHASE_OPEN, on_observe),
};

static void log_drop(struct client *client, int r)
{
	char object[64];

	if (r == -EPIPE || r == -ECONNRESET)
		return;
	snprintf(object, sizeof object, "uid %u pid %d", client->uid, client->peer.pid);
	log_failure(r == -EPROTO ? LOG_PEER_BAD_MESSAGE : LOG_PEER_REFUSED, object, r, NULL);
}

/* One message a turn: a flood of one is interleaved with everybody else's. */
static int on_readable(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct client *client = context;
	int r = wire_receive(fd, &packet, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		r = wire_dispatch(rows, ARRAY_SIZE(rows), client->phase, &packet, client);
	wire_packet_done(&packet);
	if (r < 0 && !client->dead) {
		log_drop(client, r);
		drop(client);
	}
	return 0;
}

static int on_late(sd_event_source *source, uint64_t usec, void *context)
{
	drop(context);
	return 0;
}

static bool user_has_too_many(struct manager *manager, uint32_t uid)
{
	const struct client *client;
	unsigned n = 0;

	for (client = manager->clients; client; client = client->next)
		n += client->uid == uid;
	return manager->n_clients >= CLIENTS_MAX || (uid != 0 && n >= CLIENTS_PER_USER);
}

static int client_new(struct manager *manager, int fd)
{
	struct ucred who;
	socklen_t bytes = sizeof who;
	struct client *client;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) < 0)
		return -errno;
	if (user_has_too_many(manager, who.uid))
		return -EUSERS;
	client = calloc(1, sizeof *client);
	if (!client)
		return -ENOMEM;
	client->manager = manager;
	client->fd = fd;
	client->uid = who.uid;
	client->phase = PHASE_HELLO;
	client->peer = (struct peer)PEER_INIT;
	client->next = manager->clients;
	manager->clients = client;
	manager->n_clients++;
	r = sd_event_add_io(manager->event, &client->source, fd, EPOLLIN, on_readable, client);
	if (r >= 0)
		r = sd_event_add_defer(manager->event, &client->end, end_client, client);
	if (r >= 0)
		r = sd_event_source_set_enabled(client->end, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_time_relative(manager->event, &client->timer, CLOCK_MONOTONIC,
			HANDSHAKE_USEC, 100000, on_late, client);
	if (r < 0) {
		client->fd = -1;
		client_free(client);
	}
	return r < 0 ? r : 0;
}

static int on_listen(sd_event_source *source, int fd, uint32_t events, void *context)
{
	int i, r;

	for (i = 0; i < ACCEPT_AT_ONCE; i++) {
		int client_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (client_fd < 0)
			return 0;
		r = client_new(context, client_fd);
		if (r < 0)
			fd_close(client_fd);
	}
	return 0;
}

int clients_listen(struct manager *manager, int listen_fd)
{
	int r = sd_event_add_io(
		manager->event, &manager->listen_source, listen_fd, EPOLLIN, on_listen, manager);

	return r < 0 ? r : 0;
}

void clients_free(struct manager *manager)
{
	while (manager->clients)
		client_free(manager->clients);
	manager->listen_source = sd_event_source_disable_unref(manager->listen_source);
}

void clients_workspace_event(struct extension *extension, enum workspace_event event)
{
	struct request_workspace_event body = { .event = event };
	struct client *client;

	STR_PUT(body.identifier, extension->info.identifier);
	STR_PUT(body.version, extension->info.version);
	STR_PUT(body.short_version, extension->info.short_version);
	for (client = extension->manager->clients; client; client = client->next)
		if (client->observes)
			client_send(client, WORKSPACE_EVENT, 0, 0, &body, sizeof body);
}
