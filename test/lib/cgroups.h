/* SPDX-License-Identifier: Apache-2.0
 *
 * The cgroup hierarchies of this machine as a scope uses them: v2, and each v1 hierarchy that is
 * mounted (a hybrid machine has its controllers there). A scope has one folder of the same name
 * in each of them.
 */
#ifndef OB_TEST_LIB_CGROUPS_H
#define OB_TEST_LIB_CGROUPS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CGROUP_HIERARCHIES_MAX 16

struct hierarchy {
	bool v2;
	bool cpuset;	      /* v1: a folder is unusable until its cpus and mems are set */
	char top[PATH_MAX];   /* where it is mounted */
	char own[PATH_MAX];   /* the folder of this process, as seen there; else top */
	char scope[PATH_MAX]; /* the folder of the scope, set by hierarchies_make() */
};

struct hierarchies {
	size_t n;
	struct hierarchy list[CGROUP_HIERARCHIES_MAX]; /* v2 first */
};

/* Reads /proc/self/mountinfo and /proc/self/cgroup. -ENOENT: no cgroup v2 is mounted. */
int hierarchies_find(struct hierarchies *ret);

/*
 * Makes folder @name in each hierarchy: at the top of v2, with the controllers that it has handed
 * down to it and by it; below the own folder in v1. The lock on the v2 folder says that the scope
 * lives. -EAGAIN: another scope has that name, or took it for a stale one.
 */
int hierarchies_make(struct hierarchies *hierarchies, const char *name, int *ret_lock_fd);

/* Makes @leaf in the folder of the scope in each hierarchy and moves @pid there. */
int hierarchies_enter(const struct hierarchies *hierarchies, const char *leaf, pid_t pid);

/*
 * Ends every process below @path and removes it. v2: cgroup.kill, then cgroup.events says when it
 * is empty; v1: each process listed is killed until none is. 0; -ETIMEDOUT after @msec.
 */
int cgroup_remove(const char *path, bool v2, int msec);

/*
 * Calls @found for each folder below @path that a scope's command must not leave: the second
 * level and below. What a service makes for itself (daemon) goes with its unit, as under systemd.
 */
int cgroup_leftovers(const char *path, void (*found)(const char *path));

/* Removes scopes whose owner is gone: its lock on the v2 folder is free. */
void hierarchies_reap(const struct hierarchies *hierarchies, const char *prefix);

#endif
