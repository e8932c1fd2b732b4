/* SPDX-License-Identifier: Apache-2.0
 *
 * Services: the listening socket of a name, from activation on. It belongs to the extension, not to
 * one process or one version of it; who calls while there is none waits in its backlog.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/manager.h"

#define BACKLOG 1024

static bool has_name(const struct extension *extension, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(extension->info.service); i++)
		if (extension->info.service[i][0] && streq(extension->info.service[i], name))
			return true;
	return false;
}

/* Another extension, or, with @same, another copy of this one, has that name. */
static bool is_used(const struct extension *extension, const char *name, bool by_same)
{
	const struct extension *other;

	for (other = extension->manager->extensions; other; other = other->next)
		if (other != extension && extension_same(other, extension) == by_same &&
			other->state > STATE_VALIDATING_BY_CATEGORY &&
			state_get(other->state)->group != GROUP_REMOVING && has_name(other, name))
			return true;
	return false;
}

static bool is_socket_name(const char *name)
{
	char path[PATH_MAX];

	return name[0] != '.' && !strchr(name, '/') && !strchr(name, ',') && !strchr(name, '=') &&
		strlen(path_get(PATH_SERVICES, name, path)) <
		MEMBER_SIZE(struct sockaddr_un, sun_path);
}

int service_check(struct extension *extension, struct wire_error *error)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(extension->info.service); i++) {
		const char *name = extension->info.service[i];

		if (!name[0])
			continue;
		if (!is_socket_name(name)) {
			rule_error(
				error, RULE_SERVICE_NAME, extension->info.identifier, name, NULL);
			return 1;
		}
		if (is_used(extension, name, false)) {
			rule_error(
				error, RULE_SERVICE_TAKEN, extension->info.identifier, name, NULL);
			return 1;
		}
	}
	return 0;
}

/* Is the socket at @path the one that @fd listens on? Somebody may have removed it. */
static bool is_there(const char *path, int fd)
{
	struct sockaddr_un address = { 0 };
	socklen_t bytes = sizeof address;
	struct stat status;

	return stat(path, &status) == 0 && S_ISSOCK(status.st_mode) &&
		getsockname(fd, (struct sockaddr *)&address, &bytes) == 0 &&
		streq(address.sun_path, path);
}

static int open_one(struct extension *extension, const char *name)
{
	struct children *children = extension->manager->children;
	char path[PATH_MAX], stored[BUNDLE_IDENTIFIER_BYTES + 16];
	_cleanup_fd_ int fd = -1;
	int r;

	snprintf(stored, sizeof stored, "service:%s", name);
	path_get(PATH_SERVICES, name, path);
	if (children_stored(children, stored) >= 0 &&
		is_there(path, children_stored(children, stored)))
		return 0;
	fd = wire_listen(path, 0666, BACKLOG);
	if (fd < 0)
		return fd;
	r = children_store(children, stored, fd);
	return r;
}

int service_open(struct extension *extension)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(extension->info.service); i++)
		if (extension->info.service[i][0])
			r = open_one(extension, extension->info.service[i]);
	return r;
}

void service_close(struct extension *extension)
{
	char path[PATH_MAX], stored[BUNDLE_IDENTIFIER_BYTES + 16];
	size_t i;

	/* what was never verified has no names yet */
	for (i = 0; i < ARRAY_SIZE(extension->info.service); i++) {
		const char *name = extension->info.service[i];

		if (!name[0] || !is_socket_name(name) || is_used(extension, name, true) ||
			is_used(extension, name, false))
			continue;
		snprintf(stored, sizeof stored, "service:%s", name);
		if (children_stored(extension->manager->children, stored) < 0)
			continue;
		unlink(path_get(PATH_SERVICES, name, path));
		children_unstore(extension->manager->children, stored);
	}
}

static bool is_owned(struct manager *manager, const char *name)
{
	const struct extension *extension;

	for (extension = manager->extensions; extension; extension = extension->next)
		if (has_name(extension, name))
			return true;
	return false;
}

struct strangers {
	struct manager *manager;
	char name[PARENT_NAME_BYTES];
};

static int find_stranger(void *context, const char *name, int fd)
{
	struct strangers *strangers = context;

	if (!str_starts(name, "service:") ||
		is_owned(strangers->manager, name + strlen("service:")))
		return 0;
	STR_PUT(strangers->name, name);
	return 1;
}

void services_remove_strangers(struct manager *manager)
{
	struct strangers strangers = { .manager = manager };
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(path_get(PATH_SERVICES, NULL, path));

	while (children_each_stored(manager->children, find_stranger, &strangers) > 0)
		children_unstore(manager->children, strangers.name);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !is_owned(manager, entry->d_name))
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
}
