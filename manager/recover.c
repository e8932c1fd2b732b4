/* SPDX-License-Identifier: Apache-2.0
 *
 * After the loss of a registry (moved aside by registry-open.c): what runs goes on. Each staged copy
 * is verified again; one that has a process was approved, or it would have none, and gets a row that
 * says how it came to be; all others go, and come back when their app asks. Where the app lies is
 * learnt when it asks, too.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/manager.h"
#include "manager/registry.h"

#define APPROVED_BY "recovered: it was running"

static unsigned n_open;

/* Without a parent that knows its number it is started anew. */
static bool is_running(struct extension *extension)
{
	struct manager *manager = extension->manager;
	char name[64];

	if (!manager->has_cgroups ||
		!cgroup_is_populated(&manager->cgroups, launch_cgroup(extension, name)))
		return false;
	launch_find(extension);
	return true;
}

static int take_over(struct extension *extension)
{
	struct registry_approval approval = { .by = APPROVED_BY, .at_usec = now_real_usec() };
	int r;

	STR_PUT(approval.entitlements, extension->info.entitlements);
	r = registry_put_approval(extension->manager->registry, extension->info.team,
		extension->info.identifier, &approval);
	if (r < 0)
		return r;
	STR_PUT(extension->approved_by, approval.by);
	extension->approved_at_usec = approval.at_usec;
	extension->wanted = true;
	r = transition_to(extension, STATE_ACTIVATED_ENABLING, "the registry was lost");
	if (r < 0)
		return r;
	supervise_adopt(extension);
	supervise_start(extension);
	return 0;
}

void recover_validated(struct request *request)
{
	struct extension *extension = request->extension;
	int r = -ESRCH;

	if (is_running(extension) &&
		!extension_active(
			request->manager, extension->info.team, extension->info.identifier))
		r = take_over(extension);
	if (r < 0) {
		request_refuse_errno(request, r, "it does not run and is removed");
		return;
	}
	log_event(LOG_REGISTRY_RECOVERED, extension->info.identifier, "pid",
		LOG_NUMBER(extension->pid), NULL);
	request->owns = false;
	request_finish(request, 0);
}

void recover_ended(struct manager *manager)
{
	if (--n_open > 0)
		return;
	if (registry_set(manager->registry, "recovering", "no") < 0)
		return;
	manager->registry_was_lost = false;
	reconcile_sweep(manager);
	manager_arm(manager);
}

static int begin(struct manager *manager, const char *id, const char *name)
{
	struct extension *extension;
	struct request *request;
	char identifier[BUNDLE_IDENTIFIER_BYTES];
	int r;

	if (snprintf(identifier, sizeof identifier, "%.*s", (int)(strrchr(name, '.') - name),
		    name) >= (int)sizeof identifier)
		return -ENAMETOOLONG;
	r = request_new(manager, REQUEST_ACTIVATE, ORIGIN_RECOVERY, identifier, &request);
	if (r < 0)
		return r;
	n_open++;
	r = extension_new(manager, &extension);
	if (r < 0) {
		request_abandon(request);
		return r;
	}
	request->extension = extension;
	request->owns = true;
	request->step = STEP_VALIDATING;
	STR_PUT(extension->id, id);
	STR_PUT(extension->info.identifier, identifier);
	snprintf(request->name, sizeof request->name, "%s", name);
	extension->info.kind = str_ends(name, ".dext") ? BUNDLE_DEXT : BUNDLE_SYSX;
	r = replace_string(&request->app_path, "");
	if (r == 0)
		r = transition_to(extension, STATE_VALIDATING, "the registry was lost");
	if (r == 0)
		r = staging_verify(request);
	if (r < 0)
		request_refuse_errno(request, r, "it cannot be verified");
	return 0;
}

static void begin_folder(struct manager *manager, const char *id)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(staging_folder(id, path));

	while (dir && (entry = readdir(dir))) {
		if (!str_ends(entry->d_name, ".systemextension") &&
			!str_ends(entry->d_name, ".dext"))
			continue;
		begin(manager, id, entry->d_name);
		break;
	}
	if (dir)
		closedir(dir);
}

void recover_begin(struct manager *manager)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(path_get(PATH_STATE, "extensions", path));

	/* held open over the loop, so that the first one's end is not the last one's */
	n_open = 1;
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strlen(entry->d_name) < ID_BYTES &&
			!extension_of_id(manager, entry->d_name))
			begin_folder(manager, entry->d_name);
	if (dir)
		closedir(dir);
	recover_ended(manager);
}
