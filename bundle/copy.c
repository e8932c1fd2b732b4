/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle_copy(): a bundle byte by byte into a folder of root's, parsing nothing. The verdict is on
 * this copy, so that whoever owns the original can change it as he likes. Set-id bits, owners,
 * extended attributes and hard links stay behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/layout.h"
#include "bundle/walk.h"

/* A few files are synced one by one; for more, one sync of the whole file system is cheaper. */
#define SYNC_ONE_BY_ONE 256u

#define COPY_CHUNK_BYTES (1u << 20)

struct copy {
	int target_fd;
	const char *path;
	unsigned char *buffer; /* made when it is needed: most kernels copy by themselves */
	uint64_t n_files;
	struct wire_error *error;
};

static const char *full_path(
	const struct copy *copy, const char *name, char buffer[static 2 * PATH_MAX])
{
	snprintf(buffer, 2 * PATH_MAX, "%s/%s", copy->path, name);
	return buffer;
}

static int unreadable(struct copy *copy, const char *name, int r)
{
	char buffer[2 * PATH_MAX];

	rule_error(copy->error, RULE_BUNDLE_UNREADABLE, full_path(copy, name, buffer), strerror(-r),
		NULL);
	return r;
}

static int unwritable(struct copy *copy, int r)
{
	enum rule_id rule = r == -ENOSPC || r == -EDQUOT ? RULE_STAGING_NO_SPACE
							 : RULE_STAGING_FAILED;

	rule_error(copy->error, rule, copy->path, strerror(-r), NULL);
	return r;
}

static int changed(struct copy *copy, const char *name)
{
	char buffer[2 * PATH_MAX];

	rule_error(copy->error, RULE_BUNDLE_CHANGED, full_path(copy, name, buffer),
		"its size is another one", NULL);
	return 1;
}

/* Reads and writes apart, so that it is known which of both failed. */
static int copy_by_hand(
	struct copy *copy, const struct walk_entry *entry, int fd, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;

	if (!copy->buffer)
		copy->buffer = malloc(COPY_CHUNK_BYTES);
	if (!copy->buffer)
		return unwritable(copy, -ENOMEM);
	for (;;) {
		ssize_t n = read(entry->fd, copy->buffer, COPY_CHUNK_BYTES);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return unreadable(copy, entry->path, -errno);
		if (n == 0)
			break;
		bytes += (uint64_t)n;
		if (bytes > (uint64_t)entry->status.st_size)
			return changed(copy, entry->path);
		r = fd_write_all(fd, copy->buffer, (size_t)n);
		if (r < 0)
			return unwritable(copy, r);
	}
	*ret_bytes = bytes;
	return 0;
}

/*
 * By the kernel where it can (between file systems it cannot always, and a reflink costs nothing).
 * Its errors do not say which side failed, so after one the rest goes by hand from there.
 */
static int copy_bytes(struct copy *copy, const struct walk_entry *entry, int fd)
{
	uint64_t bytes = 0, rest = 0;
	int r;

	while (bytes < (uint64_t)entry->status.st_size) {
		ssize_t n = copy_file_range(entry->fd, NULL, fd, NULL,
			(size_t)((uint64_t)entry->status.st_size - bytes), 0);

		if (n <= 0)
			break;
		bytes += (uint64_t)n;
	}
	/* by hand finds the end, too: a file that has grown meanwhile is noticed there */
	if (bytes == (uint64_t)entry->status.st_size) {
		char more;
		ssize_t n = read(entry->fd, &more, 1);

		if (n < 0)
			return unreadable(copy, entry->path, -errno);
		return n == 0 ? 0 : changed(copy, entry->path);
	}
	if (lseek(entry->fd, (off_t)bytes, SEEK_SET) < 0)
		return unreadable(copy, entry->path, -errno);
	r = copy_by_hand(copy, entry, fd, &rest);
	if (r != 0)
		return r;
	return bytes + rest == (uint64_t)entry->status.st_size ? 0 : changed(copy, entry->path);
}

static int copy_file(struct copy *copy, const struct walk_entry *entry)
{
	_cleanup_fd_ int fd = openat(copy->target_fd, entry->path,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return unwritable(copy, -errno);
	r = copy_bytes(copy, entry, fd);
	if (r != 0)
		return r;
	if (fchmod(fd, layout_mode(entry->status.st_mode) & 07777) < 0)
		return unwritable(copy, -errno);
	copy->n_files++;
	return 0;
}

static int copy_entry(struct copy *copy, const struct walk_entry *entry)
{
	switch (entry->type) {
	case WALK_FILE:
		return copy_file(copy, entry);
	case WALK_FOLDER:
		if (mkdirat(copy->target_fd, entry->path, 0755) < 0 ||
			fchmodat(copy->target_fd, entry->path, 0755, 0) < 0)
			return unwritable(copy, -errno);
		return 0;
	case WALK_LINK:
		if (symlinkat(entry->target, copy->target_fd, entry->path) < 0)
			return unwritable(copy, -errno);
		return 0;
	}
	return 0;
}

static int sync_copy(struct copy *copy)
{
	_cleanup_(walk_freep) struct walk *walk = NULL;
	struct walk_entry entry;
	int r;

	if (copy->n_files > SYNC_ONE_BY_ONE)
		return syncfs(copy->target_fd) < 0 ? unwritable(copy, -errno) : 0;
	r = walk_new(copy->target_fd, copy->path, &walk);
	while (r >= 0) {
		r = walk_next(walk, &entry, copy->error);
		if (r != WALK_ENTRY)
			break;
		if (entry.fd >= 0 && fsync(entry.fd) < 0)
			return unwritable(copy, -errno);
	}
	if (r != 0)
		return unwritable(copy, r < 0 ? r : -EIO);
	return fsync(copy->target_fd) < 0 ? unwritable(copy, -errno) : 0;
}

int bundle_copy(int source_fd, int target_fd, const char *path, struct wire_error *ret_error)
{
	struct copy copy = { .target_fd = target_fd, .path = path, .error = ret_error };
	_cleanup_(walk_freep) struct walk *walk = NULL;
	struct walk_entry entry;
	int r;

	r = walk_new(source_fd, path, &walk);
	if (r < 0)
		return unwritable(&copy, r);
	for (;;) {
		r = walk_next(walk, &entry, ret_error);
		if (r != WALK_ENTRY)
			break;
		r = copy_entry(&copy, &entry);
		if (r != 0)
			break;
	}
	if (r == 0)
		r = sync_copy(&copy);
	free(copy.buffer);
	return r == WALK_E_REFUSED ? 1 : r;
}
