/* SPDX-License-Identifier: Apache-2.0
 *
 * Apps: where they may lie, and whether they are what they claim to be. An app is verified once and
 * again when something that its verdict rests on has changed: its folder, its manifest, or its
 * executable.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/manager.h"

#define APPS_MAX 32

/* What of a file says that it is the same one, unchanged. */
struct mark {
	uint64_t device, inode, ctime_ns, bytes;
};

static struct app {
	struct mark folder, executable;
	char digest[BUNDLE_DIGEST_BYTES];
	struct bundle_info *info;
	uint64_t used_usec;
} apps[APPS_MAX];

static struct mark mark_of(const struct stat *status)
{
	return (struct mark){ .device = status->st_dev,
		.inode = status->st_ino,
		.ctime_ns = (uint64_t)status->st_ctim.tv_sec * 1000000000u +
			(uint64_t)status->st_ctim.tv_nsec,
		.bytes = (uint64_t)status->st_size };
}

static bool same(const struct mark *a, const struct mark *b)
{
	return a->device == b->device && a->inode == b->inode && a->ctime_ns == b->ctime_ns &&
		a->bytes == b->bytes;
}

void apps_forget(void)
{
	size_t i;

	for (i = 0; i < APPS_MAX; i++) {
		free(apps[i].info);
		apps[i] = (struct app){ 0 };
	}
}

static bool is_below(const char *path, const char *folder, size_t bytes)
{
	while (bytes > 1 && folder[bytes - 1] == '/')
		bytes--;
	return strncmp(path, folder, bytes) == 0 && (path[bytes] == '/' || bytes == 1);
}

/* With OUTBOARD_ROOT the folders lie below it, like every path of ours; those of the system count, too. */
static bool is_below_root(const char *path, const char *folder, size_t bytes)
{
	const char *root = getenv("OUTBOARD_ROOT");

	return root && root[0] && is_below(path, root, strlen(root)) &&
		is_below(path + strlen(root), folder, bytes);
}

int app_each_folder(struct manager *manager,
	int (*each)(void *context, const char *folder, size_t bytes), void *context)
{
	const char *at = config_text(manager->config, CONFIG_APP_FOLDERS);
	int r = 0;

	while (r == 0 && *at) {
		size_t bytes = strcspn(at, " \t");

		if (bytes > 0)
			r = each(context, at, bytes);
		at += bytes;
		at += strspn(at, " \t");
	}
	return r;
}

static int holds(void *context, const char *folder, size_t bytes)
{
	return is_below(context, folder, bytes) || is_below_root(context, folder, bytes);
}

int app_check_location(struct manager *manager, const char *path, struct wire_error *error)
{
	if (manager->developer_mode || app_each_folder(manager, holds, (void *)(uintptr_t)path) > 0)
		return 0;
	rule_error(error, RULE_APP_LOCATION, path, config_text(manager->config, CONFIG_APP_FOLDERS),
		NULL);
	return 1;
}

const struct bundle_info *app_of_executable(const struct stat *executable)
{
	struct mark mark = mark_of(executable);
	size_t i;

	for (i = 0; i < APPS_MAX; i++)
		if (apps[i].info && same(&apps[i].executable, &mark))
			return apps[i].info;
	return NULL;
}

static const struct bundle_info *find(int app_fd, const char *digest)
{
	struct stat folder, executable;
	size_t i;

	if (fstat(app_fd, &folder) < 0)
		return NULL;
	for (i = 0; i < APPS_MAX; i++) {
		struct mark mark = mark_of(&folder);

		if (!apps[i].info || !same(&apps[i].folder, &mark) ||
			!streq(apps[i].digest, digest) ||
			fstatat(app_fd, apps[i].info->executable, &executable, 0) < 0)
			continue;
		mark = mark_of(&executable);
		if (!same(&apps[i].executable, &mark))
			continue;
		apps[i].used_usec = now_usec();
		return apps[i].info;
	}
	return NULL;
}

static void keep(int app_fd, const struct bundle_info *info)
{
	struct app *oldest = &apps[0];
	struct stat folder, executable;
	size_t i;

	for (i = 1; i < APPS_MAX; i++)
		if (apps[i].used_usec < oldest->used_usec)
			oldest = &apps[i];
	if (fstat(app_fd, &folder) < 0 || fstatat(app_fd, info->executable, &executable, 0) < 0)
		return;
	if (!oldest->info)
		oldest->info = malloc(sizeof *oldest->info);
	if (!oldest->info)
		return;
	*oldest->info = *info;
	STR_PUT(oldest->digest, info->digest);
	oldest->folder = mark_of(&folder);
	oldest->executable = mark_of(&executable);
	oldest->used_usec = now_usec();
}

static int on_verdict(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct request *request = context;
	const struct bundle_info *info = judge_end(request, "its app cannot be verified");

	if (info) {
		keep(request->app_fd, info);
		activate_app_verified(request, info);
	}
	return 0;
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void app_verify(struct request *request)
{
	const char *name = last_name(request->app_path);
	char digest[BUNDLE_DIGEST_BYTES] = "";
	const struct bundle_info *known = NULL;
	int r = bundle_read_digest(request->app_fd, name, digest);

	if (r == 0)
		known = find(request->app_fd, digest);
	if (known) {
		activate_app_verified(request, known);
		return;
	}
	request_step(request, STEP_APP);
	r = judge_begin(request, request->app_fd, name, request->app_path, on_verdict);
	if (r < 0)
		request_refuse_errno(request, r, "its app cannot be verified");
}

/*
 * "MOUNT-POINT ROOT TYPE SOURCE" of the mount that holds @path, from /proc/self/mountinfo (proc(5)).
 * By name and not by device number: those of loop devices and device mapper differ after a reboot.
 */
void mount_of_path(const char *path, char *buffer, size_t bytes)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0, best = 0;
	FILE *file = fopen("/proc/self/mountinfo", "re");

	buffer[0] = '\0';
	while (file && getline(&line, &size, file) > 0) {
		char root[1024], point[1024], type[64], source[1024];
		const char *tail = strstr(line, " - ");
		size_t length;

		if (sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2 || !tail ||
			sscanf(tail, " - %63s %1023s", type, source) != 2)
			continue;
		length = strlen(point);
		/* the later one of two at the same place covers the earlier */
		if (length < best || !is_below(path, point, length))
			continue;
		best = length;
		snprintf(buffer, bytes, "%s %s %s %s", point, root, type, source);
	}
	if (file)
		fclose(file);
}
