/* SPDX-License-Identifier: Apache-2.0
 *
 * Entitlements: the ones that decide something become bits, by a table; each category needs its own.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "bundle/worker/worker.h"

static const struct known {
	const char *key;
	json_type type; /* JSON_TRUE: has to be true; JSON_ARRAY: not empty */
	uint32_t bit;
} known[] = {
	{ "com.apple.developer.system-extension.install", JSON_TRUE,
		ENTITLEMENT_SYSTEM_EXTENSION_INSTALL },
	{ "com.apple.developer.endpoint-security.client", JSON_TRUE,
		ENTITLEMENT_ENDPOINT_SECURITY_CLIENT },
	{ "com.apple.developer.networking.networkextension", JSON_ARRAY,
		ENTITLEMENT_NETWORK_EXTENSION },
	{ "com.apple.developer.driverkit", JSON_TRUE, ENTITLEMENT_DRIVERKIT },
	{ "com.apple.developer.system-extension.redistributable", JSON_TRUE,
		ENTITLEMENT_REDISTRIBUTABLE },
	{ "org.outboard.file-system.write", JSON_ARRAY, ENTITLEMENT_FILE_SYSTEM_WRITE },
};

static const struct need {
	uint32_t category, bit;
	const char *key;
} needs[] = {
	{ BUNDLE_CATEGORY_ENDPOINT_SECURITY, ENTITLEMENT_ENDPOINT_SECURITY_CLIENT,
		"com.apple.developer.endpoint-security.client" },
	{ BUNDLE_CATEGORY_NETWORK_EXTENSION, ENTITLEMENT_NETWORK_EXTENSION,
		"com.apple.developer.networking.networkextension" },
	{ BUNDLE_CATEGORY_DRIVER_EXTENSION, ENTITLEMENT_DRIVERKIT,
		"com.apple.developer.driverkit" },
};

static int malformed(struct wire_error *error, const char *path, const char *key)
{
	rule_error(error, RULE_ENTITLEMENTS_MALFORMED, path, key, NULL);
	return 1;
}

static int take_known(const json_t *entitlements, const char *path, struct bundle_info *info,
	struct wire_error *error)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		const json_t *value = json_object_get(entitlements, known[i].key);

		if (!value || json_is_false(value))
			continue;
		if (json_typeof(value) != known[i].type ||
			(known[i].type == JSON_ARRAY && json_array_size(value) == 0))
			return malformed(error, path, known[i].key);
		info->entitlement_bits |= known[i].bit;
	}
	return 0;
}

/* Absolute paths without a part that climbs: they become writable. */
static int check_write_paths(const json_t *entitlements, const char *path, struct wire_error *error)
{
	const json_t *paths = json_object_get(entitlements, "org.outboard.file-system.write");
	size_t i;

	for (i = 0; i < json_array_size(paths); i++) {
		const char *text = json_string_value(json_array_get(paths, i));

		if (!text || text[0] != '/' || !layout_path_ok(text + 1, strlen(text + 1)))
			return malformed(error, path, "org.outboard.file-system.write");
	}
	return 0;
}

/* What has no key of a category in its Info.plist is of the first one that it has the right to. */
static int check_categories(const char *path, struct bundle_info *info, struct wire_error *error)
{
	size_t i;

	if (info->kind == BUNDLE_APP)
		return 0;
	for (i = 0; i < ARRAY_SIZE(needs); i++) {
		if (info->entitlement_bits & needs[i].bit && info->categories == 0)
			info->categories |= needs[i].category;
		if (info->categories & needs[i].category &&
			!(info->entitlement_bits & needs[i].bit)) {
			rule_error(error, RULE_ENTITLEMENTS_REQUIRED, path, needs[i].key, NULL);
			return 1;
		}
	}
	if (info->categories != 0)
		return 0;
	rule_error(error, RULE_INFO_CATEGORY, path, "neither keys nor entitlements of one", NULL);
	return 1;
}

int entitlements_fill(const json_t *entitlements, const char *path, struct bundle_info *info,
	struct wire_error *error)
{
	char *text = json_dumps(entitlements, JSON_COMPACT | JSON_SORT_KEYS);
	int r;

	if (!text)
		return -ENOMEM;
	r = STR_PUT(info->entitlements, text) < 0
		? malformed(error, path, "they are longer than 8191 bytes")
		: 0;
	free(text);
	if (r == 0)
		r = take_known(entitlements, path, info, error);
	if (r == 0)
		r = check_write_paths(entitlements, path, error);
	return r == 0 ? check_categories(path, info, error) : r;
}
