/* SPDX-License-Identifier: Apache-2.0
 *
 * What came over the wire about a copy of an extension, as objects that a callback can keep.
 */
#ifndef OB_MANAGER_LIB_PROPERTIES_H
#define OB_MANAGER_LIB_PROPERTIES_H

#include <SystemExtensions/SystemExtensions.h>
#include "manager/request-wire.h"

/* 0, -EPROTO: not what outboardd sends (a string without its end), -ENOMEM. */
int properties_new(
	const struct wire_properties *wire, const os_system_extension_properties_t **ret);
int info_new(const struct request_workspace_event *wire, const os_system_extension_info_t **ret);

/* Whoever makes an object gives its reference back through a pointer to const. */
static inline const os_system_extension_properties_t *properties_unref(
	const os_system_extension_properties_t *properties)
{
	return os_system_extension_properties_release(
		(os_system_extension_properties_t *)(uintptr_t)properties);
}

static inline const os_system_extension_info_t *info_unref(const os_system_extension_info_t *info)
{
	return os_system_extension_info_release((os_system_extension_info_t *)(uintptr_t)info);
}

#endif
