/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens when an extension has been in a state for longer than that state may last: one row a
 * state, see the table at the end and outboard-extension-states(7).
 */
#include "base/str.h"
#include "manager/manager.h"

static void give_up_validating(struct extension *extension)
{
	struct wire_error error;

	rule_error(&error, RULE_STATE_DEADLINE, extension->info.identifier,
		state_get(extension->state)->name, NULL);
	extension_discard(extension, "took too long", &error);
}

static void give_up_enabling(struct extension *extension)
{
	if (extension->process == PROCESS_STARTING) {
		supervise_ready(extension);
		return;
	}
	/* back-off has used the time up; its next death or start decides */
	extension->deadline_usec = now_usec() + 30 * 1000000ull;
}

static void give_up_upgrade(struct extension *extension)
{
	struct extension *old = supervise_find_parked(extension);
	struct wire_error error;

	rule_error(&error, RULE_STATE_DEADLINE, extension->info.identifier,
		state_get(extension->state)->name, NULL);
	requests_fail(extension, &error);
	if (old) {
		const struct transition both[] = {
			{ extension, STATE_TERMINATING_FOR_UNINSTALL,
				"the old version could not be stopped" },
			{ old, STATE_ACTIVATED_ENABLING, "the upgrade was given up" },
		};

		if (transition_all(extension->manager, both, 2) == 0)
			supervise_stop(extension);
	} else
		extension->deadline_usec = now_usec() + 30 * 1000000ull;
}

static void still_running(struct extension *extension)
{
	transition_to(extension,
		extension->state == STATE_TERMINATING_FOR_DISABLE
			? STATE_TERMINATING_FOR_DISABLE_BUT_STILL_RUNNING
			: STATE_TERMINATING_FOR_UNINSTALL_BUT_STILL_RUNNING,
		"a process of it cannot be killed: it waits in the kernel");
	supervise_insist(extension);
}

static void come_back(struct extension *extension)
{
	struct extension *active = extension_active(
		extension->manager, extension->info.team, extension->info.identifier);

	/* as long as the new one is on its way this one is kept for it to fail */
	if (active) {
		extension->deadline_usec = now_usec() + 30 * 1000000ull;
		return;
	}
	if (transition_to(extension, STATE_ACTIVATED_ENABLING, "the newer version is gone") == 0)
		supervise_start(extension);
}

static void try_again(struct extension *extension)
{
	extension->deadline_usec = now_usec() + 10 * 1000000ull;
	sd_event_source_set_enabled(extension->manager->later, SD_EVENT_ONESHOT);
}

void transition_deadline(struct extension *extension)
{
	static void (*const late[STATE_MAX_])(struct extension * extension) = {
		[STATE_VALIDATING] = give_up_validating,
		[STATE_VALIDATING_BY_CATEGORY] = give_up_validating,
		[STATE_ACTIVATED_ENABLING] = give_up_enabling,
		[STATE_ACTIVATED_WAITING_TO_UPGRADE] = give_up_upgrade,
		[STATE_TERMINATING_FOR_DISABLE] = still_running,
		[STATE_TERMINATING_FOR_UNINSTALL] = still_running,
		[STATE_TERMINATING_FOR_UPGRADE_VIA_DELEGATE] = come_back,
		[STATE_UNINSTALLING] = try_again,
	};

	extension->deadline_usec = 0;
	if (late[extension->state])
		late[extension->state](extension);
}
