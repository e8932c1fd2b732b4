/* SPDX-License-Identifier: Apache-2.0
 *
 * The states of an extension: Apple's names, one table. outboard-extension-states(7) prints it.
 */
#ifndef OB_MANAGER_STATE_H
#define OB_MANAGER_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum state {
	STATE_VALIDATING,
	STATE_VALIDATING_BY_CATEGORY,
	STATE_ACTIVATED_WAITING_FOR_USER,
	STATE_ACTIVATED_ENABLING,
	STATE_ACTIVATED_ENABLED,
	STATE_ACTIVATED_DISABLED,
	STATE_ACTIVATED_WAITING_TO_UPGRADE,
	STATE_ACTIVATED_WAITING_TO_UPGRADE_ON_REBOOT,
	STATE_TERMINATING_FOR_DISABLE,
	STATE_TERMINATING_FOR_DISABLE_BUT_STILL_RUNNING,
	STATE_TERMINATING_FOR_UPGRADE_VIA_DELEGATE,
	STATE_TERMINATING_FOR_UNINSTALL,
	STATE_TERMINATING_FOR_UNINSTALL_BUT_STILL_RUNNING,
	STATE_UNINSTALLING,
	STATE_MAX_
};

enum state_group {
	GROUP_CHANGING, /* goes on by itself, or the deadline ends it */
	GROUP_PENDING,	/* waits for a decision or the next boot, as long as it takes */
	GROUP_ON,
	GROUP_OFF,
	GROUP_REMOVING
};

/* Is a copy in that state the active one of its (team, identifier)? */
enum state_slot { SLOT_NO, SLOT_IF_FREE, SLOT_TAKE };

struct state_row {
	const char *name; /* Apple's, with underscores, as in db.plist */
	enum state_group group;
	uint32_t deadline_sec; /* 0: none */
	enum state_slot slot;
	uint32_t next; /* 1 << enum state: where it may go */
};

const struct state_row *state_get(enum state state);
bool state_may(enum state from, enum state to);
int state_of_name(const char *name); /* -EINVAL */

#endif
