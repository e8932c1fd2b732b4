/* SPDX-License-Identifier: Apache-2.0
 *
 * See cgroups.h. cgroup v1 and v2: Documentation/admin-guide/cgroup-v1/cgroups.rst, cgroup-v2.rst.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "test/lib/cgroups.h"

static void file_closep(FILE **file)
{
	if (*file)
		fclose(*file);
}
#define _cleanup_file_ _cleanup_(file_closep)

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}
#define _cleanup_dir_ _cleanup_(dir_closep)

static int path_join(char ret[static PATH_MAX], const char *folder, const char *name)
{
	return snprintf(ret, PATH_MAX, "%s/%s", folder, name) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Is @options ("rw,memory") what a line of /proc/self/cgroup names ("memory" or "cpu,cpuacct")? */
static bool options_have(const char *options, const char *controllers)
{
	const char *at = strstr(options, controllers);
	size_t n = strlen(controllers);

	return at && (at == options || at[-1] == ',') && (at[n] == ',' || at[n] == 0);
}

static void hierarchy_find_own(struct hierarchy *hierarchy, const char *options)
{
	_cleanup_file_ FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX], path[PATH_MAX];

	STR_PUT(hierarchy->own, hierarchy->top);
	while (file && fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':'), *own;

		line[strcspn(line, "\n")] = 0;
		if (!controllers || !(own = strchr(++controllers, ':')))
			continue;
		*own++ = 0;
		if (hierarchy->v2 ? *controllers != 0
				  : !*controllers || !options_have(options, controllers))
			continue;
		if (path_join(path, hierarchy->top, own + 1) == 0 && access(path, F_OK) == 0) {
			path[strlen(path) - (str_ends(path, "/") ? 1 : 0)] = 0;
			STR_PUT(hierarchy->own, path);
		}
	}
}

static void hierarchies_add(struct hierarchies *all, const char *top, bool v2, const char *options)
{
	struct hierarchy *hierarchy = &all->list[all->n];

	if (all->n == CGROUP_HIERARCHIES_MAX)
		return;
	if (v2 && all->n > 0) {
		memmove(all->list + 1, all->list, all->n * sizeof(*all->list));
		hierarchy = all->list;
	}
	memset(hierarchy, 0, sizeof(*hierarchy));
	hierarchy->v2 = v2;
	hierarchy->cpuset = !v2 && options_have(options, "cpuset");
	STR_PUT(hierarchy->top, top);
	hierarchy_find_own(hierarchy, options);
	all->n++;
}

int hierarchies_find(struct hierarchies *ret)
{
	_cleanup_file_ FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[2 * PATH_MAX], seen[32 * CGROUP_HIERARCHIES_MAX] = " ";

	if (!file)
		return -errno;
	memset(ret, 0, sizeof(*ret));
	while (fgets(line, sizeof(line), file)) {
		char device[24], key[32], top[PATH_MAX], type[16], options[256];
		const char *tail = strstr(line, " - ");

		if (!tail || sscanf(line, "%*s %*s %23s %*s %4095s", device, top) != 2 ||
			sscanf(tail, " - %15s %*s %255s", type, options) != 2)
			continue;
		snprintf(key, sizeof(key), " %s ", device);
		if ((!streq(type, "cgroup") && !streq(type, "cgroup2")) || strstr(seen, key) ||
			strlen(seen) + strlen(key) >= sizeof(seen))
			continue;
		strcat(seen, key);
		hierarchies_add(ret, top, streq(type, "cgroup2"), options);
	}
	return ret->n > 0 && ret->list[0].v2 ? 0 : -ENOENT;
}

static int attribute_copy(const char *from, const char *to, const char *name)
{
	_cleanup_fd_ int from_fd = open(from, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_fd_ int to_fd = open(to, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	int r = file_read_at(from_fd, name, 4096, &text, NULL);

	return r < 0 ? r : file_write_at(to_fd, name, text);
}

static int folder_make(const struct hierarchy *hierarchy, const char *parent, const char *path)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (!hierarchy->cpuset)
		return 0;
	attribute_copy(parent, path, "cpuset.cpus");
	return attribute_copy(parent, path, "cpuset.mems");
}

/* What v2 does not hand down (no such controller, or a process in the folder) is not there. */
static void controllers_hand_down(const char *path)
{
	static const char *const controllers[] = { "+cpu", "+memory", "+pids" };
	_cleanup_fd_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		file_write_at(fd, "cgroup.subtree_control", controllers[i]);
}

/*
 * The lock tells a scope that lives from one whose owner was killed. Between mkdir and the lock a
 * reaper may take the folder for a stale one: then it holds the lock, or the folder is another.
 */
static int folder_lock(const char *path, int *ret_fd)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat opened, named;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &opened) < 0 ||
		stat(path, &named) < 0 || opened.st_ino != named.st_ino)
		return -EAGAIN;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int hierarchies_make(struct hierarchies *hierarchies, const char *name, int *ret_lock_fd)
{
	_cleanup_fd_ int lock_fd = -1;

	for (size_t i = 0; i < hierarchies->n; i++) {
		struct hierarchy *hierarchy = &hierarchies->list[i];
		const char *parent = hierarchy->v2 ? hierarchy->top : hierarchy->own;
		int r = path_join(hierarchy->scope, parent, name);

		if (r == 0)
			r = folder_make(hierarchy, parent, hierarchy->scope);
		if (r == 0 && hierarchy->v2)
			r = folder_lock(hierarchy->scope, &lock_fd);
		if (r < 0)
			return r;
		if (hierarchy->v2) {
			controllers_hand_down(parent);
			controllers_hand_down(hierarchy->scope);
		}
	}
	*ret_lock_fd = TAKE_FD(lock_fd);
	return 0;
}

int hierarchies_enter(const struct hierarchies *hierarchies, const char *leaf, pid_t pid)
{
	char path[PATH_MAX], procs[PATH_MAX], text[24];

	snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < hierarchies->n; i++) {
		const struct hierarchy *hierarchy = &hierarchies->list[i];
		int r = path_join(path, hierarchy->scope, leaf);

		if (r == 0)
			r = folder_make(hierarchy, hierarchy->scope, path);
		if (r == 0)
			r = path_join(procs, path, "cgroup.procs");
		if (r == 0)
			r = file_write_at(AT_FDCWD, procs, text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Kills what cgroup.procs of @path lists; how many that were, or -errno. */
static int processes_kill(const char *path)
{
	_cleanup_file_ FILE *file = NULL;
	char procs[PATH_MAX];
	int pid, n = 0, r = path_join(procs, path, "cgroup.procs");

	if (r < 0)
		return r;
	file = fopen(procs, "re");
	if (!file)
		return -errno;
	while (fscanf(file, "%d", &pid) == 1) {
		if (pid > 0)
			kill(pid, SIGKILL);
		n++;
	}
	return n;
}

/* cgroup.events raises POLLPRI when "populated" changes. */
static int wait_empty(const char *path, int64_t until)
{
	char events[PATH_MAX];
	_cleanup_fd_ int fd = -1;
	int r = path_join(events, path, "cgroup.events");

	if (r < 0)
		return r;
	fd = open(events, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLPRI };
		char text[256] = "";
		int64_t left = until - now_msec();

		if (pread(fd, text, sizeof(text) - 1, 0) < 0)
			return -errno;
		if (strstr(text, "populated 0"))
			return 0;
		if (left <= 0)
			return -ETIMEDOUT;
		poll(&poll_fd, 1, (int)left);
	}
}

static int children(const char *path, int (*visit)(const char *path, void *context), void *context)
{
	_cleanup_dir_ DIR *dir = opendir(path);
	const struct dirent *entry;
	char child[PATH_MAX];
	int first = 0;

	while (dir && (entry = readdir(dir))) {
		int r;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		r = path_join(child, path, entry->d_name);
		if (r == 0)
			r = visit(child, context);
		if (r < 0 && first == 0)
			first = r;
	}
	return first;
}

/*
 * v1 has no event for "empty": its only one is release_agent, a program that the machine's first
 * process would start. And a killed process stays in its folder until it has been taken apart, which
 * is after its pidfd has said that it ended. So rmdir(2) itself is asked, a millisecond apart, until
 * @until.
 */
static int folder_remove(const char *path, void *context)
{
	const int64_t *until = context;
	const struct timespec tick = { .tv_nsec = 1000000 };

	children(path, folder_remove, context);
	while (rmdir(path) < 0) {
		if (errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return -errno;
		processes_kill(path);
		if (now_msec() > *until)
			return -ETIMEDOUT;
		nanosleep(&tick, NULL);
	}
	return 0;
}

int cgroup_remove(const char *path, bool v2, int msec)
{
	int64_t until = now_msec() + msec;
	char file[PATH_MAX];
	int r;

	if (v2) {
		r = path_join(file, path, "cgroup.kill");
		if (r == 0)
			r = file_write_at(AT_FDCWD, file, "1");
		if (r == 0)
			r = wait_empty(path, until);
		if (r < 0)
			return r == -ENOENT && access(path, F_OK) < 0 ? 0 : r;
	}
	return folder_remove(path, &until);
}

static int leftover_visit(const char *path, void *context)
{
	void (*found)(const char *) = *(void (**)(const char *))context;

	if (!str_ends(path, "/daemon"))
		found(path);
	return children(path, leftover_visit, context);
}

static int leaf_visit(const char *path, void *context)
{
	return children(path, leftover_visit, context);
}

int cgroup_leftovers(const char *path, void (*found)(const char *path))
{
	return children(path, leaf_visit, &found);
}

struct reap {
	const struct hierarchies *hierarchies;
	const char *prefix;
};

static int reap_visit(const char *path, void *context)
{
	const struct reap *reap = context;
	const char *name = strrchr(path, '/') + 1;
	_cleanup_fd_ int fd = -1;
	char other[PATH_MAX];

	if (!str_starts(name, reap->prefix))
		return 0;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	for (size_t i = 0; i < reap->hierarchies->n; i++) {
		const struct hierarchy *hierarchy = &reap->hierarchies->list[i];

		if (!hierarchy->v2 && path_join(other, hierarchy->own, name) == 0)
			cgroup_remove(other, false, 2000);
	}
	return cgroup_remove(path, true, 2000);
}

/* v2 is made first and removed last: a v1 folder without it is nobody's. */
static int reap_orphan_visit(const char *path, void *context)
{
	const struct reap *reap = context;
	const char *name = strrchr(path, '/') + 1;
	char v2[PATH_MAX];

	if (!str_starts(name, reap->prefix) ||
		path_join(v2, reap->hierarchies->list[0].top, name) < 0 || access(v2, F_OK) == 0)
		return 0;
	return cgroup_remove(path, false, 2000);
}

void hierarchies_reap(const struct hierarchies *hierarchies, const char *prefix)
{
	struct reap reap = { hierarchies, prefix };

	children(hierarchies->list[0].top, reap_visit, &reap);
	for (size_t i = 1; i < hierarchies->n; i++)
		children(hierarchies->list[i].own, reap_orphan_visit, &reap);
}
