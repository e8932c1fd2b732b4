/* SPDX-License-Identifier: Apache-2.0
 *
 * A team's secret key, in minisign's file format, and signatures made with it: for `outboardctl
 * sign` and `team`. libsodium does the arithmetic, as in minisign itself.
 */
#ifndef OB_BUNDLE_SIGN_KEY_H
#define OB_BUNDLE_SIGN_KEY_H

#include <stdbool.h>
#include <stddef.h>

struct secret_key {
	unsigned char id[8];
	unsigned char key[64]; /* Ed25519: seed, then public key */
};

int key_generate(struct secret_key *ret);
void key_forget(struct secret_key *key); /* overwrites it */

/* @passphrase: NULL or "" writes it as `minisign -W` does. Mode 0600; -EEXIST: never overwritten. */
int key_write(const char *path, const struct secret_key *key, const char *passphrase);

/*
 * 0; -EKEYREJECTED it is encrypted and @passphrase is NULL; -EACCES wrong passphrase; -EBADMSG it is
 * no secret key of minisign's; -errno
 */
int key_read(const char *path, const char *passphrase, struct secret_key *ret);

/* The second line of a public key file: "RW...". */
void key_public(const struct secret_key *key, char ret[static 57]);
/* The same from a public key file; -EBADMSG. */
int key_public_read(const char *path, char ret[static 57]);

/* The text of a .minisig file for @data; free(3). */
int key_sign(const struct secret_key *key, const void *data, size_t bytes,
	const char *trusted_comment, char **ret);

/* "ABCDEFGHIJ" of a public key's line: ten characters; -EBADMSG. */
int key_team_id(const char *public_line, char ret[static 11]);

#endif
