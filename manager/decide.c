/* SPDX-License-Identifier: Apache-2.0
 *
 * Activation, second half: a verified copy, and what is to become of it. Checks that need the other
 * copies; policy, delegate, approval; then start, upgrade, or wait for the next boot.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "manager/manager.h"

/* The categories that have a broker on this system. */
#define CATEGORIES_SERVED BUNDLE_CATEGORY_ENDPOINT_SECURITY

static void wait_for_user(struct request *request, struct extension *extension)
{
	request_attach(request, extension);
	requests_need_approval(extension);
}

static void wait_for_start(struct request *request, struct extension *extension)
{
	request->owns = false;
	request->extension = extension;
	request_step(request, STEP_STARTING);
}

static void approved_by_root(struct request *request, struct extension *extension)
{
	int r = approval_put(extension, APPROVAL_GIVEN, request->uid);

	if (r == 0) {
		supervise_forget_deaths(extension);
		wait_for_start(request, extension);
		r = activate_go(extension);
	}
	if (r < 0)
		request_refuse_errno(request, r, "it cannot be enabled");
}

/* Switched off, denied, or taken out of a crash loop: the manual has this as a table. */
static void ask_for_disabled(struct request *request, struct extension *extension)
{
	int r;

	if (request->origin == ORIGIN_ROOT) {
		approved_by_root(request, extension);
	} else if (approval_get(extension) == APPROVAL_DENIED) {
		request_fail_rule(request, RULE_APPROVAL_DENIED_BEFORE, extension->info.identifier,
			extension->reason);
	} else if (extension->wanted) {
		request_fail_rule(request, RULE_SUPERVISE_CRASH_LOOP, extension->info.identifier,
			extension->reason);
	} else if (request->origin == ORIGIN_UPDATE) {
		request_finish(request, 0);
	} else {
		char reason[REASON_BYTES];

		snprintf(reason, sizeof reason, "asked for again; was %.200s", extension->reason);
		r = transition_to(extension, STATE_ACTIVATED_WAITING_FOR_USER, reason);
		if (r < 0)
			request_refuse_errno(request, r, "it cannot be asked for");
		else
			wait_for_user(request, extension);
	}
}

/* Its app asks for what is there: where the app lies now is worth knowing, and costs no state. */
static void renew_app(struct request *request, struct extension *extension)
{
	char mount[4096];

	if (request->app_device == extension->app_device &&
		request->app_inode == extension->app_inode && extension->app_path &&
		streq(request->app_path, extension->app_path))
		return;
	mount_of_path(request->app_path, mount, sizeof mount);
	extension->app_device = request->app_device;
	extension->app_inode = request->app_inode;
	if (replace_string(&extension->app_path, request->app_path) < 0 ||
		replace_string(&extension->app_mount, mount) < 0)
		return;
	extension_write(extension);
	watch_renew(request->manager->watch);
}

int activate_same(struct request *request, struct extension *extension)
{
	/* as on macOS: a developer's app is asked each time and gets what it has just built */
	if (request->manager->developer_mode && request->client &&
		extension->state == STATE_ACTIVATED_ENABLED)
		return -EAGAIN;
	renew_app(request, extension);
	switch ((enum state)extension->state) {
	case STATE_ACTIVATED_ENABLED:
		request_finish(request, 0);
		return 0;
	case STATE_ACTIVATED_WAITING_TO_UPGRADE_ON_REBOOT:
		request_finish(request, 1);
		return 0;
	case STATE_ACTIVATED_WAITING_FOR_USER:
		if (request->origin == ORIGIN_ROOT)
			approved_by_root(request, extension);
		else
			wait_for_user(request, extension);
		return 0;
	case STATE_ACTIVATED_ENABLING:
	case STATE_ACTIVATED_WAITING_TO_UPGRADE:
		wait_for_start(request, extension);
		return 0;
	case STATE_ACTIVATED_DISABLED:
		ask_for_disabled(request, extension);
		return 0;
	default:
		return -EAGAIN;
	}
}

static const struct extension *find_taken(const struct extension *extension)
{
	const struct extension *other;

	for (other = extension->manager->extensions; other; other = other->next)
		if (other != extension &&
			streq(other->info.identifier, extension->info.identifier) &&
			!streq(other->info.team, extension->info.team) &&
			other->state > STATE_VALIDATING_BY_CATEGORY)
			return other;
	return NULL;
}

/* Positive: refused. */
static int check(struct request *request, struct wire_error *error)
{
	struct extension *extension = request->extension;
	const struct bundle_info *info = &extension->info;
	const struct extension *taken = find_taken(extension);

	if (request->origin != ORIGIN_RECOVERY && !streq(info->team, request->team) &&
		!(info->entitlement_bits & ENTITLEMENT_REDISTRIBUTABLE)) {
		rule_error(error, RULE_EXTENSION_TEAM, info->identifier, info->team, NULL);
		return 1;
	}
	if (taken) {
		rule_error(error, RULE_EXTENSION_IDENTIFIER_TAKEN, info->identifier,
			taken->info.team[0] ? taken->info.team : "nobody", NULL);
		return 1;
	}
	if (info->categories & ~CATEGORIES_SERVED) {
		rule_error(error, RULE_CATEGORY_NOT_SERVED, info->identifier,
			info->categories & BUNDLE_CATEGORY_NETWORK_EXTENSION ? "network extensions"
									     : "drivers",
			NULL);
		return 1;
	}
	return service_check(extension, error);
}

/* Somebody else has brought the same copy here while this one was made. */
static struct extension *find_twin(const struct extension *extension)
{
	struct extension *other;

	for (other = extension->manager->extensions; other; other = other->next)
		if (other != extension && extension_same(other, extension) &&
			streq(other->info.digest, extension->info.digest) &&
			other->state > STATE_VALIDATING_BY_CATEGORY &&
			other->state < STATE_TERMINATING_FOR_DISABLE)
			return other;
	return NULL;
}

void activate_validated(struct request *request)
{
	struct extension *extension = request->extension, *twin;
	struct wire_error error;
	int r = check(request, &error);

	if (r > 0) {
		request_fail(request, &error);
		return;
	}
	if (r == 0)
		r = staging_look(extension);
	if (r == 0)
		r = transition_to(extension, STATE_VALIDATING_BY_CATEGORY, NULL);
	if (r < 0) {
		request_refuse_errno(request, r, "it cannot be validated");
		return;
	}
	if (request->origin == ORIGIN_RECOVERY) {
		recover_validated(request);
		return;
	}
	twin = find_twin(extension);
	if (twin) {
		request->owns = false;
		request->extension = NULL;
		r = activate_same(request, twin);
		if (r == 0) {
			extension_discard(extension, "the same copy is there already", NULL);
			return;
		}
		request->owns = true;
		request->extension = extension;
	}
	activate_decide(request);
}

static const struct {
	enum policy_verdict verdict;
	enum rule_id rule;
	const char *detail;
} forbidden[] = {
	{ POLICY_OVERRIDES_OFF, RULE_POLICY_NOT_ALLOWED, "AllowUserOverrides is off" },
	{ POLICY_TYPE_NOT_ALLOWED, RULE_POLICY_TYPE, "AllowedSystemExtensionTypes" },
	{ POLICY_INVALID, RULE_POLICY_INVALID, NULL },
};

/* Positive: the request has failed. */
static int ask_policy(struct request *request, enum policy_verdict *ret)
{
	const struct policy *policy = request->manager->policy;
	const struct bundle_info *info = &request->extension->info;
	size_t i;

	*ret = policy_get(policy, info->team, info->identifier, info->categories);
	for (i = 0; i < ARRAY_SIZE(forbidden); i++) {
		if (forbidden[i].verdict != *ret)
			continue;
		request_fail_rule(request, forbidden[i].rule, info->identifier,
			forbidden[i].detail ? forbidden[i].detail : policy_problem(policy));
		return 1;
	}
	return 0;
}

static void ask_delegate(struct request *request, const struct extension *existing)
{
	static struct request_replace replace;

	extension_fill(existing, &replace.existing);
	extension_fill(request->extension, &replace.extension);
	request_step(request, STEP_REPLACEMENT);
	client_send(request->client, REQUEST_REPLACE, WIRE_FLAG_REPLY, request->client_id, &replace,
		sizeof replace);
}

/* One that waits is enough: the newer takes its place. */
static void drop_pending(struct extension *extension)
{
	struct extension *other, *next;

	for (other = extension->manager->extensions; other; other = next) {
		next = other->next;
		if (other != extension && extension_same(other, extension) &&
			(other->state == STATE_ACTIVATED_WAITING_FOR_USER ||
				other->state == STATE_ACTIVATED_WAITING_TO_UPGRADE_ON_REBOOT))
			remove_one(other, "replaced by a newer version");
	}
}

/* A new version of one that is switched off is put in its place, and is switched off. */
static int replace_switched_off(struct extension *extension, struct extension *old)
{
	char reason[REASON_BYTES];
	const struct transition both[] = {
		{ old, STATE_TERMINATING_FOR_UNINSTALL, "replaced by a newer version" },
		{ extension, STATE_ACTIVATED_DISABLED, reason },
	};
	int r;

	STR_PUT(reason, old->reason); /* the first one of them overwrites it */
	extension->wanted = old->wanted;
	extension->switched_off = old->switched_off;
	r = transition_all(extension->manager, both, ARRAY_SIZE(both));
	if (r == 0)
		supervise_stop(old);
	return r;
}

static void replace_disabled(struct request *request, struct extension *old)
{
	int r = replace_switched_off(request->extension, old);

	if (r < 0) {
		request_refuse_errno(request, r, "it cannot be replaced");
		return;
	}
	request->owns = false;
	request_finish(request, 0);
}

static void approve_or_wait(struct request *request, enum policy_verdict verdict)
{
	struct extension *extension = request->extension;
	struct extension *other = extension_other(request->manager, extension);
	enum approval approval = approval_get(extension);
	int r = 0;

	extension->switched_off = other && other->switched_off;
	if (extension->switched_off && approval != APPROVAL_DENIED && request->origin == ORIGIN_APP)
		approval = APPROVAL_NONE;
	else if (verdict == POLICY_ALLOWED && request->origin != ORIGIN_ROOT) {
		extension->by_policy = true;
		STR_PUT(extension->approved_by, "policy");
		extension->approved_at_usec = now_real_usec();
		approval = APPROVAL_GIVEN;
	}
	if (request->origin == ORIGIN_ROOT) {
		approved_by_root(request, extension);
		return;
	}
	if (approval == APPROVAL_DENIED) {
		request_fail_rule(request, RULE_APPROVAL_DENIED_BEFORE, extension->info.identifier,
			"an administrator has denied it");
		return;
	}
	if (approval == APPROVAL_NONE) {
		drop_pending(extension);
		r = transition_to(extension, STATE_ACTIVATED_WAITING_FOR_USER,
			extension->switched_off ? "its older version is switched off"
				: other		? "asks for more rights than the version that runs"
						: NULL);
		if (r < 0)
			request_refuse_errno(request, r, "it cannot wait for approval");
		else
			wait_for_user(request, extension);
		return;
	}
	wait_for_start(request, extension);
	r = activate_go(extension);
	if (r < 0) {
		request->owns = true;
		request_refuse_errno(request, r, "it cannot be enabled");
	}
}

void activate_decide(struct request *request)
{
	struct extension *extension = request->extension;
	struct extension *other = extension_other(request->manager, extension);
	enum policy_verdict verdict;

	if (ask_policy(request, &verdict) > 0)
		return;
	if (other && request->client && !request->replace_agreed)
		ask_delegate(request, other);
	else if (other && other->state == STATE_ACTIVATED_DISABLED &&
		request->origin == ORIGIN_UPDATE)
		replace_disabled(request, other);
	else
		approve_or_wait(request, verdict);
}

/* Where the older copy goes, and where that leaves the newer. */
static void plan(struct extension *extension, struct extension *old, struct transition *ret_old,
	struct transition *ret_new)
{
	bool runs = old->state == STATE_ACTIVATED_ENABLED || old->state == STATE_ACTIVATED_ENABLING;

	*ret_old = (struct transition){ old,
		runs ? STATE_TERMINATING_FOR_UPGRADE_VIA_DELEGATE : STATE_TERMINATING_FOR_UNINSTALL,
		"replaced by a newer version" };
	*ret_new = (struct transition){ extension,
		old->process == PROCESS_NONE ? STATE_ACTIVATED_ENABLING
					     : STATE_ACTIVATED_WAITING_TO_UPGRADE,
		NULL };
	/* an upgrade is under way already: this one waits for the same end */
	if (old->state == STATE_ACTIVATED_WAITING_TO_UPGRADE)
		ret_new->to = STATE_ACTIVATED_WAITING_TO_UPGRADE;
}

static int wait_for_reboot(struct extension *extension)
{
	int r;

	STR_PUT(extension->boot_id, extension->manager->boot_id);
	drop_pending(extension);
	r = transition_to(extension, STATE_ACTIVATED_WAITING_TO_UPGRADE_ON_REBOOT,
		"NSEndpointSecurityRebootRequired: the old version runs until the next boot");
	if (r == 0)
		requests_finish(extension, 1);
	return r;
}

static int replace(struct extension *extension, struct extension *old)
{
	struct transition both[2];
	int r;

	plan(extension, old, &both[0], &both[1]);
	r = transition_all(extension->manager, both, 2);
	if (r < 0)
		return r;
	drop_pending(extension);
	supervise_stop(old);
	if (extension->state == STATE_ACTIVATED_ENABLING)
		supervise_start(extension);
	return 0;
}

int activate_go(struct extension *extension)
{
	struct extension *old = extension_active(
		extension->manager, extension->info.team, extension->info.identifier);
	int r;

	extension->wanted = true;
	extension->switched_off = false;
	if (!old || old == extension) {
		r = transition_to(extension, STATE_ACTIVATED_ENABLING, NULL);
		if (r < 0)
			return r;
		drop_pending(extension);
		supervise_start(extension);
		return 0;
	}
	if (extension->info.flags & BUNDLE_REBOOT_REQUIRED && old->state == STATE_ACTIVATED_ENABLED)
		return wait_for_reboot(extension);
	return replace(extension, old);
}

int activate_after_reboot(struct extension *extension)
{
	struct extension *old = extension_active(
		extension->manager, extension->info.team, extension->info.identifier);

	if (!old)
		return activate_go(extension);
	/* what was said last holds: the older one was switched off while this one waited */
	if (!old->wanted)
		return replace_switched_off(extension, old);
	return replace(extension, old);
}
