/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing a bundle, see sign.h. The walk is the verdict's own, so that what is signed is what will be
 * read; the manifest's form is worker/manifest.c's.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/layout.h"
#include "bundle/sign/sign.h"
#include "bundle/walk.h"
#include "bundle/worker/plist.h"

#define CHUNK_BYTES (1u << 18)

struct line {
	char *path;
	char digest[65];
	uint32_t mode;
	uint64_t size;
};

struct lines {
	struct line *line;
	size_t n, room;
};

static void lines_done(struct lines *lines)
{
	while (lines->n > 0)
		free(lines->line[--lines->n].path);
	free(lines->line);
}

static int hash_fd(int fd, char ret[static 65], uint64_t *ret_bytes)
{
	crypto_hash_sha256_state state;
	unsigned char digest[crypto_hash_sha256_BYTES], *chunk = malloc(CHUNK_BYTES);
	uint64_t bytes = 0;
	ssize_t n = chunk ? 1 : -1;

	crypto_hash_sha256_init(&state);
	while (chunk && (n = read(fd, chunk, CHUNK_BYTES)) > 0) {
		crypto_hash_sha256_update(&state, chunk, (size_t)n);
		bytes += (uint64_t)n;
	}
	if (n < 0) {
		int r = chunk ? -errno : -ENOMEM;

		free(chunk);
		return r;
	}
	free(chunk);
	crypto_hash_sha256_final(&state, digest);
	sodium_bin2hex(ret, 65, digest, sizeof digest);
	*ret_bytes = bytes;
	return 0;
}

static void hash_text(const char *text, char ret[static 65])
{
	unsigned char digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, (const unsigned char *)text, strlen(text));
	sodium_bin2hex(ret, 65, digest, sizeof digest);
}

static int add(struct lines *lines, const struct walk_entry *entry)
{
	struct line *line;

	if (lines->n == lines->room) {
		size_t room = lines->room ? lines->room * 2 : 64;
		struct line *grown = reallocarray(lines->line, room, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		lines->line = grown;
		lines->room = room;
	}
	line = &lines->line[lines->n];
	line->path = strdup(entry->path);
	if (!line->path)
		return -ENOMEM;
	lines->n++;
	if (entry->type == WALK_LINK) {
		line->mode = S_IFLNK | 0777;
		line->size = strlen(entry->target);
		hash_text(entry->target, line->digest);
		return 0;
	}
	line->mode = layout_mode(entry->status.st_mode);
	return hash_fd(entry->fd, line->digest, &line->size);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->path, ((const struct line *)b)->path);
}

static int collect(int dir_fd, const struct layout *layout, const char *path, struct lines *lines,
	struct wire_error *error)
{
	_cleanup_(walk_freep) struct walk *walk = NULL;
	struct walk_entry entry;
	int r = walk_new(dir_fd, path, &walk);

	while (r == 0 && (r = walk_next(walk, &entry, error)) == WALK_ENTRY) {
		r = 0;
		if (entry.type == WALK_FOLDER || streq(entry.path, layout->manifest) ||
			streq(entry.path, layout->signature))
			continue;
		r = add(lines, &entry);
	}
	if (lines->n > 0)
		qsort(lines->line, lines->n, sizeof *lines->line, compare);
	return r == WALK_E_REFUSED ? 1 : r;
}

static int entitlements_json(const char *plist, char **ret, struct wire_error *error)
{
	_cleanup_free_ char *text = NULL;
	plist_t root = NULL;
	json_t *json;
	size_t bytes;
	int r;

	if (!plist) {
		*ret = strdup("{}");
		return *ret ? 0 : -ENOMEM;
	}
	r = file_read_at(AT_FDCWD, plist, BUNDLE_PLIST_BYTES_MAX, &text, &bytes);
	if (r < 0) {
		rule_error(error, RULE_BUNDLE_UNREADABLE, plist, strerror(-r), NULL);
		return 1;
	}
	r = plist_read(text, bytes, plist, &root, error);
	if (r != 0)
		return r;
	json = plist_to_json_value(root);
	plist_free(root);
	*ret = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(json);
	if (*ret)
		return 0;
	rule_error(error, RULE_ENTITLEMENTS_MALFORMED, plist, "it holds a date or data", NULL);
	return 1;
}

static int write_manifest(
	const struct lines *lines, const char *entitlements, char **ret, size_t *ret_bytes)
{
	FILE *out = open_memstream(ret, ret_bytes);
	size_t i;

	if (!out)
		return -ENOMEM;
	fprintf(out, "outboard-manifest 1\n");
	for (i = 0; i < lines->n; i++)
		fprintf(out, "%s %06o %llu %s\n", lines->line[i].digest, lines->line[i].mode,
			(unsigned long long)lines->line[i].size, lines->line[i].path);
	fprintf(out, "entitlements %s\n", entitlements);
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

static int put(int dir_fd, const struct layout *layout, const char *name, const char *manifest,
	size_t bytes, const struct secret_key *key)
{
	_cleanup_free_ char *signature = NULL;
	char comment[BUNDLE_IDENTIFIER_BYTES + 64];
	int r;

	snprintf(comment, sizeof comment, "timestamp:%lld\tbundle:%.255s", (long long)time(NULL),
		name);
	r = key_sign(key, manifest, bytes, comment, &signature);
	if (r < 0)
		return r;
	if (mkdirat(dir_fd, layout->signatures, 0755) < 0 && errno != EEXIST)
		return -errno;
	/* a manifest with the old signature beside it is refused, never taken for signed */
	r = file_replace_at(dir_fd, layout->manifest, manifest, bytes, 0644);
	return r == 0
		? file_replace_at(dir_fd, layout->signature, signature, strlen(signature), 0644)
		: r;
}

int bundle_sign(int dir_fd, const char *name, const char *path, const struct secret_key *key,
	const char *entitlements, struct wire_error *error)
{
	const struct layout *layout = layout_of(name);
	_cleanup_(lines_done) struct lines lines = { 0 };
	_cleanup_free_ char *json = NULL, *manifest = NULL;
	size_t bytes = 0;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	if (!layout) {
		rule_error(error, RULE_BUNDLE_KIND, path, "its name has none of the three endings",
			NULL);
		return 1;
	}
	r = entitlements_json(entitlements, &json, error);
	if (r == 0)
		r = collect(dir_fd, layout, path, &lines, error);
	if (r == 0)
		r = write_manifest(&lines, json, &manifest, &bytes);
	return r == 0 ? put(dir_fd, layout, name, manifest, bytes, key) : r;
}
