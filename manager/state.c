/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of states, see state.h.
 */
#include <errno.h>
#include <stddef.h>
#include "base/macros.h"
#include "base/str.h"
#include "manager/state.h"

#define TO(state) (1u << STATE_##state)
#define REMOVED (TO(TERMINATING_FOR_UNINSTALL) | TO(UNINSTALLING))

static const struct state_row rows[STATE_MAX_] = {
	[STATE_VALIDATING] = { "validating", GROUP_CHANGING, 300, SLOT_NO,
		TO(VALIDATING_BY_CATEGORY) | TO(UNINSTALLING) },
	[STATE_VALIDATING_BY_CATEGORY] = { "validating_by_category", GROUP_CHANGING, 300, SLOT_NO,
		TO(ACTIVATED_WAITING_FOR_USER) | TO(ACTIVATED_ENABLING) | TO(ACTIVATED_DISABLED) |
			TO(ACTIVATED_WAITING_TO_UPGRADE) |
			TO(ACTIVATED_WAITING_TO_UPGRADE_ON_REBOOT) | TO(UNINSTALLING) },
	/* takes the slot when it is free: while an older copy runs on, that one is active */
	[STATE_ACTIVATED_WAITING_FOR_USER] = { "activated_waiting_for_user", GROUP_PENDING, 0,
		SLOT_IF_FREE,
		TO(ACTIVATED_ENABLING) | TO(ACTIVATED_DISABLED) | TO(ACTIVATED_WAITING_TO_UPGRADE) |
			TO(ACTIVATED_WAITING_TO_UPGRADE_ON_REBOOT) | REMOVED },
	[STATE_ACTIVATED_ENABLING] = { "activated_enabling", GROUP_CHANGING, 30, SLOT_TAKE,
		TO(ACTIVATED_ENABLED) | TO(ACTIVATED_DISABLED) | TO(TERMINATING_FOR_DISABLE) |
			TO(TERMINATING_FOR_UPGRADE_VIA_DELEGATE) | REMOVED },
	[STATE_ACTIVATED_ENABLED] = { "activated_enabled", GROUP_ON, 0, SLOT_TAKE,
		TO(ACTIVATED_ENABLING) | TO(ACTIVATED_DISABLED) | TO(TERMINATING_FOR_DISABLE) |
			TO(TERMINATING_FOR_UPGRADE_VIA_DELEGATE) | REMOVED },
	[STATE_ACTIVATED_DISABLED] = { "activated_disabled", GROUP_OFF, 0, SLOT_TAKE,
		TO(ACTIVATED_ENABLING) | TO(ACTIVATED_WAITING_FOR_USER) |
			TO(TERMINATING_FOR_UPGRADE_VIA_DELEGATE) | REMOVED },
	[STATE_ACTIVATED_WAITING_TO_UPGRADE] = { "activated_waiting_to_upgrade", GROUP_CHANGING, 30,
		SLOT_TAKE, TO(ACTIVATED_ENABLING) | REMOVED },
	[STATE_ACTIVATED_WAITING_TO_UPGRADE_ON_REBOOT] = { "activated_waiting_to_upgrade_on_reboot",
		GROUP_PENDING, 0, SLOT_NO,
		TO(ACTIVATED_WAITING_TO_UPGRADE) | TO(ACTIVATED_ENABLING) | TO(ACTIVATED_DISABLED) |
			REMOVED },
	[STATE_TERMINATING_FOR_DISABLE] = { "terminating_for_disable", GROUP_CHANGING, 15,
		SLOT_TAKE,
		TO(ACTIVATED_DISABLED) | TO(TERMINATING_FOR_DISABLE_BUT_STILL_RUNNING) |
			TO(ACTIVATED_ENABLING) | REMOVED },
	[STATE_TERMINATING_FOR_DISABLE_BUT_STILL_RUNNING] = { "terminating_for_disable_but_still_running",
		GROUP_PENDING, 0, SLOT_TAKE, TO(ACTIVATED_DISABLED) | REMOVED },
	/* the old copy of an upgrade: stopped, then kept until the new one is up */
	[STATE_TERMINATING_FOR_UPGRADE_VIA_DELEGATE] = { "terminating_for_upgrade_via_delegate",
		GROUP_CHANGING, 60, SLOT_NO,
		TO(ACTIVATED_ENABLING) | TO(ACTIVATED_DISABLED) | REMOVED },
	[STATE_TERMINATING_FOR_UNINSTALL] = { "terminating_for_uninstall", GROUP_REMOVING, 15,
		SLOT_NO, TO(TERMINATING_FOR_UNINSTALL_BUT_STILL_RUNNING) | TO(UNINSTALLING) },
	[STATE_TERMINATING_FOR_UNINSTALL_BUT_STILL_RUNNING] = { "terminating_for_uninstall_but_still_running",
		GROUP_REMOVING, 0, SLOT_NO, TO(UNINSTALLING) },
	[STATE_UNINSTALLING] = { "uninstalling", GROUP_REMOVING, 30, SLOT_NO, 0 },
};

const struct state_row *state_get(enum state state)
{
	return &rows[state < STATE_MAX_ ? state : STATE_UNINSTALLING];
}

bool state_may(enum state from, enum state to)
{
	return from < STATE_MAX_ && to < STATE_MAX_ && rows[from].next & 1u << to;
}

int state_of_name(const char *name)
{
	size_t i;

	for (i = 0; i < STATE_MAX_; i++)
		if (streq(rows[i].name, name))
			return (int)i;
	return -EINVAL;
}
