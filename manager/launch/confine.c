/* SPDX-License-Identifier: Apache-2.0
 *
 * Confinement of an extension, see confine.h. An extension is trusted to see what its entitlements
 * name, and with nothing else: its own file system is read-only but for its state folder and a
 * private /tmp, the state of others is not there, and it can never gain a right.
 *
 * Facts: mount_setattr(2), open_tree(2) and move_mount(2) (Linux 5.12, 5.2); capabilities(7),
 * "Transformation of capabilities during execve()": what uid 0 gets at exec is the bounding set.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/launch/confine.h"

#define MS_REC_SLAVE \
	(16384UL | (1UL << 19)) /* MS_REC | MS_SLAVE; <sys/mount.h> and <linux/mount.h> clash */
#define MS_NOSUID_NODEV (2UL | 4UL)

extern int mount(const char *source, const char *target, const char *type, unsigned long flags,
	const void *data);

int confine_cgroups(const struct launch_spec *spec)
{
	uint32_t i;
	int r = 0;

	for (i = 0; r == 0 && i < spec->n_groups; i++)
		r = file_write_at(AT_FDCWD, spec->cgroup_procs[i], "0");
	return r;
}

/* A mount of @path by itself, from before anything is covered; -1 with errno. */
static int take_tree(const char *path)
{
	return (int)syscall(
		SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

/* The descriptor is used up: nothing of the old tree may be left open at exec. */
static int put_tree(int tree_fd, const char *path)
{
	_cleanup_fd_ int used = tree_fd;
	int r = mkdir_path(path, 0755);

	if (r < 0)
		return r;
	return syscall(SYS_move_mount, used, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0
		? -errno
		: 0;
}

static int set_read_only(const char *path, bool read_only, bool recursive)
{
	struct mount_attr attributes = { 0 };

	if (read_only)
		attributes.attr_set = MOUNT_ATTR_RDONLY;
	else
		attributes.attr_clr = MOUNT_ATTR_RDONLY;
	return syscall(SYS_mount_setattr, AT_FDCWD, path, recursive ? AT_RECURSIVE : 0, &attributes,
		       sizeof attributes) < 0
		? -errno
		: 0;
}

/*
 * All of /dev that is left. A disk's node would be a way around the read-only file system; what an
 * extension may drive is opened by its broker.
 */
static const char *const devices[] = { "/dev/null", "/dev/zero", "/dev/full", "/dev/random",
	"/dev/urandom" };

struct trees {
	int bundle, state, write[LAUNCH_PATHS_MAX], keep[LAUNCH_PATHS_MAX];
	int device[ARRAY_SIZE(devices)];
};

static int take_trees(const struct launch_spec *spec, struct trees *trees)
{
	size_t i;

	trees->bundle = take_tree(spec->bundle);
	trees->state = take_tree(spec->state_folder);
	if (trees->bundle < 0 || trees->state < 0)
		return -errno;
	for (i = 0; i < spec->n_write_paths; i++) {
		trees->write[i] = take_tree(spec->write_paths[i]);
		/* what is not there cannot be mended; it is no reason not to start */
		if (trees->write[i] < 0 && errno != ENOENT)
			return -errno;
	}
	for (i = 0; i < spec->n_keep_paths; i++) {
		trees->keep[i] = take_tree(spec->keep_paths[i]);
		if (trees->keep[i] < 0)
			return -errno;
	}
	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		trees->device[i] = take_tree(devices[i]);
		if (trees->device[i] < 0)
			return -errno;
	}
	return 0;
}

static int cover(const char *path, const char *options)
{
	return mount("tmpfs", path, "tmpfs", MS_NOSUID_NODEV, options) < 0 ? -errno : 0;
}

static int arrange_devices(const struct trees *trees)
{
	static const struct {
		const char *from, *to;
	} links[] = { { "/proc/self/fd", "/dev/fd" }, { "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" }, { "/proc/self/fd/2", "/dev/stderr" },
		{ "/run/systemd/journal/dev-log", "/dev/log" } };
	size_t i;
	int r = cover("/dev", "mode=0755,size=64K");

	for (i = 0; r == 0 && i < ARRAY_SIZE(devices); i++) {
		if (mknod(devices[i], S_IFREG | 0644, 0) < 0)
			r = -errno;
		else
			r = put_tree(trees->device[i], devices[i]);
	}
	for (i = 0; r == 0 && i < ARRAY_SIZE(links); i++)
		r = symlink(links[i].from, links[i].to) < 0 ? -errno : 0;
	if (r == 0)
		r = mkdir_path("/dev/shm", 0755);
	return r == 0 ? cover("/dev/shm", "mode=1777,size=64M") : r;
}

/*
 * /tmp and /dev are private. The state of Outboard is covered, and of it only the own parts come
 * back: after the writable paths, which may be its parents.
 */
static int arrange(const struct launch_spec *spec, const struct trees *trees)
{
	uint32_t i;
	int r = cover("/tmp", "mode=1777,size=64M");

	for (i = 0; r == 0 && i < spec->n_keep_paths; i++)
		r = put_tree(trees->keep[i], spec->keep_paths[i]);
	for (i = 0; r == 0 && i < spec->n_write_paths; i++)
		if (trees->write[i] >= 0)
			r = put_tree(trees->write[i], spec->write_paths[i]);
	if (r == 0)
		r = cover(spec->hidden, "mode=0755,size=64K");
	if (r == 0)
		r = put_tree(trees->bundle, spec->bundle);
	if (r == 0)
		r = put_tree(trees->state, spec->state_folder);
	return r == 0 ? arrange_devices(trees) : r;
}

static int set_writable(const struct launch_spec *spec, const struct trees *trees)
{
	uint32_t i;
	int r = set_read_only("/", true, true);

	for (i = 0; r == 0 && i < spec->n_write_paths; i++)
		if (trees->write[i] >= 0)
			r = set_read_only(spec->write_paths[i], false, true);
	/* with their parent, they may just have become writable */
	if (r == 0)
		r = set_read_only(spec->hidden, true, true);
	if (r == 0)
		r = set_read_only("/dev", true, true);
	if (r == 0)
		r = set_read_only("/tmp", false, false);
	if (r == 0)
		r = set_read_only("/dev/shm", false, false);
	return r == 0 ? set_read_only(spec->state_folder, false, false) : r;
}

int confine_files(const struct launch_spec *spec)
{
	struct trees trees;
	int r = mkdir_path(spec->state_folder, 0700);

	if (r < 0)
		return r;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC_SLAVE, NULL) < 0)
		return -errno;
	memset(&trees, 0xff, sizeof trees); /* -1: none taken */
	r = take_trees(spec, &trees);
	if (r == 0)
		r = arrange(spec, &trees);
	if (r == 0)
		r = set_writable(spec, &trees);
	/* the working folder is of the old tree; the new one has the same path */
	return r == 0 && chdir("/") < 0 ? -errno : r;
}

int confine_limits(const struct launch_spec *spec)
{
	const struct rlimit files = { spec->open_files, spec->open_files }, none = { 0, 0 };
	_cleanup_fd_ int fd = -1;

	if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	/* before the system's own when memory is short, after nothing else: it is restarted */
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "200", 3);
	return setsid() < 0 && errno != EPERM ? -errno : 0;
}

static int drop_bounding_set(uint64_t kept)
{
	int capability;

	for (capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		if (!(kept & 1ull << capability) && prctl(PR_CAPBSET_DROP, capability) < 0)
			return -errno;
	return 0;
}

int confine_rights(const struct launch_spec *spec)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const uint32_t low = (uint32_t)spec->capabilities,
		       high = (uint32_t)(spec->capabilities >> 32);
	const struct __user_cap_data_struct sets[2] = { { low, low, 0 }, { high, high, 0 } };
	int r = drop_bounding_set(spec->capabilities);

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, sets) < 0)
		return -errno;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return 0;
}
