/* SPDX-License-Identifier: Apache-2.0
 *
 * await-path [--gone] [--seconds N] PATH
 *
 * Ends with 0 once PATH is there (a socket: once somebody accepts on it), or gone; with 1 after N
 * seconds (20). For scripts, which have no inotify(7): they wait for an event and not for a time.
 */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"

#define TRIES_MSEC 10 /* a socket that is bound but does not listen yet tells nobody when it does */

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Does something accept? Any kind of socket: connect(2) says EPROTOTYPE for the wrong one. */
static bool socket_answers(const char *path)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (STR_PUT(address.sun_path, path) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		_cleanup_fd_ int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);

		if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return true;
		if (errno != EPROTOTYPE)
			return false;
	}
	return true;
}

static bool is_there(const char *path, bool *ret_bound)
{
	struct stat status;

	*ret_bound = false;
	if (lstat(path, &status) < 0)
		return false;
	*ret_bound = S_ISSOCK(status.st_mode);
	return !*ret_bound || socket_answers(path);
}

/* Watches the deepest folder of @path that is there: where the next change must happen. */
static int watch(int fd, const char *path)
{
	char folder[PATH_MAX];

	STR_PUT(folder, path);
	do {
		dirname(folder);
		if (inotify_add_watch(fd, folder,
			    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |
				    IN_ONLYDIR) >= 0)
			return 0;
	} while (errno == ENOENT && !streq(folder, "/"));
	return -errno;
}

static int await(const char *path, bool gone, int64_t until)
{
	_cleanup_fd_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char events[4096];

	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		bool bound, there;
		int64_t left;
		int r = watch(fd, path);

		if (r < 0)
			return r;
		there = is_there(path, &bound);
		if (there != gone && (!gone || !bound))
			return 0;
		left = until - now_msec();
		if (left <= 0)
			return -ETIMEDOUT;
		poll(&poll_fd, 1, (int)(bound && !gone ? TRIES_MSEC : left));
		while (read(fd, events, sizeof(events)) > 0)
			;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "gone", no_argument, NULL, 'g' },
		{ "seconds", required_argument, NULL, 's' },
		{ 0 },
	};
	bool gone = false;
	long seconds = 20;
	int option, r;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		gone |= option == 'g';
		if (option == 's')
			seconds = strtol(optarg, NULL, 10);
		if (option == '?')
			return 2;
	}
	if (optind != argc - 1) {
		fprintf(stderr, "usage: await-path [--gone] [--seconds N] PATH\n");
		return 2;
	}
	r = await(argv[optind], gone, now_msec() + seconds * 1000);
	if (r < 0)
		fprintf(stderr, "await-path: %s: %s\n", argv[optind], strerror(-r));
	return r < 0;
}
