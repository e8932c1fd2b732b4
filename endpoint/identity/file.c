/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding the file again that the kernel program has seen, with the rights of root and without
 * reading a byte of it. A process is a hint where it is, and a path another one: what counts is the
 * key, and a file that has another one is not the one that was meant.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "base/fd.h"
#include "base/str.h"
#include "endpoint/identity/hasher.h"

#define MOUNTS_BYTES_MAX (16u << 20)

static uint32_t kernel_device(unsigned int major_, unsigned int minor_)
{
	return (uint32_t)major_ << 20 | (minor_ & 0xfffffu);
}

/* "NAME:\tVALUE" of /proc/self/fdinfo/FD: Documentation/filesystems/proc.rst */
static int field_of(const char *text, const char *name, uint64_t *ret)
{
	const char *at = strstr(text, name);

	if (!at || (at != text && at[-1] != '\n'))
		return -ENODATA;
	*ret = strtoull(at + strlen(name), NULL, 10);
	return 0;
}

/* The device of the superblock below a mount of this namespace, which stat(2) of btrfs and overlayfs is not. */
static int device_of_mount(uint64_t mount_id, uint32_t *ret)
{
	_cleanup_free_ char *text = NULL;
	char *line, *rest;
	int r = file_read_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTS_BYTES_MAX, &text, NULL);

	for (rest = text; r == 0 && (line = strsep(&rest, "\n"));) {
		unsigned long long id;
		unsigned int major_, minor_;

		if (sscanf(line, "%llu %*u %u:%u ", &id, &major_, &minor_) != 3 || id != mount_id)
			continue;
		*ret = kernel_device(major_, minor_);
		return 0;
	}
	return r < 0 ? r : -ENOENT;
}

int file_key(int fd, struct es_identity_key *ret)
{
	_cleanup_free_ char *text = NULL;
	struct stat status;
	uint64_t mount_id;
	char path[64];

	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	*ret = (struct es_identity_key){ .inode = status.st_ino,
		.ctime_ns = (uint64_t)status.st_ctim.tv_sec * 1000000000u +
			(uint64_t)status.st_ctim.tv_nsec,
		.size = (uint64_t)status.st_size,
		.device = kernel_device(major(status.st_dev), minor(status.st_dev)) };
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	if (file_read_at(AT_FDCWD, path, 4096, &text, NULL) < 0)
		return 0;
	field_of(text, "ino:\t", &ret->inode); /* from 5.15 on */
	/* a mount of another namespace is not listed: then the two agree, or it is not found */
	if (field_of(text, "mnt_id:\t", &mount_id) == 0)
		device_of_mount(mount_id, &ret->device);
	return 0;
}

/* First without opening it: a device or a pipe would notice. */
static int open_checked(const char *path, const struct es_identity_key *key)
{
	_cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct es_identity_key found;
	char again[64];
	int r;

	if (fd < 0)
		return -errno;
	r = file_key(fd, &found);
	if (r < 0)
		return r;
	if (memcmp(&found, key, sizeof found) != 0)
		return -ESTALE;
	snprintf(again, sizeof again, "/proc/self/fd/%d", fd);
	r = open(again, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOATIME);
	if (r < 0)
		r = open(again, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return r < 0 ? -errno : r;
}

int file_open_wanted(const struct es_wanted *wanted)
{
	char path[64];
	int r = -ESTALE;

	if (wanted->pid) {
		snprintf(path, sizeof path, "/proc/%u/exe", wanted->pid);
		r = open_checked(path, &wanted->key);
	}
	/* it has ended already, or gone on to another program */
	if (r < 0 && wanted->path[0] == '/')
		r = open_checked(wanted->path, &wanted->key);
	return r == -ENOENT || r == -ENOTDIR || r == -EINVAL ? -ESTALE : r;
}

/* The name that the host has for it: not that under which a process of another root has run it. */
static void find_name(int fd, const struct stat *status, struct identity_hash *ret)
{
	struct stat there;
	char link[64];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, ret->path, sizeof ret->path - 1);
	ret->path[n > 0 ? n : 0] = '\0';
	if (ret->path[0] != '/' || stat(ret->path, &there) < 0 || there.st_dev != status->st_dev ||
		there.st_ino != status->st_ino)
		ret->path[0] = '\0';
}

int file_describe(int fd, struct identity_hash *ret)
{
	struct stat status;
	int r;

	memset(ret, 0, sizeof *ret);
	r = file_key(fd, &ret->key);
	if (r < 0)
		return r;
	if (fstat(fd, &status) < 0)
		return -errno;
	ret->device = status.st_dev;
	ret->inode = status.st_ino;
	ret->mode = status.st_mode;
	ret->uid = status.st_uid;
	find_name(fd, &status, ret);
	return 0;
}
