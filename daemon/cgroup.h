/* SPDX-License-Identifier: Apache-2.0
 *
 * Cgroups with one face and two backends. outboardd divides the cgroup that it is born in, as a
 * service with Delegate=yes does: itself in a leaf "daemon", beside it one folder an extension.
 *
 * Processes are tracked, ended and waited for by cgroup v2. Limits are set there where v2 has the
 * controller, and in the v1 hierarchy of that controller where it is bound to v1 (hybrid layouts);
 * a controller that is in neither is missing from cgroup_controllers() and shows in the status.
 */
#ifndef OB_DAEMON_CGROUP_H
#define OB_DAEMON_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_PATH_BYTES 512

enum cgroup_controller { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_CONTROLLERS };

struct cgroup_limits {
	uint64_t memory_bytes; /* 0: none */
	uint32_t pids;	       /* 0: none */
	uint32_t cpu_percent;  /* of one processor; 0: none */
};

/* Where the folders are; filled once by cgroup_open(). */
struct cgroup_tree {
	char unified[CGROUP_PATH_BYTES];		    /* folder whose children are ours */
	char legacy[CGROUP_CONTROLLERS][CGROUP_PATH_BYTES]; /* the same in v1; "" not bound there */
	unsigned controllers; /* 1 << enum cgroup_controller: limits hold */
};

/* Move the caller into <its cgroup>/@leaf, so that <its cgroup> may have children with controllers. */
int cgroup_enter_leaf(const char *leaf);

/*
 * From another leaf of the same cgroup, when nobody is in "daemon" any more: take its controllers
 * back, since cgroup v2 starts no process in a folder that hands controllers down (EBUSY). Those
 * who still run in it are without limits until cgroup_open() and cgroup_make().
 */
int cgroup_release(void);

/* Find the folders from within the leaf that cgroup_enter_leaf("daemon") has made. */
int cgroup_open(struct cgroup_tree *ret);

/* Make <tree>/@name everywhere and set the limits. An empty one that is there already is taken. */
int cgroup_make(
	const struct cgroup_tree *tree, const char *name, const struct cgroup_limits *limits);

/* The files to which a process writes "0" to be in @name: as many as the layout has hierarchies. */
size_t cgroup_procs_files(const struct cgroup_tree *tree, const char *name,
	char ret[static CGROUP_CONTROLLERS + 1][CGROUP_PATH_BYTES]);

/* SIGKILL for everything in it, also for what is forking. Wait with cgroup_events_fd(). */
int cgroup_kill(const struct cgroup_tree *tree, const char *name);

/* cgroup.events of @name: EPOLLPRI at each change; -ENOENT when it is gone. */
int cgroup_events_fd(const struct cgroup_tree *tree, const char *name);
bool cgroup_is_populated(const struct cgroup_tree *tree, const char *name);
bool cgroup_has_pid(const struct cgroup_tree *tree, const char *name, pid_t pid);

/* 0, also when it is not there; -EBUSY while a process is in it. */
int cgroup_remove(const struct cgroup_tree *tree, const char *name);

struct cgroup_usage {
	uint64_t memory_bytes, cpu_usec;
	uint32_t pids;
	uint32_t out_of_memory; /* processes that the limit has ended */
	uint32_t forks_refused;
};
int cgroup_usage(const struct cgroup_tree *tree, const char *name, struct cgroup_usage *ret);

/* The id that BPF programs see for a cgroup v2 folder. */
int cgroup_id(const char *path, uint64_t *ret);

#endif
