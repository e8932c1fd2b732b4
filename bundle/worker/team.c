/* SPDX-License-Identifier: Apache-2.0
 *
 * A team's registration: `ID.team` with lines `key = value` below `[team]`: name, key (the second
 * line of a minisign public key file), entitlements (what the team may grant; "*": any).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "bundle/utf8.h"
#include "bundle/worker/worker.h"

static int refuse(struct wire_error *error, const char *name, const char *detail)
{
	rule_error(error, RULE_TEAM_FILE, name, detail, NULL);
	return 1;
}

static int take_line(
	char *line, const char *name, struct team *team, bool *has_key, struct wire_error *error)
{
	char *text = str_trim(line), *equals = strchr(text, '='), *key, *value;

	if (!*text || *text == '#' || streq(text, "[team]"))
		return 0;
	if (!equals)
		return refuse(error, name, "a line is no 'key = value'");
	*equals = '\0';
	key = str_trim(text);
	value = str_trim(equals + 1);
	if (streq(key, "name"))
		return STR_PUT(team->name, value) < 0 ? refuse(error, name, "the name is too long")
						      : 0;
	if (streq(key, "key")) {
		*has_key = public_key_read(value, strlen(value), &team->key);
		return *has_key ? 0 : refuse(error, name, "the key is no minisign public key");
	}
	if (streq(key, "entitlements")) {
		free(team->entitlements);
		team->entitlements = strdup(value);
		return team->entitlements ? 0 : -ENOMEM;
	}
	return refuse(error, name, "a key is none of name, key, entitlements");
}

int team_read(const char *name, const char *text, size_t bytes, struct team *ret,
	struct wire_error *error)
{
	struct team team = { .entitlements = NULL };
	char *copy = strndup(text, bytes), *line, *next, expected[BUNDLE_TEAM_BYTES + 8];
	bool has_key = false;
	int r = 0;

	if (!copy)
		return -ENOMEM;
	if (strlen(copy) != bytes || utf8_good_bytes(text, bytes) != bytes)
		r = refuse(error, name, "it is no text in UTF-8");
	for (line = copy; r == 0 && line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = take_line(line, name, &team, &has_key, error);
	}
	free(copy);
	if (r == 0 && !has_key)
		r = refuse(error, name, "it has no key");
	if (r == 0) {
		team_id_of_key(&team.key, team.id);
		snprintf(expected, sizeof expected, "%s.team", team.id);
		if (!streq(expected, name))
			r = refuse(error, name, "its name is not the team's that its key makes");
	}
	if (r != 0) {
		free(team.entitlements);
		return r;
	}
	if (!team.name[0])
		STR_PUT(team.name, team.id);
	*ret = team;
	return 0;
}

bool team_may_grant(const struct team *team, const char *entitlement)
{
	const char *at = team->entitlements ? team->entitlements : "";
	size_t bytes = strlen(entitlement);

	while (*at) {
		size_t length = strcspn(at, " \t,");

		if ((length == 1 && *at == '*') ||
			(length == bytes && memcmp(at, entitlement, bytes) == 0))
			return true;
		at += length + (at[length] != '\0');
	}
	return false;
}
