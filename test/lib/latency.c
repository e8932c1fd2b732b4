/* SPDX-License-Identifier: Apache-2.0
 *
 * latency [ROUNDS]: how long a neighbour waits. Each round runs a program, opens a file and
 * connects to a TCP listener of its own on the loopback; prints one line a kind, in microseconds:
 * "exec p50 410 p99 900 max 1200". A test runs it before and beside a misbehaving extension.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"

#define ROUNDS_MAX 100000

static int listener = -1;
static struct sockaddr_in address = { .sin_family = AF_INET };

static double now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* The program is this one, told to do nothing: no shell's start-up is in the figure. */
static int run_once(void)
{
	char self[] = "/proc/self/exe", word[] = "nothing";
	char *const argv[] = { self, word, NULL };
	char *const environment[] = { NULL };
	int status;
	pid_t pid;

	if (posix_spawn(&pid, self, NULL, NULL, argv, environment) != 0)
		return -1;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int open_once(void)
{
	_cleanup_fd_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : 0;
}

static int connect_once(void)
{
	_cleanup_fd_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer = -1;
	const struct linger at_once = { 1, 0 };

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -1;
	peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	return peer < 0 ? -1 : 0;
}

static const struct kind {
	const char *name;
	int (*once)(void);
} kinds[] = { { "exec", run_once }, { "open", open_once }, { "connect", connect_once } };

static double taken[ARRAY_SIZE(kinds)][ROUNDS_MAX];

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int listen_on_loopback(void)
{
	socklen_t bytes = sizeof address;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
		listen(listener, 16) < 0 ||
		getsockname(listener, (struct sockaddr *)&address, &bytes) < 0)
		return -errno;
	return 0;
}

int main(int argc, char **argv)
{
	size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 200, i, k;
	int r;

	if (argc > 1 && streq(argv[1], "nothing"))
		return 0;
	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	r = listen_on_loopback();
	if (r < 0) {
		fprintf(stderr, "latency: no listener on the loopback: %s\n", strerror(-r));
		return 1;
	}
	for (i = 0; i < rounds; i++) {
		for (k = 0; k < ARRAY_SIZE(kinds); k++) {
			double start = now_us();

			if (kinds[k].once() < 0) {
				fprintf(stderr, "latency: %s failed: %s\n", kinds[k].name,
					strerror(errno));
				return 1;
			}
			taken[k][i] = now_us() - start;
		}
	}
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		qsort(taken[k], rounds, sizeof taken[k][0], compare);
		printf("%s p50 %.0f p99 %.0f max %.0f\n", kinds[k].name, taken[k][rounds / 2],
			taken[k][rounds * 99 / 100], taken[k][rounds - 1]);
	}
	return 0;
}
