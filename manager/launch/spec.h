/* SPDX-License-Identifier: Apache-2.0
 *
 * What outboard-launch is to make of itself: written by the manager into a sealed memory file that
 * the launcher inherits as "spec". Nothing in it comes from the extension but the path of its
 * executable, which the worker has verified to lie in the bundle.
 */
#ifndef OB_MANAGER_LAUNCH_SPEC_H
#define OB_MANAGER_LAUNCH_SPEC_H

#include <stdint.h>
#include "daemon/cgroup.h"

#define LAUNCH_SPEC_VERSION 1u
#define LAUNCH_PATH_BYTES 1024
#define LAUNCH_PATHS_MAX 8
#define LAUNCH_GROUPS_MAX (CGROUP_CONTROLLERS + 1)
#define LAUNCH_FAILED_STATUS 126 /* the launcher's exit when it could not become the extension */

struct launch_spec {
	uint32_t version, n_groups;
	uint32_t n_write_paths, n_keep_paths;
	uint64_t capabilities; /* bounding set: 1 << CAP_* */
	uint64_t open_files;   /* RLIMIT_NOFILE */
	char identifier[256];
	char executable[LAUNCH_PATH_BYTES];
	char bundle
		[LAUNCH_PATH_BYTES]; /* the staged copy: the only part of the state that is seen */
	char hidden[LAUNCH_PATH_BYTES]; /* the state folder: registry, others' copies and state */
	char state_folder[LAUNCH_PATH_BYTES]; /* the extension's own; made when it is not there */
	char write_paths[LAUNCH_PATHS_MAX]
			[LAUNCH_PATH_BYTES]; /* by entitlement, shown in the approval */
	char keep_paths[LAUNCH_PATHS_MAX]
		       [LAUNCH_PATH_BYTES]; /* below /tmp, still seen, read-only */
	char cgroup_procs[LAUNCH_GROUPS_MAX][CGROUP_PATH_BYTES];
};

#endif
