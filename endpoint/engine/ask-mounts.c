/* SPDX-License-Identifier: Apache-2.0
 *
 * Where is asked: the file systems that bear a mark. All on the loop's side. Nothing of a file system is
 * kept but the kernel's mark, since a descriptor would keep it from being unmounted; what is mounted is
 * read anew whenever that changes.
 *
 * With paths given, a mount belongs if it lies at or below one of them and its file system is mounted
 * nowhere else: a bind mount must not make the machine's own file system part of a scope.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>
#include "base/macros.h"
#include "endpoint/engine/ask-internal.h"

/* A line of /proc/self/mountinfo; the strings lie in its text. */
struct row {
	unsigned id;
	const char *device; /* "8:1" */
	char *where;
	const char *type;
	bool outside;
};

struct table {
	char *text;
	struct row *rows;
	size_t n_rows;
};

/* File systems that are the kernel's own: what is in them is no file of anybody's. */
static const char *const not_marked[] = { "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue",
	"debugfs", "tracefs", "securityfs", "bpf", "fusectl", "configfs", "pstore", "efivarfs",
	"binfmt_misc", "autofs", "rpc_pipefs", "nsfs" };

/*
 * Whoever is told of a file there opens it, which its server, any user's, may let wait for ever, and no
 * signal would end that.
 */
static bool is_served(const char *type)
{
	return strcmp(type, "fuse") == 0 || strcmp(type, "fuseblk") == 0 ||
		strncmp(type, "fuse.", 5) == 0;
}

static bool is_marked_type(const char *type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(not_marked); i++)
		if (strcmp(not_marked[i], type) == 0)
			return false;
	return true;
}

/* ---- what is mounted -------------------------------------------------------------------------- */

/* "\040" is a space: proc_pid_mountinfo(5) */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
				(text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /where options tags... - type source options" */
static bool parse(char *line, struct row *ret)
{
	char *type = strstr(line, " - "), *rest = line, *word;
	int i;

	if (!type)
		return false;
	*type = '\0';
	type += 3;
	ret->type = strsep(&type, " ");
	ret->outside = false;
	for (i = 0; i < 5; i++) {
		word = strsep(&rest, " ");
		if (!word)
			return false;
		if (i == 0)
			ret->id = (unsigned)strtoul(word, NULL, 10);
		else if (i == 2)
			ret->device = word;
		else if (i == 4)
			ret->where = word;
	}
	unescape(ret->where);
	return true;
}

static void table_done(struct table *table)
{
	free(table->rows);
	free(table->text);
}

static int table_read(struct table *ret)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	struct row *rows;
	size_t room = 0, n = 0;
	char *rest, *line;

	*ret = (struct table){ 0 };
	if (!file)
		return -errno;
	/* the whole: there is no NUL in it */
	if (getdelim(&ret->text, &room, '\0', file) < 0) {
		fclose(file);
		free(ret->text);
		return -EIO;
	}
	fclose(file);
	for (rest = ret->text; (rest = strchr(rest, '\n')); rest++)
		n++;
	rows = ret->rows = calloc(n + 1, sizeof *rows);
	if (!rows) {
		free(ret->text);
		return -ENOMEM;
	}
	for (rest = ret->text; (line = strsep(&rest, "\n"));)
		if (ret->n_rows < n && parse(line, &rows[ret->n_rows]))
			ret->n_rows++;
	return 0;
}

static bool lies_in(const char *where, const char *const *paths)
{
	for (; *paths; paths++) {
		size_t length = strlen(*paths);

		while (length > 1 && (*paths)[length - 1] == '/')
			length--;
		if (strncmp(where, *paths, length) == 0 &&
			(where[length] == '\0' || where[length] == '/' || length == 1))
			return true;
	}
	return false;
}

/* Of a file system that is mounted outside, no mount is inside. */
static void set_outside(struct table *table, const char *const *paths)
{
	size_t i, k;

	if (!paths || !*paths)
		return;
	for (i = 0; i < table->n_rows; i++)
		table->rows[i].outside = !lies_in(table->rows[i].where, paths);
	for (i = 0; i < table->n_rows; i++)
		for (k = 0; k < table->n_rows && !table->rows[i].outside; k++)
			table->rows[i].outside = table->rows[k].outside &&
				strcmp(table->rows[k].device, table->rows[i].device) == 0;
}

/* ---- marks ------------------------------------------------------------------------------------ */

/* 0, or -errno of what could not be added; a removal that fails finds nothing. */
static int mark(struct ask *ask, const char *path, uint64_t mask)
{
	if (ask->marked & ~mask)
		fanotify_mark(ask->group_fd, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM,
			ask->marked & ~mask, AT_FDCWD, path);
	if (mask &&
		fanotify_mark(ask->group_fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, AT_FDCWD,
			path) < 0)
		return -errno;
	return 0;
}

/* Each is said once, as long as it is mounted. */
static void say_unmarked(struct ask *ask, const struct row *row, int error, struct unmarked *now)
{
	size_t i;
	bool said = false;

	if (now->n == ARRAY_SIZE(now->ids))
		return;
	now->ids[now->n++] = row->id;
	for (i = 0; i < ask->unmarked.n; i++)
		said |= ask->unmarked.ids[i] == row->id;
	if (!said && ask->on_unmarked)
		ask->on_unmarked(row->where, row->type, error, ask->on_unmarked_context);
}

/* What is mounted; what cannot be marked is said. None at all: the error of the last. */
static int mark_mounted(struct ask *ask, uint64_t mask)
{
	struct unmarked now = { .n = 0 };
	struct table table;
	bool any = ask->settings.filesystems != NULL;
	size_t i;
	int r = table_read(&table), error;

	if (r < 0)
		return r;
	set_outside(&table, ask->settings.filesystems);
	for (i = 0; i < table.n_rows; i++) {
		const struct row *row = &table.rows[i];

		if (row->outside || !is_marked_type(row->type))
			continue;
		error = is_served(row->type) ? -EOPNOTSUPP : mark(ask, row->where, mask);
		any |= error == 0;
		if (error < 0 && error != -ENOENT) { /* unmounted meanwhile */
			say_unmarked(ask, row, error, &now);
			r = error;
		}
	}
	ask->unmarked = now;
	table_done(&table);
	return any ? 0 : r;
}

/* By the table, since already asking such a file system would wait for its server. */
static bool lies_on_served(const char *path)
{
	const struct row *on = NULL;
	struct table table;
	size_t i;
	bool served;

	if (table_read(&table) < 0)
		return false;
	for (i = 0; i < table.n_rows; i++) {
		const char *const where[] = { table.rows[i].where, NULL };

		/* of several at one place the last is on top */
		if (lies_in(path, where) && (!on || strlen(on->where) <= strlen(where[0])))
			on = &table.rows[i];
	}
	served = on && is_served(on->type);
	table_done(&table);
	return served;
}

static int mark_all(struct ask *ask, uint64_t mask)
{
	const char *const *path = ask->settings.filesystems;
	int r = 0;

	for (; path && *path && r == 0; path++)
		r = lies_on_served(*path) ? -EOPNOTSUPP : mark(ask, *path, mask);
	return r == 0 ? mark_mounted(ask, mask) : r;
}

int ask_watch(struct ask *ask, bool exec, bool open)
{
	uint64_t mask = (exec ? FAN_OPEN_EXEC_PERM : 0) | (open ? FAN_OPEN_PERM : 0);
	int r;

	if (mask)
		mask |= FAN_CLOSE_WRITE;
	if (mask == ask->marked)
		return 0;
	if (mask == 0) {
		/* what cannot be reached by a path any more, too */
		fanotify_mark(
			ask->group_fd, FAN_MARK_FLUSH | FAN_MARK_FILESYSTEM, 0, AT_FDCWD, "/");
		ask->marked = 0;
		return 0;
	}
	r = mark_all(ask, mask);
	if (r == 0)
		ask->marked = mask;
	return r;
}

int ask_mounts_changed(struct ask *ask)
{
	if (!ask->marked)
		return 0; /* read when somebody subscribes */
	/* what is mounted now has not been looked at while it was written */
	ask_forget_answers(ask);
	return mark_mounted(ask, ask->marked);
}

void ask_on_unmarked(struct ask *ask, ask_unmarked_fn *handler, void *context)
{
	ask->on_unmarked = handler;
	ask->on_unmarked_context = context;
}
