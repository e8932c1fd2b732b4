/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk, see walk.h. Each name is opened relative to the descriptor of its own folder with
 * openat2(2) and a resolution that no link can bend; readdir's type says what to expect and
 * fstat(2) says what came. The limits of bundle.h hold here, before anything has been read.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/layout.h"
#include "bundle/walk.h"

struct name {
	unsigned char type; /* DT_* */
	char text[];
};

/* A folder that is being gone through. */
struct level {
	int fd;
	struct name **names;
	size_t n_names, next;
	size_t path_bytes; /* of the walk's path: this folder's part */
};

struct walk {
	int dir_fd;
	char *label; /* of the bundle, for messages */
	struct level levels[BUNDLE_DEPTH_MAX];
	size_t n_levels;
	int entry_fd; /* of the last file; folders' are in their level */
	uint64_t n_entries, n_bytes;
	char path[PATH_MAX];
	char target[PATH_MAX];
};

static int open_beneath(int dir_fd, const char *name, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve };
	int fd, tries = 0;

	/* EAGAIN: a rename somewhere on the machine raced with ".." in it; the kernel asks to retry */
	do
		fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
	while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < 64)));
	return fd < 0 ? -errno : fd;
}

static int open_name(int dir_fd, const char *name, uint64_t flags)
{
	return open_beneath(dir_fd, name, flags | O_NOFOLLOW,
		RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static const char *full_path(const struct walk *walk, char buffer[static 2 * PATH_MAX])
{
	snprintf(buffer, 2 * PATH_MAX, "%s/%s", walk->label, walk->path);
	return walk->path[0] ? buffer : walk->label;
}

static int refuse(const struct walk *walk, enum rule_id rule, const char *detail,
	struct wire_error *ret_error)
{
	char buffer[2 * PATH_MAX];

	rule_error(ret_error, rule, full_path(walk, buffer), detail, NULL);
	return WALK_E_REFUSED;
}

/*
 * Gone, or something else than its folder said a moment ago: someone is writing to the bundle. What
 * this process or the machine is short of says nothing of the bundle, and is no rule's.
 */
static int unreadable(const struct walk *walk, int r, struct wire_error *ret_error)
{
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	if (r == -ENOENT || r == -ELOOP || r == -ENOTDIR || r == -ENXIO || r == -EXDEV)
		return refuse(walk, RULE_BUNDLE_CHANGED, strerror(-r), ret_error);
	refuse(walk, RULE_BUNDLE_UNREADABLE, strerror(-r), ret_error);
	return r;
}

static void level_done(struct level *level)
{
	size_t i;

	for (i = 0; i < level->n_names; i++)
		free(level->names[i]);
	free(level->names);
	fd_close(level->fd);
}

static int level_add(struct level *level, const struct dirent *entry)
{
	size_t bytes = strlen(entry->d_name) + 1;
	struct name *name;

	/* grows by doubling: the room is the next power of two */
	if ((level->n_names & (level->n_names - 1)) == 0) {
		size_t room = level->n_names ? level->n_names * 2 : 1;
		struct name **grown = reallocarray(level->names, room, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		level->names = grown;
	}
	name = malloc(sizeof *name + bytes);
	if (!name)
		return -ENOMEM;
	name->type = entry->d_type;
	memcpy(name->text, entry->d_name, bytes);
	level->names[level->n_names++] = name;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct name *const *)a)->text, (*(struct name *const *)b)->text);
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static int level_read(struct level *level)
{
	_cleanup_(close_folder) DIR *folder = NULL;
	int fd = openat(level->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	int r = 0;

	if (fd < 0)
		return -errno;
	folder = fdopendir(fd);
	if (!folder) {
		fd_close(fd);
		return -ENOMEM;
	}
	while (r == 0) {
		errno = 0;
		entry = readdir(folder);
		if (!entry)
			break;
		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		r = level->n_names > BUNDLE_FILES_MAX ? -E2BIG : level_add(level, entry);
	}
	if (r == 0 && errno != 0)
		r = -errno;
	if (level->n_names > 0)
		qsort(level->names, level->n_names, sizeof(struct name *), by_name);
	return r;
}

/* Takes @fd over. */
static int push(struct walk *walk, int fd, struct wire_error *ret_error)
{
	struct level *level;
	char detail[64];
	int r;

	if (walk->n_levels == BUNDLE_DEPTH_MAX) {
		fd_close(fd);
		snprintf(detail, sizeof detail, "at most %u folders may be nested",
			BUNDLE_DEPTH_MAX);
		return refuse(walk, RULE_BUNDLE_TOO_DEEP, detail, ret_error);
	}
	level = &walk->levels[walk->n_levels++];
	*level = (struct level){ .fd = fd, .path_bytes = strlen(walk->path) };
	r = level_read(level);
	if (r == -E2BIG) {
		snprintf(detail, sizeof detail, "at most %u are allowed", BUNDLE_FILES_MAX);
		return refuse(walk, RULE_BUNDLE_TOO_MANY_FILES, detail, ret_error);
	}
	return r < 0 ? unreadable(walk, r, ret_error) : 0;
}

int walk_new(int dir_fd, const char *path, struct walk **ret)
{
	_cleanup_(walk_freep) struct walk *walk = calloc(1, sizeof *walk);

	if (!walk)
		return -ENOMEM;
	walk->dir_fd = dir_fd;
	walk->entry_fd = -1;
	walk->label = strdup(path);
	if (!walk->label)
		return -ENOMEM;
	*ret = TAKE(walk);
	return 0;
}

struct walk *walk_free(struct walk *walk)
{
	if (!walk)
		return NULL;
	while (walk->n_levels > 0)
		level_done(&walk->levels[--walk->n_levels]);
	fd_close(walk->entry_fd);
	free(walk->label);
	free(walk);
	return NULL;
}

static int visit_folder(
	struct walk *walk, const char *name, struct walk_entry *ret, struct wire_error *ret_error)
{
	int fd = open_name(walk->levels[walk->n_levels - 1].fd, name, O_RDONLY | O_DIRECTORY);
	int r;

	if (fd < 0)
		return unreadable(walk, fd, ret_error);
	ret->type = WALK_FOLDER;
	ret->fd = fd;
	if (fstat(fd, &ret->status) < 0) {
		r = -errno;
		fd_close(fd);
		return unreadable(walk, r, ret_error);
	}
	r = push(walk, fd, ret_error);
	return r == 0 ? WALK_ENTRY : r;
}

static int visit_file(
	struct walk *walk, const char *name, struct walk_entry *ret, struct wire_error *ret_error)
{
	/* O_NONBLOCK: a fifo that took the file's place in this moment must not hold us */
	int fd = open_name(
		walk->levels[walk->n_levels - 1].fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return unreadable(walk, fd, ret_error);
	walk->entry_fd = fd;
	ret->type = WALK_FILE;
	ret->fd = fd;
	if (fstat(fd, &ret->status) < 0)
		return unreadable(walk, -errno, ret_error);
	if (!S_ISREG(ret->status.st_mode))
		return refuse(walk, RULE_BUNDLE_CHANGED, "it was a file", ret_error);
	walk->n_bytes += (uint64_t)ret->status.st_size;
	if ((uint64_t)ret->status.st_size > BUNDLE_BYTES_MAX || walk->n_bytes > BUNDLE_BYTES_MAX) {
		walk->path[0] = '\0';
		return refuse(walk, RULE_BUNDLE_TOO_LARGE, "4 GiB is the most", ret_error);
	}
	return WALK_ENTRY;
}

static int visit_link(
	struct walk *walk, const char *name, struct walk_entry *ret, struct wire_error *ret_error)
{
	int folder_fd = walk->levels[walk->n_levels - 1].fd;
	ssize_t n = readlinkat(folder_fd, name, walk->target, sizeof walk->target - 1);
	_cleanup_fd_ int end_fd = -1;
	size_t i;

	if (n < 0)
		return unreadable(walk, errno == EINVAL ? -ENOENT : -errno, ret_error);
	walk->target[n] = '\0';
	for (i = 0; i < (size_t)n; i++)
		if ((unsigned char)walk->target[i] < 0x20)
			return refuse(walk, RULE_BUNDLE_LINK_OUT, "a name with control characters",
				ret_error);
	/* The kernel itself says where it ends; beneath means: never above the bundle on the way. */
	end_fd = open_beneath(
		walk->dir_fd, walk->path, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
	if (end_fd == -EXDEV || end_fd == -ENOENT || end_fd == -ELOOP || end_fd == -ENOTDIR ||
		end_fd == -EACCES || end_fd == -ENAMETOOLONG)
		return refuse(walk, RULE_BUNDLE_LINK_OUT, walk->target, ret_error);
	if (end_fd < 0)
		return unreadable(walk, end_fd, ret_error);
	ret->type = WALK_LINK;
	ret->fd = -1;
	ret->status.st_mode = S_IFLNK | 0777;
	ret->status.st_size = n;
	ret->target = walk->target;
	return WALK_ENTRY;
}

static int visit_special(struct walk *walk, mode_t type, struct wire_error *ret_error)
{
	static const struct {
		mode_t type;
		const char *word;
	} words[] = { { S_IFCHR, "character device" }, { S_IFBLK, "block device" },
		{ S_IFIFO, "fifo" }, { S_IFSOCK, "socket" } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].type == type)
			return refuse(walk, RULE_BUNDLE_SPECIAL_FILE, words[i].word, ret_error);
	return refuse(walk, RULE_BUNDLE_SPECIAL_FILE, "kind of its own", ret_error);
}

static int visit(
	struct walk *walk, struct name *name, struct walk_entry *ret, struct wire_error *ret_error)
{
	mode_t type = DTTOIF(name->type);
	struct stat status;

	if (++walk->n_entries > BUNDLE_FILES_MAX) {
		char detail[64];

		walk->path[0] = '\0';
		snprintf(detail, sizeof detail, "at most %u are allowed", BUNDLE_FILES_MAX);
		return refuse(walk, RULE_BUNDLE_TOO_MANY_FILES, detail, ret_error);
	}
	if (name->type == DT_UNKNOWN) {
		if (fstatat(walk->levels[walk->n_levels - 1].fd, name->text, &status,
			    AT_SYMLINK_NOFOLLOW) < 0)
			return unreadable(walk, -errno, ret_error);
		type = status.st_mode & S_IFMT;
	}
	if (type == S_IFDIR)
		return visit_folder(walk, name->text, ret, ret_error);
	if (type == S_IFREG)
		return visit_file(walk, name->text, ret, ret_error);
	if (type == S_IFLNK)
		return visit_link(walk, name->text, ret, ret_error);
	return visit_special(walk, type, ret_error);
}

static int begin(struct walk *walk, struct wire_error *ret_error)
{
	int fd = openat(walk->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? unreadable(walk, -errno, ret_error) : push(walk, fd, ret_error);
}

/* Appends @name to the folder's path; the whole is what the entry is called everywhere. */
static int set_path(struct walk *walk, const struct level *level, const char *name,
	struct wire_error *ret_error)
{
	size_t at = level->path_bytes, bytes = strlen(name);

	if (at + 1 + bytes >= sizeof walk->path)
		return refuse(walk, RULE_BUNDLE_FILE_NAME, "the path is too long", ret_error);
	if (at > 0)
		walk->path[at++] = '/';
	memcpy(walk->path + at, name, bytes + 1);
	if (layout_path_ok(name, bytes))
		return 0;
	for (at = level->path_bytes; walk->path[at]; at++)
		if ((unsigned char)walk->path[at] < 0x20 || (unsigned char)walk->path[at] > 0x7e)
			walk->path[at] = '?';
	return refuse(walk, RULE_BUNDLE_FILE_NAME, "control characters, or not UTF-8", ret_error);
}

int walk_next(struct walk *walk, struct walk_entry *ret, struct wire_error *ret_error)
{
	struct level *level;
	struct name *name;
	int r;

	walk->entry_fd = fd_close(walk->entry_fd);
	if (walk->n_entries == 0 && walk->n_levels == 0) {
		r = begin(walk, ret_error);
		if (r != 0)
			return r;
	}
	for (;;) {
		if (walk->n_levels == 0)
			return 0;
		level = &walk->levels[walk->n_levels - 1];
		walk->path[level->path_bytes] = '\0';
		if (level->next < level->n_names)
			break;
		level_done(level);
		walk->n_levels--;
	}
	name = level->names[level->next++];
	*ret = (struct walk_entry){ .path = walk->path, .fd = -1 };
	r = set_path(walk, level, name->text, ret_error);
	return r != 0 ? r : visit(walk, name, ret, ret_error);
}
