/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of the D-Bus server: who may have how many, and when one is closed. See control.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/fd.h"
#include "base/log.h"
#include "manager/control-internal.h"

#define SEND_BYTES (256 * 1024)
#define SILENCE_USEC (1000ull * 1000)
/*
 * sd-bus lets each peer announce a message of 128 MiB and allocates it at once. Calls of ours have
 * a few hundred bytes, and nothing else in this process comes near this sum of large blocks.
 */
#define LARGE_BLOCKS_BYTES (16u << 20)

static struct control_link *link_free(struct control_link *link)
{
	struct control_link **at = &link->control->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	link->control->n_links--;
	/* Not flushed: a flush waits for the peer. */
	sd_bus_close_unref(link->bus);
	if (link->is_system_bus)
		control_bus_lost(link->control->system_bus);
	free(link);
	return NULL;
}

/* At the end of the turn, when no handler of the link's bus is on the stack. */
static int on_reap(sd_event_source *source, void *userdata)
{
	struct control *control = userdata;
	struct control_link *link = control->links;

	while (link) {
		struct control_link *next = link->next;

		if (link->dying)
			link_free(link);
		link = next;
	}
	return 0;
}

/* Anybody can be refused as often as they like: that is one line a second, and a count. */
static void say(struct control *control, enum log_id id, uid_t uid, const char *reason)
{
	uint64_t now = 0;

	sd_event_now(control->event, CLOCK_MONOTONIC, &now);
	if (now < control->silent_until_usec) {
		control->n_unsaid++;
		return;
	}
	log_event(id, "control.sock", "uid", LOG_NUMBER((long long)uid), "reason", reason, "unsaid",
		LOG_NUMBER((long long)control->n_unsaid), NULL);
	control->n_unsaid = 0;
	control->silent_until_usec = now + SILENCE_USEC;
}

void control_link_drop(struct control_link *link, const char *why)
{
	if (link->dying)
		return;
	link->dying = true;
	if (why)
		say(link->control, LOG_PEER_BAD_MESSAGE, link->uid, why);
	sd_bus_detach_event(link->bus);
	sd_event_source_set_enabled(link->control->reap_source, SD_EVENT_ONESHOT);
}

static void link_check(struct control_link *link, uint64_t max)
{
	uint64_t n = 0;

	if (!link->dying && sd_bus_get_n_queued_write(link->bus, &n) >= 0 && n > max)
		control_link_drop(link, "it does not read what it is sent");
}

void control_links_check(struct control *control)
{
	for (struct control_link *link = control->links; link; link = link->next)
		if (link->ready)
			link_check(link, CONTROL_SIGNALS_MAX);
}

/* Every message of a peer passes here first. One that asks on without reading gets no more answers. */
static int on_message(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct control_link *link = userdata;

	link_check(link, CONTROL_ANSWERS_MAX);
	return link->dying; /* 1: it is dealt with */
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	control_link_drop(userdata, NULL);
	return 0;
}

int control_link_new(struct control *control, sd_bus *bus, uid_t uid, struct control_link **ret)
{
	struct control_link *link = calloc(1, sizeof(*link));

	if (!link)
		return -ENOMEM;
	*link = (struct control_link){
		.control = control, .bus = bus, .uid = uid, .next = control->links
	};
	control->links = link;
	control->n_links++;
	*ret = link;
	return 0;
}

static int link_start(struct control_link *link, int fd)
{
	int r;

	r = sd_bus_set_fd(link->bus, fd, fd);
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	r = sd_bus_set_server(link->bus, 1, link->control->server_id);
	if (r >= 0)
		r = sd_bus_negotiate_fds(link->bus, 1);
	if (r >= 0)
		r = sd_bus_set_sender(link->bus, CONTROL_NAME);
	if (r >= 0)
		r = sd_bus_add_filter(link->bus, NULL, on_message, link);
	if (r >= 0)
		r = sd_bus_match_signal(link->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
			"org.freedesktop.DBus.Local", "Disconnected", on_disconnected, link);
	if (r >= 0)
		r = control_objects_attach(link);
	if (r >= 0)
		r = sd_bus_start(link->bus);
	/* sd-bus asks for 8 MiB, which a peer that does not read would keep. */
	if (r >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ SEND_BYTES }, sizeof(int));
	if (r >= 0)
		r = sd_bus_attach_event(link->bus, link->control->event, CONTROL_PRIORITY);
	return r < 0 ? r : 0;
}

/* May one more of that user come in? */
static bool has_room(const struct control *control, uid_t uid)
{
	size_t n_others = 0, n_same = 0;

	for (const struct control_link *link = control->links; link; link = link->next) {
		if (link->is_system_bus)
			continue;
		n_others += link->uid != 0;
		n_same += link->uid == uid;
	}
	if (control->n_links >= CONTROL_LINKS_MAX)
		return false;
	return uid == 0 || (n_others < CONTROL_LINKS_OTHERS && n_same < CONTROL_LINKS_UID);
}

static int accept_peer(struct control *control, int fd)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);
	struct control_link *link;
	sd_bus *bus;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0) {
		fd_close(fd);
		return -errno;
	}
	if (!has_room(control, peer.uid)) {
		fd_close(fd);
		say(control, LOG_PEER_REFUSED, peer.uid, "it has too many connections");
		return 0;
	}
	r = sd_bus_new(&bus);
	if (r >= 0) {
		r = control_link_new(control, bus, peer.uid, &link);
		if (r < 0)
			sd_bus_unref(bus);
	}
	if (r < 0) {
		fd_close(fd);
		return r;
	}
	link->ready = true;
	r = link_start(link, fd);
	if (r < 0) {
		/* One that only looked whether somebody listens has done nothing wrong. */
		if (r != -ECONNRESET && r != -EPIPE)
			say(control, LOG_PEER_REFUSED, peer.uid, strerror(-r));
		link_free(link);
	}
	return 0;
}

/*
 * Without a descriptor for it a caller would wait in the backlog, and the loop spin on a listener
 * that stays readable: so one is kept in reserve to take the caller in and hang up.
 */
static void turn_away(struct control *control, int listen_fd)
{
	control->spare_fd = fd_close(control->spare_fd);
	fd_close(accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC));
	control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int on_listen(sd_event_source *source, int listen_fd, uint32_t events, void *userdata)
{
	struct control *control = userdata;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int r;

	if (fd >= 0) {
		r = accept_peer(control, fd);
		if (r < 0)
			log_failure(LOG_PEER_REFUSED, "control.sock", r, NULL);
	} else if (errno == EMFILE || errno == ENFILE) {
		turn_away(control, listen_fd);
	}
	return 0;
}

/* After each turn: one who is not root and announces too much costs all who are not root their links. */
static int on_turn(sd_event_source *source, void *userdata)
{
	struct control *control = userdata;

	if (mallinfo2().hblkhd <= LARGE_BLOCKS_BYTES)
		return 0;
	for (struct control_link *link = control->links; link; link = link->next)
		if (!link->is_system_bus && link->uid != 0)
			control_link_drop(link, "messages without bound");
	return 0;
}

/* An instance under a root of its own does not take the machine's name, unless it is given a bus. */
static bool has_system_bus(void)
{
	return !getenv("OUTBOARD_ROOT") || getenv("DBUS_SYSTEM_BUS_ADDRESS");
}

static int control_start(struct control *control, int listen_fd, bool system_bus)
{
	int r;

	/* A follower of the log may be gone when a line is written to it. */
	signal(SIGPIPE, SIG_IGN);
	control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	r = sd_id128_randomize(&control->server_id);
	if (r >= 0)
		r = sd_event_add_io(control->event, &control->listen_source, listen_fd, EPOLLIN,
			on_listen, control);
	if (r >= 0)
		r = sd_event_source_set_priority(control->listen_source, CONTROL_PRIORITY);
	if (r >= 0)
		r = sd_event_add_defer(control->event, &control->reap_source, on_reap, control);
	if (r >= 0)
		r = sd_event_source_set_enabled(control->reap_source, SD_EVENT_OFF);
	/* Fixed, so that a large block is counted as one however many there were before. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	if (r >= 0)
		r = sd_event_add_post(control->event, &control->turn_source, on_turn, control);
	if (r >= 0)
		r = control_changes_begin(control);
	if (r >= 0 && system_bus && has_system_bus())
		r = control_bus_new(control, &control->system_bus);
	return r < 0 ? r : 0;
}

int control_new(const struct control_manager *functions, void *manager, sd_event *event,
	int listen_fd, bool system_bus, struct control **ret)
{
	_cleanup_(control_freep) struct control *control = calloc(1, sizeof(*control));
	int r;

	if (!control)
		return -ENOMEM;
	control->functions = functions;
	control->manager = manager;
	control->event = sd_event_ref(event);
	r = control_start(control, listen_fd, system_bus);
	if (r < 0)
		return r;
	*ret = TAKE(control);
	return 0;
}

struct control *control_free(struct control *control)
{
	if (!control)
		return NULL;
	control->listen_source = sd_event_source_disable_unref(control->listen_source);
	control->system_bus = control_bus_free(control->system_bus);
	while (control->links)
		link_free(control->links);
	sd_event_source_disable_unref(control->turn_source);
	sd_event_source_disable_unref(control->reap_source);
	control_log_done(control);
	control_shown_free(control);
	fd_close(control->spare_fd);
	sd_event_unref(control->event);
	free(control);
	return NULL;
}
