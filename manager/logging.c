/* SPDX-License-Identifier: Apache-2.0
 *
 * Where output goes, see logging.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "manager/logging.h"

int logging_daemon_fd(struct children *children, int *ret_fd)
{
	int stored = children_stored(children, "log-write:daemon");
	/* outboardd --log-stderr stores none */
	int fd = fcntl(stored < 0 ? STDERR_FILENO : stored, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}
