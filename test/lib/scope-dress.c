/* SPDX-License-Identifier: Apache-2.0
 *
 * What the inside of a scope looks like: a fresh /proc, private /tmp and /run, a root for
 * Outboard on a tmpfs of its own (so that fanotify marks on it concern nobody else), a private
 * bpffs, loopback up, and the users alice and bob. It remembers the mounts, to say afterwards
 * which were left behind.
 *
 * A checkout below /tmp would vanish under the private one: the first folder below /tmp of the
 * working directory, of this program and of the command is bound into it.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "test/lib/scope.h"

#define BINDS_MAX 4
#define MOUNTS_MAX 512

struct bind {
	char path[PATH_MAX];
	int fd;
};

static char *mounts_before;
static int n_files_left;

static int fail(const char *what)
{
	int r = -errno;

	fprintf(stderr, "scope: %s: %s\n", what, strerror(errno));
	return r;
}

static int mount_at(const char *type, const char *path, unsigned long flags, const char *options)
{
	if (mkdir_path(path, 0755) < 0 || mount(type, path, type, flags, options) < 0)
		return fail(path);
	return 0;
}

static void bind_note(struct bind *binds, size_t *n, const char *path)
{
	char real[PATH_MAX];
	char *slash;

	if (!path || !realpath(path, real) || !str_starts(real, "/tmp/") || *n == BINDS_MAX)
		return;
	slash = strchr(real + strlen("/tmp/"), '/');
	if (slash)
		*slash = 0;
	for (size_t i = 0; i < *n; i++) {
		if (streq(binds[i].path, real))
			return;
	}
	binds[*n].fd = open(real, O_PATH | O_CLOEXEC);
	if (binds[*n].fd >= 0)
		STR_PUT(binds[*n].path, real), (*n)++;
}

static int bind_make(const struct bind *bind)
{
	struct stat status;
	char from[64];
	int r = 0;

	snprintf(from, sizeof(from), "/proc/self/fd/%d", bind->fd);
	if (fstat(bind->fd, &status) < 0)
		return fail(bind->path);
	if (S_ISDIR(status.st_mode))
		r = mkdir(bind->path, 0755);
	else
		r = mknod(bind->path, S_IFREG | 0644, 0);
	if (r < 0 || mount(from, bind->path, NULL, MS_BIND | MS_REC, NULL) < 0)
		return fail(bind->path);
	return 0;
}

static int dress_tmp(const struct scope *scope)
{
	static struct bind binds[BINDS_MAX];
	size_t n = 0;
	char cwd[PATH_MAX];
	int r;

	if (!getcwd(cwd, sizeof(cwd)))
		return fail("working directory");
	bind_note(binds, &n, cwd);
	bind_note(binds, &n, "/proc/self/exe");
	bind_note(binds, &n, scope->command[0]);
	bind_note(binds, &n, getenv("OUTBOARD_LIBEXEC"));
	r = mount_at("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = bind_make(&binds[i]);
	for (size_t i = 0; i < n; i++)
		close(binds[i].fd);
	if (r == 0 && chdir(cwd) < 0)
		r = fail(cwd);
	return r;
}

/* @child of the folder @path alone, on a tmpfs that everybody may enter. */
static int cover_but(const char *path, const char *child)
{
	_cleanup_fd_ int fd = open(child, O_PATH | O_CLOEXEC);
	struct bind bind = { .fd = fd };

	if (fd < 0)
		return fail(child);
	STR_PUT(bind.path, child);
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
		return fail(path);
	return bind_make(&bind);
}

/*
 * A checkout in a folder that only root may enter, such as /root, is of no use to alice: each such
 * folder on the way is covered by one that shows nothing but the way.
 */
static int open_way(const char *path)
{
	char folder[PATH_MAX], child[PATH_MAX];
	struct stat status;
	int r = 0;

	for (const char *at = strchr(path + 1, '/'); r == 0 && at; at = strchr(at + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(at - path), path);
		snprintf(child, sizeof(child), "%.*s",
			(int)(at - path + 1 + (ptrdiff_t)strcspn(at + 1, "/")), path);
		if (stat(folder, &status) < 0)
			return fail(folder);
		if (!(status.st_mode & S_IXOTH))
			r = cover_but(folder, child);
	}
	return r;
}

static int dress_way(void)
{
	char cwd[PATH_MAX], program[PATH_MAX];
	int r;

	if (!getcwd(cwd, sizeof(cwd)) || !realpath("/proc/self/exe", program))
		return fail("working directory");
	r = open_way(program);
	if (r == 0)
		r = open_way(cwd);
	return r == 0 && chdir(cwd) < 0 ? fail(cwd) : r;
}

static int dress_root(void)
{
	static const char *const folders[] = { "/etc/outboard/teams.d", "/etc/outboard/conf.d",
		"/usr/lib/outboard/apps", "/var/lib", "/var/log", "/run", "/opt", "/Applications" };
	char path[PATH_MAX];
	int r = mount_at("tmpfs", SCOPE_ROOT, MS_NODEV, "mode=755,size=512M");

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), SCOPE_ROOT "%s", folders[i]);
		r = mkdir_path(path, 0755);
	}
	return r;
}

/* @file with @lines added, and with what it said of the same names taken out, bound over @file. */
static int database_extend(const char *file, const char *copy, const char *const *lines)
{
	FILE *to = fopen(copy, "we"), *from;
	char line[4096];

	if (!to)
		return fail(copy);
	from = fopen(file, "re");
	while (from && fgets(line, sizeof(line), from)) {
		bool ours = false;

		for (size_t i = 0; lines[i]; i++)
			ours |= strncmp(line, lines[i], strcspn(lines[i], ":") + 1) == 0;
		if (!ours)
			fputs(line, to);
	}
	for (size_t i = 0; lines[i]; i++)
		fprintf(to, "%s\n", lines[i]);
	if (from)
		fclose(from);
	fclose(to);
	return mount(copy, file, NULL, MS_BIND, NULL) < 0 ? fail(file) : 0;
}

static int dress_users(void)
{
	static const char *const users[] = { "alice:x:2001:3001:Alice:/tmp/home/alice:/bin/bash",
		"bob:x:2002:3002:Bob:/tmp/home/bob:/bin/bash", NULL };
	static const char *const groups[] = {
		"alice:x:3001:", "bob:x:3002:", "crew:x:4001:alice,bob", NULL
	};
	int r = database_extend("/etc/passwd", "/tmp/.passwd", users);

	if (r == 0)
		r = database_extend("/etc/group", "/tmp/.group", groups);
	if (r == 0 &&
		(mkdir_path("/tmp/home/alice", 0755) < 0 || mkdir_path("/tmp/home/bob", 0755) < 0 ||
			chown("/tmp/home/alice", 2001, 3001) < 0 ||
			chown("/tmp/home/bob", 2002, 3002) < 0))
		r = fail("/tmp/home");
	return r;
}

static int loopback_up(void)
{
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? fail("lo") : 0;
}

int scope_dress(const struct scope *scope)
{
	int r = 0;

	umask(022);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || sethostname("scope", 5) < 0)
		return fail("namespaces");
	r = mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (r == 0)
		r = dress_tmp(scope);
	if (r == 0 && scope->users)
		r = dress_way();
	if (r == 0)
		r = mount_at("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755");
	if (r == 0 && access("/sys/fs/bpf", F_OK) == 0)
		r = mount_at("bpf", "/sys/fs/bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700");
	if (r == 0)
		r = dress_root();
	if (r == 0 && scope->users)
		r = dress_users();
	if (r == 0)
		r = loopback_up();
	if (r == 0)
		r = file_read_at(-1, "/proc/self/mountinfo", 1 << 20, &mounts_before, NULL);
	return r;
}

static int mounts_count_left(void)
{
	_cleanup_free_ char *now = NULL;
	char *rest, *line;
	int n = 0;

	if (file_read_at(-1, "/proc/self/mountinfo", 1 << 20, &now, NULL) < 0)
		return 0;
	rest = now;
	while ((line = strsep(&rest, "\n"))) {
		char id[16], path[PATH_MAX], before[24];

		if (sscanf(line, "%15s %*s %*s %*s %4095s", id, path) != 2)
			continue;
		snprintf(before, sizeof(before), "\n%s ", id);
		if (strstr(mounts_before, before) ||
			strncmp(mounts_before, before + 1, strlen(before + 1)) == 0)
			continue;
		fprintf(stderr, "scope: left behind: mount %s\n", path);
		n++;
	}
	return n;
}

static int file_visit(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	if (walk->level > 0 && type != FTW_D && !str_ends(path, "/xtables.lock")) {
		fprintf(stderr, "scope: left behind: file %s\n", path);
		n_files_left++;
	}
	return 0;
}

int scope_count_left(void)
{
	nftw("/run", file_visit, 16, FTW_PHYS | FTW_MOUNT);
	return mounts_count_left() + n_files_left;
}
