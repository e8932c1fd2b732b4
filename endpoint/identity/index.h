/* SPDX-License-Identifier: Apache-2.0
 *
 * The index of packages: from a path to the package that owns it and the digest that it says its
 * content has. A file, so that it is in nobody's memory and outlives the worker: 40 bytes a path,
 * sorted by a digest of the path, then the names. Built and read by the hasher alone.
 */
#ifndef OB_ENDPOINT_IDENTITY_INDEX_H
#define OB_ENDPOINT_IDENTITY_INDEX_H

#include <stdbool.h>
#include "endpoint/identity/dpkg.h"
#include "endpoint/identity/identity-wire.h"

#define INDEX_MAGIC 0x31786469626f6469ull
#define INDEX_KEY_BYTES 16
#define INDEX_BYTES_MAX (256u << 20)

struct index_entry {
	uint8_t key[INDEX_KEY_BYTES]; /* of the path's SHA-256: nobody can find two that are one */
	uint8_t md5[DPKG_MD5_BYTES];
	uint32_t name; /* offset in the names */
	uint32_t has_digest;
};
static_assert(sizeof(struct index_entry) == 40, "file");

struct index_head {
	uint64_t magic;
	struct identity_stamp stamp;
	uint32_t n_entries, names_bytes;
};
static_assert(sizeof(struct index_head) == 56, "file");

/* ---- building --------------------------------------------------------------------------------- */

struct index_builder;

/* @stamp: kept in the file, and which folders are links into /usr. */
int index_builder_new(const struct identity_stamp *stamp, struct index_builder **ret);
struct index_builder *index_builder_free(struct index_builder *builder);
DEFINE_CLEANUP(struct index_builder, index_builder_free)
/* A package's paths come before its digests, and are the ones that count: it may have lost some. */
int index_add(struct index_builder *builder, enum identity_list_kind kind, const char *package,
	const char *text, size_t bytes);
/* The head comes last, so that a file that was cut is none. */
int index_write(struct index_builder *builder, int fd);

/* The links of the top that a merged /usr has; of this machine, as a mask for the stamp. */
uint32_t index_merged(void);

/* ---- reading ---------------------------------------------------------------------------------- */

struct index {
	const struct index_head *head;
	size_t bytes;
};

int index_open(int fd, struct index *ret); /* -EBADMSG: no whole index */
void index_close(struct index *index);
/* @path: absolute. NULL: no package has it. @ret_name: "deb:coreutils". */
const struct index_entry *index_find(
	const struct index *index, const char *path, const char **ret_name);

#endif
