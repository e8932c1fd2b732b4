/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading teams.d and revoked.d, see teams.h. An empty file, or a link to /dev/null, in
 * /etc/outboard/teams.d takes the vendor's team of that name away.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "bundle/teams.h"

struct teams *teams_free(struct teams *teams)
{
	if (!teams)
		return NULL;
	while (teams->n_files > 0)
		free(teams->files[--teams->n_files].text);
	free(teams->files);
	free(teams->revoked);
	free(teams);
	return NULL;
}

static bool is_known(const struct teams *teams, const char *name)
{
	size_t i;

	for (i = 0; i < teams->n_files; i++)
		if (streq(teams->files[i].name, name))
			return true;
	return false;
}

/* Text of a regular file; "" for anything else, which is how a link to /dev/null reads. */
static int read_text(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_bytes)
{
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode)) {
		*ret = strdup("");
		*ret_bytes = 0;
		return *ret ? 0 : -ENOMEM;
	}
	return fd_read_all(fd, max, ret, ret_bytes);
}

static int add_team(struct teams *teams, int dir_fd, const char *name, bool vendor)
{
	struct team_file file = { .vendor = vendor }, *grown;
	int r;

	if (!str_ends(name, ".team") || STR_PUT(file.name, name) < 0 || is_known(teams, name))
		return 0;
	if (teams->n_files == WORKER_TEAMS_MAX)
		return -E2BIG;
	grown = reallocarray(teams->files, teams->n_files + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	teams->files = grown;
	r = read_text(dir_fd, name, WORKER_TEAM_TEXT_MAX, &file.text, &file.bytes);
	if (r == -EFBIG) {
		/* sent on as it is: the worker says that this registration cannot be used */
		file.text = strdup("too large\n");
		file.bytes = file.text ? strlen(file.text) : 0;
		r = file.text ? 0 : -ENOMEM;
	}
	if (r < 0)
		return r;
	teams->files[teams->n_files++] = file;
	return 0;
}

static int add_revoked(struct teams *teams, int dir_fd, const char *name, bool vendor)
{
	struct worker_revoked revoked = { 0 }, *grown;
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	int r;

	(void)vendor;
	if (STR_PUT(revoked.name, name) < 0)
		return 0;
	if (teams->n_revoked == WORKER_REVOKED_MAX)
		return -E2BIG;
	r = read_text(dir_fd, name, WORKER_TEAM_TEXT_MAX, &text, &bytes);
	if (r < 0 && r != -EFBIG)
		return r;
	if (r == 0 && text) {
		text[strcspn(text, "\n")] = '\0';
		STR_PUT(revoked.reason, text);
	}
	if ((teams->n_revoked & (teams->n_revoked - 1)) == 0) {
		grown = reallocarray(
			teams->revoked, teams->n_revoked ? 2 * teams->n_revoked : 1, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		teams->revoked = grown;
	}
	teams->revoked[teams->n_revoked++] = revoked;
	return 0;
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static int for_each(struct teams *teams, enum path place, const char *folder_name,
	int (*add)(struct teams *teams, int dir_fd, const char *name, bool vendor))
{
	_cleanup_(close_folder) DIR *folder = NULL;
	char path[PATH_MAX];
	struct dirent *entry;
	int r = 0;

	folder = opendir(path_get(place, folder_name, path));
	if (!folder)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0) {
		errno = 0;
		entry = readdir(folder);
		if (!entry)
			return -errno;
		/* also what file_replace_at() is just writing: "X.team.new.123" */
		if (entry->d_name[0] == '.' || strstr(entry->d_name, ".new."))
			continue;
		r = add(teams, dirfd(folder), entry->d_name, place == PATH_VENDOR);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int teams_read(struct teams **ret)
{
	_cleanup_(teams_freep) struct teams *teams = calloc(1, sizeof *teams);
	int r;

	if (!teams)
		return -ENOMEM;
	r = for_each(teams, PATH_CONFIG, "teams.d", add_team);
	if (r == 0)
		r = for_each(teams, PATH_VENDOR, "teams.d", add_team);
	if (r == 0)
		r = for_each(teams, PATH_CONFIG, "revoked.d", add_revoked);
	if (r == 0)
		r = for_each(teams, PATH_VENDOR, "revoked.d", add_revoked);
	if (r < 0)
		return r;
	*ret = TAKE(teams);
	return 0;
}
