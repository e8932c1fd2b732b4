/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors: closing them, reading and writing small files whole, sealed memory, and the
 * descriptors that outboardd hands to a process by name (OUTBOARD_FDS).
 */
#ifndef OB_BASE_FD_H
#define OB_BASE_FD_H

#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>
#include "base/macros.h"

/* Close @fd if it is one; errno is kept. Always -1, so that `fd = fd_close(fd)` reads well. */
int fd_close(int fd);

static inline void fd_closep(int *fd)
{
	fd_close(*fd);
}
#define _cleanup_fd_ _cleanup_(fd_closep)

static inline void freep(void *pointer)
{
	void **memory = pointer;

	__builtin_free(*memory);
}
#define _cleanup_free_ _cleanup_(freep)

/*
 * Read at most @max bytes of @fd to its end. *ret is NUL-terminated (the NUL is not counted) and
 * the caller's. -EFBIG when there is more.
 */
int fd_read_all(int fd, size_t max, char **ret, size_t *ret_bytes);
/* The same by name, relative to @dir_fd, without following a link in the last component. */
int file_read_at(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_bytes);
/* Write all of it, or -errno; short writes are continued. */
int fd_write_all(int fd, const void *data, size_t bytes);
/* Write @text into an existing file such as a cgroup attribute: one write. */
int file_write_at(int dir_fd, const char *path, const char *text);
/* Replace @path by rename, with fsync of file and folder: a reader sees the old or the new one. */
int file_replace_at(int dir_fd, const char *path, const void *data, size_t bytes, mode_t mode);

/* A memfd that holds @bytes of @data and can never change again (write, grow, shrink sealed). */
int memfd_new_sealed(const char *name, const void *data, size_t bytes);
/* Map a sealed memfd that came from a peer: checks the seals and the size. munmap() by the caller. */
int memfd_map_sealed(int fd, size_t max, const void **ret, size_t *ret_bytes);

/*
 * The descriptors that outboardd hands to a process: OUTBOARD_FDS="control=3,endpoint=4,service:NAME=5".
 * Borrowed: the descriptor stays where it is (close-on-exec is set). -ENOENT: no such name.
 */
int fd_inherited(const char *name);

int mkdir_path(const char *path, mode_t mode); /* like mkdir -p; 0 when it is there */

#endif
