/* SPDX-License-Identifier: Apache-2.0
 *
 * The databases of packages, and keeping the hasher's index up to date. Here files are found and
 * opened; not a byte of them is read but the head of the index, which root alone can write.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "endpoint/identity/hasher.h"
#include "endpoint/identity/index.h"

#define PACKAGES_A_SIGN 64 /* of life */

/* Each kind of package: how its signing ids begin, where it can be told that it is here. */
static const struct source {
	const char *prefix, *path;
	const char *missing; /* why its packages are not read */
} sources[] = {
	{ "deb:", "/var/lib/dpkg/status", NULL },
	{ "rpm:", "/usr/lib/sysimage/rpm", "this version does not read the database of rpm" },
	{ "rpm:", "/var/lib/rpm", "this version does not read the database of rpm" },
	{ "flatpak:", "/var/lib/flatpak/app",
		"this version does not read what flatpak has deployed" },
	{ "snap:", "/var/lib/snapd/state.json",
		"this version does not read what snapd has mounted" },
};

void database_tell_missing(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sources); i++)
		if (sources[i].missing && access(sources[i].path, F_OK) == 0)
			log_event(LOG_IDENTITY_SOURCE, sources[i].path, "because",
				sources[i].missing, NULL);
}

/* ---- is it the same as before? ---------------------------------------------------------------- */

static uint64_t time_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

/* 1; 0: no database here; -errno */
static int stamp_now(const struct database *database, int *ret_dir_fd, struct identity_stamp *ret)
{
	_cleanup_fd_ int dir_fd = open(database->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat status, diversions;

	if (dir_fd < 0 || fstatat(dir_fd, "status", &status, 0) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstatat(dir_fd, "diversions", &diversions, 0) < 0)
		diversions = (struct stat){ 0 };
	*ret = (struct identity_stamp){ .status_inode = status.st_ino,
		.status_mtime_ns = time_of(&status.st_mtim),
		.status_bytes = (uint64_t)status.st_size,
		.diversions_mtime_ns = time_of(&diversions.st_mtim),
		.merged = index_merged() };
	*ret_dir_fd = TAKE_FD(dir_fd);
	return 1;
}

static int open_state(void)
{
	char path[PATH_MAX];
	int r = mkdir_path(path_get(PATH_STATE, NULL, path), 0755);

	if (r == 0)
		r = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r < 0 && errno ? -errno : r;
}

/* The index of before, if it is of the database of now; -ESTALE */
static int open_index(int state_fd, const struct identity_stamp *stamp)
{
	_cleanup_fd_ int fd = openat(state_fd, "packages.index", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct index_head head;

	if (fd < 0)
		return -errno;
	if (pread(fd, &head, sizeof head, 0) != sizeof head || head.magic != INDEX_MAGIC ||
		memcmp(&head.stamp, stamp, sizeof *stamp) != 0)
		return -ESTALE;
	return TAKE_FD(fd);
}

/* ---- a new one -------------------------------------------------------------------------------- */

static int send_list(int hasher_fd, enum identity_list_kind kind, const char *package,
	int folder_fd, const char *name)
{
	struct identity_list list = { .kind = kind };
	_cleanup_fd_ int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	STR_PUT(list.package, package);
	return wire_send(hasher_fd, IDENTITY_LIST, 0, 0, &list, sizeof list, &fd, 1);
}

static int send_package(int hasher_fd, int info_fd, const char *list_name)
{
	char package[ES_SIGNING_ID_BYTES], digests[256];
	size_t bytes = strlen(list_name) - strlen(".list");
	int r;

	/* a name that does not fit would be another package's */
	if (bytes + sizeof "deb:" > sizeof package)
		return 0;
	snprintf(package, sizeof package, "%.*s", (int)bytes, list_name);
	snprintf(digests, sizeof digests, "%s.md5sums", package);
	r = send_list(hasher_fd, IDENTITY_PATHS, package, info_fd, list_name);
	return r < 0 ? r : send_list(hasher_fd, IDENTITY_DIGESTS, package, info_fd, digests);
}

/* Thousands of files of a slow disk take longer than one program may. */
static int send_packages(int hasher_fd, int dir_fd)
{
	int fd = openat(dir_fd, "info", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	unsigned n = 0;
	int r = 0;

	if (!folder) {
		r = -errno;
		fd_close(fd);
		return r;
	}
	while (r == 0 && (entry = readdir(folder))) {
		if (!str_ends(entry->d_name, ".list"))
			continue;
		r = send_package(hasher_fd, fd, entry->d_name);
		if (r == 0 && n++ % PACKAGES_A_SIGN == 0)
			r = wire_send(IDENTITY_SOCKET_FD, IDENTITY_BUSY, 0, 0, NULL, 0, NULL, 0);
	}
	closedir(folder);
	return r;
}

static int build(int hasher_fd, int dir_fd, const struct identity_stamp *stamp, int index_fd,
	struct wire_packet *packet)
{
	const struct identity_build build = { .stamp = *stamp };
	int r = wire_send(hasher_fd, IDENTITY_BUILD, 0, 0, &build, sizeof build, &index_fd, 1);

	if (r == 0)
		r = send_list(hasher_fd, IDENTITY_DIVERSIONS, "", dir_fd, "diversions");
	if (r == 0)
		r = send_packages(hasher_fd, dir_fd);
	if (r == 0)
		r = wire_send(hasher_fd, IDENTITY_BUILT, 0, 0, NULL, 0, NULL, 0);
	if (r == 0)
		r = wire_receive(hasher_fd, packet, 0);
	if (r == 0)
		r = packet->header.type == WIRE_STATUS &&
				packet->body_bytes == sizeof(struct wire_status)
			? ((const struct wire_status *)packet->body)->status
			: -EPROTO;
	return r;
}

/* In the state folder, where the next worker finds it. */
static int build_kept(int hasher_fd, int dir_fd, const struct identity_stamp *stamp, int state_fd,
	struct wire_packet *packet)
{
	_cleanup_fd_ int fd = -1;
	int r;

	unlinkat(state_fd, "packages.index.new", 0);
	fd = openat(state_fd, "packages.index.new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = build(hasher_fd, dir_fd, stamp, fd, packet);
	if (r == 0 &&
		(fsync(fd) < 0 ||
			renameat(state_fd, "packages.index.new", state_fd, "packages.index") < 0))
		r = -errno;
	if (r < 0) {
		unlinkat(state_fd, "packages.index.new", 0);
		return r;
	}
	return TAKE_FD(fd);
}

/* In memory: the state folder is full, or not to be written. */
static int build_here(
	int hasher_fd, int dir_fd, const struct identity_stamp *stamp, struct wire_packet *packet)
{
	_cleanup_fd_ int fd = memfd_create("packages.index", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : build(hasher_fd, dir_fd, stamp, fd, packet);

	return r < 0 ? r : TAKE_FD(fd);
}

int database_refresh(struct database *database, int hasher_fd, struct wire_packet *packet)
{
	_cleanup_fd_ int dir_fd = -1, state_fd = -1, fd = -1;
	struct identity_stamp stamp;
	int r = stamp_now(database, &dir_fd, &stamp);

	if (r <= 0)
		return r;
	if (database->used && memcmp(&stamp, &database->stamp, sizeof stamp) == 0)
		return 0;
	state_fd = open_state();
	fd = open_index(state_fd, &stamp);
	if (fd < 0)
		fd = build_kept(hasher_fd, dir_fd, &stamp, state_fd, packet);
	if (fd < 0)
		fd = build_here(hasher_fd, dir_fd, &stamp, packet);
	if (fd < 0)
		return fd;
	r = wire_send(hasher_fd, IDENTITY_USE, 0, 0, NULL, 0, &fd, 1);
	if (r == 0) {
		database->used = true;
		database->stamp = stamp;
	}
	return r;
}
