/* SPDX-License-Identifier: Apache-2.0
 *
 * The apps on disk: where the app of an extension is now, and what follows when it was updated,
 * moved, deleted, or is not there for the moment. What is so is found by looking, never taken from
 * the event that watch.c had.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/manager.h"

#define TRIES_MAX 6

/* ---- What is so ------------------------------------------------------------------------------- */

enum found { FOUND_SAME, FOUND_OTHER, FOUND_MOVED, FOUND_UNMOUNTED, FOUND_GONE, FOUND_UNKNOWN };

static bool is_app(const struct extension *extension, const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) &&
		status.st_dev == extension->app_device && status.st_ino == extension->app_inode;
}

static bool look_in(const struct extension *extension, const char *folder, unsigned depth,
	char ret[static PATH_MAX])
{
	struct dirent *entry;
	DIR *dir = opendir(folder);
	bool found = false;

	while (dir && !found && (entry = readdir(dir))) {
		char path[PATH_MAX];

		if (entry->d_name[0] == '.' ||
			(entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) ||
			snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >=
				(int)sizeof path)
			continue;
		if (str_ends(path, ".app"))
			found = is_app(extension, path);
		else if (depth > 0 && look_in(extension, path, depth - 1, ret))
			found = true;
		if (found && str_ends(path, ".app"))
			memcpy(ret, path, sizeof path);
	}
	if (dir)
		closedir(dir);
	return found;
}

struct search {
	const struct extension *extension;
	char *found;
};

static int look_in_folder(void *context, const char *folder, size_t bytes)
{
	const char *root = getenv("OUTBOARD_ROOT");
	struct search *search = context;
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%.*s", (int)bytes, folder);
	if (look_in(search->extension, path, 1, search->found))
		return 1;
	if (!root || !root[0])
		return 0;
	snprintf(path, sizeof path, "%s%.*s", root, (int)bytes, folder);
	return look_in(search->extension, path, 1, search->found);
}

/* An app that was moved on its file system is the same folder at another name. */
static bool find_moved(const struct extension *extension, char ret[static PATH_MAX])
{
	struct search search = { extension, ret };
	char folder[PATH_MAX];
	char *slash;

	snprintf(folder, sizeof folder, "%s", extension->app_path);
	slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		if (look_in(extension, folder, 1, ret))
			return true;
	}
	return app_each_folder(extension->manager, look_in_folder, &search) > 0;
}

static enum found look(const struct extension *extension, char ret_moved[static PATH_MAX])
{
	struct stat status;
	char mount[4096];

	if (!extension->app_path)
		return FOUND_UNKNOWN;
	if (lstat(extension->app_path, &status) == 0) {
		if (!S_ISDIR(status.st_mode))
			return FOUND_GONE;
		return status.st_dev == extension->app_device &&
				status.st_ino == extension->app_inode
			? FOUND_SAME
			: FOUND_OTHER;
	}
	if (errno != ENOENT && errno != ENOTDIR)
		return FOUND_UNKNOWN; /* an error of the disk is no deletion */
	mount_of_path(extension->app_path, mount, sizeof mount);
	if (extension->app_mount && !streq(mount, extension->app_mount))
		return FOUND_UNMOUNTED;
	return find_moved(extension, ret_moved) ? FOUND_MOVED : FOUND_GONE;
}

bool watch_app_is_gone(struct extension *extension)
{
	char moved[PATH_MAX];
	enum found found = look(extension, moved);

	return found == FOUND_GONE || (found == FOUND_UNKNOWN && !extension->app_path);
}

/* ---- What follows ----------------------------------------------------------------------------- */

static void check_later(struct extension *extension, uint64_t usec)
{
	extension->check_usec = now_usec() + usec;
	manager_arm(extension->manager);
}

/* Not whole yet, perhaps: a package is being unpacked. */
void watch_check_again(struct extension *extension)
{
	if (extension->check_tries++ < TRIES_MAX)
		check_later(extension, WATCH_SETTLE_USEC << extension->check_tries);
}

static bool is_asked_already(const struct extension *extension)
{
	const struct request *request;

	for (request = extension->manager->requests; request; request = request->next)
		if (request->kind == REQUEST_ACTIVATE && request->step != STEP_APPROVAL &&
			streq(request->identifier, extension->info.identifier))
			return true;
	return false;
}

/* What its app holds now is another one: verify it, and put it in place as if the app had asked. */
static void update(struct extension *extension)
{
	struct request *request;
	int r;

	if (is_asked_already(extension)) {
		watch_check_again(extension);
		return;
	}
	r = request_new(extension->manager, REQUEST_ACTIVATE, ORIGIN_UPDATE,
		extension->info.identifier, &request);
	if (r == 0)
		r = replace_string(&request->app_path, extension->app_path);
	if (r < 0)
		return;
	control_request_changed(extension->manager->control, request->number);
	activate_begin(request);
}

/* Is one of our copies what the app holds now? */
static bool is_known(const struct extension *extension, const char *digest)
{
	const struct extension *other;

	for (other = extension->manager->extensions; other; other = other->next)
		if (extension_same(other, extension) && streq(other->info.digest, digest) &&
			state_get(other->state)->group != GROUP_REMOVING)
			return true;
	/* its own delegate has said no to that one */
	return streq(extension->refused_digest, digest);
}

static void look_for_update(struct extension *extension)
{
	char digest[BUNDLE_DIGEST_BYTES];
	const char *name = strrchr(str_or(extension->origin_path, "/"), '/') + 1;
	_cleanup_fd_ int fd = open(str_or(extension->origin_path, ""),
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || bundle_read_digest(fd, name, digest) < 0) {
		watch_check_again(extension);
		return;
	}
	if (!is_known(extension, digest))
		update(extension);
}

static void set_app(struct extension *extension, const char *path)
{
	char origin[PATH_MAX + 512], mount[4096];
	const char *name = strrchr(str_or(extension->origin_path, "/"), '/') + 1;
	struct stat status;

	if (stat(path, &status) < 0)
		return;
	snprintf(origin, sizeof origin, "%s/Contents/Library/SystemExtensions/%s", path, name);
	mount_of_path(path, mount, sizeof mount);
	if (replace_string(&extension->app_path, path) < 0 ||
		replace_string(&extension->origin_path, origin) < 0 ||
		replace_string(&extension->app_mount, mount) < 0)
		return;
	extension->app_device = status.st_dev;
	extension->app_inode = status.st_ino;
	extension_write(extension);
	watch_renew(extension->manager->watch);
}

/* Another folder at its place holds it still? Then it is the app now, and may have brought an update. */
static void take_replaced(struct extension *extension)
{
	/* a copy: set_app() replaces the string */
	_cleanup_free_ char *path = strdup(extension->app_path);

	if (access(str_or(extension->origin_path, ""), F_OK) < 0) {
		watch_check_again(extension);
		return;
	}
	if (path)
		set_app(extension, path);
	look_for_update(extension);
}

static void say(struct extension *extension, const char *reason)
{
	if (streq(extension->reason, reason))
		return;
	STR_PUT(extension->reason, reason);
	extension_write(extension);
}

#define REASON_UNMOUNTED "the file system of its app is not mounted"

void watch_check(struct extension *extension)
{
	char moved[PATH_MAX];

	extension->check_usec = 0;
	if (extension->state <= STATE_VALIDATING_BY_CATEGORY ||
		state_get(extension->state)->group == GROUP_REMOVING)
		return;
	switch (look(extension, moved)) {
	case FOUND_SAME:
		extension->gone_once = false;
		if (streq(extension->reason, REASON_UNMOUNTED))
			say(extension, "");
		look_for_update(extension);
		break;
	case FOUND_OTHER:
		extension->gone_once = false;
		take_replaced(extension);
		break;
	case FOUND_MOVED:
		log_event(LOG_APP_MOVED, extension->info.identifier, "to", moved, NULL);
		set_app(extension, moved);
		break;
	case FOUND_UNMOUNTED:
		say(extension, REASON_UNMOUNTED);
		break;
	case FOUND_GONE:
		/* between two renames of a replacement it is not there, either */
		if (!extension->gone_once) {
			extension->gone_once = true;
			check_later(extension, WATCH_SETTLE_USEC / 2);
			return;
		}
		if (policy_is_kept_from_ui(extension->manager->policy, extension->info.team,
			    extension->info.identifier))
			say(extension, "its app was deleted; the policy keeps it");
		else
			remove_one(extension, "its app was deleted");
		break;
	case FOUND_UNKNOWN:
		break;
	}
}

void watch_check_all(struct manager *manager, uint64_t usec)
{
	struct extension *extension;

	for (extension = manager->extensions; extension; extension = extension->next) {
		extension->check_tries = 0;
		check_later(extension, usec);
	}
}
