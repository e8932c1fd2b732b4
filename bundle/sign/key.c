/* SPDX-License-Identifier: Apache-2.0
 *
 * Secret keys and signatures in minisign's format, see key.h. What lies in a secret key file:
 * algorithm, key derivation, checksum algorithm (two letters each), salt, its two limits, and 104
 * bytes of id, key and checksum, which the derived stream covers.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/sign/key.h"

#define FILE_BYTES_MAX 4096
#define COMMENT_SECRET "untrusted comment: outboard secret key of a team\n"

struct body {
	unsigned char id[8], key[64], check[32];
};
static_assert(sizeof(struct body) == 104, "minisign");

struct file {
	unsigned char algorithm[2], derivation[2], checksum[2], salt[32];
	unsigned char operations[8], memory[8];
	struct body body;
};
static_assert(sizeof(struct file) == 158, "minisign");

static void put_number(unsigned char at[static 8], uint64_t number)
{
	int i;

	for (i = 0; i < 8; i++)
		at[i] = (unsigned char)(number >> 8 * i);
}

static uint64_t get_number(const unsigned char at[static 8])
{
	uint64_t number = 0;
	int i;

	for (i = 7; i >= 0; i--)
		number = number << 8 | at[i];
	return number;
}

static void checksum(const struct file *file, unsigned char ret[static 32])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, 32);
	crypto_generichash_update(&state, file->algorithm, sizeof file->algorithm);
	crypto_generichash_update(&state, file->body.id, sizeof file->body.id);
	crypto_generichash_update(&state, file->body.key, sizeof file->body.key);
	crypto_generichash_final(&state, ret, 32);
}

/* Cover the body with the stream of the passphrase, or uncover it: the same. */
static int cover(struct file *file, const char *passphrase)
{
	unsigned char stream[sizeof(struct body)], *at = (unsigned char *)&file->body;
	size_t i;

	if (crypto_pwhash_scryptsalsa208sha256(stream, sizeof stream, passphrase,
		    strlen(passphrase), file->salt, get_number(file->operations),
		    (size_t)get_number(file->memory)) != 0)
		return -ENOMEM;
	for (i = 0; i < sizeof stream; i++)
		at[i] ^= stream[i];
	sodium_memzero(stream, sizeof stream);
	return 0;
}

int key_generate(struct secret_key *ret)
{
	unsigned char public[32];

	if (sodium_init() < 0 || crypto_sign_keypair(public, ret->key) != 0)
		return -EIO;
	randombytes_buf(ret->id, sizeof ret->id);
	return 0;
}

void key_forget(struct secret_key *key)
{
	sodium_memzero(key, sizeof *key);
}

int key_write(const char *path, const struct secret_key *key, const char *passphrase)
{
	struct file file = { .algorithm = "Ed", .checksum = "B2" };
	char text[512];
	_cleanup_fd_ int fd = -1;
	int r = 0;

	if (sodium_init() < 0)
		return -EIO;
	memcpy(file.body.id, key->id, sizeof key->id);
	memcpy(file.body.key, key->key, sizeof key->key);
	if (passphrase && *passphrase) {
		checksum(&file, file.body.check);
		memcpy(file.derivation, "Sc", 2);
		randombytes_buf(file.salt, sizeof file.salt);
		put_number(file.operations, crypto_pwhash_scryptsalsa208sha256_OPSLIMIT_SENSITIVE);
		put_number(file.memory, crypto_pwhash_scryptsalsa208sha256_MEMLIMIT_SENSITIVE);
		r = cover(&file, passphrase);
	}
	strcpy(text, COMMENT_SECRET);
	sodium_bin2base64(text + strlen(text), sizeof text - strlen(text) - 1,
		(unsigned char *)&file, sizeof file, sodium_base64_VARIANT_ORIGINAL);
	strcat(text, "\n");
	fd = r == 0 ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	if (r == 0)
		r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
	sodium_memzero(&file, sizeof file);
	sodium_memzero(text, sizeof text);
	return r;
}

/* The second line of a file of two, which holds exactly @bytes in base64. */
static int read_second_line(const char *path, void *ret, size_t bytes)
{
	_cleanup_free_ char *text = NULL;
	char *line, *end;
	size_t got;
	int r = file_read_at(AT_FDCWD, path, FILE_BYTES_MAX, &text, NULL);

	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r;
	line = strchr(text, '\n');
	if (!line)
		return -EBADMSG;
	line++;
	end = line + strcspn(line, "\r\n");
	r = sodium_base642bin(ret, bytes, line, (size_t)(end - line), NULL, &got, NULL,
		sodium_base64_VARIANT_ORIGINAL);
	sodium_memzero(text, strlen(text));
	return r == 0 && got == bytes ? 0 : -EBADMSG;
}

int key_read(const char *path, const char *passphrase, struct secret_key *ret)
{
	unsigned char check[32];
	struct file file;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	r = read_second_line(path, &file, sizeof file);
	if (r < 0)
		return r;
	if (memcmp(file.algorithm, "Ed", 2) != 0 || memcmp(file.checksum, "B2", 2) != 0)
		return -EBADMSG;
	if (memcmp(file.derivation, "Sc", 2) == 0)
		r = passphrase ? cover(&file, passphrase) : -EKEYREJECTED;
	else if (file.derivation[0] || file.derivation[1])
		r = -EBADMSG;
	/* `minisign -W` leaves the checksum out: it is there to tell a wrong passphrase */
	if (r == 0 && file.derivation[0]) {
		checksum(&file, check);
		if (memcmp(check, file.body.check, sizeof check) != 0)
			r = -EACCES;
	}
	if (r == 0) {
		memcpy(ret->id, file.body.id, sizeof ret->id);
		memcpy(ret->key, file.body.key, sizeof ret->key);
	}
	sodium_memzero(&file, sizeof file);
	return r;
}

static void public_line(
	const unsigned char id[8], const unsigned char public[32], char ret[static 57])
{
	unsigned char blob[42] = "Ed";

	memcpy(blob + 2, id, 8);
	memcpy(blob + 10, public, 32);
	sodium_bin2base64(ret, 57, blob, sizeof blob, sodium_base64_VARIANT_ORIGINAL);
}

void key_public(const struct secret_key *key, char ret[static 57])
{
	public_line(key->id, key->key + 32, ret);
}

int key_public_read(const char *path, char ret[static 57])
{
	unsigned char blob[42];
	int r = sodium_init() < 0 ? -EIO : read_second_line(path, blob, sizeof blob);

	if (r < 0)
		return r;
	if (memcmp(blob, "Ed", 2) != 0)
		return -EBADMSG;
	public_line(blob + 2, blob + 10, ret);
	return 0;
}

int key_sign(const struct secret_key *key, const void *data, size_t bytes,
	const char *trusted_comment, char **ret)
{
	unsigned char hash[64], blob[74] = "ED", global[64];
	char first[128], second[128];
	_cleanup_free_ unsigned char *both = NULL;
	size_t comment_bytes = strlen(trusted_comment);

	if (sodium_init() < 0)
		return -EIO;
	crypto_generichash(hash, sizeof hash, data, bytes, NULL, 0);
	memcpy(blob + 2, key->id, 8);
	crypto_sign_detached(blob + 10, NULL, hash, sizeof hash, key->key);
	both = malloc(64 + comment_bytes);
	if (!both)
		return -ENOMEM;
	memcpy(both, blob + 10, 64);
	memcpy(both + 64, trusted_comment, comment_bytes);
	crypto_sign_detached(global, NULL, both, 64 + comment_bytes, key->key);
	sodium_bin2base64(first, sizeof first, blob, sizeof blob, sodium_base64_VARIANT_ORIGINAL);
	sodium_bin2base64(
		second, sizeof second, global, sizeof global, sodium_base64_VARIANT_ORIGINAL);
	return asprintf(ret,
		       "untrusted comment: signature of a manifest\n%s\ntrusted comment: %s\n%s\n",
		       first, trusted_comment, second) < 0
		? -ENOMEM
		: 0;
}

int key_team_id(const char *line, char ret[static 11])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	unsigned char blob[42], digest[crypto_hash_sha256_BYTES];
	size_t i, got;

	if (sodium_base642bin(blob, sizeof blob, line, strlen(line), NULL, &got, NULL,
		    sodium_base64_VARIANT_ORIGINAL) != 0 ||
		got != sizeof blob)
		return -EBADMSG;
	crypto_hash_sha256(digest, blob + 10, 32);
	for (i = 0; i < 10; i++) {
		size_t bit = i * 5;
		unsigned pair = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];

		ret[i] = alphabet[pair >> (11 - bit % 8) & 0x1f];
	}
	ret[10] = '\0';
	return 0;
}
