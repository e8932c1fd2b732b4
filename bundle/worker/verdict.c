/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict: every file that came is hashed as it comes; at the end signature, team and manifest
 * are judged, then what is there is compared with what was signed, in both directions.
 */
#include <errno.h>
#include <elf.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/worker/worker.h"

#define CHUNK_BYTES (1u << 20)

struct file {
	char *path;
	uint32_t mode;
	uint64_t size;
	unsigned char digest[SHA256_BYTES_];
	uint16_t elf_type; /* 0: no ELF file for this machine */
};

struct held {
	char *text;
	size_t bytes;
};

struct verdict {
	struct worker_begin begin;
	const struct layout *layout;
	struct file *files;
	size_t n_files, room;
	uint64_t n_bytes;
	struct held info, manifest, signature;
	struct team *teams;
	size_t n_teams;
	struct worker_revoked *revoked;
	size_t n_revoked;
	EVP_MD_CTX *hash;
	unsigned char *chunk;
};

static const char *full_path(
	const struct verdict *verdict, const char *path, char buffer[static 8192])
{
	snprintf(buffer, 8192, "%.4000s/%.4000s", verdict->begin.path, path);
	return buffer;
}

static int refuse(const struct verdict *verdict, enum rule_id rule, const char *path,
	const char *detail, struct wire_error *error)
{
	char buffer[8192];

	rule_error(error, rule, path ? full_path(verdict, path, buffer) : verdict->begin.path,
		detail, NULL);
	return 1;
}

/* @r, which reading @path has said; memory that is short says nothing of the bundle. */
static int unreadable(
	const struct verdict *verdict, const char *path, int r, struct wire_error *error)
{
	if (r != -ENOMEM)
		refuse(verdict, RULE_BUNDLE_UNREADABLE, path, strerror(-r), error);
	return r;
}

int verdict_new(const struct worker_begin *begin, struct verdict **ret, struct wire_error *error)
{
	struct verdict *verdict = calloc(1, sizeof *verdict);

	if (!verdict)
		return -ENOMEM;
	verdict->begin = *begin;
	verdict->layout = layout_of(begin->name);
	verdict->hash = EVP_MD_CTX_new();
	verdict->chunk = malloc(CHUNK_BYTES);
	if (!verdict->hash || !verdict->chunk)
		return -ENOMEM;
	if (!verdict->layout)
		return refuse(verdict, RULE_BUNDLE_KIND, NULL,
			"its name has none of the three endings", error);
	*ret = verdict;
	return 0;
}

/* A registration that cannot be read vouches for nobody; the others do. */
int verdict_add_team(struct verdict *verdict, const char *name, const char *text, size_t bytes)
{
	struct wire_error ignored;
	struct team *grown, team;
	int r = team_read(name, text, bytes, &team, &ignored);

	if (r != 0)
		return r < 0 ? r : 0;
	grown = reallocarray(verdict->teams, verdict->n_teams + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	verdict->teams = grown;
	verdict->teams[verdict->n_teams++] = team;
	return 0;
}

int verdict_add_revoked(struct verdict *verdict, const struct worker_revoked *revoked)
{
	struct worker_revoked *grown = reallocarray(
		verdict->revoked, verdict->n_revoked + 1, sizeof *grown);

	if (!grown)
		return -ENOMEM;
	verdict->revoked = grown;
	verdict->revoked[verdict->n_revoked++] = *revoked;
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------ */

static uint16_t elf_type(const unsigned char *head, size_t bytes)
{
	Elf64_Ehdr elf;

	if (bytes < sizeof elf)
		return 0;
	memcpy(&elf, head, sizeof elf);
#if defined(__x86_64__)
	const uint16_t machine = EM_X86_64;
#elif defined(__aarch64__)
	const uint16_t machine = EM_AARCH64;
#else
#error "x86_64 or aarch64"
#endif
	if (memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_ident[EI_CLASS] != ELFCLASS64 ||
		elf.e_ident[EI_DATA] != ELFDATA2LSB || elf.e_machine != machine)
		return 0;
	return elf.e_type;
}

static struct held *held_of(struct verdict *verdict, const char *path, size_t *ret_max)
{
	const struct layout *layout = verdict->layout;

	if (streq(path, layout->info)) {
		*ret_max = BUNDLE_PLIST_BYTES_MAX;
		return &verdict->info;
	}
	if (streq(path, layout->manifest)) {
		*ret_max = BUNDLE_MANIFEST_BYTES_MAX;
		return &verdict->manifest;
	}
	if (streq(path, layout->signature)) {
		*ret_max = 16384;
		return &verdict->signature;
	}
	return NULL;
}

static int hold(struct verdict *verdict, const char *path, int fd, struct wire_error *error)
{
	size_t max = 0;
	struct held *held = held_of(verdict, path, &max);
	int r;

	if (!held)
		return 0;
	r = fd_read_all(fd, max, &held->text, &held->bytes);
	if (r == -EFBIG)
		return refuse(verdict,
			held == &verdict->info		     ? RULE_INFO_TOO_LARGE
				: held == &verdict->manifest ? RULE_MANIFEST_TOO_LARGE
							     : RULE_SIGNATURE_MALFORMED,
			path, "it is larger than any of its kind may be", error);
	if (r < 0)
		return unreadable(verdict, path, r, error);
	return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static int hash_file(struct verdict *verdict, struct file *file, int fd, struct wire_error *error)
{
	uint64_t bytes = 0;
	ssize_t n;

	if (verdict->begin.flags & BUNDLE_SKIP_CODE)
		return 0;
	EVP_DigestInit_ex(verdict->hash, EVP_sha256(), NULL);
	while ((n = read(fd, verdict->chunk, CHUNK_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return unreadable(verdict, file->path, -errno, error);
		if (bytes == 0)
			file->elf_type = elf_type(verdict->chunk, (size_t)n);
		bytes += (uint64_t)n;
		EVP_DigestUpdate(verdict->hash, verdict->chunk, (size_t)n);
	}
	EVP_DigestFinal_ex(verdict->hash, file->digest, NULL);
	if (bytes != file->size)
		return refuse(
			verdict, RULE_BUNDLE_CHANGED, file->path, "its size is another one", error);
	return 0;
}

static struct file *add_file(struct verdict *verdict)
{
	if (verdict->n_files == verdict->room) {
		size_t room = verdict->room ? verdict->room * 2 : 64;
		struct file *grown = reallocarray(verdict->files, room, sizeof *grown);

		if (!grown)
			return NULL;
		verdict->files = grown;
		verdict->room = room;
	}
	verdict->files[verdict->n_files] = (struct file){ 0 };
	return &verdict->files[verdict->n_files++];
}

int verdict_add_entry(struct verdict *verdict, uint32_t mode, uint64_t size, const char *path,
	const char *target, int fd, struct wire_error *error)
{
	struct file *file = add_file(verdict);
	int r;

	if (!file)
		return -ENOMEM;
	file->path = strdup(path);
	if (!file->path)
		return -ENOMEM;
	file->size = size;
	verdict->n_bytes += size;
	if (S_ISLNK(mode)) {
		file->mode = S_IFLNK | 0777;
		file->size = strlen(target);
		EVP_Digest(target, file->size, file->digest, NULL, EVP_sha256(), NULL);
		return 0;
	}
	file->mode = layout_mode(mode);
	r = hold(verdict, path, fd, error);
	return r == 0 ? hash_file(verdict, file, fd, error) : r;
}

/* ---- the signature ---------------------------------------------------------------------------- */

static const struct worker_revoked *find_revoked(const struct verdict *verdict, const char *name)
{
	size_t i;

	for (i = 0; i < verdict->n_revoked; i++)
		if (streq(verdict->revoked[i].name, name))
			return &verdict->revoked[i];
	return NULL;
}

static const char *reason_of(const struct worker_revoked *revoked, const char *otherwise)
{
	return revoked->reason[0] ? revoked->reason : otherwise;
}

static const struct team *find_team(
	const struct verdict *verdict, const struct signature *signature)
{
	size_t i;

	for (i = 0; i < verdict->n_teams; i++)
		if (memcmp(verdict->teams[i].key.key_id, signature->key_id, 8) == 0)
			return &verdict->teams[i];
	return NULL;
}

static int check_grants(const struct verdict *verdict, const struct team *team,
	const struct manifest *manifest, struct wire_error *error)
{
	const char *key;
	json_t *value;

	json_object_foreach (manifest->entitlements, key, value)
		if (!team_may_grant(team, key))
			return refuse(verdict, RULE_ENTITLEMENTS_NOT_GRANTED, NULL, key, error);
	return 0;
}

/*
 * Whose word the manifest is, before anything of it is read. Developer mode lets what nobody vouches
 * for pass, with no team, and nothing else: a known team's word holds.
 */
static int check_signature(const struct verdict *verdict, struct bundle_info *info,
	const struct team **ret_team, struct wire_error *error)
{
	bool unsigned_ok = verdict->begin.flags & BUNDLE_ALLOW_UNSIGNED;
	const struct worker_revoked *revoked = find_revoked(verdict, info->digest);
	const struct team *team;
	struct signature signature;
	char buffer[8192];
	int r;

	if (revoked)
		return refuse(verdict, RULE_TEAM_DIGEST_REVOKED, NULL,
			reason_of(revoked, info->digest), error);
	if (!verdict->signature.text)
		return unsigned_ok ? 0
				   : refuse(verdict, RULE_SIGNATURE_MISSING, NULL,
					     "its manifest has no signature beside it", error);
	r = signature_read(verdict->signature.text, verdict->signature.bytes,
		full_path(verdict, verdict->layout->signature, buffer), &signature, error);
	if (r != 0)
		return r;
	team = find_team(verdict, &signature);
	if (!team) {
		char id[32];

		snprintf(id, sizeof id, "key id %02X%02X%02X%02X%02X%02X%02X%02X",
			signature.key_id[7], signature.key_id[6], signature.key_id[5],
			signature.key_id[4], signature.key_id[3], signature.key_id[2],
			signature.key_id[1], signature.key_id[0]);
		return unsigned_ok ? 0 : refuse(verdict, RULE_TEAM_UNKNOWN, NULL, id, error);
	}
	if (!signature_fits(
		    &signature, &team->key, verdict->manifest.text, verdict->manifest.bytes))
		return refuse(verdict, RULE_SIGNATURE_INVALID, verdict->layout->signature,
			"manifest, signature or trusted comment was changed", error);
	revoked = find_revoked(verdict, team->id);
	if (revoked)
		return refuse(
			verdict, RULE_TEAM_REVOKED, NULL, reason_of(revoked, team->id), error);
	STR_PUT(info->team, team->id);
	STR_PUT(info->team_name, team->name);
	*ret_team = team;
	return 0;
}

/* ---- what is there and what was signed -------------------------------------------------------- */

static bool is_own_signature(const struct verdict *verdict, const char *path)
{
	return streq(path, verdict->layout->manifest) || streq(path, verdict->layout->signature);
}

static int check_file(const struct verdict *verdict, struct manifest *manifest,
	const struct file *file, struct wire_error *error)
{
	struct manifest_line *line = manifest_find(manifest, file->path);

	if (is_own_signature(verdict, file->path))
		return 0;
	if (!line)
		return refuse(verdict, RULE_FILE_EXTRA, file->path, "the manifest does not name it",
			error);
	line->seen = true;
	if (verdict->begin.flags & BUNDLE_SKIP_CODE)
		return 0;
	if (line->size != file->size || memcmp(line->digest, file->digest, SHA256_BYTES_) != 0 ||
		S_ISLNK(line->mode) != S_ISLNK(file->mode))
		return refuse(verdict, RULE_FILE_CHANGED, file->path,
			line->size != file->size ? "its size is another one"
						 : "its SHA-256 is another one",
			error);
	if (line->mode != file->mode)
		return refuse(verdict, RULE_MODE_CHANGED, file->path,
			line->mode & 0100 ? "it was signed as executable"
					  : "it was signed as not executable",
			error);
	return 0;
}

static int check_files(
	const struct verdict *verdict, struct manifest *manifest, struct wire_error *error)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < verdict->n_files; i++)
		r = check_file(verdict, manifest, &verdict->files[i], error);
	for (i = 0; r == 0 && i < manifest->n_lines; i++)
		if (!manifest->lines[i].seen)
			r = refuse(verdict, RULE_FILE_MISSING, manifest->lines[i].path,
				"the manifest names it", error);
	return r;
}

static int check_executable(
	const struct verdict *verdict, const struct bundle_info *info, struct wire_error *error)
{
	uint16_t type;
	size_t i;

	for (i = 0; i < verdict->n_files && !streq(verdict->files[i].path, info->executable); i++)
		;
	if (i == verdict->n_files || !S_ISREG(verdict->files[i].mode))
		return refuse(verdict, RULE_EXECUTABLE_MISSING, info->executable,
			"there is no such file", error);
	if (verdict->begin.flags & BUNDLE_SKIP_CODE)
		return 0;
	type = verdict->files[i].elf_type;
	if (info->kind == BUNDLE_APP)
		return 0; /* an app may be a script: nothing of ours runs it */
	if (info->kind == BUNDLE_DEXT ? type != ET_DYN : type != ET_DYN && type != ET_EXEC)
		return refuse(verdict, RULE_EXECUTABLE_FORM, info->executable,
			"it is no 64-bit ELF file for this machine", error);
	if (!(verdict->files[i].mode & 0100))
		return refuse(verdict, RULE_EXECUTABLE_FORM, info->executable,
			"it is not executable", error);
	return 0;
}

static int check_nested(const struct verdict *verdict, struct wire_error *error)
{
	_cleanup_(nested_done) struct nested nested = { 0 };
	char identifier[BUNDLE_NAME_BYTES];
	const struct nested_name *twice;
	size_t i;
	int r = 0;

	if (verdict->begin.kind != BUNDLE_APP)
		return 0;
	for (i = 0; r == 0 && i < verdict->n_files; i++)
		r = nested_add(&nested, verdict->files[i].path);
	twice = r == 0 ? nested_twice(&nested) : NULL;
	if (!twice)
		return r;
	snprintf(identifier, sizeof identifier, "%.*s", (int)twice->identifier_bytes, twice->name);
	rule_error(error, RULE_BUNDLE_DUPLICATE_IDENTIFIER, identifier, verdict->begin.path, NULL);
	return 1;
}

static int check_name(
	const struct verdict *verdict, const struct bundle_info *info, struct wire_error *error)
{
	char expected[BUNDLE_IDENTIFIER_BYTES + 32];

	if (info->kind == BUNDLE_APP)
		return 0;
	snprintf(expected, sizeof expected, "%s%s", info->identifier, verdict->layout->suffix);
	if (streq(expected, verdict->begin.name))
		return 0;
	return refuse(verdict, RULE_BUNDLE_DIRECTORY_NAME, NULL, expected, error);
}

static int give(struct verdict *verdict, struct manifest *manifest, struct bundle_info *info,
	struct wire_error *error)
{
	char buffer[8192];
	int r = check_files(verdict, manifest, error);

	if (r == 0)
		r = info_read(verdict->info.text, verdict->info.bytes, verdict->layout,
			full_path(verdict, verdict->layout->info, buffer), info, error);
	if (r == 0)
		r = check_name(verdict, info, error);
	if (r == 0)
		r = check_nested(verdict, error);
	if (r == 0)
		r = check_executable(verdict, info, error);
	if (r == 0)
		r = entitlements_fill(manifest->entitlements, verdict->begin.path, info, error);
	return r;
}

static void digest_hex(const struct held *manifest, char ret[static BUNDLE_DIGEST_BYTES])
{
	unsigned char digest[SHA256_BYTES_];
	size_t i;

	EVP_Digest(manifest->text, manifest->bytes, digest, NULL, EVP_sha256(), NULL);
	for (i = 0; i < SHA256_BYTES_; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

int verdict_give(struct verdict *verdict, struct bundle_info *ret, struct wire_error *error)
{
	struct manifest manifest = { 0 };
	struct bundle_info info = { .kind = verdict->layout->kind,
		.n_files = verdict->n_files,
		.n_bytes = verdict->n_bytes };
	const struct team *team = NULL;
	char buffer[8192];
	int r;

	if (!verdict->info.text)
		return refuse(verdict, RULE_INFO_MISSING, NULL, verdict->layout->info, error);
	if (!verdict->manifest.text)
		return refuse(verdict, RULE_SIGNATURE_MISSING, NULL, "it has no manifest", error);
	digest_hex(&verdict->manifest, info.digest);
	r = check_signature(verdict, &info, &team, error);
	if (r == 0)
		r = manifest_read(verdict->manifest.text, verdict->manifest.bytes,
			full_path(verdict, verdict->layout->manifest, buffer), &manifest, error);
	if (r == 0 && team)
		r = check_grants(verdict, team, &manifest, error);
	if (r == 0)
		r = give(verdict, &manifest, &info, error);
	manifest_done(&manifest);
	if (r == 0)
		*ret = info;
	return r;
}
