/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-bundle-worker: what its files know of each other. Each reads one kind of untrusted bytes
 * and nothing else, and is called by a fuzz target as well.
 */
#ifndef OB_BUNDLE_WORKER_WORKER_H
#define OB_BUNDLE_WORKER_WORKER_H

#include <jansson.h>
#include "bundle/bundle.h"
#include "bundle/layout.h"
#include "bundle/worker-wire.h"

#define SHA256_BYTES_ 32

/*
 * 0; 1: refused, error filled. Everything here returns that, or -errno: of reading a file, with the
 * error filled, or a trouble of our own such as -ENOMEM, with an error that has no rule.
 */

/* ---- info.c: Info.plist ----------------------------------------------------------------------- */

/*
 * @text: as it lies in the bundle; @path for messages. Fills kind's keys of @info: identifier,
 * versions, name, executable (with the folder in front), usage, services, flags, categories.
 */
int info_read(const char *text, size_t bytes, const struct layout *layout, const char *path,
	struct bundle_info *info, struct wire_error *error);

/* ---- manifest.c ------------------------------------------------------------------------------- */

struct manifest_line {
	unsigned char digest[SHA256_BYTES_];
	uint32_t mode;
	uint64_t size;
	const char *path; /* in the text, terminated */
	bool seen;
};

struct manifest {
	char *text; /* a copy: lines are cut in it */
	struct manifest_line *lines;
	size_t n_lines;
	json_t *entitlements; /* an object */
};

int manifest_read(const char *text, size_t bytes, const char *path, struct manifest *ret,
	struct wire_error *error);
struct manifest_line *manifest_find(struct manifest *manifest, const char *path);
void manifest_done(struct manifest *manifest);

/* ---- signature.c: minisign's format ----------------------------------------------------------- */

struct signature {
	bool prehashed;
	unsigned char key_id[8], signature[64], global[64];
	char trusted_comment[8192];
};

struct public_key {
	unsigned char key_id[8], key[32];
};

int signature_read(const char *text, size_t bytes, const char *path, struct signature *ret,
	struct wire_error *error);
/* Does it sign @data, with that key? */
bool signature_fits(const struct signature *signature, const struct public_key *key,
	const void *data, size_t bytes);
/* "RW...", one line of a public key file. */
bool public_key_read(const char *base64, size_t bytes, struct public_key *ret);
void team_id_of_key(const struct public_key *key, char ret[static BUNDLE_TEAM_BYTES]);

/* ---- team.c ----------------------------------------------------------------------------------- */

struct team {
	char id[BUNDLE_TEAM_BYTES];
	char name[BUNDLE_NAME_BYTES];
	struct public_key key;
	char *entitlements; /* words, separated by blanks; "*" all */
};

/* @name: of the file, "ID.team", must agree with the key in it. */
int team_read(const char *name, const char *text, size_t bytes, struct team *ret,
	struct wire_error *error);
bool team_may_grant(const struct team *team, const char *entitlement);

/* ---- entitlements.c --------------------------------------------------------------------------- */

int entitlements_fill(const json_t *entitlements, const char *path, struct bundle_info *info,
	struct wire_error *error);

/* ---- nested.c: the extensions in an app ------------------------------------------------------- */

struct nested_name {
	const char *name; /* of the folder, in the path that was added; not terminated */
	size_t bytes, identifier_bytes;
};

struct nested {
	struct nested_name *names;
	size_t n;
};

/* @path: of a file of the app, which outlives @nested; -ENOMEM */
int nested_add(struct nested *nested, const char *path);
/* One whose identifier another one has, too; NULL: none. */
const struct nested_name *nested_twice(struct nested *nested);
void nested_done(struct nested *nested);

/* ---- verdict.c -------------------------------------------------------------------------------- */

struct verdict;

int verdict_new(const struct worker_begin *begin, struct verdict **ret, struct wire_error *error);
int verdict_add_team(struct verdict *verdict, const char *name, const char *text, size_t bytes);
int verdict_add_revoked(struct verdict *verdict, const struct worker_revoked *revoked);
int verdict_add_entry(struct verdict *verdict, uint32_t mode, uint64_t size, const char *path,
	const char *target, int fd, struct wire_error *error);
int verdict_give(struct verdict *verdict, struct bundle_info *ret, struct wire_error *error);

#endif
