/* SPDX-License-Identifier: Apache-2.0
 *
 * The manager's side of its parent (parent-wire.h): starting processes, hearing of their end, and
 * leaving descriptors where they survive the manager.
 *
 * A child is known by a number of the manager's that is unique for ever. Its end is seen through
 * its pidfd, whoever its parent is: a process that a dead outboardd has started is adopted by pid
 * and start time, and is no different from then on, but for an exit status that nobody can know.
 */
#ifndef OB_MANAGER_CHILDREN_H
#define OB_MANAGER_CHILDREN_H

#include <stdbool.h>
#include <systemd/sd-event.h>
#include "manager/parent-wire.h"

struct children;

/* How a child ended: waitid(2)'s code and status; code 0: it was adopted, nobody knows. */
typedef void (*children_ended_t)(void *context, uint64_t child, int code, int status);

/*
 * Reads what the parent sends at the start, to its end. @parent_fd is taken. The manager exits when
 * the parent's socket closes: sd_event_exit() with 0.
 */
int children_new(sd_event *event, int parent_fd, children_ended_t ended, void *context,
	struct children **ret);
struct children *children_free(struct children *children);
DEFINE_CLEANUP(struct children, children_free)

/*
 * @fds: [0] output, the others as @names has them in order ("spec,control"); borrowed
 * 0, or -errno as the parent found it; -EUSERS: there are as many as there may be; -ETIMEDOUT: it does
 * not answer. What it has started, or starts later, of a call that failed is ended.
 */
int children_spawn(struct children *children, uint64_t child, enum parent_program program,
	unsigned flags, const char *names, const int *fds, size_t n_fds, pid_t *ret_pid,
	uint64_t *ret_start_time);

/* Take over a process that an earlier outboardd has started. -ESRCH: it is not that one. */
int children_adopt(struct children *children, uint64_t child, enum parent_program program,
	pid_t pid, uint64_t start_time);

bool children_is_alive(const struct children *children, uint64_t child);
pid_t children_get_pid(const struct children *children, uint64_t child); /* 0: not there */
int children_signal(struct children *children, uint64_t child, int signal);
/* Descriptor @number of the child, ours: what an orphan still holds need not be made anew. */
int children_get_fd(const struct children *children, uint64_t number, int fd);

/* Each child that the parent told of at the start or that was started or adopted since. */
int children_each(struct children *children,
	int (*each)(void *context, const struct parent_child *child), void *context);

int children_store(
	struct children *children, const char *name, int fd); /* borrowed, kept as copy */
void children_unstore(struct children *children, const char *name);
int children_stored(const struct children *children, const char *name); /* borrowed; -ENOENT */
int children_each_stored(struct children *children,
	int (*each)(void *context, const char *name, int fd), void *context);

#endif
