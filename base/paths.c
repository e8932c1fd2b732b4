/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of paths, see paths.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/macros.h"
#include "base/paths.h"

static const char *const paths[PATH_MAX_] = {
	[PATH_CONFIG] = "/etc/outboard",
	[PATH_VENDOR] = "/usr/lib/outboard",
	[PATH_STATE] = "/var/lib/outboard",
	[PATH_LOG] = "/var/log/outboard",
	[PATH_RUN] = "/run/outboard",
	[PATH_MANAGER_SOCKET] = "/run/outboard/manager.sock",
	[PATH_CONTROL_SOCKET] = "/run/outboard/control.sock",
	[PATH_ENDPOINT_SOCKET] = "/run/outboard/endpoint.sock",
	[PATH_SERVICES] = "/run/outboard/services",
};

const char *path_get(enum path path, const char *tail, char buffer[static PATH_MAX])
{
	const char *root = secure_getenv("OUTBOARD_ROOT");

	snprintf(buffer, PATH_MAX, "%s%s%s%s", root ? root : "", paths[path], tail ? "/" : "",
		tail ? tail : "");
	return buffer;
}

const char *path_program(const char *name, char buffer[static PATH_MAX])
{
	const char *folder = secure_getenv("OUTBOARD_LIBEXEC");

	snprintf(buffer, PATH_MAX, "%s/%s", folder ? folder : "/usr/lib/outboard", name);
	return buffer;
}
