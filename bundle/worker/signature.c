/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures in minisign's format: four lines, two of them base64; Ed25519 over the file ("Ed") or
 * over its BLAKE2b-512 ("ED"), and a second one over the first and the trusted comment. So a
 * developer can sign with a tool that exists. OpenSSL does the arithmetic.
 */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>
#include "base/str.h"
#include "bundle/worker/worker.h"

#define COMMENT "untrusted comment:"
#define TRUSTED "trusted comment: "

/* Strict: the whole of @bytes, padded, into exactly @ret_bytes. */
static bool base64_read(const char *text, size_t bytes, unsigned char *ret, size_t ret_bytes)
{
	unsigned char buffer[256];
	int n, padding = 0;

	if (bytes == 0 || bytes % 4 != 0 || bytes / 4 * 3 > sizeof buffer)
		return false;
	while (padding < 2 && text[bytes - 1 - (size_t)padding] == '=')
		padding++;
	n = EVP_DecodeBlock(buffer, (const unsigned char *)text, (int)bytes);
	if (n < 0 || (size_t)(n - padding) != ret_bytes)
		return false;
	memcpy(ret, buffer, ret_bytes);
	return true;
}

static int malformed(struct wire_error *error, const char *path, const char *detail)
{
	rule_error(error, RULE_SIGNATURE_MALFORMED, path, detail, NULL);
	return 1;
}

/* The next line without its end; false: there is none. */
static bool next_line(const char **text, size_t *left, const char **ret, size_t *ret_bytes)
{
	const char *end = *left ? memchr(*text, '\n', *left) : NULL;

	if (!end)
		return false;
	*ret = *text;
	*ret_bytes = (size_t)(end - *text);
	*left -= *ret_bytes + 1;
	*text = end + 1;
	if (*ret_bytes && (*ret)[*ret_bytes - 1] == '\r')
		--*ret_bytes;
	return true;
}

int signature_read(const char *text, size_t bytes, const char *path, struct signature *ret,
	struct wire_error *error)
{
	const char *lines[4];
	size_t lengths[4], i;
	unsigned char blob[74];

	for (i = 0; i < 4; i++)
		if (!next_line(&text, &bytes, &lines[i], &lengths[i]))
			return malformed(error, path, "it has not got four lines");
	if (bytes != 0)
		return malformed(error, path, "more stands behind its four lines");
	if (lengths[0] < strlen(COMMENT) || memcmp(lines[0], COMMENT, strlen(COMMENT)) != 0)
		return malformed(error, path, "its first line is no untrusted comment");
	if (!base64_read(lines[1], lengths[1], blob, sizeof blob) || blob[0] != 'E' ||
		(blob[1] != 'd' && blob[1] != 'D'))
		return malformed(error, path, "its second line is no Ed25519 signature");
	if (lengths[2] < strlen(TRUSTED) || memcmp(lines[2], TRUSTED, strlen(TRUSTED)) != 0 ||
		lengths[2] - strlen(TRUSTED) >= sizeof ret->trusted_comment ||
		memchr(lines[2], '\0', lengths[2]))
		return malformed(error, path, "its third line is no trusted comment");
	if (!base64_read(lines[3], lengths[3], ret->global, sizeof ret->global))
		return malformed(error, path, "its fourth line is no signature of the comment");
	ret->prehashed = blob[1] == 'D';
	memcpy(ret->key_id, blob + 2, sizeof ret->key_id);
	memcpy(ret->signature, blob + 10, sizeof ret->signature);
	lengths[2] -= strlen(TRUSTED);
	memcpy(ret->trusted_comment, lines[2] + strlen(TRUSTED), lengths[2]);
	ret->trusted_comment[lengths[2]] = '\0';
	return 0;
}

static bool ed25519_fits(const unsigned char key[32], const unsigned char signature[64],
	const void *data, size_t bytes)
{
	EVP_PKEY *public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool fits = public && context &&
		EVP_DigestVerifyInit(context, NULL, NULL, NULL, public) == 1 &&
		EVP_DigestVerify(context, signature, 64, data, bytes) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(public);
	return fits;
}

bool signature_fits(const struct signature *signature, const struct public_key *key,
	const void *data, size_t bytes)
{
	unsigned char hash[64], both[64 + sizeof signature->trusted_comment];
	size_t comment_bytes = strlen(signature->trusted_comment);

	if (memcmp(signature->key_id, key->key_id, sizeof key->key_id) != 0)
		return false;
	if (signature->prehashed) {
		if (EVP_Digest(data, bytes, hash, NULL, EVP_blake2b512(), NULL) != 1)
			return false;
		data = hash;
		bytes = sizeof hash;
	}
	if (!ed25519_fits(key->key, signature->signature, data, bytes))
		return false;
	memcpy(both, signature->signature, 64);
	memcpy(both + 64, signature->trusted_comment, comment_bytes);
	return ed25519_fits(key->key, signature->global, both, 64 + comment_bytes);
}

bool public_key_read(const char *base64, size_t bytes, struct public_key *ret)
{
	unsigned char blob[42];

	if (!base64_read(base64, bytes, blob, sizeof blob) || blob[0] != 'E' || blob[1] != 'd')
		return false;
	memcpy(ret->key_id, blob + 2, sizeof ret->key_id);
	memcpy(ret->key, blob + 10, sizeof ret->key);
	return true;
}

/* The first 50 bits of SHA-256 of the key, five at a time: RFC 4648's base32. */
void team_id_of_key(const struct public_key *key, char ret[static BUNDLE_TEAM_BYTES])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	unsigned char digest[SHA256_DIGEST_LENGTH];
	size_t i;

	SHA256(key->key, sizeof key->key, digest);
	for (i = 0; i < 10; i++) {
		size_t bit = i * 5;
		unsigned pair = (unsigned)digest[bit / 8] << 8 | digest[bit / 8 + 1];

		ret[i] = alphabet[pair >> (11 - bit % 8) & 0x1f];
	}
	ret[10] = '\0';
}
