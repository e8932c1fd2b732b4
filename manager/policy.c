/* SPDX-License-Identifier: Apache-2.0
 *
 * Policy files, see policy.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/bundle.h"
#include "manager/policy.h"

#define POLICY_BYTES_MAX (1u << 20)
#define POLICY_FILES_MAX 256

enum key_shape { SHAPE_BOOL, SHAPE_TEAMS, SHAPE_LISTS };

enum key {
	KEY_OVERRIDES,
	KEY_TEAMS,
	KEY_EXTENSIONS,
	KEY_TYPES,
	KEY_REMOVABLE,
	KEY_NON_REMOVABLE,
	KEY_NOT_FROM_UI,
	KEY_MAX_
};

static const struct {
	const char *name;
	enum key_shape shape;
} keys[KEY_MAX_] = {
	[KEY_OVERRIDES] = { "AllowUserOverrides", SHAPE_BOOL },
	[KEY_TEAMS] = { "AllowedTeamIdentifiers", SHAPE_TEAMS },
	[KEY_EXTENSIONS] = { "AllowedSystemExtensions", SHAPE_LISTS },
	[KEY_TYPES] = { "AllowedSystemExtensionTypes", SHAPE_LISTS },
	[KEY_REMOVABLE] = { "RemovableSystemExtensions", SHAPE_LISTS },
	[KEY_NON_REMOVABLE] = { "NonRemovableSystemExtensions", SHAPE_LISTS },
	[KEY_NOT_FROM_UI] = { "NonRemovableFromUISystemExtensions", SHAPE_LISTS },
};

static const struct {
	const char *name;
	uint32_t category;
} types[] = {
	{ "EndpointSecurityExtension", BUNDLE_CATEGORY_ENDPOINT_SECURITY },
	{ "NetworkExtension", BUNDLE_CATEGORY_NETWORK_EXTENSION },
	{ "DriverExtension", BUNDLE_CATEGORY_DRIVER_EXTENSION },
};

struct policy {
	bool overrides;
	json_t *merged[KEY_MAX_]; /* SHAPE_TEAMS: object of true; SHAPE_LISTS: object of arrays */
	char *problem;
};

static int complain(struct policy *policy, const char *file, const char *what)
{
	if (!policy->problem && asprintf(&policy->problem, "%s: %s", file, what) < 0)
		policy->problem = NULL;
	return policy->problem ? -EINVAL : -ENOMEM;
}

static bool is_list_of_strings(const json_t *value)
{
	json_t *item;
	size_t i;

	if (!json_is_array(value))
		return false;
	json_array_foreach (value, i, item)
		if (!json_is_string(item))
			return false;
	return true;
}

static bool has_shape(enum key_shape shape, json_t *value)
{
	const char *name;
	json_t *item;

	if (shape == SHAPE_BOOL)
		return json_is_boolean(value);
	if (shape == SHAPE_TEAMS)
		return is_list_of_strings(value);
	if (!json_is_object(value))
		return false;
	json_object_foreach (value, name, item)
		if (!is_list_of_strings(item))
			return false;
	return true;
}

static int merge_lists(json_t *into, json_t *value)
{
	const char *team;
	json_t *list;

	json_object_foreach (value, team, list) {
		json_t *there = json_object_get(into, team);

		if (!there && json_object_set_new(into, team, there = json_array()) < 0)
			return -ENOMEM;
		if (json_array_extend(there, list) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int merge(struct policy *policy, enum key key, json_t *value)
{
	json_t *item;
	size_t i;

	if (keys[key].shape == SHAPE_BOOL) {
		policy->overrides = policy->overrides && json_is_true(value);
		return 0;
	}
	if (keys[key].shape == SHAPE_LISTS)
		return merge_lists(policy->merged[key], value);
	json_array_foreach (value, i, item)
		if (json_object_set_new(policy->merged[key], json_string_value(item), json_true()) <
			0)
			return -ENOMEM;
	return 0;
}

static int take(struct policy *policy, const char *file, json_t *root)
{
	const char *name;
	json_t *value;
	size_t i;
	int r;

	if (!json_is_object(root))
		return complain(policy, file, "is not a JSON object");
	json_object_foreach (root, name, value) {
		char text[160];

		for (i = 0; i < KEY_MAX_ && !streq(keys[i].name, name); i++)
			;
		snprintf(text, sizeof text,
			i == KEY_MAX_ ? "has an unknown key %.64s"
				      : "the value of %.64s has the wrong type",
			name);
		if (i == KEY_MAX_ || !has_shape(keys[i].shape, value))
			return complain(policy, file, text);
		r = merge(policy, (enum key)i, value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_file(struct policy *policy, int folder_fd, const char *folder, const char *name)
{
	_cleanup_free_ char *text = NULL;
	char file[1024];
	json_error_t error;
	json_t *root;
	size_t bytes;
	int r = file_read_at(folder_fd, name, POLICY_BYTES_MAX, &text, &bytes);

	snprintf(file, sizeof file, "%s/%s", folder, name);
	if (r < 0)
		return r == -ENOMEM ? r : complain(policy, file, strerror(-r));
	root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return complain(policy, file, error.text);
	r = take(policy, file, root);
	json_decref(root);
	return r;
}

static int is_policy_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && str_ends(entry->d_name, ".json");
}

static int load_folder(struct policy *policy, const char *folder)
{
	struct dirent **entries = NULL;
	_cleanup_fd_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int n, i, r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : complain(policy, folder, strerror(errno));
	n = scandirat(fd, ".", &entries, is_policy_file, alphasort);
	if (n < 0)
		return complain(policy, folder, strerror(errno));
	if (n > POLICY_FILES_MAX)
		r = complain(policy, folder, "has more than 256 files");
	for (i = 0; i < n; i++) {
		if (r == 0 || r == -EINVAL)
			r = load_file(policy, fd, folder, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static bool lists(const struct policy *policy, enum key key, const char *team, const char *word)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(policy->merged[key], team), i, item)
		if (streq(json_string_value(item), word))
			return true;
	return false;
}

/* What contradicts itself is no policy: Apple refuses these two, too. */
static int check(struct policy *policy)
{
	const char *team;
	json_t *list, *item;
	size_t i;

	json_object_foreach (policy->merged[KEY_EXTENSIONS], team, list)
		if (json_object_get(policy->merged[KEY_TEAMS], team))
			return complain(policy, team,
				"is in AllowedTeamIdentifiers and in AllowedSystemExtensions");
	json_object_foreach (policy->merged[KEY_NON_REMOVABLE], team, list)
		json_array_foreach (list, i, item)
			if (lists(policy, KEY_REMOVABLE, team, json_string_value(item)))
				return complain(policy, json_string_value(item),
					"is in RemovableSystemExtensions and in NonRemovableSystemExtensions");
	return 0;
}

int policy_load(const char *const *folders, struct policy **ret)
{
	_cleanup_(policy_freep) struct policy *policy = calloc(1, sizeof *policy);
	size_t i;
	int r = 0;

	if (!policy)
		return -ENOMEM;
	policy->overrides = true;
	for (i = 0; i < KEY_MAX_; i++) {
		policy->merged[i] = json_object();
		if (!policy->merged[i])
			return -ENOMEM;
	}
	for (i = 0; folders[i] && r != -ENOMEM; i++)
		r = load_folder(policy, folders[i]);
	if (r != -ENOMEM && !policy->problem)
		r = check(policy);
	if (r == -ENOMEM)
		return r;
	*ret = TAKE(policy);
	return 0;
}

struct policy *policy_free(struct policy *policy)
{
	size_t i;

	if (!policy)
		return NULL;
	for (i = 0; i < KEY_MAX_; i++)
		json_decref(policy->merged[i]);
	free(policy->problem);
	free(policy);
	return NULL;
}

const char *policy_problem(const struct policy *policy)
{
	return policy->problem;
}

static bool types_allow(const struct policy *policy, const char *team, uint32_t categories)
{
	size_t i;

	if (!json_object_get(policy->merged[KEY_TYPES], team))
		return true;
	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (categories & types[i].category &&
			!lists(policy, KEY_TYPES, team, types[i].name))
			return false;
	return true;
}

enum policy_verdict policy_get(
	const struct policy *policy, const char *team, const char *identifier, uint32_t categories)
{
	if (policy->problem)
		return POLICY_INVALID;
	if (!types_allow(policy, team, categories))
		return POLICY_TYPE_NOT_ALLOWED;
	/* an unsigned bundle of developer mode has no team, and no policy speaks of it */
	if (team[0] &&
		(json_object_get(policy->merged[KEY_TEAMS], team) ||
			lists(policy, KEY_EXTENSIONS, team, identifier)))
		return POLICY_ALLOWED;
	return policy->overrides ? POLICY_ASK : POLICY_OVERRIDES_OFF;
}

bool policy_is_removable(const struct policy *policy, const char *team, const char *identifier)
{
	return lists(policy, KEY_REMOVABLE, team, identifier);
}

bool policy_is_non_removable(const struct policy *policy, const char *team, const char *identifier)
{
	return lists(policy, KEY_NON_REMOVABLE, team, identifier);
}

bool policy_is_kept_from_ui(const struct policy *policy, const char *team, const char *identifier)
{
	return lists(policy, KEY_NON_REMOVABLE, team, identifier) ||
		lists(policy, KEY_NOT_FROM_UI, team, identifier);
}
