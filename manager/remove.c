/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking an extension away: by its own app, by root, by policy, or because its app is gone.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "base/str.h"
#include "manager/manager.h"

int remove_one(struct extension *extension, const char *reason)
{
	int r;

	if (state_get(extension->state)->group == GROUP_REMOVING)
		return 0;
	if (extension->state <= STATE_VALIDATING_BY_CATEGORY)
		return extension_discard(extension, reason, NULL);
	extension->wanted = false;
	r = transition_to(extension, STATE_TERMINATING_FOR_UNINSTALL, reason);
	if (r == 0)
		supervise_stop(extension);
	return r;
}

unsigned remove_all(
	struct manager *manager, const char *team, const char *identifier, const char *reason)
{
	struct extension *extension;
	unsigned n = 0;

	for (extension = manager->extensions; extension; extension = extension->next) {
		if (!streq(extension->info.team, team) ||
			!streq(extension->info.identifier, identifier))
			continue;
		n++;
		remove_one(extension, reason);
	}
	return n;
}

static bool is_container(const struct extension *extension, const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return false;
	return (status.st_dev == extension->app_device && status.st_ino == extension->app_inode) ||
		(extension->app_path && streq(extension->app_path, path));
}

static struct extension *find(struct request *request, const char *app)
{
	struct extension *extension;

	for (extension = request->manager->extensions; extension; extension = extension->next)
		if (streq(extension->info.identifier, request->identifier) &&
			extension->state > STATE_VALIDATING_BY_CATEGORY &&
			state_get(extension->state)->group != GROUP_REMOVING &&
			(!app || is_container(extension, app)))
			return extension;
	return NULL;
}

/*
 * What was never approved may be taken back by who asked for it. Else it takes an administrator:
 * root, or the policy that lists it as removable.
 */
static bool is_authorized(const struct request *request, const struct extension *extension)
{
	return request->uid == 0 || extension->state == STATE_ACTIVATED_WAITING_FOR_USER ||
		policy_is_removable(
			request->manager->policy, extension->info.team, extension->info.identifier);
}

void remove_begin(struct request *request)
{
	struct extension *extension = request->extension;
	struct stat executable;
	char app[4096];

	if (request->origin == ORIGIN_APP) {
		if (client_find_app(request->client, app, &executable) < 0) {
			request_fail_rule(request, RULE_REQUEST_NOT_FROM_APP, request->identifier,
				"its program lies in no X.app");
			return;
		}
		replace_string(&request->app_path, app);
		extension = find(request, app);
	}
	/* the one that was killed had removed it, and did not come to say so */
	if (!extension && request->again && !find(request, NULL)) {
		request_finish(request, 0);
		return;
	}
	if (!extension) {
		request_fail_rule(request,
			find(request, NULL) ? RULE_REQUEST_NOT_CONTAINER
					    : RULE_EXTENSION_NOT_ACTIVE,
			request->identifier, str_or(request->app_path, ""));
		return;
	}
	if (policy_is_non_removable(
		    request->manager->policy, extension->info.team, extension->info.identifier)) {
		request_fail_rule(request, RULE_POLICY_NON_REMOVABLE, request->identifier,
			"NonRemovableSystemExtensions");
		return;
	}
	if (!is_authorized(request, extension)) {
		request_fail_rule(request, RULE_REQUEST_AUTHORIZATION, request->identifier,
			"it takes an administrator, or RemovableSystemExtensions in the policy");
		return;
	}
	STR_PUT(request->team, extension->info.team);
	request->extension = NULL;
	request_step(request, STEP_STOPPING);
	remove_all(request->manager, extension->info.team, request->identifier,
		request->origin == ORIGIN_APP ? "deactivated by its app" : "deactivated by root");
}
