/* SPDX-License-Identifier: Apache-2.0
 *
 * Approval: who has said that an extension may run, and what follows when somebody says so.
 *
 * It holds for (team, identifier, set of entitlements): a version that asks for no more than what
 * was approved needs none. A denial holds for exactly what was denied.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/manager.h"
#include "manager/registry.h"

/* Is every value of @asked in @given: equal, or for lists each item? */
static bool is_within(json_t *asked, json_t *given)
{
	const char *key;
	json_t *value, *item, *other;
	size_t i, j;

	json_object_foreach (asked, key, value) {
		json_t *there = json_object_get(given, key);

		if (json_equal(value, there) || json_is_false(value))
			continue;
		if (!json_is_array(value) || !json_is_array(there))
			return false;
		json_array_foreach (value, i, item) {
			bool found = false;

			json_array_foreach (there, j, other)
				found = found || json_equal(item, other);
			if (!found)
				return false;
		}
	}
	return true;
}

struct search {
	struct extension *extension;
	json_t *asked;
	enum approval found;
};

static int look(void *context, const struct registry_approval *approval)
{
	struct search *search = context;
	json_t *given;

	if (approval->denied) {
		if (!streq(approval->entitlements, search->extension->info.entitlements))
			return 0;
		search->found = APPROVAL_DENIED;
		return 1;
	}
	given = json_loads(approval->entitlements, 0, NULL);
	if (given && is_within(search->asked, given)) {
		search->found = APPROVAL_GIVEN;
		STR_PUT(search->extension->approved_by, approval->by);
		search->extension->approved_at_usec = approval->at_usec;
	}
	json_decref(given);
	return search->found != APPROVAL_NONE;
}

enum approval approval_get(struct extension *extension)
{
	struct search search = { .extension = extension };

	search.asked = json_loads(extension->info.entitlements, 0, NULL);
	if (!search.asked)
		return APPROVAL_NONE;
	/* the last word comes first: a denial after an approval of more holds for what it named */
	registry_each_approval(extension->manager->registry, extension->info.team,
		extension->info.identifier, look, &search);
	json_decref(search.asked);
	return search.found;
}

static void name_of(uint32_t uid, char *buffer, size_t bytes)
{
	/* no name service is asked: it may hang, and it is root in nearly every case */
	if (uid == 0)
		snprintf(buffer, bytes, "root");
	else
		snprintf(buffer, bytes, "uid %u", uid);
}

int approval_put(struct extension *extension, enum approval verdict, uint32_t uid)
{
	struct registry_approval approval = { .denied = verdict == APPROVAL_DENIED,
		.at_usec = now_real_usec() };
	int r;

	STR_PUT(approval.entitlements, extension->info.entitlements);
	name_of(uid, approval.by, sizeof approval.by);
	r = registry_put_approval(extension->manager->registry, extension->info.team,
		extension->info.identifier, &approval);
	if (r < 0) {
		log_failure(LOG_REGISTRY_WRITE, extension->info.identifier, r, NULL);
		return r;
	}
	log_event(approval.denied ? LOG_EXTENSION_DENIED : LOG_EXTENSION_APPROVED,
		extension->info.identifier, "by", approval.by, "team", extension->info.team, NULL);
	STR_PUT(extension->approved_by, approval.denied ? "" : approval.by);
	extension->approved_at_usec = approval.denied ? 0 : approval.at_usec;
	return 0;
}

static int refuse(struct wire_error *error, enum rule_id rule, const struct extension *extension)
{
	rule_error(
		error, rule, extension->info.identifier, state_get(extension->state)->name, NULL);
	return 1;
}

static int internal(struct wire_error *error, const struct extension *extension, int r)
{
	rule_error(error, r == -ENOSPC ? RULE_REGISTRY_NO_SPACE : RULE_INTERNAL,
		extension->info.identifier, strerror(-r), NULL);
	return 1;
}

int approval_approve(struct extension *extension, uint32_t uid, struct wire_error *error)
{
	int r;

	if (extension->state == STATE_ACTIVATED_ENABLED ||
		extension->state == STATE_ACTIVATED_ENABLING)
		return 0;
	if (extension->state != STATE_ACTIVATED_WAITING_FOR_USER &&
		extension->state != STATE_ACTIVATED_DISABLED)
		return refuse(error, RULE_APPROVAL_NOT_WAITING, extension);
	r = approval_put(extension, APPROVAL_GIVEN, uid);
	if (r == 0) {
		extension->by_policy = false;
		r = activate_go(extension);
	}
	return r < 0 ? internal(error, extension, r) : 0;
}

int approval_deny(struct extension *extension, uint32_t uid, struct wire_error *error)
{
	struct wire_error denied;
	char reason[REASON_BYTES], by[64];
	int r;

	if (extension->state != STATE_ACTIVATED_WAITING_FOR_USER)
		return refuse(error, RULE_APPROVAL_NOT_WAITING, extension);
	r = approval_put(extension, APPROVAL_DENIED, uid);
	if (r < 0)
		return internal(error, extension, r);
	name_of(uid, by, sizeof by);
	snprintf(reason, sizeof reason, "denied by %s", by);
	rule_error(&denied, RULE_APPROVAL_DENIED, extension->info.identifier, by, NULL);
	requests_fail(extension, &denied);
	extension->wanted = false;
	/* beside an older copy that runs on there is no place for one that is off */
	if (extension->slot)
		r = transition_to(extension, STATE_ACTIVATED_DISABLED, reason);
	else
		r = remove_one(extension, reason);
	return r < 0 ? internal(error, extension, r) : 0;
}

int approval_enable(struct extension *extension, uint32_t uid, struct wire_error *error)
{
	int r = 0;

	if (extension->state == STATE_ACTIVATED_ENABLED ||
		extension->state == STATE_ACTIVATED_ENABLING)
		return 0;
	if (extension->state != STATE_ACTIVATED_DISABLED)
		return refuse(error, RULE_STATE_NOT_DISABLED, extension);
	if (approval_get(extension) == APPROVAL_DENIED)
		return refuse(error, RULE_APPROVAL_DENIED_BEFORE, extension);
	if (!extension->by_policy && approval_get(extension) == APPROVAL_NONE)
		r = approval_put(extension, APPROVAL_GIVEN, uid);
	if (r == 0) {
		supervise_forget_deaths(extension);
		r = activate_go(extension);
	}
	return r < 0 ? internal(error, extension, r) : 0;
}

int approval_disable(struct extension *extension, uint32_t uid, struct wire_error *error)
{
	char reason[REASON_BYTES], by[64];
	struct wire_error disabled;
	int r;

	if (extension->state == STATE_ACTIVATED_DISABLED && !extension->wanted)
		return 0;
	if (policy_is_non_removable(
		    extension->manager->policy, extension->info.team, extension->info.identifier))
		return refuse(error, RULE_POLICY_NON_REMOVABLE, extension);
	if (extension->state != STATE_ACTIVATED_ENABLED &&
		extension->state != STATE_ACTIVATED_ENABLING &&
		extension->state != STATE_ACTIVATED_DISABLED)
		return refuse(error, RULE_STATE_NOT_ENABLED, extension);
	name_of(uid, by, sizeof by);
	snprintf(reason, sizeof reason, "disabled by %s", by);
	extension->wanted = false;
	extension->switched_off = true;
	if (extension->state == STATE_ACTIVATED_DISABLED)
		r = transition_to(extension, STATE_ACTIVATED_DISABLED, reason);
	else
		r = transition_to(extension, STATE_TERMINATING_FOR_DISABLE, reason);
	if (r < 0)
		return internal(error, extension, r);
	rule_error(&disabled, RULE_STATE_DISABLED, extension->info.identifier, by, NULL);
	requests_fail(extension, &disabled);
	if (extension->state == STATE_TERMINATING_FOR_DISABLE)
		supervise_stop(extension);
	return 0;
}

static void look_again(struct extension *extension)
{
	enum policy_verdict verdict = policy_get(extension->manager->policy, extension->info.team,
		extension->info.identifier, extension->info.categories);

	if (verdict == POLICY_INVALID)
		return; /* what runs goes on until the file is mended */
	if (extension->state == STATE_ACTIVATED_WAITING_FOR_USER && verdict == POLICY_ALLOWED &&
		!extension->switched_off) {
		extension->by_policy = true;
		STR_PUT(extension->approved_by, "policy");
		extension->approved_at_usec = now_real_usec();
		activate_go(extension);
	} else if (extension->by_policy && verdict != POLICY_ALLOWED &&
		state_get(extension->state)->group != GROUP_REMOVING &&
		approval_get(extension) != APPROVAL_GIVEN)
		remove_one(extension, "the policy that allowed it is gone");
}

void approval_policy_changed(struct manager *manager)
{
	struct extension *extension, *next;

	for (extension = manager->extensions; extension; extension = next) {
		next = extension->next;
		look_again(extension);
	}
}

void policy_reload(struct manager *manager)
{
	char config[PATH_MAX], vendor[PATH_MAX];
	const char *folders[] = { path_get(PATH_VENDOR, "policy.d", vendor),
		path_get(PATH_CONFIG, "policy.d", config), NULL };
	struct policy *policy;
	int r = policy_load(folders, &policy);

	if (r < 0) {
		/* what was known holds on */
		log_failure(LOG_POLICY_INVALID, NULL, r, NULL);
		return;
	}
	if (policy_problem(policy))
		log_event(LOG_POLICY_INVALID, policy_problem(policy), NULL);
	policy_free(manager->policy);
	manager->policy = policy;
	approval_policy_changed(manager);
}
