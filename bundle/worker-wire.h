/* SPDX-License-Identifier: Apache-2.0
 *
 * Between whoever wants a verdict on a bundle and outboard-bundle-worker: one job a worker, then it
 * ends. Wire form: base/wire.h. The worker is the less trusted side: it has read the bundle. The
 * caller sends in this order, the worker answers once, and may do so early to refuse.
 *
 *   BEGIN  TEAM*  REVOKED*  ENTRY*  END          ->  ACCEPTED or REFUSED
 */
#ifndef OB_BUNDLE_WORKER_WIRE_H
#define OB_BUNDLE_WORKER_WIRE_H

#include "base/wire.h"
#include "bundle/bundle.h"

#define WORKER_SOCKET_FD 3

enum {
	/* caller to worker */
	WORKER_BEGIN = 16,   /* struct worker_begin */
	WORKER_TEAM = 17,    /* struct worker_team, then the file's text */
	WORKER_REVOKED = 18, /* struct worker_revoked */
	WORKER_ENTRY =
		19, /* struct worker_entry, path, NUL, link's target, NUL; fd of a regular file */
	WORKER_END = 20, /* no body */

	/* worker to caller */
	WORKER_ACCEPTED = 32, /* struct bundle_info */
	WORKER_REFUSED = 33,  /* struct worker_refused */
};

#define WORKER_TEAM_TEXT_MAX 8192u
#define WORKER_TEAMS_MAX 4096u
#define WORKER_REVOKED_MAX 65536u
#define WORKER_PATHS_MAX (2 * 4096u) /* path and target, each with its NUL */

struct worker_begin {
	uint32_t kind;	 /* enum bundle_kind */
	uint32_t flags;	 /* BUNDLE_ALLOW_UNSIGNED, ... */
	char name[256];	 /* the folder's own name */
	char path[4096]; /* for messages */
};
static_assert(sizeof(struct worker_begin) == 4360, "wire");

struct worker_team {
	char name[64]; /* of the file: "ABCDEFGHIJ.team" */
};

struct worker_revoked {
	char name[80];	  /* of the file: a team or a manifest's digest */
	char reason[176]; /* its first line */
};
static_assert(sizeof(struct worker_revoked) == 256, "wire");

struct worker_entry {
	uint32_t mode;			   /* as in struct stat: regular or link */
	uint32_t path_bytes, target_bytes; /* with their NULs; target: 0 for a file */
	uint32_t reserved;
	uint64_t size;
};
static_assert(sizeof(struct worker_entry) == 24, "wire");

struct worker_refused {
	int32_t status; /* 0: by rule; -errno: of reading, by rule as well; or a trouble of our
			 * own, and error has no rule */
	uint32_t reserved;
	struct wire_error error;
};

#endif
