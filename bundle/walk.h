/* SPDX-License-Identifier: Apache-2.0
 *
 * Going through a bundle, one entry at a time, without ever following a link or opening anything
 * but folders and regular files: what the verdict, the copy and the signer have in common.
 */
#ifndef OB_BUNDLE_WALK_H
#define OB_BUNDLE_WALK_H

#include <sys/stat.h>
#include "bundle/bundle.h"

enum walk_type { WALK_FOLDER, WALK_FILE, WALK_LINK };

/* Everything in it is the walk's, until the next call. */
struct walk_entry {
	enum walk_type type;
	const char *path;   /* below the bundle */
	int fd;		    /* of a file: open for reading; of a folder: open; else -1 */
	struct stat status; /* of what fd is open on; of a link: mode and size alone */
	const char *target; /* of a link: its text, which ends inside the bundle */
};

struct walk;

/* @dir_fd: the bundle, borrowed as long as the walk lives; @path: for messages */
int walk_new(int dir_fd, const char *path, struct walk **ret);
struct walk *walk_free(struct walk *walk);
DEFINE_CLEANUP(struct walk, walk_free)

#define WALK_ENTRY 1
#define WALK_E_REFUSED 2

/*
 * The next entry, folders before what is in them, names bytewise sorted in each folder.
 * WALK_ENTRY; 0 the end; WALK_E_REFUSED by rule; -errno of reading. @ret_error is filled with both,
 * but for -ENOMEM, -EMFILE and -ENFILE, which are no fault of the bundle.
 */
int walk_next(struct walk *walk, struct walk_entry *ret, struct wire_error *ret_error);

#endif
