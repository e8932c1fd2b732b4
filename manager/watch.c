/* SPDX-License-Identifier: Apache-2.0
 *
 * The folders that are watched: those of apps, of the policy, and the mount table. inotify only says
 * that there is something to look at; watch-apps.c looks, some time after the last change, since
 * packages are unpacked file by file.
 *
 * Facts: inotify(7); proc(5), /proc/[pid]/mounts: "poll(2) POLLPRI after a change".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include "base/fd.h"
#include "base/paths.h"
#include "manager/manager.h"

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
		watch_check_all(watch->manager, WATCH_SETTLE_USEC);
		watch_renew(watch);
	}
	return 0;
}

static int on_mounts(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct watch *watch = context;

	watch_check_all(watch->manager, WATCH_SETTLE_USEC / 10);
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
