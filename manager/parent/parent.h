/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardd, the parent: what it knows. Everything has a fixed bound and lies in one struct; the
 * parent allocates nothing, parses nothing and reads nothing but fixed structs of its manager.
 */
#ifndef OB_MANAGER_PARENT_PARENT_H
#define OB_MANAGER_PARENT_PARENT_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/pulse.h"
#include "manager/parent-wire.h"

/* Of a child for which others wait. */
struct watch {
	struct pulse pulse;
	bool looks; /* at it, now and then: somebody waits */
	uint32_t beats;
	unsigned unchanged; /* looks in a row */
};

struct child {
	struct parent_child is; /* is.child 0: the place is free */
	int pid_fd;
	struct watch watch;
};

struct stored {
	struct parent_name name; /* "" : the place is free */
	int fd;
};

enum listener { LISTEN_MANAGER, LISTEN_CONTROL, LISTEN_ENDPOINT, LISTENERS };

struct parent {
	int epoll_fd, signal_fd, timer_fd;
	int listen_fds[LISTENERS];
	int log_fds
		[2]; /* daemons' lines: the manager reads [0]; what it leaves goes to our stderr */
	bool log_here; /* --log-stderr: no pipe */

	pid_t manager_pid;
	int manager_fd;
	uint64_t manager_start_usec;
	unsigned quick_deaths; /* in a row, within a second of the start */
	uint64_t restart_at_usec, stopped_until_usec, pong_until_usec, end_until_usec, look_at_usec;
	bool ending, told_ready;

	struct child children[PARENT_CHILDREN_MAX];
	struct stored stored[PARENT_FDS_MAX];
};

/* spawn.c */
int parent_spawn_manager(struct parent *parent);
int parent_spawn_child(struct parent *parent, const struct parent_spawn *spawn, const int *fds,
	size_t n_fds, struct child **ret);

/* serve.c: the manager's messages */
int parent_serve(struct parent *parent);  /* negative: the manager has to be replaced */
void parent_drain(struct parent *parent); /* what a dead manager has asked for */
int parent_send_all(struct parent *parent);
/* -EAGAIN: the manager does not read, and the next one has to be told. */
int parent_child_ended(struct parent *parent, struct child *child, int code, int status);

/* watch.c: @pulse is taken */
int parent_watch(struct parent *parent, struct child *child, struct pulse *pulse);
void parent_unwatch(struct parent *parent, struct child *child);
bool parent_rung(struct parent *parent, int fd); /* false: it is no child's */
void parent_look(struct parent *parent);

/* To the service manager, once: the manager is in its loop, or has failed and nobody waits for it. */
void parent_ready(void);
uint64_t parent_now_usec(void);

#endif
