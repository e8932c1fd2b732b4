/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of copies in memory: finding one, describing one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/manager.h"

int extension_new(struct manager *manager, struct extension **ret)
{
	struct extension *extension = calloc(1, sizeof *extension);
	struct extension **end = &manager->extensions;

	if (!extension)
		return -ENOMEM;
	extension->manager = manager;
	extension->control_fd = -1;
	while (*end)
		end = &(*end)->next;
	*end = extension;
	*ret = extension;
	return 0;
}

struct extension *extension_free(struct extension *extension)
{
	struct extension **at;

	if (!extension)
		return NULL;
	for (at = &extension->manager->extensions; *at; at = &(*at)->next) {
		if (*at != extension)
			continue;
		*at = extension->next;
		break;
	}
	sd_event_source_disable_unref(extension->control_source);
	sd_event_source_disable_unref(extension->cgroup_source);
	fd_close(extension->control_fd);
	free(extension->origin_path);
	free(extension->app_path);
	free(extension->app_mount);
	free(extension->last_error);
	free(extension);
	return NULL;
}

struct extension *extension_of_id(struct manager *manager, const char *id)
{
	struct extension *extension = manager->extensions;

	while (extension && !streq(extension->id, id))
		extension = extension->next;
	return extension;
}

struct extension *extension_of_child(struct manager *manager, uint64_t child)
{
	struct extension *extension = manager->extensions;

	while (extension && extension->child != child)
		extension = extension->next;
	return extension;
}

struct extension *extension_active(
	struct manager *manager, const char *team, const char *identifier)
{
	struct extension *extension = manager->extensions;

	while (extension &&
		!(extension->slot && streq(extension->info.team, team) &&
			streq(extension->info.identifier, identifier)))
		extension = extension->next;
	return extension;
}

bool extension_same(const struct extension *a, const struct extension *b)
{
	return streq(a->info.team, b->info.team) && streq(a->info.identifier, b->info.identifier);
}

struct extension *extension_other(struct manager *manager, const struct extension *extension)
{
	struct extension *other, *best = NULL;

	for (other = manager->extensions; other; other = other->next) {
		enum state_group group = state_get(other->state)->group;

		if (other == extension || !extension_same(other, extension) ||
			group == GROUP_REMOVING || other->state <= STATE_VALIDATING_BY_CATEGORY)
			continue;
		if (!best || other->slot)
			best = other;
	}
	return best;
}

void extension_fill(const struct extension *extension, struct wire_properties *ret)
{
	const struct state_row *row = state_get(extension->state);
	bool running = extension->process == PROCESS_STARTING || extension->process == PROCESS_UP ||
		extension->process == PROCESS_STOPPING;
	char path[4096];

	memset(ret, 0, sizeof *ret);
	if (row->group == GROUP_ON)
		ret->flags |= PROPERTIES_ENABLED;
	if (extension->state == STATE_ACTIVATED_WAITING_FOR_USER)
		ret->flags |= PROPERTIES_AWAITING_USER_APPROVAL;
	if (row->group == GROUP_REMOVING)
		ret->flags |= PROPERTIES_UNINSTALLING;
	if (extension->slot)
		ret->flags |= PROPERTIES_ACTIVE;
	if (running && extension->pid > 0) {
		ret->flags |= PROPERTIES_RUNNING;
		ret->pid = extension->pid;
		snprintf(ret->running_version, sizeof ret->running_version, "%.31s/%.31s",
			extension->info.short_version, extension->info.version);
	}
	STR_PUT(ret->identifier, extension->info.identifier);
	STR_PUT(ret->version, extension->info.version);
	STR_PUT(ret->short_version, extension->info.short_version);
	STR_PUT(ret->team, extension->info.team);
	STR_PUT(ret->digest, extension->info.digest);
	STR_PUT(ret->state, row->name);
	STR_PUT(ret->path, staging_path(extension, path));
}

int replace_string(char **string, const char *with)
{
	char *copy = NULL;

	if (with) {
		copy = strdup(with);
		if (!copy)
			return -ENOMEM;
	}
	free(*string);
	*string = copy;
	return 0;
}

void extension_set_error(struct extension *extension, const struct wire_error *error)
{
	free(extension->last_error);
	extension->last_error = error ? control_error_json(error) : NULL;
}
