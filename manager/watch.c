/* SPDX-License-Identifier: Apache-2.0
 *
 * The apps on disk: what becomes of an extension when its app is updated, moved, deleted or not
 * there for the moment. inotify only says where to look; what is so is found by looking, some time
 * after the last change, since packages are unpacked file by file.
 *
 * Policy folders and the mount table are watched here, too. Facts: inotify(7); proc(5),
 * /proc/[pid]/mounts: "poll(2) POLLPRI after a change".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/manager.h"

#define SETTLE_USEC (1 * 1000000ull)
#define TRIES_MAX 6
#define FOLDER_EVENTS                                                                          \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | \
		IN_UNMOUNT | IN_CLOSE_WRITE | IN_ONLYDIR)
#define WATCHES_MAX 512

struct place {
	int number; /* of inotify */
	bool is_policy;
};

struct watch {
	struct manager *manager;
	int inotify_fd, mounts_fd;
	sd_event_source *inotify_source, *mounts_source, *policy_timer;
	struct place places[WATCHES_MAX];
	size_t n_places;
};

static void add_place(struct watch *watch, const char *path, bool is_policy)
{
	int number;
	size_t i;

	if (watch->n_places == WATCHES_MAX)
		return;
	number = inotify_add_watch(watch->inotify_fd, path, FOLDER_EVENTS);
	if (number < 0)
		return; /* not there; its parent is watched */
	for (i = 0; i < watch->n_places; i++)
		if (watch->places[i].number == number) {
			watch->places[i].is_policy |= is_policy;
			return;
		}
	watch->places[watch->n_places++] = (struct place){ .number = number,
		.is_policy = is_policy };
}

static void add_app(struct watch *watch, const struct extension *extension)
{
	char path[PATH_MAX + 512];
	char *slash;

	snprintf(path, sizeof path, "%s", extension->app_path);
	slash = strrchr(path, '/');
	if (slash && slash != path) {
		*slash = '\0';
		add_place(watch, path, false);
	}
	add_place(watch, extension->app_path, false);
	if (!extension->origin_path)
		return;
	add_place(watch, extension->origin_path, false);
	snprintf(path, sizeof path, "%s/Contents/_Signature", extension->origin_path);
	add_place(watch, path, false);
	snprintf(path, sizeof path, "%s/_Signature", extension->origin_path);
	add_place(watch, path, false);
	snprintf(path, sizeof path, "%s/Contents/_Signature", extension->app_path);
	add_place(watch, path, false);
	snprintf(path, sizeof path, "%s/Contents/Library/SystemExtensions", extension->app_path);
	add_place(watch, path, false);
}

static void add_policy(struct watch *watch)
{
	static const enum path where[] = { PATH_CONFIG, PATH_VENDOR };
	char path[PATH_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(where); i++) {
		add_place(watch, path_get(where[i], NULL, path), true);
		add_place(watch, path_get(where[i], "policy.d", path), true);
	}
}

void watch_renew(struct watch *watch)
{
	struct extension *extension;
	struct place old[WATCHES_MAX];
	size_t n_old, i, j;

	if (!watch)
		return;
	n_old = watch->n_places;
	memcpy(old, watch->places, sizeof old);
	watch->n_places = 0;
	add_policy(watch);
	for (extension = watch->manager->extensions; extension; extension = extension->next)
		if (extension->app_path)
			add_app(watch, extension);
	for (i = 0; i < n_old; i++) {
		for (j = 0; j < watch->n_places; j++)
			if (watch->places[j].number == old[i].number)
				break;
		if (j == watch->n_places)
			inotify_rm_watch(watch->inotify_fd, old[i].number);
	}
}

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
		check_later(extension, SETTLE_USEC << extension->check_tries);
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
			check_later(extension, SETTLE_USEC / 2);
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

static void check_all(struct manager *manager, uint64_t usec)
{
	struct extension *extension;

	for (extension = manager->extensions; extension; extension = extension->next) {
		extension->check_tries = 0;
		check_later(extension, usec);
	}
}

/* ---- Events ----------------------------------------------------------------------------------- */

static int on_policy(sd_event_source *source, uint64_t usec, void *context)
{
	struct watch *watch = context;

	policy_reload(watch->manager);
	watch_renew(watch);
	return 0;
}

static bool is_policy_place(const struct watch *watch, int number)
{
	size_t i;

	for (i = 0; i < watch->n_places; i++)
		if (watch->places[i].number == number)
			return watch->places[i].is_policy;
	return false;
}

static int on_inotify(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct watch *watch = context;
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool apps = false, policy = false;
	ssize_t n, at;

	while ((n = read(fd, buffer, sizeof buffer)) > 0) {
		for (at = 0; at < n;) {
			const struct inotify_event *event = (void *)&buffer[at];
			bool is_policy = is_policy_place(watch, event->wd);

			policy = policy || is_policy || event->mask & IN_Q_OVERFLOW;
			apps = apps || !is_policy || event->mask & IN_Q_OVERFLOW;
			at += (ssize_t)(sizeof *event + event->len);
		}
	}
	if (policy) {
		sd_event_source_set_time_relative(watch->policy_timer, 100000);
		sd_event_source_set_enabled(watch->policy_timer, SD_EVENT_ONESHOT);
	}
	if (apps) {
		check_all(watch->manager, SETTLE_USEC);
		watch_renew(watch);
	}
	return 0;
}

static int on_mounts(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct watch *watch = context;

	check_all(watch->manager, SETTLE_USEC / 10);
	watch_renew(watch);
	return 0;
}

int watch_new(struct manager *manager, struct watch **ret)
{
	_cleanup_(watch_freep) struct watch *watch = calloc(1, sizeof *watch);
	int r;

	if (!watch)
		return -ENOMEM;
	watch->manager = manager;
	watch->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	watch->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (watch->inotify_fd < 0 || watch->mounts_fd < 0)
		return -errno;
	r = sd_event_add_io(manager->event, &watch->inotify_source, watch->inotify_fd, EPOLLIN,
		on_inotify, watch);
	if (r >= 0)
		r = sd_event_add_io(manager->event, &watch->mounts_source, watch->mounts_fd,
			EPOLLPRI | EPOLLET, on_mounts, watch);
	if (r >= 0)
		r = sd_event_add_time(manager->event, &watch->policy_timer, CLOCK_MONOTONIC, 0,
			10000, on_policy, watch);
	if (r >= 0)
		r = sd_event_source_set_enabled(watch->policy_timer, SD_EVENT_OFF);
	if (r < 0)
		return r;
	*ret = TAKE(watch);
	return 0;
}

struct watch *watch_free(struct watch *watch)
{
	if (!watch)
		return NULL;
	sd_event_source_disable_unref(watch->inotify_source);
	sd_event_source_disable_unref(watch->mounts_source);
	sd_event_source_disable_unref(watch->policy_timer);
	fd_close(watch->inotify_fd);
	fd_close(watch->mounts_fd);
	free(watch);
	return NULL;
}
