/* SPDX-License-Identifier: Apache-2.0
 *
 * The manager's side of its parent, see children.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/peer.h"
#include "base/str.h"
#include "manager/children.h"

#define ANSWER_MSEC 5000

struct child {
	struct parent_child is;
	int pid_fd;
	bool orphan;
	sd_event_source *source; /* of an orphan's pidfd: for the others the parent tells */
	struct children *children;
};

struct stored {
	char name[PARENT_NAME_BYTES];
	int fd;
};

struct children {
	sd_event *event;
	sd_event_source *source, *later;
	int fd;
	children_ended_t ended;
	void *context;
	bool begun, pinged;
	uint64_t last_id, wait_id;	   /* of the SPAWN that is waited for; 0 none */
	const struct parent_child *answer; /* to that */

	struct child *child[PARENT_CHILDREN_MAX];
	struct stored stored[PARENT_FDS_MAX];
	struct wire_packet packet;
};

static struct child *find(const struct children *children, uint64_t number)
{
	size_t i;

	for (i = 0; i < PARENT_CHILDREN_MAX; i++)
		if (children->child[i] && children->child[i]->is.child == number)
			return children->child[i];
	return NULL;
}

static struct child *child_free(struct child *child)
{
	size_t i;

	for (i = 0; i < PARENT_CHILDREN_MAX; i++)
		if (child->children->child[i] == child)
			child->children->child[i] = NULL;
	sd_event_source_disable_unref(child->source);
	fd_close(child->pid_fd);
	free(child);
	return NULL;
}

static int add(
	struct children *children, const struct parent_child *is, int pid_fd, struct child **ret)
{
	struct child *child;
	size_t i;

	for (i = 0; i < PARENT_CHILDREN_MAX && children->child[i]; i++)
		;
	if (i == PARENT_CHILDREN_MAX)
		return -EUSERS;
	child = calloc(1, sizeof *child);
	if (!child)
		return -ENOMEM;
	child->is = *is;
	child->pid_fd = pid_fd;
	child->children = children;
	children->child[i] = child;
	*ret = child;
	return 0;
}

static void end(struct children *children, struct child *child, int code, int status)
{
	uint64_t number = child->is.child;

	child_free(child);
	children->ended(children->context, number, code, status);
}

static int on_fd(void *context, struct wire_packet *packet)
{
	struct children *children = context;
	const struct parent_name *name = (void *)packet->body;
	size_t i;

	for (i = 0; i < PARENT_FDS_MAX && children->stored[i].name[0]; i++)
		;
	if (!STR_FIELD_OK(name->name) || i == PARENT_FDS_MAX)
		return -EPROTO;
	STR_PUT(children->stored[i].name, name->name);
	children->stored[i].fd = wire_take_fd(packet, 0);
	return 0;
}

static int on_child(void *context, struct wire_packet *packet)
{
	const struct parent_child *is = (void *)packet->body;
	struct child *child;

	return add(context, is, wire_take_fd(packet, 0), &child);
}

static int on_begin(void *context, struct wire_packet *packet)
{
	struct children *children = context;

	children->begun = true;
	return 0;
}

/* A process that runs and has no place here would be nobody's, and would run for ever. */
static void end_unknown(int pid_fd)
{
	if (pid_fd >= 0)
		process_signal(pid_fd, SIGKILL);
	fd_close(pid_fd);
}

static int on_spawned(void *context, struct wire_packet *packet)
{
	struct children *children = context;

	if (packet->header.id == children->wait_id)
		children->answer = (void *)packet->body;
	else
		end_unknown(wire_take_fd(packet, 0)); /* of a call that has given up */
	return 0;
}

/*
 * What is done from the loop, never from within a call of the manager's: telling the end of a child,
 * and answering the parent, to which a PONG says that the loop has been reached.
 */
static int on_later(sd_event_source *source, void *context)
{
	struct children *children = context;
	size_t i;
	int r = children->pinged ? wire_send(children->fd, PARENT_PONG, 0, 0, NULL, 0, NULL, 0) : 0;

	children->pinged = false;
	if (r < 0)
		return sd_event_exit(children->event, r == -EPIPE ? 0 : 1);
	for (i = 0; i < PARENT_CHILDREN_MAX; i++) {
		struct child *child = children->child[i];

		if (child && child->is.code != 0)
			end(children, child, child->is.code, child->is.status);
	}
	return 0;
}

static int on_exited(void *context, struct wire_packet *packet)
{
	struct children *children = context;
	const struct parent_child *is = (void *)packet->body;
	struct child *child = find(children, is->child);

	if (!child)
		return 0;
	child->is.code = is->code;
	child->is.status = is->status;
	return sd_event_source_set_enabled(children->later, SD_EVENT_ONESHOT);
}

static int on_ping(void *context, struct wire_packet *packet)
{
	struct children *children = context;

	children->pinged = true;
	return sd_event_source_set_enabled(children->later, SD_EVENT_ONESHOT);
}

#define ROW(type_, struct_, n_fds, handler_)                                                      \
	{                                                                                         \
		.type = type_, .flags = WIRE_FLAG_REPLY, .bytes_min = sizeof(struct_),            \
		.bytes_max = sizeof(struct_), .fds_max = n_fds, .phases = 1, .handler = handler_, \
		.name = #type_                                                                    \
	}
static const struct wire_row rows[] = {
	ROW(PARENT_FD, struct parent_name, 1, on_fd),
	ROW(PARENT_CHILD, struct parent_child, 1, on_child),
	ROW(PARENT_SPAWNED, struct parent_child, 1, on_spawned),
	ROW(PARENT_EXITED, struct parent_child, 1, on_exited),
	{ .type = PARENT_BEGIN, .phases = 1, .handler = on_begin, .name = "PARENT_BEGIN" },
	{ .type = PARENT_PING, .phases = 1, .handler = on_ping, .name = "PARENT_PING" },
};
#undef ROW

/* One message. -EAGAIN: none within the time; 0 means none that is there already. */
static int step(struct children *children, int wait_msec)
{
	struct pollfd poll_fd = { .fd = children->fd, .events = POLLIN };
	int r = poll(&poll_fd, 1, wait_msec);

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r == 0)
		return -EAGAIN;
	r = wire_receive(children->fd, &children->packet, MSG_DONTWAIT);
	if (r < 0)
		return r;
	return wire_dispatch(rows, ARRAY_SIZE(rows), 1, &children->packet, children);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct children *children = context;
	int r;

	do
		r = step(children, 0);
	while (r == 0);
	/* not to hold the pidfd of the last one that has ended until the next message */
	wire_packet_done(&children->packet);
	if (r == -EAGAIN)
		return 0;
	/* the parent is the more trusted side: without it, or against it, there is nothing to manage */
	return sd_event_exit(children->event, r == -EPIPE ? 0 : 1);
}

int children_new(sd_event *event, int parent_fd, children_ended_t ended, void *context,
	struct children **ret)
{
	_cleanup_(children_freep) struct children *children = calloc(1, sizeof *children);
	int r;

	if (!children) {
		fd_close(parent_fd);
		return -ENOMEM;
	}
	children->fd = parent_fd;
	children->ended = ended;
	children->context = context;
	children->event = sd_event_ref(event);
	r = sd_event_add_defer(event, &children->later, on_later, children);
	if (r < 0)
		return r;
	while (!children->begun) {
		r = step(children, ANSWER_MSEC);
		if (r < 0)
			return r == -EAGAIN ? -ETIMEDOUT : r;
	}
	r = sd_event_add_io(event, &children->source, parent_fd, EPOLLIN, on_readable, children);
	if (r < 0)
		return r;
	*ret = TAKE(children);
	return 0;
}

struct children *children_free(struct children *children)
{
	size_t i;

	if (!children)
		return NULL;
	for (i = 0; i < PARENT_CHILDREN_MAX; i++)
		if (children->child[i])
			child_free(children->child[i]);
	for (i = 0; i < PARENT_FDS_MAX; i++)
		if (children->stored[i].name[0])
			fd_close(children->stored[i].fd);
	wire_packet_done(&children->packet);
	sd_event_source_disable_unref(children->source);
	sd_event_source_disable_unref(children->later);
	sd_event_unref(children->event);
	fd_close(children->fd);
	free(children);
	return NULL;
}

/* The answer lies in the packet until the next message. */
static int await_answer(struct children *children)
{
	int r = 0;

	children->answer = NULL;
	children->wait_id = children->last_id;
	while (r >= 0 && !children->answer)
		r = step(children, ANSWER_MSEC);
	children->wait_id = 0;
	if (r < 0)
		return r == -EAGAIN ? -ETIMEDOUT : r;
	return children->answer->status < 0 ? children->answer->status : 0;
}

int children_spawn(struct children *children, uint64_t number, enum parent_program program,
	unsigned flags, const char *names, const int *fds, size_t n_fds, pid_t *ret_pid,
	uint64_t *ret_start_time)
{
	struct parent_spawn spawn = { .child = number, .program = program, .flags = flags };
	struct child *child;
	int pid_fd, r;

	if (STR_PUT(spawn.names, names) < 0)
		return -ENAMETOOLONG;
	r = wire_send(children->fd, PARENT_SPAWN, 0, ++children->last_id, &spawn, sizeof spawn, fds,
		n_fds);
	if (r == 0)
		r = await_answer(children);
	if (r < 0)
		return r;
	pid_fd = wire_take_fd(&children->packet, 0);
	r = add(children, children->answer, pid_fd, &child);
	if (r < 0) {
		end_unknown(pid_fd);
		return r;
	}
	*ret_pid = child->is.pid;
	*ret_start_time = child->is.start_time;
	return 0;
}

static int on_orphan_ended(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct child *child = context;

	end(child->children, child, 0, 0);
	return 0;
}

int children_adopt(struct children *children, uint64_t number, enum parent_program program,
	pid_t pid, uint64_t start_time)
{
	struct parent_child is = {
		.child = number, .program = program, .pid = pid, .start_time = start_time
	};
	struct peer peer = PEER_INIT;
	struct child *child = NULL;
	int r;

	r = peer_of_pid(&peer, pid);
	if (r == 0 && peer.start_time != start_time)
		r = -ESRCH;
	if (r == 0)
		r = add(children, &is, -1, &child);
	if (r != 0) {
		peer_done(&peer);
		return r;
	}
	child->pid_fd = peer.pid_fd;
	child->orphan = true;
	r = sd_event_add_io(
		children->event, &child->source, child->pid_fd, EPOLLIN, on_orphan_ended, child);
	if (r < 0)
		child_free(child);
	return r < 0 ? r : 0;
}

bool children_is_alive(const struct children *children, uint64_t number)
{
	const struct child *child = find(children, number);

	return child && child->is.code == 0;
}

pid_t children_get_pid(const struct children *children, uint64_t number)
{
	const struct child *child = find(children, number);

	return child && child->is.code == 0 ? child->is.pid : 0;
}

int children_signal(struct children *children, uint64_t number, int signal)
{
	const struct child *child = find(children, number);

	return child && child->pid_fd >= 0 ? process_signal(child->pid_fd, signal) : -ESRCH;
}

int children_get_fd(const struct children *children, uint64_t number, int fd)
{
	const struct child *child = find(children, number);
	long copy;

	if (!child || child->pid_fd < 0)
		return -ESRCH;
	copy = syscall(SYS_pidfd_getfd, child->pid_fd, fd, 0);
	return copy < 0 ? -errno : (int)copy;
}

int children_each(struct children *children,
	int (*each)(void *context, const struct parent_child *child), void *context)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < PARENT_CHILDREN_MAX; i++)
		if (children->child[i])
			r = each(context, &children->child[i]->is);
	return r;
}

static struct stored *find_stored(const struct children *children, const char *name)
{
	size_t i;

	for (i = 0; i < PARENT_FDS_MAX; i++)
		if (streq(children->stored[i].name, name))
			return (struct stored *)(uintptr_t)&children->stored[i];
	return NULL;
}

int children_store(struct children *children, const char *name, int fd)
{
	struct stored *place = find_stored(children, name);
	struct parent_name message = { 0 };
	int copy, r;

	if (!place)
		place = find_stored(children, "");
	if (!place)
		return -EMFILE;
	if (STR_PUT(message.name, name) < 0)
		return -ENAMETOOLONG;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	r = wire_send(children->fd, PARENT_STORE, 0, 0, &message, sizeof message, &fd, 1);
	if (r < 0) {
		fd_close(copy);
		return r;
	}
	if (place->name[0])
		fd_close(place->fd);
	STR_PUT(place->name, name);
	place->fd = copy;
	return 0;
}

void children_unstore(struct children *children, const char *name)
{
	struct stored *place = find_stored(children, name);
	struct parent_name message = { 0 };

	if (!place || !name[0])
		return;
	STR_PUT(message.name, name);
	wire_send(children->fd, PARENT_UNSTORE, 0, 0, &message, sizeof message, NULL, 0);
	fd_close(place->fd);
	*place = (struct stored){ .fd = -1 };
}

int children_stored(const struct children *children, const char *name)
{
	const struct stored *place = find_stored(children, name);

	return place && name[0] ? place->fd : -ENOENT;
}

int children_each_stored(struct children *children,
	int (*each)(void *context, const char *name, int fd), void *context)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < PARENT_FDS_MAX; i++)
		if (children->stored[i].name[0])
			r = each(context, children->stored[i].name, children->stored[i].fd);
	return r;
}
