/* SPDX-License-Identifier: Apache-2.0
 *
 * Between outboard-esd and outboard-identity-worker, and in the worker between its two processes.
 * Wire form: base/wire.h. One question at a time, each with one answer; the worker is the less
 * trusted side.
 *
 *   outboard-esd            opener (root, parses nothing)          hasher (nobody, no files)
 *   WANTED or FILE  ->      opens the file, finds the databases
 *                           BUILD  LIST*  BUILT, or USE     ->     makes the index of packages
 *                           HASH                            ->     reads file and index
 *   ANSWER          <-                                      <-     ANSWER
 */
#ifndef OB_ENDPOINT_IDENTITY_WIRE_H
#define OB_ENDPOINT_IDENTITY_WIRE_H

#include "base/wire.h"
#include "endpoint/identity.h"

#define IDENTITY_SOCKET_FD 3

enum {
	/* outboard-esd to opener */
	IDENTITY_WANTED = 16, /* struct es_wanted */
	IDENTITY_FILE = 17,   /* no body; the file itself */

	/* to outboard-esd */
	IDENTITY_ANSWER = 32, /* struct identity_answer */
	IDENTITY_IDLE = 33,   /* no body: close the socket, or ask on */
	IDENTITY_BUSY = 34,   /* no body: the answer takes longer, and something moves */

	/* opener to hasher */
	IDENTITY_HASH = 48,  /* struct identity_hash, the file */
	IDENTITY_USE = 49,   /* no body; an index, to read */
	IDENTITY_BUILD = 50, /* struct identity_build, an empty file to write the index to */
	IDENTITY_LIST = 51,  /* struct identity_list, a file of a package database */
	IDENTITY_BUILT = 52, /* no body: by WIRE_STATUS */
};

#define IDENTITY_DIGEST_FITS 0x1u /* the package has this content under this path */

struct identity_answer {
	int32_t status; /* 0; -ESTALE it is no such file any more; -errno it cannot be read */
	uint32_t flags;
	struct es_identity_key key;
	uint64_t device, inode; /* as stat(2) has them */
	uint32_t mode, uid;
	uint8_t sha256[32];
	char signing_id[ES_SIGNING_ID_BYTES]; /* "deb:coreutils", or "" */
};
static_assert(sizeof(struct identity_answer) == 224, "wire");

struct identity_hash {
	struct es_identity_key key;
	uint64_t device, inode;
	uint32_t mode, uid;
	char path[4096]; /* under which the host has the file; "" it has no name there */
};

/* Everything whose change makes the index another one. */
struct identity_stamp {
	uint64_t status_inode, status_mtime_ns, status_bytes;
	uint64_t diversions_mtime_ns;
	uint32_t merged; /* a bit for each folder of the top that is a link into /usr */
	uint32_t reserved;
};

struct identity_build {
	struct identity_stamp stamp;
};

enum identity_list_kind {
	IDENTITY_DIVERSIONS, /* before all others */
	IDENTITY_PATHS,	     /* of a package; its digests follow, if it has them */
	IDENTITY_DIGESTS,
};

struct identity_list {
	uint32_t kind;
	char package[ES_SIGNING_ID_BYTES]; /* "coreutils", "libc6:amd64" */
};
static_assert(sizeof(struct identity_list) == 132, "wire");

#endif
