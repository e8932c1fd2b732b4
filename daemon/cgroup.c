/* SPDX-License-Identifier: Apache-2.0
 *
 * Cgroups, see cgroup.h. Facts: cgroups(7), Documentation/admin-guide/cgroup-v2.rst ("no internal
 * processes"), cgroup-v1/memory.rst, cgroup-v1/pids.rst, scheduler/sched-bwc.rst.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/str.h"
#include "daemon/cgroup.h"

#define CPU_PERIOD_USEC 100000u
#define ROOT_CHILD "/outboard" /* when the caller is in no cgroup of its own */

static const struct controller {
	const char *name;
	const char *v2_limit, *v1_limit; /* the file that takes the limit */
	const char *v2_usage, *v1_usage;
} controllers[CGROUP_CONTROLLERS] = {
	[CGROUP_MEMORY] = { "memory", "memory.max", "memory.limit_in_bytes", "memory.current",
		"memory.usage_in_bytes" },
	[CGROUP_PIDS] = { "pids", "pids.max", "pids.max", "pids.current", "pids.current" },
	[CGROUP_CPU] = { "cpu", "cpu.max", "cpu.cfs_quota_us", NULL, NULL },
};

/* Is @name one of the comma-separated words of @list? */
static bool has_word(const char *list, const char *name, size_t name_bytes)
{
	while (*list) {
		size_t length = strcspn(list, ",");

		if (length == name_bytes && memcmp(list, name, length) == 0)
			return true;
		list += length + (list[length] == ',');
	}
	return false;
}

/*
 * Mount point of cgroup v2 (@controller NULL) or of a v1 hierarchy, and the root of that mount
 * below the hierarchy, from a line of mountinfo: "36 25 0:31 ROOT POINT opts - type source supers".
 */
static bool mount_of(const char *line, const char *controller, char *root, char *point)
{
	char type[32], supers[256];
	const char *dash = strstr(line, " - ");

	if (!dash || sscanf(line, "%*s %*s %*s %511s %511s", root, point) != 2 ||
		sscanf(dash, " - %31s %*s %255s", type, supers) != 2)
		return false;
	if (!controller)
		return streq(type, "cgroup2");
	return streq(type, "cgroup") && has_word(supers, controller, strlen(controller));
}

/* The caller's own path in a hierarchy, from /proc/self/cgroup: "4:memory:/a/b", v2 "0::/a/b". */
static bool own_path(const char *text, const char *controller, char *path)
{
	const char *line;

	for (line = str_or(text, ""); *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *list = strchr(line, ':'), *at = list ? strchr(list + 1, ':') : NULL;
		char words[256];

		if (!at || (size_t)(at - list) > sizeof words)
			continue;
		snprintf(words, sizeof words, "%.*s", (int)(at - list - 1), list + 1);
		if (controller ? !has_word(words, controller, strlen(controller))
			       : words[0] != '\0')
			continue;
		snprintf(path, CGROUP_PATH_BYTES, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
		return true;
	}
	return false;
}

/*
 * The caller's own folder in the hierarchy, as a path. A mount may show a part of the hierarchy
 * only (containers): what stands in front of its root is cut off.
 */
static int own_folder(const char *controller, char ret[static CGROUP_PATH_BYTES])
{
	_cleanup_free_ char *mounts = NULL, *groups = NULL;
	char root[CGROUP_PATH_BYTES], point[CGROUP_PATH_BYTES], path[CGROUP_PATH_BYTES];
	char *line, *rest;
	int r;

	r = file_read_at(-1, "/proc/self/mountinfo", 1 << 20, &mounts, NULL);
	if (r == 0)
		r = file_read_at(-1, "/proc/self/cgroup", 1 << 16, &groups, NULL);
	if (r < 0)
		return r;
	if (!own_path(groups, controller, path))
		return -ENOENT;
	for (line = strtok_r(mounts, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		const char *below = path;

		if (!mount_of(line, controller, root, point))
			continue;
		if (!streq(root, "/") && str_starts(path, root))
			below += strlen(root);
		if (snprintf(ret, CGROUP_PATH_BYTES, "%s%s", point,
			    streq(below, "/") ? "" : below) >= CGROUP_PATH_BYTES)
			return -ENAMETOOLONG;
		if (access(ret, F_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

/* In no cgroup of its own: one is made below the root. */
static int below_root(const char *controller, char folder[static CGROUP_PATH_BYTES])
{
	_cleanup_free_ char *groups = NULL;
	char path[CGROUP_PATH_BYTES];
	int r = file_read_at(-1, "/proc/self/cgroup", 1 << 16, &groups, NULL);

	if (r < 0)
		return r;
	if (!own_path(groups, controller, path) || !streq(path, "/"))
		return 0;
	if (strlen(folder) + sizeof ROOT_CHILD > CGROUP_PATH_BYTES)
		return -ENAMETOOLONG;
	strcat(folder, ROOT_CHILD);
	return mkdir(folder, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int write_below(const char *folder, const char *file, const char *text)
{
	_cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : file_write_at(fd, file, text);
}

static int make_below(const char *folder, const char *name, char ret[static CGROUP_PATH_BYTES])
{
	if (snprintf(ret, CGROUP_PATH_BYTES, "%s/%s", folder, name) >= CGROUP_PATH_BYTES)
		return -ENAMETOOLONG;
	return mkdir(ret, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int cgroup_enter_leaf(const char *leaf)
{
	char folder[CGROUP_PATH_BYTES], path[CGROUP_PATH_BYTES] = "";
	int r = own_folder(NULL, folder);

	if (r == 0)
		r = below_root(NULL, folder);
	if (r == 0)
		r = make_below(folder, leaf, path);
	return r < 0 ? r : write_below(path, "cgroup.procs", "0");
}

int cgroup_release(void)
{
	_cleanup_fd_ int fd = -1;
	char folder[CGROUP_PATH_BYTES], word[32];
	char *slash;
	int i, r = own_folder(NULL, folder);

	if (r < 0)
		return r;
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return -ENOTSUP;
	*slash = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (i = 0; r == 0 && i < CGROUP_CONTROLLERS; i++) {
		snprintf(word, sizeof word, "-%s", controllers[i].name);
		r = file_write_at(fd, "cgroup.subtree_control", word);
		if (r == -EINVAL)
			r = 0; /* the kernel does not know it, or it is bound to v1 */
	}
	return r;
}

static bool enable(const char *folder, const char *controller)
{
	_cleanup_free_ char *enabled = NULL;
	_cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char word[32];

	snprintf(word, sizeof word, "+%s", controller);
	if (fd < 0)
		return false;
	file_write_at(fd, "cgroup.subtree_control", word);
	/* what counts is what is there now, whoever enabled it */
	return file_read_at(fd, "cgroup.subtree_control", 4096, &enabled, NULL) == 0 &&
		strstr(enabled, controller) != NULL;
}

int cgroup_open(struct cgroup_tree *ret)
{
	struct cgroup_tree tree = { .controllers = 0 };
	char *slash;
	int i, r = own_folder(NULL, tree.unified);

	if (r < 0)
		return r;
	slash = strrchr(tree.unified, '/');
	if (!slash || !streq(slash, "/daemon"))
		return -ENOTSUP; /* cgroup_enter_leaf() has failed: nothing may be divided here */
	*slash = '\0';
	for (i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (enable(tree.unified, controllers[i].name)) {
			tree.controllers |= 1u << i;
			continue;
		}
		r = own_folder(controllers[i].name, tree.legacy[i]);
		if (r == 0)
			r = below_root(controllers[i].name, tree.legacy[i]);
		if (r == 0)
			tree.controllers |= 1u << i;
		else
			tree.legacy[i][0] = '\0';
	}
	*ret = tree;
	return 0;
}

static int set_limit(const struct cgroup_tree *tree, int i, const char *folder, uint64_t value)
{
	bool legacy = tree->legacy[i][0] != '\0';
	const char *file = legacy ? controllers[i].v1_limit : controllers[i].v2_limit;
	char text[64];

	if (i == CGROUP_CPU) {
		uint64_t quota = value * CPU_PERIOD_USEC / 100;

		snprintf(text, sizeof text, legacy ? "%llu" : "%llu 100000",
			(unsigned long long)quota);
	} else {
		snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	}
	return write_below(folder, file, text);
}

int cgroup_make(
	const struct cgroup_tree *tree, const char *name, const struct cgroup_limits *limits)
{
	const uint64_t values[CGROUP_CONTROLLERS] = { limits->memory_bytes, limits->pids,
		limits->cpu_percent };
	char unified[CGROUP_PATH_BYTES], folder[CGROUP_PATH_BYTES];
	int i, r = make_below(tree->unified, name, unified);

	for (i = 0; r == 0 && i < CGROUP_CONTROLLERS; i++) {
		bool legacy = tree->legacy[i][0] != '\0';

		if (legacy)
			r = make_below(tree->legacy[i], name, folder);
		if (r == 0 && values[i] && tree->controllers & 1u << i)
			r = set_limit(tree, i, legacy ? folder : unified, values[i]);
		if (r == 0 && i == CGROUP_MEMORY && !legacy && tree->controllers & 1u << i)
			write_below(unified, "memory.swap.max",
				"0"); /* absent without swap accounting */
	}
	return r;
}

size_t cgroup_procs_files(const struct cgroup_tree *tree, const char *name,
	char ret[static CGROUP_CONTROLLERS + 1][CGROUP_PATH_BYTES])
{
	size_t n = 0;
	int i;

	snprintf(ret[n++], CGROUP_PATH_BYTES, "%.400s/%.64s/cgroup.procs", tree->unified, name);
	for (i = 0; i < CGROUP_CONTROLLERS; i++)
		if (tree->legacy[i][0] != '\0')
			snprintf(ret[n++], CGROUP_PATH_BYTES, "%.400s/%.64s/cgroup.procs",
				tree->legacy[i], name);
	return n;
}

static int open_folder(const char *parent, const char *name)
{
	char path[CGROUP_PATH_BYTES];
	int fd;

	if (snprintf(path, sizeof path, "%s/%s", parent, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_kill(const struct cgroup_tree *tree, const char *name)
{
	_cleanup_fd_ int fd = open_folder(tree->unified, name);

	return fd < 0 ? fd : file_write_at(fd, "cgroup.kill", "1"); /* Linux 5.14 */
}

int cgroup_events_fd(const struct cgroup_tree *tree, const char *name)
{
	_cleanup_fd_ int fd = open_folder(tree->unified, name);
	int events;

	if (fd < 0)
		return fd;
	events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	return events < 0 ? -errno : events;
}

bool cgroup_is_populated(const struct cgroup_tree *tree, const char *name)
{
	_cleanup_fd_ int fd = open_folder(tree->unified, name);
	_cleanup_free_ char *text = NULL;

	return fd >= 0 && file_read_at(fd, "cgroup.events", 4096, &text, NULL) == 0 &&
		strstr(text, "populated 1") != NULL;
}

bool cgroup_has_pid(const struct cgroup_tree *tree, const char *name, pid_t pid)
{
	_cleanup_fd_ int fd = open_folder(tree->unified, name);
	_cleanup_free_ char *text = NULL;
	char *line, *rest;

	if (fd < 0 || file_read_at(fd, "cgroup.procs", 1 << 20, &text, NULL) < 0)
		return false;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (atoi(line) == pid)
			return true;
	return false;
}

/* What the extension made below its own folder, deepest first. */
static int remove_folder(const char *parent, const char *name, int depth)
{
	char path[CGROUP_PATH_BYTES];
	const struct dirent *entry;
	DIR *folder;

	if (depth > 16 || snprintf(path, sizeof path, "%s/%s", parent, name) >= (int)sizeof path)
		return -ENAMETOOLONG;
	folder = opendir(path);
	if (!folder)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(folder)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			remove_folder(path, entry->d_name, depth + 1);
	closedir(folder);
	return rmdir(path) < 0 && errno != ENOENT ? -errno : 0;
}

int cgroup_remove(const struct cgroup_tree *tree, const char *name)
{
	int i, r = remove_folder(tree->unified, name, 0);

	for (i = 0; i < CGROUP_CONTROLLERS; i++) {
		int other = tree->legacy[i][0] ? remove_folder(tree->legacy[i], name, 0) : 0;

		if (r == 0)
			r = other;
	}
	return r;
}

static uint64_t read_number(int fd, const char *file, const char *key)
{
	_cleanup_free_ char *text = NULL;
	const char *at;

	if (file_read_at(fd, file, 1 << 16, &text, NULL) < 0)
		return 0;
	at = key ? strstr(text, key) : text;
	return at ? strtoull(at + (key ? strlen(key) : 0), NULL, 10) : 0;
}

int cgroup_usage(const struct cgroup_tree *tree, const char *name, struct cgroup_usage *ret)
{
	_cleanup_fd_ int unified = open_folder(tree->unified, name);
	struct cgroup_usage usage = { 0 };
	uint64_t values[CGROUP_CONTROLLERS] = { 0 };
	int i;

	if (unified < 0)
		return unified;
	for (i = 0; i < CGROUP_CPU; i++) {
		bool legacy = tree->legacy[i][0] != '\0';
		_cleanup_fd_ int fd = legacy ? open_folder(tree->legacy[i], name) : dup(unified);

		values[i] = read_number(
			fd, legacy ? controllers[i].v1_usage : controllers[i].v2_usage, NULL);
		if (i == CGROUP_MEMORY)
			usage.out_of_memory = (uint32_t)read_number(
				fd, legacy ? "memory.oom_control" : "memory.events", "oom_kill ");
		else
			usage.forks_refused = (uint32_t)read_number(fd, "pids.events", "max ");
	}
	usage.memory_bytes = values[CGROUP_MEMORY];
	usage.pids = (uint32_t)values[CGROUP_PIDS];
	usage.cpu_usec = read_number(unified, "cpu.stat", "usage_usec ");
	*ret = usage;
	return 0;
}

int cgroup_id(const char *path, uint64_t *ret)
{
	struct {
		struct file_handle handle;
		uint64_t id;
	} at = { .handle.handle_bytes = sizeof(uint64_t) };
	int mount;

	/* the handle of a cgroup's folder is its id: kernel/cgroup, kernfs_encode_fh() */
	if (name_to_handle_at(AT_FDCWD, path, &at.handle, &mount, 0) < 0)
		return -errno;
	memcpy(ret, at.handle.f_handle, sizeof *ret);
	return 0;
}
