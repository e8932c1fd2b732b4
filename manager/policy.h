/* SPDX-License-Identifier: Apache-2.0
 *
 * What the administrator of a fleet allows: the *.json files of policy.d, in the vendor's folder and
 * in the configuration, with Apple's keys (com.apple.system-extension-policy). Several files add
 * up: AllowUserOverrides holds only if every file says so, everything else is a union.
 */
#ifndef OB_MANAGER_POLICY_H
#define OB_MANAGER_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/macros.h"

struct policy;

enum policy_verdict {
	POLICY_ASK,	/* an administrator decides */
	POLICY_ALLOWED, /* nobody is asked */
	POLICY_OVERRIDES_OFF,
	POLICY_TYPE_NOT_ALLOWED,
	POLICY_INVALID /* a file cannot be read: nothing new is let in until it is mended */
};

/*
 * Never fails but for memory: a file that is not valid is named in policy_problem(), and
 * policy_verdict() answers POLICY_INVALID while there is one.
 * @folders: NULL-terminated; one that does not exist is empty
 */
int policy_load(const char *const *folders, struct policy **ret);
struct policy *policy_free(struct policy *policy);
DEFINE_CLEANUP(struct policy, policy_free)

const char *policy_problem(const struct policy *policy); /* NULL: none */
enum policy_verdict policy_get(
	const struct policy *policy, const char *team, const char *identifier, uint32_t categories);
/* Its app may take it away without an administrator. */
bool policy_is_removable(const struct policy *policy, const char *team, const char *identifier);
/* Nobody may disable it or take it away. */
bool policy_is_non_removable(const struct policy *policy, const char *team, const char *identifier);
/* It does not go when its app is deleted. */
bool policy_is_kept_from_ui(const struct policy *policy, const char *team, const char *identifier);

#endif
