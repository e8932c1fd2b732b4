/* SPDX-License-Identifier: Apache-2.0
 *
 * Who follows the log: each a pipe, into which whole lines are written without waiting. One who
 * does not read loses the pipe, and sees its end, not a gap.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/control-internal.h"

#define PIPE_BYTES (1 << 20)

static void follower_drop(struct control *control, size_t i)
{
	fd_close(control->followers[i].fd);
	control->followers[i] = control->followers[--control->n_followers];
}

/* A pipe without a reader: its follower has gone since the last line. */
static void drop_gone(struct control *control)
{
	for (size_t i = control->n_followers; i > 0; i--) {
		struct pollfd ask = { .fd = control->followers[i - 1].fd };

		if (poll(&ask, 1, 0) > 0 && (ask.revents & POLLERR))
			follower_drop(control, i - 1);
	}
}

int control_log_follow(struct control *control, const char *source, int *ret_fd)
{
	struct control_follower *follower;
	int fds[2];

	drop_gone(control);
	if (control->n_followers == CONTROL_FOLLOWERS_MAX)
		return -ENOSPC;
	if (strlen(source) >= sizeof(follower->source))
		return -ENAMETOOLONG;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* The reader's end blocks; a larger pipe is a wish, not a need. */
	fcntl(fds[0], F_SETFL, 0);
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
	follower = &control->followers[control->n_followers++];
	follower->fd = fds[1];
	STR_PUT(follower->source, source);
	*ret_fd = fds[0];
	return 0;
}

/* Whole or not at all: up to PIPE_BUF by the kernel's promise, beyond that cut. */
static bool follower_write(int fd, const char *line, size_t bytes)
{
	char text[PIPE_BUF];

	if (bytes > sizeof(text) - 1)
		bytes = sizeof(text) - 1;
	memcpy(text, line, bytes);
	text[bytes] = '\n';
	return write(fd, text, bytes + 1) == (ssize_t)bytes + 1;
}

void control_log_line(struct control *control, const char *source, const char *line, size_t bytes)
{
	for (size_t i = control->n_followers; i > 0; i--) {
		struct control_follower *follower = &control->followers[i - 1];

		if (*follower->source && !streq(follower->source, source))
			continue;
		if (!follower_write(follower->fd, line, bytes))
			follower_drop(control, i - 1);
	}
}

void control_log_done(struct control *control)
{
	while (control->n_followers > 0)
		follower_drop(control, control->n_followers - 1);
}
