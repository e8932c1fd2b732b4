/* SPDX-License-Identifier: Apache-2.0
 *
 * See index.h. A path counts where dpkg has put it: below /usr when the folder of the top that it
 * names is a link into that, and under another name when it was diverted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/sha256.h"
#include "endpoint/identity/index.h"

#define ENTRIES_MAX (INDEX_BYTES_MAX / sizeof(struct index_entry))
#define PREFIX "deb:"

struct diversion {
	char *from, *to, *package;
};

struct index_builder {
	struct identity_stamp stamp;
	struct index_entry *entries;
	size_t n_entries, room;
	size_t first; /* of the package that is read now */
	char package[ES_SIGNING_ID_BYTES];
	char *names;
	size_t names_bytes, names_room;
	uint32_t name; /* of that package */
	struct diversion *diversions;
	size_t n_diversions;
	char path[DPKG_PATH_MAX + sizeof "usr/"];
};

/* hier(7), and the folders of other ABIs */
static const char *const top_folders[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32",
	"libo32" };

uint32_t index_merged(void)
{
	char path[16], target[32];
	uint32_t merged = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(top_folders); i++) {
		const char *name;
		ssize_t n;

		path[0] = '/';
		strcpy(path + 1, top_folders[i]);
		n = readlink(path, target, sizeof target - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		name = target[0] == '/' ? target + 1 : target;
		if (str_starts(name, "usr/") && streq(name + 4, top_folders[i]))
			merged |= 1u << i;
	}
	return merged;
}

/* ---- building --------------------------------------------------------------------------------- */

int index_builder_new(const struct identity_stamp *stamp, struct index_builder **ret)
{
	struct index_builder *builder = calloc(1, sizeof *builder);

	if (!builder)
		return -ENOMEM;
	builder->stamp = *stamp;
	*ret = builder;
	return 0;
}

struct index_builder *index_builder_free(struct index_builder *builder)
{
	size_t i;

	if (!builder)
		return NULL;
	for (i = 0; i < builder->n_diversions; i++) {
		free(builder->diversions[i].from);
		free(builder->diversions[i].to);
		free(builder->diversions[i].package);
	}
	free(builder->diversions);
	free(builder->entries);
	free(builder->names);
	free(builder);
	return NULL;
}

/* @path into builder->path, as the machine has it. */
static const char *settle(struct index_builder *builder, const char *path, size_t bytes)
{
	size_t i, usr = 0;

	for (i = 0; i < ARRAY_SIZE(top_folders) && !usr; i++) {
		size_t n = strlen(top_folders[i]);

		if (builder->stamp.merged & 1u << i && bytes > n && path[n] == '/' &&
			memcmp(path, top_folders[i], n) == 0)
			usr = strlen("usr/");
	}
	memcpy(builder->path, "usr/", usr);
	memcpy(builder->path + usr, path, bytes);
	builder->path[usr + bytes] = '\0';
	return builder->path;
}

/* "libc6" of "libc6:amd64", which is what diversions and people call it. */
static size_t bare(const char *package)
{
	return strcspn(package, ":");
}

static const char *divert(const struct index_builder *builder, const char *path)
{
	size_t i, n = bare(builder->package);

	for (i = 0; i < builder->n_diversions; i++) {
		const struct diversion *at = &builder->diversions[i];

		if (streq(at->from, path) &&
			!(strlen(at->package) == n &&
				memcmp(at->package, builder->package, n) == 0))
			return at->to;
	}
	return path;
}

static void key_of(const char *path, uint8_t ret[static INDEX_KEY_BYTES])
{
	unsigned char digest[SHA256_BYTES];

	sha256(path, strlen(path), digest);
	memcpy(ret, digest, INDEX_KEY_BYTES);
}

static int on_path(void *context, const char *path, size_t bytes, const uint8_t *md5)
{
	struct index_builder *builder = context;
	struct index_entry *entry;

	if (builder->n_entries == builder->room) {
		size_t room = builder->room ? 2 * builder->room : 4096;

		if (room > ENTRIES_MAX)
			return -EFBIG;
		entry = realloc(builder->entries, room * sizeof *entry);
		if (!entry)
			return -ENOMEM;
		builder->entries = entry;
		builder->room = room;
	}
	entry = &builder->entries[builder->n_entries++];
	*entry = (struct index_entry){ .name = builder->name };
	key_of(divert(builder, settle(builder, path, bytes)), entry->key);
	return 0;
}

static int by_key(const void *a, const void *b)
{
	const struct index_entry *left = a, *right = b;

	return memcmp(left->key, right->key, INDEX_KEY_BYTES);
}

/* Those with a digest first. */
static int by_key_and_digest(const void *a, const void *b)
{
	const struct index_entry *left = a, *right = b;
	int r = by_key(a, b);

	return r ? r : (int)right->has_digest - (int)left->has_digest;
}

static int on_digest(void *context, const char *path, size_t bytes, const uint8_t *md5)
{
	struct index_builder *builder = context;
	struct index_entry wanted = { 0 }, *entry;

	key_of(divert(builder, settle(builder, path, bytes)), wanted.key);
	entry = bsearch(&wanted, builder->entries + builder->first,
		builder->n_entries - builder->first, sizeof *entry, by_key);
	if (!entry)
		return 0;
	memcpy(entry->md5, md5, DPKG_MD5_BYTES);
	entry->has_digest = 1;
	return 0;
}

static int on_diversion(void *context, const char *from, size_t from_bytes, const char *to,
	size_t to_bytes, const char *package, size_t package_bytes)
{
	struct index_builder *builder = context;
	struct diversion *at = reallocarray(
		builder->diversions, builder->n_diversions + 1, sizeof *at);

	if (!at)
		return -ENOMEM;
	builder->diversions = at;
	at += builder->n_diversions++;
	at->from = strdup(settle(builder, from, from_bytes));
	at->to = strdup(settle(builder, to, to_bytes));
	at->package = strndup(package, package_bytes);
	return at->from && at->to && at->package ? 0 : -ENOMEM;
}

static int begin_package(struct index_builder *builder, const char *package)
{
	size_t n = bare(package), bytes = strlen(PREFIX) + n + 1;

	if (STR_PUT(builder->package, package) < 0 || bytes > ES_SIGNING_ID_BYTES)
		return -ENAMETOOLONG;
	if (builder->names_room - builder->names_bytes < bytes) {
		size_t room = 2 * builder->names_room + ES_SIGNING_ID_BYTES;
		char *names = realloc(builder->names, room);

		if (!names)
			return -ENOMEM;
		builder->names = names;
		builder->names_room = room;
	}
	builder->name = (uint32_t)builder->names_bytes;
	memcpy(builder->names + builder->name, PREFIX, strlen(PREFIX));
	memcpy(builder->names + builder->name + strlen(PREFIX), package, n);
	builder->names[builder->name + bytes - 1] = '\0';
	builder->names_bytes += bytes;
	builder->first = builder->n_entries;
	return 0;
}

int index_add(struct index_builder *builder, enum identity_list_kind kind, const char *package,
	const char *text, size_t bytes)
{
	int r;

	if (kind == IDENTITY_DIVERSIONS)
		return dpkg_read_diversions(text, bytes, on_diversion, builder);
	if (kind == IDENTITY_DIGESTS)
		return streq(package, builder->package)
			? dpkg_read_md5sums(text, bytes, on_digest, builder)
			: 0;
	r = begin_package(builder, package);
	if (r == 0)
		r = dpkg_read_list(text, bytes, on_path, builder);
	if (r == 0 && builder->n_entries > builder->first)
		qsort(builder->entries + builder->first, builder->n_entries - builder->first,
			sizeof *builder->entries, by_key);
	return r;
}

/* Folders, and what two packages have in common, stand there once. */
static void make_unique(struct index_builder *builder)
{
	size_t i, n = 0;

	if (builder->n_entries == 0)
		return;
	qsort(builder->entries, builder->n_entries, sizeof *builder->entries, by_key_and_digest);
	for (i = 1; i < builder->n_entries; i++)
		if (by_key(&builder->entries[n], &builder->entries[i]) != 0)
			builder->entries[++n] = builder->entries[i];
	builder->n_entries = n + 1;
}

int index_write(struct index_builder *builder, int fd)
{
	struct index_head head = { .magic = INDEX_MAGIC, .stamp = builder->stamp };
	int r;

	make_unique(builder);
	head.n_entries = (uint32_t)builder->n_entries;
	head.names_bytes = (uint32_t)builder->names_bytes;
	if (lseek(fd, sizeof head, SEEK_SET) < 0)
		return -errno;
	r = fd_write_all(fd, builder->entries, builder->n_entries * sizeof *builder->entries);
	if (r == 0)
		r = fd_write_all(fd, builder->names, builder->names_bytes);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : fd_write_all(fd, &head, sizeof head);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static const struct index_entry *entries_of(const struct index *index)
{
	return (const void *)(index->head + 1);
}

static const char *names_of(const struct index *index)
{
	return (const char *)(entries_of(index) + index->head->n_entries);
}

int index_open(int fd, struct index *ret)
{
	const struct index_head *head;
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (status.st_size < (off_t)sizeof *head || status.st_size > (off_t)INDEX_BYTES_MAX)
		return -EBADMSG;
	head = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED)
		return -errno;
	*ret = (struct index){ head, (size_t)status.st_size };
	if (head->magic != INDEX_MAGIC ||
		sizeof *head + (uint64_t)head->n_entries * sizeof(struct index_entry) +
				head->names_bytes !=
			ret->bytes ||
		(head->n_entries && (!head->names_bytes || names_of(ret)[head->names_bytes - 1]))) {
		index_close(ret);
		return -EBADMSG;
	}
	return 0;
}

void index_close(struct index *index)
{
	if (index->head)
		munmap((void *)(uintptr_t)index->head, index->bytes);
	*index = (struct index){ 0 };
}

const struct index_entry *index_find(
	const struct index *index, const char *path, const char **ret_name)
{
	struct index_entry wanted = { 0 };
	const struct index_entry *entry;

	if (!index->head || path[0] != '/')
		return NULL;
	key_of(path + 1, wanted.key);
	entry = bsearch(&wanted, entries_of(index), index->head->n_entries, sizeof wanted, by_key);
	if (!entry || entry->name >= index->head->names_bytes)
		return NULL;
	*ret_name = names_of(index) + entry->name;
	return entry;
}
