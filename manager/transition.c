/* SPDX-License-Identifier: Apache-2.0
 *
 * How an extension comes from one state into another: written first, then told.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/str.h"
#include "manager/manager.h"
#include "manager/registry.h"

#define TRANSITIONS_MAX 4
#define RETRY_USEC (10 * 1000000ull)

struct before {
	uint32_t state;
	bool slot;
	uint64_t since_usec;
	char reason[REASON_BYTES];
};

static bool takes_slot(const struct extension *extension, enum state to)
{
	const struct extension *active;

	switch (state_get(to)->slot) {
	case SLOT_TAKE:
		return true;
	case SLOT_IF_FREE:
		active = extension_active(
			extension->manager, extension->info.team, extension->info.identifier);
		return !active || active == extension;
	default:
		return false;
	}
}

static int apply(const struct transition *transition, struct before *before)
{
	struct extension *extension = transition->extension;

	*before = (struct before){ .state = extension->state,
		.slot = extension->slot,
		.since_usec = extension->since_usec };
	STR_PUT(before->reason, extension->reason);
	if (extension->state != transition->to && !state_may(extension->state, transition->to))
		return -EPERM;
	extension->slot = takes_slot(extension, transition->to);
	extension->state = transition->to;
	extension->since_usec = now_real_usec();
	STR_PUT(extension->reason, str_or(transition->reason, ""));
	return registry_put(extension->manager->registry, extension);
}

static void take_back(struct extension *extension, const struct before *before)
{
	extension->state = before->state;
	extension->slot = before->slot;
	extension->since_usec = before->since_usec;
	STR_PUT(extension->reason, before->reason);
}

static const struct {
	enum state to;
	enum workspace_event event;
} told[] = {
	{ STATE_ACTIVATED_ENABLING, WORKSPACE_WILL_BECOME_ENABLED },
	{ STATE_TERMINATING_FOR_DISABLE, WORKSPACE_WILL_BECOME_DISABLED },
	{ STATE_TERMINATING_FOR_UNINSTALL, WORKSPACE_WILL_BECOME_INACTIVE },
};

static void tell(struct extension *extension, const struct before *before)
{
	const struct state_row *row = state_get(extension->state);
	size_t i;

	extension->deadline_usec = row->deadline_sec
		? now_usec() + (uint64_t)row->deadline_sec * 1000000
		: 0;
	log_event(LOG_EXTENSION_STATE, extension->info.identifier, "was",
		state_get(before->state)->name, "to", row->name, "because", extension->reason,
		"version", extension->info.short_version, "uuid", extension->id, NULL);
	control_extension_changed(extension->manager->control, extension->id);
	broker_withhold(extension->manager->broker, extension);
	for (i = 0; i < ARRAY_SIZE(told); i++)
		if (told[i].to == extension->state && before->state != extension->state)
			clients_workspace_event(extension, told[i].event);
}

int transition_all(struct manager *manager, const struct transition *transitions, size_t n)
{
	struct before before[TRANSITIONS_MAX];
	size_t i, done = 0;
	int r = n <= TRANSITIONS_MAX ? registry_begin(manager->registry) : -E2BIG;

	if (r < 0)
		return r;
	for (i = 0; r == 0 && i < n; i++) {
		r = apply(&transitions[i], &before[i]);
		done = i + 1;
	}
	if (r == 0)
		r = registry_commit(manager->registry);
	else
		registry_rollback(manager->registry);
	for (i = 0; i < done; i++) {
		if (r == 0)
			tell(transitions[i].extension, &before[i]);
		else
			take_back(transitions[done - 1 - i].extension, &before[done - 1 - i]);
	}
	manager_arm(manager);
	if (r < 0)
		log_failure(LOG_REGISTRY_WRITE,
			n ? transitions[0].extension->info.identifier : NULL, r, NULL);
	return r;
}

int transition_to(struct extension *extension, enum state to, const char *reason)
{
	const struct transition one = { extension, to, reason };

	return transition_all(extension->manager, &one, 1);
}

int extension_write(struct extension *extension)
{
	int r = registry_put(extension->manager->registry, extension);

	if (r < 0)
		log_failure(LOG_REGISTRY_WRITE, extension->info.identifier, r, NULL);
	control_extension_changed(extension->manager->control, extension->id);
	return r;
}

/* The slot of a copy that is gone falls to the one that waits for approval. */
static void pass_slot_on(struct manager *manager, const struct extension *gone)
{
	struct extension *other;

	for (other = manager->extensions; other; other = other->next) {
		if (other == gone || !extension_same(other, gone) ||
			other->state != STATE_ACTIVATED_WAITING_FOR_USER || other->slot ||
			extension_active(manager, gone->info.team, gone->info.identifier))
			continue;
		other->slot = true;
		extension_write(other);
		return;
	}
}

static void remove_row(struct extension *extension)
{
	struct manager *manager = extension->manager;
	int r;

	service_close(extension);
	broker_entitle(manager->broker, extension, false);
	r = staging_remove(extension->id);
	if (r < 0 && r != -ENOENT)
		log_failure(LOG_STAGING_REMOVE, extension->info.identifier, r, "uuid",
			extension->id, NULL);
	r = registry_remove(manager->registry, extension->id);
	if (r < 0) {
		/* it stays in "uninstalling", whose deadline tries again */
		log_failure(LOG_REGISTRY_WRITE, extension->info.identifier, r, NULL);
		return;
	}
	log_event(LOG_EXTENSION_REMOVED, extension->info.identifier, "because", extension->reason,
		"version", extension->info.short_version, "uuid", extension->id, NULL);
	control_extension_removed(manager->control, extension->id);
	requests_removed(extension);
	pass_slot_on(manager, extension);
	extension_free(extension);
	watch_renew(manager->watch);
	manager_arm(manager);
}

void extensions_remove_discarded(struct manager *manager)
{
	struct extension *extension, *next;

	for (extension = manager->extensions; extension; extension = next) {
		next = extension->next;
		if (extension->state == STATE_UNINSTALLING && extension->process == PROCESS_NONE)
			remove_row(extension);
	}
}

int extension_discard(
	struct extension *extension, const char *reason, const struct wire_error *error)
{
	int r;

	requests_fail(extension, error);
	r = extension->state == STATE_UNINSTALLING
		? 0
		: transition_to(extension, STATE_UNINSTALLING, reason);
	if (r < 0) {
		/* the disk is full, most likely: it is tried again until it can be written */
		extension->deadline_usec = now_usec() + RETRY_USEC;
		manager_arm(extension->manager);
		return r;
	}
	sd_event_source_set_enabled(extension->manager->later, SD_EVENT_ONESHOT);
	return 0;
}
