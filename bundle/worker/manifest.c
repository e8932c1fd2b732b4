/* SPDX-License-Identifier: Apache-2.0
 *
 * The manifest: what the signature stands for.
 *
 *   outboard-manifest 1
 *   <64 hex digits> <mode, 6 octal digits> <size> <path>     one a file or link, sorted by path
 *   entitlements <JSON object, keys sorted, on one line>
 *
 * A link's digest and size are those of its text. There is one way to write it down, and anything
 * else is none: no two readers can read two things.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/str.h"
#include "bundle/worker/worker.h"

#define FIRST_LINE "outboard-manifest 1"
#define ENTITLEMENTS "entitlements "

static int malformed(struct wire_error *error, const char *path, const char *detail)
{
	rule_error(error, RULE_MANIFEST_MALFORMED, path, detail, NULL);
	return 1;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_digest(const char *text, unsigned char *ret)
{
	size_t i;

	for (i = 0; i < SHA256_BYTES_; i++) {
		int high = hex_digit(text[2 * i]), low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		ret[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* Digits in one way only: no sign, no blank, no zero in front. */
static bool read_size(const char **text, uint64_t *ret)
{
	const char *at = *text;
	uint64_t value = 0;

	if (*at < '0' || *at > '9' || (*at == '0' && at[1] != ' '))
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		if (value > (UINT64_MAX - 9) / 10)
			return false;
		value = value * 10 + (uint64_t)(*at - '0');
	}
	*ret = value;
	*text = at;
	return true;
}

static bool mode_known(const char *text, uint32_t *ret)
{
	static const struct {
		const char *text;
		uint32_t mode;
	} modes[] = { { "100644 ", S_IFREG | 0644 }, { "100755 ", S_IFREG | 0755 },
		{ "120777 ", S_IFLNK | 0777 } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (str_starts(text, modes[i].text)) {
			*ret = modes[i].mode;
			return true;
		}
	}
	return false;
}

static int read_line(const char *line, const char *path, struct manifest_line *ret,
	const struct manifest_line *before, struct wire_error *error)
{
	const char *at = line;

	if (strlen(line) < 2 * SHA256_BYTES_ + 10 || !read_digest(line, ret->digest) ||
		line[64] != ' ')
		return malformed(error, path, "a line does not begin with a SHA-256 digest");
	at = line + 65;
	if (!mode_known(at, &ret->mode))
		return malformed(error, path, "a mode is none of 100644, 100755, 120777");
	at += 7;
	if (!read_size(&at, &ret->size) || *at++ != ' ')
		return malformed(error, path, "a size is no number");
	ret->path = at;
	if (!layout_path_ok(at, strlen(at))) {
		rule_error(error, RULE_MANIFEST_PATH, at,
			"it is absolute, empty, or has a part such as '..'", NULL);
		return 1;
	}
	if (before && strcmp(before->path, at) >= 0)
		return malformed(error, path, "its lines are not sorted, or one stands twice");
	return 0;
}

static int read_entitlements(
	const char *line, const char *path, json_t **ret, struct wire_error *error)
{
	json_error_t problem;
	json_t *value = json_loads(line, JSON_REJECT_DUPLICATES, &problem);
	char *again;
	bool same;

	if (!value || !json_is_object(value)) {
		json_decref(value);
		rule_error(error, RULE_ENTITLEMENTS_MALFORMED, path,
			value ? "no object" : problem.text, NULL);
		return 1;
	}
	again = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
	same = again && streq(again, line);
	free(again);
	if (!same) {
		json_decref(value);
		rule_error(error, RULE_ENTITLEMENTS_MALFORMED, path,
			"they are not in their one form", NULL);
		return 1;
	}
	*ret = value;
	return 0;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static int read_lines(struct manifest *manifest, const char *path, struct wire_error *error)
{
	char *line = manifest->text, *end;
	size_t n = count_lines(manifest->text), i;
	int r = 0;

	if (n < 2 || !str_ends(manifest->text, "\n"))
		return malformed(error, path, "it is cut");
	manifest->lines = calloc(n, sizeof *manifest->lines);
	if (!manifest->lines)
		return -ENOMEM;
	for (i = 0; r == 0 && i < n; i++, line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		if (i == 0)
			r = streq(line, FIRST_LINE)
				? 0
				: malformed(error, path, "it does not begin with '" FIRST_LINE "'");
		else if (i == n - 1)
			r = str_starts(line, ENTITLEMENTS)
				? read_entitlements(line + strlen(ENTITLEMENTS), path,
					  &manifest->entitlements, error)
				: malformed(error, path, "it does not end with its entitlements");
		else
			r = read_line(line, path, &manifest->lines[manifest->n_lines],
				manifest->n_lines ? &manifest->lines[manifest->n_lines - 1] : NULL,
				error);
		manifest->n_lines += r == 0 && i > 0 && i < n - 1;
	}
	return r;
}

int manifest_read(const char *text, size_t bytes, const char *path, struct manifest *ret,
	struct wire_error *error)
{
	struct manifest manifest = { .text = strndup(text, bytes) };
	int r;

	if (!manifest.text)
		return -ENOMEM;
	if (bytes > BUNDLE_MANIFEST_BYTES_MAX) {
		rule_error(error, RULE_MANIFEST_TOO_LARGE, path, "more than 16 MiB", NULL);
		r = 1;
	} else if (strlen(manifest.text) != bytes) {
		r = malformed(error, path, "it holds a NUL");
	} else {
		r = read_lines(&manifest, path, error);
	}
	if (r != 0) {
		manifest_done(&manifest);
		return r;
	}
	*ret = manifest;
	return 0;
}

static int compare(const void *key, const void *line)
{
	return strcmp(key, ((const struct manifest_line *)line)->path);
}

struct manifest_line *manifest_find(struct manifest *manifest, const char *path)
{
	if (manifest->n_lines == 0)
		return NULL;
	return bsearch(path, manifest->lines, manifest->n_lines, sizeof *manifest->lines, compare);
}

void manifest_done(struct manifest *manifest)
{
	free(manifest->text);
	free(manifest->lines);
	json_decref(manifest->entitlements);
	*manifest = (struct manifest){ 0 };
}
