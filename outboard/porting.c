/* SPDX-License-Identifier: Apache-2.0
 *
 * The small parts of the porting kit: <bsm/libbsm.h> and <mach/mach_time.h>.
 */
#include <string.h>
#include <time.h>
#include <bsm/libbsm.h>
#include <mach/mach_time.h>
#include "base/macros.h"

enum { AUID, EUID, EGID, RUID, RGID, PID, ASID, PID_VERSION };

ob_export uid_t audit_token_to_auid(audit_token_t token)
{
	return token.val[AUID];
}

ob_export uid_t audit_token_to_euid(audit_token_t token)
{
	return token.val[EUID];
}

ob_export gid_t audit_token_to_egid(audit_token_t token)
{
	return token.val[EGID];
}

ob_export uid_t audit_token_to_ruid(audit_token_t token)
{
	return token.val[RUID];
}

ob_export gid_t audit_token_to_rgid(audit_token_t token)
{
	return token.val[RGID];
}

ob_export pid_t audit_token_to_pid(audit_token_t token)
{
	return (pid_t)token.val[PID];
}

ob_export au_asid_t audit_token_to_asid(audit_token_t token)
{
	return (au_asid_t)token.val[ASID];
}

ob_export int audit_token_to_pidversion(audit_token_t token)
{
	return (int)token.val[PID_VERSION];
}

ob_export void audit_token_to_au32(audit_token_t token, uid_t *auid, uid_t *euid, gid_t *egid,
	uid_t *ruid, gid_t *rgid, pid_t *pid, au_asid_t *asid, au_tid_t *tid)
{
	/* all are 32 bits wide, in the token's order */
	void *const to[] = { auid, euid, egid, ruid, rgid, pid, asid };

	for (size_t i = 0; i < ARRAY_SIZE(to); i++)
		if (to[i])
			memcpy(to[i], &token.val[i], sizeof token.val[i]);
	if (tid)
		*tid = (au_tid_t){ 0 };
}

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

ob_export uint64_t mach_absolute_time(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

ob_export uint64_t mach_continuous_time(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

ob_export uint64_t mach_approximate_time(void)
{
	return read_clock(CLOCK_MONOTONIC_COARSE);
}

ob_export kern_return_t mach_timebase_info(mach_timebase_info_t info)
{
	if (!info)
		return KERN_INVALID_ARGUMENT;
	info->numer = info->denom = 1;
	return KERN_SUCCESS;
}
