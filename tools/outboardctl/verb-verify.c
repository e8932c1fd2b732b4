/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl verify and inspect: the verdict on a bundle as outboardd gives it, by the same worker;
 * and what a bundle says of itself, whoever has signed it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/str.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/bundles.h"
#include "tools/outboardctl/verb.h"

static const char *const kinds[] = { "app", "system extension", "driver extension" };

static json_t *categories_json(const struct bundle_info *info)
{
	json_t *list = json_array();

	if (info->categories & BUNDLE_CATEGORY_ENDPOINT_SECURITY)
		json_array_append_new(
			list, json_string("com.apple.system_extension.endpoint_security"));
	if (info->categories & BUNDLE_CATEGORY_NETWORK_EXTENSION)
		json_array_append_new(
			list, json_string("com.apple.system_extension.network_extension"));
	if (info->categories & BUNDLE_CATEGORY_DRIVER_EXTENSION)
		json_array_append_new(
			list, json_string("com.apple.system_extension.driver_extension"));
	return list;
}

/* @judged: inspect asks neither who has signed it nor whether the files are the signed ones. */
static int show_json(const struct verb *verb, const struct bundle_info *info, bool judged)
{
	json_t *document = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "kind",
		kinds[info->kind], "identifier", info->identifier, "version", info->version,
		"shortVersion", info->short_version, "name", info->name, "executable",
		info->executable, "usage", info->usage, "team", info->team, "teamName",
		info->team_name, "digest", info->digest, "files", (json_int_t)info->n_files,
		"bytes", (json_int_t)info->n_bytes, "categories", categories_json(info),
		"entitlements", json_loads(info->entitlements, 0, NULL));
	int r;

	if (judged)
		json_object_set_new(document, "accepted", json_true());
	r = print_json(verb, document);
	json_decref(document);
	return r;
}

static void show_text(const struct bundle_info *info)
{
	const struct {
		const char *title, *value;
	} rows[] = {
		{ "kind", kinds[info->kind] },
		{ "identifier", info->identifier },
		{ "version", info->short_version },
		{ "build", info->version },
		{ "name", info->name },
		{ "executable", info->executable },
		{ "usage", info->usage },
		{ "team", info->team },
		{ "signed by", info->team_name },
		{ "digest", info->digest },
		{ "entitlements", info->entitlements },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].value[0])
			printf("%-13s %s\n", rows[i].title, PRINT_CLEAN(rows[i].value));
}

/* Each extension in an app is judged by itself, too: the app's manifest says nothing of its rights. */
static int verify_nested(const struct verb *verb, int app_fd, const char *path, bool json)
{
	static const char *const suffixes[] = { ".systemextension", ".dext" };
	_cleanup_fd_ int folder = openat(app_fd, "Contents/Library/SystemExtensions",
		O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct dirent **entries;
	int i, n, r = VERB_DONE;

	if (folder < 0)
		return VERB_DONE;
	n = scandirat(folder, ".", &entries, NULL, alphasort);
	for (i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;
		_cleanup_fd_ int fd = -1;
		struct bundle_info info;
		struct wire_error error;
		char whole[PATH_MAX];
		int verdict;

		if (r == VERB_DONE && (str_ends(name, suffixes[0]) || str_ends(name, suffixes[1])))
			fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0) {
			snprintf(whole, sizeof whole,
				"%.3000s/Contents/Library/SystemExtensions/%.255s", path, name);
			verdict = bundle_verify(fd, name, whole, 0, &info, &error);
			if (verdict == 1)
				r = bundles_refused(verb, &error, json);
			else if (verdict < 0)
				r = verb_failed(verb, "%s: %s", whole, strerror(-verdict));
			else if (!json)
				printf("%s: %s %s (%s/%s), signed by %s (%s)\n", whole,
					kinds[info.kind], info.identifier, info.short_version,
					info.version, info.team_name, info.team);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return r;
}

static int judge(const struct verb *verb, const char *path, unsigned flags, bool json, bool whole)
{
	_cleanup_fd_ int fd = -1;
	struct bundle_info info;
	struct wire_error error;
	char name[256];
	int r = bundles_open(verb, path, &fd, name);

	if (r != VERB_DONE)
		return r;
	r = bundle_verify(fd, name, path, flags, &info, &error);
	if (r == 1)
		return bundles_refused(verb, &error, json);
	if (r < 0)
		return verb_failed(verb, "%s: there is no verdict: %s", path, strerror(-r));
	if (!whole && info.kind == BUNDLE_APP) {
		r = verify_nested(verb, fd, path, json);
		if (r != VERB_DONE)
			return r;
	}
	if (json)
		return show_json(verb, &info, !whole);
	if (whole)
		show_text(&info);
	else
		printf("%s: %s %s (%s/%s), signed by %s (%s), %llu files\n", path, kinds[info.kind],
			info.identifier, info.short_version, info.version, info.team_name,
			info.team, (unsigned long long)info.n_files);
	return VERB_DONE;
}

int verb_verify(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	int r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 1, 1, NULL);

	return r == 0 ? judge(verb, argv[1], 0, json, false) : r;
}

int verb_inspect(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	int r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 1, 1, NULL);

	return r == 0 ? judge(verb, argv[1], BUNDLE_ALLOW_UNSIGNED | BUNDLE_SKIP_CODE, json, true)
		      : r;
}
