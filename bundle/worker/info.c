/* SPDX-License-Identifier: Apache-2.0
 *
 * Info.plist, XML or binary: refused before libplist sees it when it is too large, nested too
 * deeply, cut short or not UTF-8; then the keys of a table, each with its type.
 */
#include <errno.h>
#include <stdarg.h>
#include <plist/plist.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "bundle/utf8.h"
#include "bundle/worker/plist.h"
#include "bundle/worker/worker.h"

struct reading {
	plist_t root;
	const struct layout *layout;
	const char *path;
	struct bundle_info *info;
	struct wire_error *error;
};

static int ob_printf(3, 4)
	refuse(const struct reading *reading, enum rule_id rule, const char *format, ...)
{
	char detail[512];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof detail, format, args);
	va_end(args);
	rule_error(reading->error, rule, reading->path, detail, NULL);
	return 1;
}

/* A string into a field; an absent one leaves it empty. */
static int take_string(const struct reading *reading, plist_t dictionary, const char *key,
	char *field, size_t bytes)
{
	plist_t node = dictionary ? plist_dict_get_item(dictionary, key) : NULL;
	uint64_t length;
	const char *text;

	if (!node)
		return 0;
	if (plist_get_node_type(node) != PLIST_STRING)
		return refuse(reading, RULE_INFO_TYPE, "%s has to be a string", key);
	text = plist_get_string_ptr(node, &length);
	if (!text || strlen(text) != length || utf8_good_bytes(text, length) != length)
		return refuse(reading, RULE_INFO_ENCODING, "%s holds bytes that are no text", key);
	if (str_put(field, bytes, text) < 0)
		return refuse(reading, RULE_INFO_VALUE, "%s is too long", key);
	return 0;
}

static int take_flag(const struct reading *reading, const char *key, uint32_t flag)
{
	plist_t node = plist_dict_get_item(reading->root, key);
	uint8_t value;

	if (!node)
		return 0;
	if (plist_get_node_type(node) != PLIST_BOOLEAN)
		return refuse(reading, RULE_INFO_TYPE, "%s has to be true or false", key);
	plist_get_bool_val(node, &value);
	if (value)
		reading->info->flags |= flag;
	return 0;
}

static int take_dictionary(const struct reading *reading, const char *key, plist_t *ret)
{
	*ret = plist_dict_get_item(reading->root, key);
	if (*ret && plist_get_node_type(*ret) != PLIST_DICT)
		return refuse(reading, RULE_INFO_TYPE, "%s has to be a dictionary", key);
	return 0;
}

static int check_identifier(const struct reading *reading)
{
	const char *identifier = reading->info->identifier;

	if (!identifier[0])
		return refuse(reading, RULE_INFO_IDENTIFIER_MISSING,
			"CFBundleIdentifier is absent or empty");
	if (!layout_identifier_ok(identifier))
		return refuse(reading, RULE_INFO_IDENTIFIER, "'%s'", identifier);
	return 0;
}

/* Digits and dots: for people, and for the one who compares them. A dext's are a kext's: a.b.c. */
static bool version_ok(const char *version)
{
	size_t i;

	for (i = 0; version[i]; i++)
		if (!strchr("0123456789.", version[i]) ||
			(version[i] == '.' && version[i + 1] == '.'))
			return false;
	return i > 0 && version[0] != '.' && version[i - 1] != '.';
}

static int check_versions(const struct reading *reading)
{
	struct bundle_info *info = reading->info;

	if (!version_ok(info->version))
		return refuse(reading, RULE_INFO_VERSION, "%s is '%.64s'", "CFBundleVersion",
			info->version);
	if (!info->short_version[0])
		STR_PUT(info->short_version, info->version);
	if (!version_ok(info->short_version))
		return refuse(reading, RULE_INFO_VERSION, "%s is '%.64s'",
			"CFBundleShortVersionString", info->short_version);
	return 0;
}

static int check_package_type(const struct reading *reading)
{
	char type[32] = "";
	int r = take_string(reading, reading->root, "CFBundlePackageType", type, sizeof type);

	if (r != 0)
		return r;
	if (!streq(type, reading->layout->package_type))
		return refuse(reading, RULE_INFO_PACKAGE_TYPE, "it is '%s' and has to be '%s'",
			type, reading->layout->package_type);
	return 0;
}

static int take_executable(const struct reading *reading)
{
	char name[BUNDLE_NAME_BYTES / 2] = "";
	int r = take_string(reading, reading->root, "CFBundleExecutable", name, sizeof name);

	if (r != 0)
		return r;
	if (!name[0])
		return refuse(reading, RULE_EXECUTABLE_MISSING, "CFBundleExecutable is absent");
	if (strchr(name, '/') || !layout_path_ok(name, strlen(name)))
		return refuse(reading, RULE_INFO_VALUE, "%s '%s' is no file name",
			"CFBundleExecutable", name);
	snprintf(reading->info->executable, sizeof reading->info->executable, "%s%s",
		reading->layout->executables, name);
	if (!reading->info->name[0])
		STR_PUT(reading->info->name, name);
	return 0;
}

static int take_categories(const struct reading *reading)
{
	static const char *const endpoint[] = { "NSEndpointSecurityMachServiceName",
		"NSEndpointSecurityEarlyBoot", "NSEndpointSecurityRebootRequired" };
	struct bundle_info *info = reading->info;
	plist_t network = NULL, personalities = NULL;
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(endpoint); i++)
		if (plist_dict_get_item(reading->root, endpoint[i]))
			info->categories |= BUNDLE_CATEGORY_ENDPOINT_SECURITY;
	r = take_dictionary(reading, "NetworkExtension", &network);
	if (r == 0)
		r = take_dictionary(reading, "IOKitPersonalities", &personalities);
	if (r == 0)
		r = take_string(reading, reading->root, endpoint[0], info->service[0],
			sizeof info->service[0]);
	if (r == 0)
		r = take_string(reading, network, "NEMachServiceName", info->service[1],
			sizeof info->service[1]);
	if (network)
		info->categories |= BUNDLE_CATEGORY_NETWORK_EXTENSION;
	if (personalities)
		info->categories |= BUNDLE_CATEGORY_DRIVER_EXTENSION;
	return r;
}

static int take_usage(const struct reading *reading)
{
	const char *key = reading->layout->kind == BUNDLE_DEXT
		? "OSBundleUsageDescription"
		: "NSSystemExtensionUsageDescription";
	int r = take_string(
		reading, reading->root, key, reading->info->usage, sizeof reading->info->usage);

	if (r == 0 && reading->layout->kind != BUNDLE_APP && !reading->info->usage[0]) {
		rule_error(reading->error, RULE_INFO_USAGE_MISSING, reading->path, key, NULL);
		return 1;
	}
	return r;
}

static int read_keys(const struct reading *reading)
{
	struct bundle_info *info = reading->info;
	const struct {
		const char *key;
		char *field;
		size_t bytes;
	} strings[] = {
		{ "CFBundleIdentifier", info->identifier, sizeof info->identifier },
		{ "CFBundleVersion", info->version, sizeof info->version },
		{ "CFBundleShortVersionString", info->short_version, sizeof info->short_version },
		{ "CFBundleName", info->name, sizeof info->name },
		{ "CFBundleDisplayName", info->name, sizeof info->name },
	};
	static int (*const steps[])(const struct reading *reading) = { check_package_type,
		check_identifier, check_versions, take_executable, take_usage, take_categories };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(strings); i++)
		r = take_string(
			reading, reading->root, strings[i].key, strings[i].field, strings[i].bytes);
	for (i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
		r = steps[i](reading);
	if (r == 0)
		r = take_flag(reading, "NSEndpointSecurityEarlyBoot", BUNDLE_EARLY_BOOT);
	if (r == 0)
		r = take_flag(reading, "NSEndpointSecurityRebootRequired", BUNDLE_REBOOT_REQUIRED);
	return r;
}

int info_read(const char *text, size_t bytes, const struct layout *layout, const char *path,
	struct bundle_info *info, struct wire_error *error)
{
	struct reading reading = { .layout = layout, .path = path, .info = info, .error = error };
	int r = plist_read(text, bytes, path, &reading.root, error);

	if (r == 0)
		r = read_keys(&reading);
	if (reading.root)
		plist_free(reading.root);
	return r;
}
