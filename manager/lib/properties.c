/* SPDX-License-Identifier: Apache-2.0
 *
 * OSSystemExtensionProperties and OSSystemExtensionInfo: immutable, counted, made from one message.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/str.h"
#include "manager/lib/properties.h"

ob_export const char *const OSSystemExtensionErrorDomain = "OSSystemExtensionErrorDomain";
ob_export const char
	*const NSSystemExtensionUsageDescriptionKey = "NSSystemExtensionUsageDescription";
ob_export const char *const OSBundleUsageDescriptionKey = "OSBundleUsageDescription";
ob_export const char *const OSRelatedKernelExtensionKey = "OSRelatedKernelExtension";

#define URL_PREFIX "file://"

struct os_system_extension_properties_s {
	atomic_uint n_references;
	struct wire_properties wire;
	/* each byte of the path may need three */
	char url[sizeof URL_PREFIX + 3 * MEMBER_SIZE(struct wire_properties, path)];
};

struct os_system_extension_info_s {
	atomic_uint n_references;
	struct request_workspace_event wire;
};

/* RFC 3986, 2.3: what stands for itself in a URL, and the slash between the parts of a path. */
static bool stands_for_itself(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		(c && strchr("-._~/", c));
}

static void url_of_path(const char *path, char *url)
{
	static const char hex[] = "0123456789ABCDEF";

	if (*path)
		url = stpcpy(url, URL_PREFIX);
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (stands_for_itself(c)) {
			*url++ = (char)c;
		} else {
			*url++ = '%';
			*url++ = hex[c >> 4];
			*url++ = hex[c & 15];
		}
	}
	*url = '\0';
}

static bool strings_end(const struct wire_properties *wire)
{
	return STR_FIELD_OK(wire->identifier) && STR_FIELD_OK(wire->version) &&
		STR_FIELD_OK(wire->short_version) && STR_FIELD_OK(wire->running_version) &&
		STR_FIELD_OK(wire->team) && STR_FIELD_OK(wire->digest) &&
		STR_FIELD_OK(wire->state) && STR_FIELD_OK(wire->path);
}

int properties_new(const struct wire_properties *wire, const os_system_extension_properties_t **ret)
{
	os_system_extension_properties_t *properties;

	if (!strings_end(wire))
		return -EPROTO;
	properties = malloc(sizeof *properties);
	if (!properties)
		return -ENOMEM;
	atomic_init(&properties->n_references, 1);
	properties->wire = *wire;
	url_of_path(wire->path, properties->url);
	*ret = properties;
	return 0;
}

int info_new(const struct request_workspace_event *wire, const os_system_extension_info_t **ret)
{
	os_system_extension_info_t *info;

	if (!STR_FIELD_OK(wire->identifier) || !STR_FIELD_OK(wire->version) ||
		!STR_FIELD_OK(wire->short_version))
		return -EPROTO;
	info = malloc(sizeof *info);
	if (!info)
		return -ENOMEM;
	atomic_init(&info->n_references, 1);
	info->wire = *wire;
	*ret = info;
	return 0;
}

ob_export os_system_extension_properties_t *os_system_extension_properties_retain(
	const os_system_extension_properties_t *borrowed)
{
	/* the count is not part of what const promises */
	os_system_extension_properties_t *properties = (void *)(uintptr_t)borrowed;

	if (properties)
		atomic_fetch_add_explicit(&properties->n_references, 1, memory_order_relaxed);
	return properties;
}

ob_export os_system_extension_properties_t *os_system_extension_properties_release(
	os_system_extension_properties_t *properties)
{
	if (properties &&
		atomic_fetch_sub_explicit(&properties->n_references, 1, memory_order_acq_rel) == 1)
		free(properties);
	return NULL;
}

ob_export os_system_extension_info_t *os_system_extension_info_retain(
	const os_system_extension_info_t *borrowed)
{
	os_system_extension_info_t *info = (void *)(uintptr_t)borrowed;

	if (info)
		atomic_fetch_add_explicit(&info->n_references, 1, memory_order_relaxed);
	return info;
}

ob_export os_system_extension_info_t *os_system_extension_info_release(
	os_system_extension_info_t *info)
{
	if (info && atomic_fetch_sub_explicit(&info->n_references, 1, memory_order_acq_rel) == 1)
		free(info);
	return NULL;
}

#define GET_STRING(name, type, field)                  \
	ob_export const char *name(const type *object) \
	{                                              \
		return object ? object->field : "";    \
	}

GET_STRING(os_system_extension_properties_get_url, os_system_extension_properties_t, url)
GET_STRING(os_system_extension_properties_get_bundle_identifier, os_system_extension_properties_t,
	wire.identifier)
GET_STRING(os_system_extension_properties_get_bundle_version, os_system_extension_properties_t,
	wire.version)
GET_STRING(os_system_extension_properties_get_bundle_short_version,
	os_system_extension_properties_t, wire.short_version)
GET_STRING(ob_system_extension_properties_get_path, os_system_extension_properties_t, wire.path)
GET_STRING(ob_system_extension_properties_get_team_identifier, os_system_extension_properties_t,
	wire.team)
GET_STRING(ob_system_extension_properties_get_digest, os_system_extension_properties_t, wire.digest)
GET_STRING(ob_system_extension_properties_get_state, os_system_extension_properties_t, wire.state)
GET_STRING(
	os_system_extension_info_get_bundle_identifier, os_system_extension_info_t, wire.identifier)
GET_STRING(os_system_extension_info_get_bundle_version, os_system_extension_info_t, wire.version)
GET_STRING(os_system_extension_info_get_bundle_short_version, os_system_extension_info_t,
	wire.short_version)

#define GET_FLAG(name, flag)                                                    \
	ob_export bool name(const os_system_extension_properties_t *properties) \
	{                                                                       \
		return properties && properties->wire.flags & (flag);           \
	}

GET_FLAG(os_system_extension_properties_is_enabled, PROPERTIES_ENABLED)
GET_FLAG(
	os_system_extension_properties_is_awaiting_user_approval, PROPERTIES_AWAITING_USER_APPROVAL)
GET_FLAG(os_system_extension_properties_is_uninstalling, PROPERTIES_UNINSTALLING)
GET_FLAG(ob_system_extension_properties_is_active, PROPERTIES_ACTIVE)

ob_export int ob_system_extension_properties_get_running(
	const os_system_extension_properties_t *properties, pid_t *ret_pid,
	const char **ret_version)
{
	if (!properties)
		return -EINVAL;
	if (!(properties->wire.flags & PROPERTIES_RUNNING))
		return -ESRCH;
	if (ret_pid)
		*ret_pid = properties->wire.pid;
	if (ret_version)
		*ret_version = properties->wire.running_version;
	return 0;
}
