/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-esd, seen from the manager (broker-wire.h): started for the first client, kept a while
 * after the last, replaced when it dies or hangs. Clients do not notice more than a message: their
 * brokers' ends are kept here, by the parent, and by themselves, and go to the next broker.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "bundle/utf8.h"
#include "manager/broker-wire.h"
#include "manager/logging.h"
#include "manager/manager.h"
#include "manager/registry.h"

#define START_USEC (30 * 1000000ull) /* to load its programs */
#define ANSWER_USEC (5 * 1000000ull)
#define BACKOFF_USEC 100000ull
#define STORED_NAME "broker-manager:endpoint"

struct broker_end {
	struct broker_end *next;
	struct broker_client client;
	int fd;
};

struct broker {
	struct manager *manager;
	uint64_t child; /* 0: none */
	int fd;
	bool begun, up, stopping;
	uint32_t generation;
	unsigned quick_deaths;
	uint64_t started_usec;
	char failure[192];
	struct broker_clients told;
	struct broker_end *clients;
	sd_event_source *source, *timer;
	enum { WAIT_NOTHING, WAIT_ANSWER, WAIT_LINGER, WAIT_RESTART } waits;
};

static struct wire_packet packet;

static void start(struct broker *broker);

static void wait_for(struct broker *broker, int what, uint64_t usec)
{
	broker->waits = what;
	if (what == WAIT_NOTHING) {
		sd_event_source_set_enabled(broker->timer, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time(broker->timer, now_usec() + usec);
	sd_event_source_set_enabled(broker->timer, SD_EVENT_ONESHOT);
}

static void kill_it(struct broker *broker, const char *why)
{
	log_event(LOG_BROKER_KILLED, "outboard-esd", "because", why, NULL);
	if (!broker->failure[0])
		STR_PUT(broker->failure, why);
	children_signal(broker->manager->children, broker->child, SIGKILL);
	wait_for(broker, WAIT_NOTHING, 0);
	/* nothing more is said to it; its end comes through children.c */
	broker->source = sd_event_source_disable_unref(broker->source);
	broker->fd = fd_close(broker->fd);
}

static void tell(struct broker *broker, uint16_t type, const void *body, size_t bytes, int fd)
{
	int r;

	if (broker->fd < 0)
		return;
	r = wire_send(broker->fd, type, 0, 0, body, bytes, &fd, fd >= 0);
	if (r < 0)
		kill_it(broker, r == -EAGAIN ? "it does not read" : strerror(-r));
}

static size_t count(const struct broker *broker)
{
	const struct broker_end *end;
	size_t n = 0;

	for (end = broker->clients; end; end = end->next)
		n++;
	return n;
}

/* Nobody needs it any more, or somebody does again. */
static void think(struct broker *broker)
{
	if (!broker->begun || broker->waits == WAIT_RESTART || broker->stopping)
		return;
	if (broker->clients && broker->child == 0)
		start(broker);
	else if (!broker->clients && broker->child && broker->waits != WAIT_ANSWER)
		wait_for(broker, WAIT_LINGER,
			config_number(broker->manager->config, CONFIG_BROKER_LINGER) * 1000000);
	else if (broker->clients && broker->waits == WAIT_LINGER)
		wait_for(broker, WAIT_NOTHING, 0);
}

static void send_client(struct broker *broker, const struct broker_end *end)
{
	tell(broker, BROKER_ADD_CLIENT, &end->client, sizeof end->client, end->fd);
	if (broker->up && broker->fd >= 0)
		wait_for(broker, WAIT_ANSWER, ANSWER_USEC);
}

/* States in which nobody has allowed it, or no longer, or not this copy of it. */
static bool is_withheld(const struct extension *extension)
{
	static const enum state states[] = { STATE_ACTIVATED_WAITING_FOR_USER,
		STATE_ACTIVATED_DISABLED, STATE_ACTIVATED_WAITING_TO_UPGRADE,
		STATE_ACTIVATED_WAITING_TO_UPGRADE_ON_REBOOT };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(states); i++)
		if (extension->state == states[i] && !extension->entitled)
			return extension->info.entitlement_bits != 0 && extension->exec_inode != 0;
	return false;
}

static void send_entitled(struct broker *broker, struct extension *extension, uint16_t type)
{
	const uint32_t bits = extension->info.entitlement_bits;
	struct broker_entitled entitled = { .device = extension->exec_device,
		.inode = extension->exec_inode,
		.ctime_ns = extension->exec_ctime_ns,
		.size = extension->exec_bytes,
		.entitlement_bits = extension->entitled ? bits : 0,
		.withheld_bits = extension->entitled ? 0 : bits };

	_cleanup_fd_ int fd = type == BROKER_ENTITLE ? staging_open_executable(extension) : -1;

	STR_PUT(entitled.identifier, extension->info.identifier);
	STR_PUT(entitled.team, extension->info.team);
	tell(broker, type, &entitled, sizeof entitled, fd);
}

static void send_settings(struct broker *broker)
{
	struct broker_settings settings = { .developer_mode = broker->manager->developer_mode,
		.generation = broker->generation };
	const char *scope = config_text(broker->manager->config, CONFIG_ENDPOINT_SCOPE);

	if (scope[0] && cgroup_id(scope, &settings.scope_cgroup) < 0) {
		/* never the whole machine where a part was meant */
		kill_it(broker, "the folder of [endpoint] scope does not exist");
		return;
	}
	tell(broker, BROKER_SETTINGS, &settings, sizeof settings, -1);
}

static void send_all(struct broker *broker)
{
	const struct broker_end *end;
	struct extension *extension;

	send_settings(broker);
	for (end = broker->clients; end; end = end->next)
		send_client(broker, end);
	for (extension = broker->manager->extensions; extension; extension = extension->next)
		if (extension->entitled || extension->state == STATE_ACTIVATED_ENABLING ||
			extension->state == STATE_ACTIVATED_ENABLED)
			send_entitled(broker, extension, BROKER_ENTITLE);
		else if (is_withheld(extension))
			send_entitled(broker, extension, BROKER_WITHHOLD);
}

static int on_up(void *context, struct wire_packet *got)
{
	struct broker *broker = context;

	broker->up = true;
	broker->failure[0] = '\0';
	wait_for(broker, WAIT_NOTHING, 0);
	log_event(
		LOG_BROKER_UP, "outboard-esd", "generation", LOG_NUMBER(broker->generation), NULL);
	control_manager_changed(broker->manager->control);
	think(broker);
	return 0;
}

static int on_failed(void *context, struct wire_packet *got)
{
	struct broker *broker = context;
	const struct wire_error *error = (void *)got->body;

	if (!STR_FIELD_OK(error->description))
		return -EPROTO;
	snprintf(broker->failure, sizeof broker->failure, "%.180s", error->description);
	log_event(LOG_BROKER_FAILED, "outboard-esd", "because", broker->failure, NULL);
	return 0;
}

static int on_clients(void *context, struct wire_packet *got)
{
	struct broker *broker = context;
	const struct broker_clients *clients = (void *)got->body;

	if (!STR_FIELD_OK(clients->client) || !STR_FIELD_OK(clients->event) ||
		!STR_FIELD_OK(clients->code) || !STR_FIELD_OK(clients->outcome) ||
		!STR_FIELD_OK(clients->path))
		return -EPROTO;
	broker->told = *clients;
	if (broker->waits == WAIT_ANSWER && broker->up)
		wait_for(broker, WAIT_NOTHING, 0);
	control_manager_changed(broker->manager->control);
	think(broker);
	return 0;
}

static const struct wire_row rows[] = {
	{ .type = BROKER_UP, .phases = 1, .handler = on_up, .name = "BROKER_UP" },
	WIRE_ROW(BROKER_FAILED, struct wire_error, 1, on_failed),
	WIRE_ROW(BROKER_CLIENTS, struct broker_clients, 1, on_clients),
};

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct broker *broker = context;
	int r = wire_receive(fd, &packet, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		r = wire_dispatch(rows, ARRAY_SIZE(rows), 1, &packet, broker);
	wire_packet_done(&packet);
	if (r < 0)
		kill_it(broker,
			r == -EPIPE ? "it closed its socket" : "it sent no message of ours");
	return 0;
}

static int attach(struct broker *broker, int fd)
{
	int r = sd_event_add_io(
		broker->manager->event, &broker->source, fd, EPOLLIN, on_readable, broker);

	if (r < 0)
		return r;
	broker->fd = fd;
	return 0;
}

static uint32_t next_generation(struct broker *broker)
{
	struct registry *registry = broker->manager->registry;
	char text[32] = "";

	registry_get(registry, "endpoint_generation", text, sizeof text);
	broker->generation = (uint32_t)strtoul(text, NULL, 10) + 1;
	snprintf(text, sizeof text, "%u", broker->generation);
	if (registry_set(registry, "endpoint_generation", text) < 0)
		log_failure(LOG_REGISTRY_WRITE, "outboard-esd", -EIO, NULL);
	return broker->generation;
}

static int spawn(struct broker *broker)
{
	struct manager *manager = broker->manager;
	_cleanup_fd_ int output_fd = -1, theirs = -1;
	int pair[2], fds[3], r;
	uint64_t child, start_time;
	pid_t pid;

	r = registry_next_child(manager->registry, &child);
	if (r < 0)
		return r;
	next_generation(broker);
	r = wire_pair(pair);
	if (r < 0)
		return r;
	theirs = pair[1];
	r = children_store(manager->children, STORED_NAME, pair[0]);
	if (r == 0)
		r = logging_daemon_fd(manager->children, &output_fd);
	if (r == 0)
		r = attach(broker, pair[0]);
	if (r < 0) {
		fd_close(pair[0]);
		return r;
	}
	fds[0] = output_fd;
	fds[1] = theirs;
	fds[2] = children_stored(manager->children, "listen:endpoint");
	r = fds[2] < 0 ? fds[2]
		       : children_spawn(manager->children, child, PARENT_PROGRAM_ENDPOINT,
				 PARENT_SPAWN_DIES_WITH_PARENT, "manager,listen", fds, 3, &pid,
				 &start_time);
	if (r == 0)
		broker->child = child;
	return r;
}

static void forget(struct broker *broker)
{
	broker->child = 0;
	broker->up = broker->stopping = false;
	broker->told = (struct broker_clients){ 0 };
	broker->source = sd_event_source_disable_unref(broker->source);
	broker->fd = fd_close(broker->fd);
	children_unstore(broker->manager->children, STORED_NAME);
}

static void again(struct broker *broker)
{
	uint64_t wait = 0;

	if (now_usec() - broker->started_usec > START_USEC)
		broker->quick_deaths = 0;
	if (broker->quick_deaths++ > 0)
		wait = BACKOFF_USEC << (broker->quick_deaths < 8 ? broker->quick_deaths - 2 : 6);
	wait_for(broker, WAIT_RESTART, wait);
}

static void start(struct broker *broker)
{
	int r;

	broker->started_usec = now_usec();
	broker->up = broker->stopping = false;
	r = spawn(broker);
	if (r < 0) {
		log_failure(LOG_BROKER_FAILED, "outboard-esd", r, NULL);
		snprintf(broker->failure, sizeof broker->failure, "cannot be started: %s",
			strerror(-r));
		forget(broker);
		again(broker);
		return;
	}
	wait_for(broker, WAIT_ANSWER, START_USEC);
	send_all(broker);
	control_manager_changed(broker->manager->control);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *context)
{
	struct broker *broker = context;
	int waited = broker->waits;

	broker->waits = WAIT_NOTHING;
	if (waited == WAIT_ANSWER)
		kill_it(broker, broker->stopping ? "it does not end" : "it does not answer");
	else if (waited == WAIT_RESTART)
		think(broker);
	else if (waited == WAIT_LINGER && broker->child) {
		broker->stopping = true;
		children_signal(broker->manager->children, broker->child, SIGTERM);
		wait_for(broker, WAIT_ANSWER, ANSWER_USEC);
	}
	return 0;
}

bool broker_ended(struct broker *broker, uint64_t child, int code, int status)
{
	bool wanted = !broker->stopping;

	if (child != broker->child || child == 0)
		return false;
	log_event(wanted ? LOG_BROKER_ENDED : LOG_BROKER_STOPPED, "outboard-esd", "code",
		LOG_NUMBER(code), "status", LOG_NUMBER(status), NULL);
	if (!broker->failure[0] && wanted)
		snprintf(broker->failure, sizeof broker->failure, "ended with %s %d",
			code == CLD_EXITED ? "status" : "signal", status);
	forget(broker);
	wait_for(broker, WAIT_NOTHING, 0);
	if (wanted && broker->clients)
		again(broker);
	else
		think(broker);
	control_manager_changed(broker->manager->control);
	return true;
}

void broker_add_client(
	struct broker *broker, uint64_t child, int32_t pid, const struct bundle_info *info, int fd)
{
	struct broker_end *end = calloc(1, sizeof *end);

	if (!end) {
		fd_close(fd);
		return;
	}
	end->fd = fd;
	end->client.child = child;
	end->client.pid = pid;
	end->client.entitlement_bits = info->entitlement_bits;
	STR_PUT(end->client.identifier, info->identifier);
	STR_PUT(end->client.team, info->team);
	STR_PUT(end->client.digest, info->digest);
	end->next = broker->clients;
	broker->clients = end;
	if (broker->child && broker->begun && !broker->stopping)
		send_client(broker, end);
	think(broker);
}

void broker_drop_client(struct broker *broker, uint64_t child)
{
	struct broker_end **at;

	for (at = &broker->clients; *at; at = &(*at)->next) {
		struct broker_end *end = *at;

		if (end->client.child != child)
			continue;
		*at = end->next;
		if (broker->child && broker->begun) {
			tell(broker, BROKER_DROP_CLIENT, &end->client, sizeof end->client, -1);
			if (broker->up && broker->fd >= 0)
				wait_for(broker, WAIT_ANSWER, ANSWER_USEC);
		}
		fd_close(end->fd);
		free(end);
		think(broker);
		return;
	}
}

void broker_entitle(struct broker *broker, struct extension *extension, bool on)
{
	if (on && extension->entitled)
		return;
	extension->entitled = on;
	if (broker->child && broker->begun)
		send_entitled(broker, extension, on ? BROKER_ENTITLE : BROKER_UNENTITLE);
}

void broker_introduce(struct broker *broker, struct extension *extension)
{
	if (broker->child && broker->begun)
		send_entitled(broker, extension, BROKER_ENTITLE);
}

void broker_withhold(struct broker *broker, struct extension *extension)
{
	if (broker->child && broker->begun && is_withheld(extension))
		send_entitled(broker, extension, BROKER_WITHHOLD);
}

void broker_settings_changed(struct broker *broker)
{
	if (broker->child && broker->begun)
		send_settings(broker);
}

static int find_broker(void *context, const struct parent_child *child)
{
	struct broker *broker = context;

	if (child->program == PARENT_PROGRAM_ENDPOINT && child->code == 0)
		broker->child = child->child;
	return 0;
}

void broker_begin(struct broker *broker)
{
	struct children *children = broker->manager->children;
	char text[32] = "";
	int fd = children_stored(children, STORED_NAME);

	broker->begun = true;
	children_each(children, find_broker, broker);
	if (broker->child) {
		registry_get(broker->manager->registry, "endpoint_generation", text, sizeof text);
		broker->generation = (uint32_t)strtoul(text, NULL, 10);
		fd = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0 || attach(broker, fd) < 0) {
			fd_close(fd);
			kill_it(broker, "its socket to us is lost");
			return;
		}
		/* it has told the manager before us that it is up, or does so still */
		broker->up = true;
		send_all(broker);
	}
	think(broker);
}

const char *broker_state(const struct broker *broker, char buffer[static 256])
{
	size_t n = count(broker);

	if (broker->up)
		snprintf(buffer, 256, "up, %zu client%s", n, n == 1 ? "" : "s");
	else if (broker->child)
		snprintf(buffer, 256, "starting");
	else if (broker->failure[0] && broker->clients)
		snprintf(buffer, 256, "down: %s", broker->failure);
	else
		snprintf(buffer, 256, "not running: no client");
	return buffer;
}

/* What is no UTF-8 cannot go over D-Bus. */
static void make_text(char *text)
{
	size_t bytes = strlen(text), at = 0;

	while ((at += utf8_good_bytes(text + at, bytes - at)) < bytes)
		text[at] = '?';
}

const char *broker_misses(const struct broker *broker, char buffer[static BROKER_MISSES_BYTES])
{
	const struct broker_clients *told = &broker->told;

	if (!told->n_misses)
		return NULL;
	snprintf(buffer, BROKER_MISSES_BYTES, "%" PRIu64 " missed; the last: %s, %s, %s, %s: %s",
		told->n_misses, told->client, told->event, told->code, told->outcome, told->path);
	make_text(buffer);
	return buffer;
}

int broker_report(struct broker *broker, int *ret_fd, char why[static 256])
{
	struct pollfd room = { .fd = broker->fd, .events = POLLOUT };
	int pair[2], r;

	broker_state(broker, why);
	if (!broker->up || broker->fd < 0)
		return 1;
	snprintf(why, 256, "it does not read what it is told");
	if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT))
		return 1;
	r = wire_pair(pair);
	if (r < 0)
		return r;
	r = wire_send(broker->fd, BROKER_REPORT, 0, 0, NULL, 0, &pair[1], 1);
	fd_close(pair[1]);
	if (r < 0) {
		fd_close(pair[0]);
		return r;
	}
	*ret_fd = pair[0];
	return 0;
}

int broker_new(struct manager *manager, struct broker **ret)
{
	struct broker *broker = calloc(1, sizeof *broker);
	int r;

	if (!broker)
		return -ENOMEM;
	broker->manager = manager;
	broker->fd = -1;
	r = sd_event_add_time(
		manager->event, &broker->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, broker);
	if (r >= 0)
		r = sd_event_source_set_enabled(broker->timer, SD_EVENT_OFF);
	if (r < 0) {
		broker_free(broker);
		return r;
	}
	*ret = broker;
	return 0;
}

struct broker *broker_free(struct broker *broker)
{
	if (!broker)
		return NULL;
	while (broker->clients) {
		struct broker_end *end = broker->clients;

		broker->clients = end->next;
		fd_close(end->fd);
		free(end);
	}
	sd_event_source_disable_unref(broker->source);
	sd_event_source_disable_unref(broker->timer);
	fd_close(broker->fd);
	free(broker);
	return NULL;
}
