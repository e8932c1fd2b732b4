/* SPDX-License-Identifier: Apache-2.0
 *
 * Activation, first half: from the one who asks to a verified copy of the extension. Each step ends
 * by calling the next or by failing the request; decide.c has the second half.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/manager.h"
#include "manager/registry.h"

#define EXTENSIONS_FOLDER "Contents/Library/SystemExtensions"

/* Ours, not the first in the queue but one of few: hashing is for two processors, not for fifty. */
#define WORKING_MAX 4

static const struct {
	const char *suffix;
	enum bundle_kind kind;
} suffixes[] = { { ".systemextension", BUNDLE_SYSX }, { ".dext", BUNDLE_DEXT } };

/* Below @folder_fd, through no link whatever. */
static int open_below(int folder_fd, const char *path)
{
	const struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	long fd = syscall(SYS_openat2, folder_fd, path, &how, sizeof how);

	return fd < 0 ? -errno : (int)fd;
}

/* 0, or the request has failed. */
int activate_open_app(struct request *request, const char *path)
{
	struct wire_error error;
	struct stat status;
	int r = replace_string(&request->app_path, path);

	if (r < 0) {
		request_refuse_errno(request, r, path);
		return r;
	}
	if (app_check_location(request->manager, path, &error) > 0) {
		request_fail(request, &error);
		return -EPERM;
	}
	request->app_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (request->app_fd < 0 || fstat(request->app_fd, &status) < 0) {
		r = -errno;
		request_fail_rule(request, RULE_APP_UNREADABLE, path, strerror(-r));
		return r;
	}
	request->app_device = status.st_dev;
	request->app_inode = status.st_ino;
	return 0;
}

static int find_app(struct request *request, char path[static 4096])
{
	struct stat executable;
	int r;

	if (request->origin != ORIGIN_APP)
		return str_put(path, 4096, request->app_path);
	r = client_find_app(request->client, path, &executable);
	if (r < 0)
		request_fail_rule(request, RULE_REQUEST_NOT_FROM_APP, request->identifier,
			r == -ENOENT ? "its program lies in no X.app" : strerror(-r));
	return r;
}

/* The same user asks again for the same: the older request gives way. */
static void supersede(struct request *request)
{
	struct request *other = request->manager->requests, *next;

	for (; other; other = next) {
		next = other->next;
		if (other != request && other->kind == request->kind &&
			request->kind < REQUEST_OBSERVE && other->uid == request->uid &&
			other->origin == request->origin &&
			streq(other->identifier, request->identifier))
			request_fail_rule(other, RULE_REQUEST_SUPERSEDED, other->identifier,
				"a newer request for the same extension has come");
	}
}

static unsigned count_working(struct manager *manager)
{
	const struct request *request;
	unsigned n = 0;

	for (request = manager->requests; request; request = request->next)
		n += request->step >= STEP_APP && request->step <= STEP_VALIDATING;
	return n;
}

void activate_begin(struct request *request)
{
	char path[4096];

	supersede(request);
	if (find_app(request, path) < 0 || activate_open_app(request, path) < 0)
		return;
	/* a request for what is active is answered at once, however many others work */
	if (count_working(request->manager) < WORKING_MAX)
		app_verify(request);
	else
		request_step(request, STEP_QUEUED);
}

void activate_next(struct manager *manager)
{
	struct request *request = manager->requests;

	if (count_working(manager) >= WORKING_MAX)
		return;
	while (request && !(request->step == STEP_QUEUED && request->app_fd >= 0))
		request = request->next;
	if (request)
		app_verify(request);
}

static int open_extension(struct request *request, enum bundle_kind *ret_kind)
{
	char path[BUNDLE_IDENTIFIER_BYTES + 128];
	size_t i;
	int found = -1;

	for (i = 0; i < ARRAY_SIZE(suffixes); i++) {
		int fd;

		snprintf(path, sizeof path, EXTENSIONS_FOLDER "/%s%s", request->identifier,
			suffixes[i].suffix);
		fd = open_below(request->app_fd, path);
		if (fd == -ENOENT || fd == -ENOTDIR)
			continue;
		if (fd < 0)
			return fd;
		if (found >= 0) {
			fd_close(fd);
			fd_close(found);
			return -EEXIST;
		}
		found = fd;
		*ret_kind = suffixes[i].kind;
		snprintf(request->name, sizeof request->name, "%s%s", request->identifier,
			suffixes[i].suffix);
	}
	return found < 0 ? -ENOENT : found;
}

static void refuse_extension(struct request *request, int r)
{
	char detail[4096 + 512];

	snprintf(detail, sizeof detail, "%s/" EXTENSIONS_FOLDER "/%s.systemextension",
		request->app_path, request->identifier);
	if (r == -ENOENT)
		request_fail_rule(request, RULE_EXTENSION_NOT_FOUND, request->identifier, detail);
	else if (r == -EEXIST)
		request_fail_rule(request, RULE_EXTENSION_TWICE, request->identifier, detail);
	else
		request_fail_rule(request, RULE_EXTENSION_UNREADABLE, detail, strerror(-r));
}

static int read_line(const char *path, char *buffer, size_t bytes)
{
	_cleanup_free_ char *text = NULL;
	size_t n;
	int r = file_read_at(AT_FDCWD, path, 128, &text, &n);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	return str_put(buffer, bytes, text);
}

static int new_copy(struct request *request, enum bundle_kind kind)
{
	struct manager *manager = request->manager;
	char origin[4096 + 512], mount[4096];
	_cleanup_(extension_freep) struct extension *extension = NULL;
	int r = extension_new(manager, &extension);

	if (r < 0)
		return r;
	r = read_line("/proc/sys/kernel/random/uuid", extension->id, sizeof extension->id);
	if (r < 0)
		return r;
	/* until it is verified it is called what it is asked by */
	STR_PUT(extension->info.identifier, request->identifier);
	STR_PUT(extension->info.team, request->team);
	extension->info.kind = kind;
	snprintf(origin, sizeof origin, "%s/" EXTENSIONS_FOLDER "/%s", request->app_path,
		request->name);
	mount_of_path(request->app_path, mount, sizeof mount);
	extension->app_device = request->app_device;
	extension->app_inode = request->app_inode;
	r = replace_string(&extension->origin_path, origin);
	if (r == 0)
		r = replace_string(&extension->app_path, request->app_path);
	if (r == 0)
		r = replace_string(&extension->app_mount, mount);
	if (r == 0)
		r = transition_to(extension, STATE_VALIDATING, NULL);
	if (r < 0)
		return r;
	request->extension = TAKE(extension);
	request->owns = true;
	return 0;
}

static void stage(struct request *request, enum bundle_kind kind)
{
	int r = new_copy(request, kind);

	if (r < 0)
		request_refuse_errno(request, r, "its copy cannot be begun");
	else
		staging_copy(request);
}

/*
 * Is that copy there already, whatever it waits for? A digest says what is in it and not who has signed
 * it: an app of another team is answered from it only where that team lets others hand it on. All
 * others are judged.
 */
static struct extension *find_same(struct request *request)
{
	struct extension *extension;

	for (extension = request->manager->extensions; extension; extension = extension->next)
		if (streq(extension->info.identifier, request->identifier) &&
			streq(extension->info.digest, request->digest) &&
			(streq(extension->info.team, request->team) ||
				extension->info.entitlement_bits & ENTITLEMENT_REDISTRIBUTABLE) &&
			extension->state > STATE_VALIDATING_BY_CATEGORY &&
			extension->state < STATE_TERMINATING_FOR_DISABLE)
			return extension;
	return NULL;
}

static bool may_ask(const struct request *request, const struct bundle_info *app)
{
	if (app->entitlement_bits & ENTITLEMENT_SYSTEM_EXTENSION_INSTALL)
		return true;
	return request->manager->developer_mode && app->team[0] == '\0';
}

void activate_app_verified(struct request *request, const struct bundle_info *app)
{
	enum bundle_kind kind = BUNDLE_SYSX;
	struct extension *same = NULL;

	if (request->kind == REQUEST_IDENTIFY) {
		request_finish(request, 0);
		return;
	}
	STR_PUT(request->team, app->team);
	if (!may_ask(request, app)) {
		request_fail_rule(
			request, RULE_REQUEST_ENTITLEMENT, request->identifier, request->app_path);
		return;
	}
	if (request->kind == REQUEST_OBSERVE) {
		request_finish(request, 0);
		return;
	}
	request->source_fd = open_extension(request, &kind);
	if (request->source_fd < 0) {
		refuse_extension(request, request->source_fd);
		return;
	}
	if (bundle_read_digest(request->source_fd, request->name, request->digest) == 0)
		same = find_same(request);
	if (same && activate_same(request, same) == 0)
		return;
	stage(request, kind);
}

void activate_staged(struct request *request)
{
	int r;

	request_step(request, STEP_VALIDATING);
	r = staging_verify(request);
	if (r < 0)
		request_refuse_errno(request, r, "its copy cannot be verified");
}
