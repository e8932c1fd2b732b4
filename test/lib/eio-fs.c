/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that is broken in places: passes a folder through, to be read only, but for the files and
 * folders that are named. It returns when the file system is mounted, and ends when it is unmounted;
 * 77 where there is no FUSE.
 *
 *   eio-fs [--short | --stuck] [--while FILE] FOLDER MOUNT-POINT NAME...
 *
 * Reading FOLDER/NAME, or opening it where it is a folder, fails with EIO; with --short it is a file
 * that was emptied after its size was asked for; with --stuck whoever reads it waits in the kernel,
 * where not even SIGKILL reaches; that takes --while. With --while all of it only as long as FILE
 * exists, so that a disk can be mended while it is mounted.
 */
#define FUSE_USE_VERSION 35
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"

static int folder_fd;
static const char *switch_path; /* absolute: the daemon's folder is / */
static char **broken;		/* ends in NULL */
enum { FAULT_EIO, FAULT_SHORT, FAULT_STUCK };
static int fault = FAULT_EIO;

/* fuse.h's paths begin with a slash. */
static const char *below(const char *path)
{
	return path[1] ? path + 1 : ".";
}

static bool is_named(const char *path)
{
	char **name;

	for (name = broken; *name; name++)
		if (streq(*name, below(path)))
			return true;
	return false;
}

static bool is_broken(const char *path)
{
	return !(switch_path && access(switch_path, F_OK) < 0) && is_named(path);
}

static int watch_switch(void)
{
	_cleanup_free_ char *folder = switch_path ? strdup(switch_path) : NULL;
	_cleanup_fd_ int fd = inotify_init1(IN_CLOEXEC);

	if (!folder || !strrchr(folder, '/'))
		return -EINVAL;
	*strrchr(folder, '/') = '\0';
	if (fd < 0 ||
		inotify_add_watch(fd, folder[0] ? folder : "/", IN_DELETE | IN_MOVED_FROM) < 0)
		return -errno;
	return TAKE_FD(fd);
}

/* A request that this process has taken is waited for without a signal: fs/fuse/dev.c, request_wait_answer(). */
static void wait_until_mended(const char *path)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	_cleanup_fd_ int fd = watch_switch(); /* each reader's own: an event is read once */

	while (fd >= 0 && is_broken(path))
		if (read(fd, events, sizeof events) < 0 && errno != EINTR)
			break;
}

static int on_opendir(const char *path, struct fuse_file_info *file)
{
	return fault == FAULT_EIO && is_broken(path) ? -EIO : 0;
}

static int on_getattr(const char *path, struct stat *status, struct fuse_file_info *file)
{
	return fstatat(folder_fd, below(path), status, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int on_readlink(const char *path, char *buffer, size_t bytes)
{
	ssize_t n = readlinkat(folder_fd, below(path), buffer, bytes - 1);

	if (n < 0)
		return -errno;
	buffer[n] = '\0';
	return 0;
}

static int on_open(const char *path, struct fuse_file_info *file)
{
	int fd = openat(folder_fd, below(path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	file->fh = (uint64_t)fd;
	/* else it is the page cache that is waited for, which a signal ends */
	file->direct_io = fault == FAULT_STUCK && is_named(path);
	return 0;
}

static int on_read(
	const char *path, char *buffer, size_t bytes, off_t offset, struct fuse_file_info *file)
{
	ssize_t n;

	if (is_broken(path) && fault == FAULT_STUCK)
		wait_until_mended(path);
	if (is_broken(path))
		return fault == FAULT_SHORT ? 0 : -EIO;
	n = pread((int)file->fh, buffer, bytes, offset);
	return n < 0 ? -errno : (int)n;
}

static int on_release(const char *path, struct fuse_file_info *file)
{
	fd_close((int)file->fh);
	return 0;
}

static int on_readdir(const char *path, void *buffer, fuse_fill_dir_t add, off_t offset,
	struct fuse_file_info *file, enum fuse_readdir_flags flags)
{
	int fd = openat(folder_fd, below(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		struct stat status = { .st_ino = entry->d_ino, .st_mode = DTTOIF(entry->d_type) };

		add(buffer, entry->d_name, &status, 0, 0);
	}
	closedir(folder);
	return 0;
}

/* Inodes are the folder's own, so that a file stays the same one, however long it was not looked at. */
static void *on_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	config->use_ino = 1;
	config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
	return NULL;
}

static const struct fuse_operations operations = {
	.init = on_init,
	.getattr = on_getattr,
	.readlink = on_readlink,
	.open = on_open,
	.opendir = on_opendir,
	.read = on_read,
	.release = on_release,
	.readdir = on_readdir,
};

/* Mounted when this process ends; its child serves. */
static int serve(const char *program, const char *mount_point)
{
	char name[] = "eio-fs", options[] = "-oro,allow_other,default_permissions,fsname=eio-fs";
	char *arguments[] = { name, options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(2, arguments);
	struct fuse_loop_config loop = {
		.max_idle_threads = 4
	}; /* who waits does not hold the others */
	struct fuse *fuse = fuse_new(&args, &operations, sizeof operations, NULL);
	int r;

	fuse_opt_free_args(&args); /* a copy that fuse_new() has made of them */
	if (!fuse || fuse_mount(fuse, mount_point) < 0) {
		fprintf(stderr, "%s: %s: cannot be mounted\n", program, mount_point);
		return 1;
	}
	if (fuse_daemonize(0) < 0)
		return 1;
	r = fuse_loop_mt(fuse, &loop);
	fuse_unmount(fuse);
	fuse_destroy(fuse);
	_exit(r !=
		0); /* libfuse itself keeps something, which a leak checker would lay at our door */
}

static int usage(void)
{
	fprintf(stderr,
		"usage: eio-fs [--short | --stuck] [--while FILE] FOLDER MOUNT-POINT NAME...\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "short", no_argument, &fault, FAULT_SHORT },
		{ "stuck", no_argument, &fault, FAULT_STUCK },
		{ "while", required_argument, NULL, 'w' },
		{ 0 },
	};
	const char *program = argv[0];
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'w')
			switch_path = optarg;
		else if (option != 0)
			return usage();
	}
	argv += optind;
	if (argc - optind < 3 || (fault == FAULT_STUCK && !switch_path))
		return usage();
	if (access("/dev/fuse", R_OK | W_OK) < 0) {
		fprintf(stderr, "%s: needs /dev/fuse: %s\n", program, strerror(errno));
		return 77;
	}
	folder_fd = open(argv[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0) {
		fprintf(stderr, "%s: %s: %s\n", program, argv[0], strerror(errno));
		return 1;
	}
	broken = argv + 2;
	return serve(program, argv[1]);
}
