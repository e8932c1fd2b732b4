/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-identity-worker: what its files know of each other.
 */
#ifndef OB_ENDPOINT_IDENTITY_HASHER_H
#define OB_ENDPOINT_IDENTITY_HASHER_H

#include <stdbool.h>
#include <sys/types.h>
#include "endpoint/identity/identity-wire.h"

/* hasher.c: does not return; @socket_fd is all that it has. */
void hasher_run(int socket_fd) __attribute__((noreturn));

/* file.c: files as the kernel program names them, opened */

/* The key that the kernel program makes of the same file. */
int file_key(int fd, struct es_identity_key *ret);
/* The file that @wanted means, opened for reading; -ESTALE: it is not there any more. */
int file_open_wanted(const struct es_wanted *wanted);
/* For the hasher, of a file that is open; @ret->path: "" when the host has no such name. */
int file_describe(int fd, struct identity_hash *ret);

/* database.c: the hasher has the index of what is installed now. */

struct database {
	const char *folder; /* dpkg's */
	bool used;	    /* the hasher has an index, with this stamp: */
	struct identity_stamp stamp;
};

/* Tell of packages that are here and not read. Once. */
void database_tell_missing(void);
int database_refresh(struct database *database, int hasher_fd, struct wire_packet *packet);

#endif
