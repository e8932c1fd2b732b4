/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors and small files, see fd.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/fd.h"

int fd_close(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

int fd_read_all(int fd, size_t max, char **ret, size_t *ret_bytes)
{
	_cleanup_free_ char *data = NULL;
	size_t bytes = 0, room = 0;

	for (;;) {
		ssize_t n;

		if (room - bytes < 2) {
			size_t more = room ? room * 2 : 4096;
			char *grown;

			if (more > max + 2)
				more = max + 2;
			grown = realloc(data, more);
			if (!grown)
				return -ENOMEM;
			data = grown;
			room = more;
		}
		n = read(fd, data + bytes, room - bytes - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		bytes += (size_t)n;
		if (bytes > max)
			return -EFBIG;
	}
	data[bytes] = '\0';
	*ret = TAKE(data);
	if (ret_bytes)
		*ret_bytes = bytes;
	return 0;
}

int file_read_at(int dir_fd, const char *path, size_t max, char **ret, size_t *ret_bytes)
{
	_cleanup_fd_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return fd_read_all(fd, max, ret, ret_bytes);
}

int fd_write_all(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes > 0) {
		ssize_t n = write(fd, at, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		bytes -= (size_t)n;
	}
	return 0;
}

int file_write_at(int dir_fd, const char *path, const char *text)
{
	_cleanup_fd_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t bytes = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, bytes);
	if (n < 0)
		return -errno;
	return (size_t)n == bytes ? 0 : -EIO;
}

int file_replace_at(int dir_fd, const char *path, const void *data, size_t bytes, mode_t mode)
{
	_cleanup_free_ char *temporary = NULL, *folder = NULL;
	_cleanup_fd_ int fd = -1, folder_fd = -1;
	const char *slash = strrchr(path, '/');
	int r;

	if (asprintf(&temporary, "%s.new.%d", path, (int)getpid()) < 0)
		return -ENOMEM;
	folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	if (!folder)
		return -ENOMEM;
	folder_fd = openat(dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return -errno;
	fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, data, bytes);
	if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
		r = -errno;
	if (r == 0 && renameat(dir_fd, temporary, dir_fd, path) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir_fd, temporary, 0);
		return r;
	}
	return fsync(folder_fd) < 0 ? -errno : 0;
}

int memfd_new_sealed(const char *name, const void *data, size_t bytes)
{
	_cleanup_fd_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, data, bytes);
	if (r < 0)
		return r;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int memfd_map_sealed(int fd, size_t max, const void **ret, size_t *ret_bytes)
{
	const int wanted = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;
	void *data;

	if (seals < 0 || (seals & wanted) != wanted)
		return -EPERM;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size <= 0 || (size_t)status.st_size > max)
		return -EFBIG;
	data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	*ret = data;
	*ret_bytes = (size_t)status.st_size;
	return 0;
}

int fd_inherited(const char *name)
{
	const char *at = secure_getenv("OUTBOARD_FDS");
	size_t name_bytes = strlen(name);

	while (at && *at) {
		const char *end = strchrnul(at, ',');
		const char *equals = memchr(at, '=', (size_t)(end - at));

		if (equals && (size_t)(equals - at) == name_bytes &&
			!memcmp(at, name, name_bytes)) {
			char *tail;
			long fd = strtol(equals + 1, &tail, 10);

			if (tail != end || fd < 0 || fd > 1 << 20 || fcntl((int)fd, F_GETFD) < 0)
				return -EBADF;
			fcntl((int)fd, F_SETFD, FD_CLOEXEC);
			return (int)fd;
		}
		at = *end ? end + 1 : end;
	}
	return -ENOENT;
}

int mkdir_path(const char *path, mode_t mode)
{
	_cleanup_free_ char *copy = strdup(path);
	char *at;

	if (!copy)
		return -ENOMEM;
	for (at = copy + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*at = '/';
	}
	return mkdir(copy, mode) < 0 && errno != EEXIST ? -errno : 0;
}
