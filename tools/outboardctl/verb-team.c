/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl team: whose signatures count here. A team is a registered public key; its id is made
 * from the key, so that nobody can take another's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "bundle/teams.h"
#include "bundle/utf8.h"
#include "bundle/worker/worker.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/bundles.h"
#include "tools/outboardctl/verb.h"

struct words {
	const char *name, *entitlements, *reason;
	int passphrase_fd;
	bool encrypt, json;
};

struct team_row {
	const char *id, *state, *name, *entitlements, *from, *reason;
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

	if (r == 0 && (words->encrypt || words->passphrase_fd >= 0)) {
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

static bool is_of(const char *text, size_t bytes, const char *alphabet)
{
	return strlen(text) == bytes && strspn(text, alphabet) == bytes;
}

/* A name that is neither would lie in revoked.d and revoke nothing. */
static int team_revoke(const struct verb *verb, char **argv, const struct words *words)
{
	const char *reason = str_or(words->reason, "revoked by the administrator");
	_cleanup_free_ char *text = NULL;

	if (!is_of(argv[2], 10, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") &&
		!is_of(argv[2], 64, "0123456789abcdef"))
		return verb_usage(
			verb, "'%s' is neither a team nor the digest of a bundle", argv[2]);
	if (strpbrk(reason, "\n\r"))
		return verb_usage(verb, "a reason is one line");
	if (asprintf(&text, "%s\n", reason) < 0)
		return verb_failed(verb, "out of memory");
	return put_file(verb, "revoked.d", argv[2], text);
}

/* ---- showing what is registered: by the code that the verdict on a bundle is given with --------- */

static const struct worker_revoked *find_revoked(const struct teams *teams, const char *id)
{
	size_t i;

	for (i = 0; i < teams->n_revoked; i++)
		if (streq(teams->revoked[i].name, id))
			return &teams->revoked[i];
	return NULL;
}

/* A file's name or first line may be no UTF-8, which JSON has to be: so far as it is. */
static json_t *text_json(const char *text)
{
	return json_stringn(text, utf8_good_bytes(text, strlen(text)));
}

static void add_row(struct print_table *table, json_t *list, const struct team_row *row)
{
	json_array_append_new(list,
		json_pack("{s:o, s:s, s:s, s:s, s:s, s:o}", "team", text_json(row->id), "state",
			row->state, "name", row->name, "entitlements", row->entitlements, "from",
			row->from, "reason", text_json(row->reason)));
	print_table_add(table,
		(const char *const[]){
			row->id, row->state, row->name, row->entitlements, row->reason });
}

/* What a file of teams.d comes to. One that cannot be used vouches for nobody, which is not said elsewhere. */
static int add_team(struct print_table *table, json_t *list, const struct teams *teams,
	const struct team_file *file)
{
	char id[sizeof file->name], from[PATH_MAX];
	struct team_row row = { .id = id,
		.state = "trusted",
		.name = "",
		.entitlements = "",
		.from = path_get(file->vendor ? PATH_VENDOR : PATH_CONFIG, "teams.d", from),
		.reason = "" };
	const struct worker_revoked *revoked;
	struct wire_error error;
	struct team team = { .entitlements = NULL };
	int r = 0;

	snprintf(id, sizeof id, "%.*s", (int)(strlen(file->name) - strlen(".team")), file->name);
	revoked = find_revoked(teams, id);
	if (file->bytes == 0) {
		row.state = "removed";
	} else {
		r = team_read(file->name, file->text, file->bytes, &team, &error);
		row.name = team.name;
		row.entitlements = str_or(team.entitlements, "");
	}
	if (r < 0)
		return r;
	if (r == 1) {
		row.state = "unusable";
		row.reason = error.description;
	} else if (revoked) {
		row.state = "revoked";
		row.reason = revoked->reason;
	}
	add_row(table, list, &row);
	free(team.entitlements);
	return 0;
}

/* Builds, and teams that are not even registered. */
static void add_others(struct print_table *table, json_t *list, const struct teams *teams)
{
	size_t i, at;

	for (i = 0; i < teams->n_revoked; i++) {
		const struct worker_revoked *revoked = &teams->revoked[i];
		size_t bytes = strlen(revoked->name);

		for (at = 0; at < teams->n_files; at++)
			if (strncmp(teams->files[at].name, revoked->name, bytes) == 0 &&
				streq(teams->files[at].name + bytes, ".team"))
				break;
		if (at == teams->n_files)
			add_row(table, list,
				&(struct team_row){
					revoked->name, "revoked", "", "", "", revoked->reason });
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct team_file *)a)->name, ((const struct team_file *)b)->name);
}

static int team_list(const struct verb *verb, char **argv, const struct words *words)
{
	static const char *const titles[] = { "TEAM", "STATE", "NAME", "MAY GRANT", "REASON" };
	_cleanup_(print_table_freep) struct print_table *table = NULL;
	_cleanup_(json_decrefp) json_t *list = json_array();
	_cleanup_(teams_freep) struct teams *teams = NULL;
	int r = teams_read(&teams);
	size_t i;

	if (r < 0)
		return verb_failed(verb, "teams.d and revoked.d cannot be read: %s", strerror(-r));
	if (teams->n_files > 0)
		qsort(teams->files, teams->n_files, sizeof *teams->files, by_name);
	table = print_table_new(ARRAY_SIZE(titles), titles);
	if (!table)
		return verb_failed(verb, "out of memory");
	for (i = 0; r == 0 && i < teams->n_files; i++)
		r = add_team(table, list, teams, &teams->files[i]);
	if (r < 0)
		return verb_failed(verb, "%s", strerror(-r));
	add_others(table, list, teams);
	if (words->json)
		return print_json(verb, list);
	print_table_show(table);
	return VERB_DONE;
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
	struct words words = { .passphrase_fd = -1 };
	const struct verb_option options[] = {
		{ .name = "--name", .value = &words.name },
		{ .name = "--entitlements", .value = &words.entitlements },
		{ .name = "--passphrase-fd",
			.take = bundles_take_fd,
			.context = &words.passphrase_fd },
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
