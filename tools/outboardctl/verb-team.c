/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl team: whose signatures count here. A team is a registered public key; its id is made
 * from the key, so that nobody can take another's.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/bundles.h"
#include "tools/outboardctl/verb.h"

struct words {
	const char *name, *entitlements, *passphrase_fd, *reason;
	bool encrypt, json;
};

/* ---- writing a registration ------------------------------------------------------------------- */

static int put_file(const struct verb *verb, const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX], whole[PATH_MAX];
	int r = mkdir_path(path_get(PATH_CONFIG, folder, path), 0755);

	if (r == 0 && snprintf(whole, sizeof whole, "%s/%s", path, name) >= PATH_MAX)
		r = -ENAMETOOLONG;
	if (r == 0)
		r = file_replace_at(AT_FDCWD, whole, text, strlen(text), 0644);
	return r < 0 ? verb_failed(verb, "%s/%s cannot be written: %s", path, name, strerror(-r))
		     : VERB_DONE;
}

static int register_team(const struct verb *verb, const char *name, const char *public_line,
	const struct words *words)
{
	_cleanup_free_ char *text = NULL;
	char id[11], file[32];

	if (key_team_id(public_line, id) < 0)
		return verb_failed(verb, "that is no public key");
	if (strpbrk(name, "\n\r"))
		return verb_usage(verb, "a name is one line");
	if (asprintf(&text, "[team]\nname = %s\nkey = %s\nentitlements = %s\n", name, public_line,
		    str_or(words->entitlements, "*")) < 0)
		return verb_failed(verb, "out of memory");
	snprintf(file, sizeof file, "%s.team", id);
	if (put_file(verb, "teams.d", file, text) != VERB_DONE)
		return VERB_FAILED;
	printf("%s\n", id);
	return VERB_DONE;
}

/* generate NAME KEYFILE: a key pair, the secret one in KEYFILE, the public one beside it and here. */
static int team_generate(const struct verb *verb, char **argv, const struct words *words)
{
	struct secret_key key;
	char line[57], public_path[PATH_MAX], *passphrase = NULL;
	_cleanup_free_ char *text = NULL;
	int r = key_generate(&key);

	if (r == 0 && (words->encrypt || words->passphrase_fd)) {
		passphrase = bundles_passphrase(
			"New passphrase of the key: ", words->passphrase_fd);
		if (!passphrase || !*passphrase)
			return verb_failed(verb,
				"a passphrase is needed, on the terminal or by --passphrase-fd");
	}
	if (r == 0)
		r = key_write(argv[3], &key, passphrase);
	key_public(&key, line);
	key_forget(&key);
	if (passphrase)
		explicit_bzero(passphrase, strlen(passphrase));
	free(passphrase);
	if (r == -EEXIST)
		return verb_failed(
			verb, "%s is there already, and a key is never overwritten", argv[3]);
	if (r < 0)
		return verb_failed(verb, "%s cannot be written: %s", argv[3], strerror(-r));
	snprintf(public_path, sizeof public_path, "%.4000s.pub", argv[3]);
	if (asprintf(&text, "untrusted comment: outboard public key of %s\n%s\n", argv[2], line) <
		0)
		return verb_failed(verb, "out of memory");
	r = file_replace_at(AT_FDCWD, public_path, text, strlen(text), 0644);
	if (r < 0)
		return verb_failed(verb, "%s cannot be written: %s", public_path, strerror(-r));
	return register_team(verb, argv[2], line, words);
}

static int team_add(const struct verb *verb, char **argv, const struct words *words)
{
	char line[57];
	int r = key_public_read(argv[2], line);

	if (r == -EBADMSG)
		return verb_failed(verb, "%s is no public key in minisign's format", argv[2]);
	if (r < 0)
		return verb_failed(verb, "%s: %s", argv[2], strerror(-r));
	return register_team(verb, str_or(words->name, argv[2]), line, words);
}

static int team_revoke(const struct verb *verb, char **argv, const struct words *words)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes = strlen(argv[2]);

	if ((bytes != 10 && bytes != 64) ||
		strspn(argv[2], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789") != bytes)
		return verb_usage(
			verb, "'%s' is neither a team nor the digest of a bundle", argv[2]);
	if (asprintf(&text, "%s\n", str_or(words->reason, "revoked by the administrator")) < 0)
		return verb_failed(verb, "out of memory");
	return put_file(verb, "revoked.d", argv[2], text);
}

/* ---- showing what is registered --------------------------------------------------------------- */

static void take_value(const char *text, const char *key, char *buffer, size_t bytes)
{
	const char *at = strstr(text, key);

	buffer[0] = '\0';
	if (at)
		snprintf(buffer, bytes, "%.*s", (int)strcspn(at + strlen(key), "\n"),
			at + strlen(key));
}

static bool is_revoked(const char *id)
{
	static const enum path places[] = { PATH_CONFIG, PATH_VENDOR };
	char name[80], path[PATH_MAX];
	size_t i;

	snprintf(name, sizeof name, "revoked.d/%s", id);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (access(path_get(places[i], name, path), F_OK) == 0)
			return true;
	return false;
}

static int add_row(
	struct print_table *table, json_t *list, int folder, const char *file, const char *place)
{
	_cleanup_free_ char *text = NULL;
	char id[64], name[256], entitlements[512];
	const char *state;

	if (!str_ends(file, ".team") || file_read_at(folder, file, 8192, &text, NULL) < 0)
		return 0;
	snprintf(id, sizeof id, "%.*s", (int)(strlen(file) - 5), file);
	take_value(text, "name = ", name, sizeof name);
	take_value(text, "entitlements = ", entitlements, sizeof entitlements);
	state = is_revoked(id) ? "revoked" : "trusted";
	json_array_append_new(list,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "team", id, "name", name, "state", state,
			"entitlements", entitlements, "from", place));
	return print_table_add(table, (const char *const[]){ id, state, name, entitlements });
}

static int team_list(const struct verb *verb, char **argv, const struct words *words)
{
	static const enum path places[] = { PATH_CONFIG, PATH_VENDOR };
	static const char *const titles[] = { "TEAM", "STATE", "NAME", "MAY GRANT" };
	struct print_table *table = print_table_new(ARRAY_SIZE(titles), titles);
	json_t *list = json_array();
	size_t i;
	int r = VERB_DONE;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		char path[PATH_MAX];
		DIR *folder = opendir(path_get(places[i], "teams.d", path));
		const struct dirent *entry;

		while (folder && (entry = readdir(folder)))
			add_row(table, list, dirfd(folder), entry->d_name, path);
		if (folder)
			closedir(folder);
	}
	if (words->json)
		r = print_json(verb, list);
	else
		print_table_show(table);
	print_table_free(table);
	json_decref(list);
	return r;
}

static const struct {
	const char *name;
	int n_words;
	int (*run)(const struct verb *verb, char **argv, const struct words *words);
} actions[] = {
	{ "generate", 3, team_generate },
	{ "add", 2, team_add },
	{ "revoke", 2, team_revoke },
	{ "list", 1, team_list },
};

int verb_team(const struct verb *verb, int argc, char **argv)
{
	struct words words = { NULL };
	const struct verb_option options[] = {
		{ .name = "--name", .value = &words.name },
		{ .name = "--entitlements", .value = &words.entitlements },
		{ .name = "--passphrase-fd", .value = &words.passphrase_fd },
		{ .name = "--reason", .value = &words.reason },
		{ .name = "--encrypt", .flag = &words.encrypt },
		{ .name = "--json", .flag = &words.json },
	};
	int n, r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 3, &n);
	size_t i;

	if (r != 0)
		return r;
	if (n == 0)
		return team_list(verb, argv, &words);
	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (!streq(actions[i].name, argv[1]))
			continue;
		if (n != actions[i].n_words)
			return verb_usage(
				verb, "'%s' takes %d words", argv[1], actions[i].n_words - 1);
		return actions[i].run(verb, argv, &words);
	}
	return verb_usage(verb, "what is '%s'?", argv[1]);
}
