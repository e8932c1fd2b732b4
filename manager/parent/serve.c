/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardd, the parent: its manager's messages. The manager is trusted, but it may be broken: what
 * does not fit has it replaced, and what it stored stays.
 */
#include <errno.h>
#include <string.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/parent/parent.h"

#define DRAIN_MAX 1024

static struct wire_packet packet;

static int send_child(struct parent *parent, uint16_t type, uint64_t id, const struct child *child)
{
	return wire_send(parent->manager_fd, type, id ? WIRE_FLAG_REPLY : 0, id, &child->is,
		sizeof child->is, &child->pid_fd, child->pid_fd >= 0);
}

static int on_spawn(void *context, struct wire_packet *got)
{
	struct parent *parent = context;
	struct parent_spawn *spawn = (void *)got->body;
	struct child none = { .is = { .child = spawn->child, .program = spawn->program },
		.pid_fd = -1 };
	struct child *child = &none;
	int r = STR_FIELD_OK(spawn->names) ? 0 : -EINVAL;

	if (r == 0)
		r = parent_spawn_child(parent, spawn, got->fds, got->n_fds, &child);
	if (r < 0)
		none.is.status = r;
	return send_child(parent, PARENT_SPAWNED, got->header.id, child);
}

static struct stored *find_stored(struct parent *parent, const char *name)
{
	size_t i;

	for (i = 0; i < PARENT_FDS_MAX; i++)
		if (streq(parent->stored[i].name.name, name))
			return &parent->stored[i];
	return NULL;
}

static int on_store(void *context, struct wire_packet *got)
{
	struct parent *parent = context;
	const struct parent_name *name = (void *)got->body;
	struct stored *place;

	if (!STR_FIELD_OK(name->name) || name->name[0] == '\0')
		return -EPROTO;
	place = find_stored(parent, name->name);
	if (!place)
		place = find_stored(parent, "");
	if (!place)
		return 0; /* full: the manager counts too, and says so before it comes to this */
	if (place->name.name[0] != '\0')
		fd_close(place->fd);
	place->name = *name;
	place->fd = wire_take_fd(got, 0);
	return 0;
}

static int on_unstore(void *context, struct wire_packet *got)
{
	const struct parent_name *name = (void *)got->body;
	struct stored *place;

	if (!STR_FIELD_OK(name->name) || name->name[0] == '\0')
		return -EPROTO;
	place = find_stored(context, name->name);
	if (place) {
		place->fd = fd_close(place->fd);
		place->name = (struct parent_name){ 0 };
	}
	return 0;
}

static int on_pong(void *context, struct wire_packet *got)
{
	struct parent *parent = context;

	parent->pong_until_usec = 0;
	parent_ready();
	return 0;
}

static const struct wire_row rows[] = {
	{ .type = PARENT_SPAWN,
		.bytes_min = sizeof(struct parent_spawn),
		.name = "SPAWN",
		.bytes_max = sizeof(struct parent_spawn),
		.fds_min = 1,
		.fds_max = WIRE_FDS_MAX,
		.phases = 1,
		.handler = on_spawn },
	{ .type = PARENT_STORE,
		.bytes_min = sizeof(struct parent_name),
		.name = "STORE",
		.bytes_max = sizeof(struct parent_name),
		.fds_min = 1,
		.fds_max = 1,
		.phases = 1,
		.handler = on_store },
	WIRE_ROW(PARENT_UNSTORE, struct parent_name, 1, on_unstore),
	{ .type = PARENT_PONG, .phases = 1, .handler = on_pong, .name = "PONG" },
};

int parent_serve(struct parent *parent)
{
	int r = wire_receive(parent->manager_fd, &packet, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		r = wire_dispatch(rows, ARRAY_SIZE(rows), 1, &packet, parent);
	wire_packet_done(&packet);
	return r;
}

void parent_drain(struct parent *parent)
{
	int i, r = 0, n_ends = 0;

	/* bounded: who has a copy of its socket could go on for ever */
	for (i = 0; i < DRAIN_MAX && r == 0; i++) {
		r = wire_receive(parent->manager_fd, &packet, MSG_DONTWAIT);
		if (r == 0)
			r = wire_dispatch(rows, ARRAY_SIZE(rows), 1, &packet, parent);
		else if (r == -EPIPE && n_ends++ == 0)
			r = 0; /* it has not read all of ours (ECONNRESET): its own are still there */
	}
	wire_packet_done(&packet);
}

static int send_fd(struct parent *parent, const char *name, int fd)
{
	struct parent_name message = { 0 };

	STR_PUT(message.name, name);
	return wire_send(parent->manager_fd, PARENT_FD, 0, 0, &message, sizeof message, &fd, 1);
}

int parent_child_ended(struct parent *parent, struct child *child, int code, int status)
{
	int r;

	parent_unwatch(parent, child);
	child->is.code = code;
	child->is.status = status;
	if (parent->manager_fd < 0)
		return 0; /* the next manager is told at its start */
	r = send_child(parent, PARENT_EXITED, 0, child);
	if (r < 0)
		return r;
	fd_close(child->pid_fd);
	*child = (struct child){ .pid_fd = -1 };
	return 0;
}

static int send_children(struct parent *parent)
{
	size_t i;
	int r;

	for (i = 0; i < PARENT_CHILDREN_MAX; i++) {
		struct child *child = &parent->children[i];

		if (child->is.child == 0)
			continue;
		r = send_child(parent, PARENT_CHILD, 0, child);
		if (r < 0)
			return r;
		if (child->is.code != 0) {
			fd_close(child->pid_fd);
			*child = (struct child){ .pid_fd = -1 };
		}
	}
	return 0;
}

int parent_send_all(struct parent *parent)
{
	static const char *const names[LISTENERS] = { "listen:manager", "listen:control",
		"listen:endpoint" };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < LISTENERS; i++)
		r = send_fd(parent, names[i], parent->listen_fds[i]);
	if (r == 0 && !parent->log_here)
		r = send_fd(parent, "log:daemon", parent->log_fds[0]);
	if (r == 0 && !parent->log_here)
		r = send_fd(parent, "log-write:daemon", parent->log_fds[1]);
	for (i = 0; r == 0 && i < PARENT_FDS_MAX; i++)
		if (parent->stored[i].name.name[0] != '\0')
			r = send_fd(parent, parent->stored[i].name.name, parent->stored[i].fd);
	if (r == 0)
		r = send_children(parent);
	if (r == 0)
		r = wire_send(parent->manager_fd, PARENT_BEGIN, 0, 0, NULL, 0, NULL, 0);
	return r;
}
