/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of teams.d and revoked.d, read for the worker, which alone looks into them. A file of
 * /etc/outboard hides the one of the same name of /usr/lib/outboard; what is revoked in either
 * place is revoked. libc only.
 */
#ifndef OB_BUNDLE_TEAMS_H
#define OB_BUNDLE_TEAMS_H

#include <stddef.h>
#include "bundle/worker-wire.h"

struct team_file {
	char name[MEMBER_SIZE(struct worker_team, name)];
	char *text;
	size_t bytes;
	bool vendor; /* from /usr/lib/outboard */
};

struct teams {
	struct team_file *files;
	size_t n_files;
	struct worker_revoked *revoked;
	size_t n_revoked;
};

/* 0; -errno: a folder or file that exists cannot be read: nothing may be accepted then. */
int teams_read(struct teams **ret);
struct teams *teams_free(struct teams *teams);
DEFINE_CLEANUP(struct teams, teams_free)

#endif
