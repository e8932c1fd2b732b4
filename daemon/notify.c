/* SPDX-License-Identifier: Apache-2.0
 *
 * Telling the service manager, see notify.h.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/fd.h"
#include "base/str.h"
#include "daemon/notify.h"

void notify_system(const char *state)
{
	const char *path = secure_getenv("NOTIFY_SOCKET");
	_cleanup_fd_ int fd = -1;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t bytes;

	if (!path || (path[0] != '/' && path[0] != '@') ||
		str_put(address.sun_path, sizeof address.sun_path, path) < 0)
		return;
	bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		(void)!sendto(
			fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, bytes);
}
