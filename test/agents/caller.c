/* SPDX-License-Identifier: Apache-2.0
 *
 * caller SERVICE REQUESTS FILE: asks a service for the pid that answers, so many times and until FILE
 * is there, and prints what a caller felt: "asked 1000 answered 1000 copies 11 longest 143 ms". An answer by a copy that another
 * one has followed already ends it with 1; so does a request that nobody answers. A connection that
 * ends without an answer is followed by another one: the question was not lost, it is asked again.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <Outboard/service.h>

#define COPIES_MAX 64

static pid_t copies[COPIES_MAX];
static size_t n_copies;

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1000000;
}

static int call(int fd)
{
	char answer[32];
	ssize_t n;

	if (send(fd, "pid", 3, MSG_NOSIGNAL) != 3)
		return 0;
	n = recv(fd, answer, sizeof answer - 1, 0);
	if (n <= 0)
		return 0;
	answer[n] = '\0';
	return atoi(answer);
}

/* One question, over as many connections as it takes; 20 s are a ceiling, not a wait. */
static pid_t ask(const char *service, int *fd)
{
	const struct timeval ceiling = { .tv_sec = 20 };
	double began = now_ms();

	while (now_ms() - began < 20000) {
		pid_t pid;

		if (*fd < 0) {
			if (ob_service_connect(service, fd) < 0)
				return 0;
			setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &ceiling, sizeof ceiling);
		}
		pid = call(*fd);
		if (pid > 0)
			return pid;
		close(*fd);
		*fd = -1;
	}
	return 0;
}

/*
 * Between two questions: until the copy that has answered closes the connection, which is when the
 * next question is worth most, or 10 ms. These are a pace, and wait for nothing: without it all
 * questions would be asked before the first upgrade.
 */
static void await_end(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLRDHUP };

	poll(&poll_fd, 1, 10);
}

/* 0: by the newest copy that was seen, or by a newer one. */
static int note(pid_t pid)
{
	size_t i;

	if (n_copies > 0 && copies[n_copies - 1] == pid)
		return 0;
	for (i = 0; i < n_copies; i++)
		if (copies[i] == pid)
			return -1;
	if (n_copies == COPIES_MAX)
		return -1;
	copies[n_copies++] = pid;
	return 0;
}

int main(int argc, char **argv)
{
	double longest = 0;
	int asked, n = argc > 3 ? atoi(argv[2]) : 0, fd = -1;

	for (asked = 1; asked <= n || access(argv[3], F_OK) < 0; asked++) {
		double began = now_ms(), took;
		pid_t pid = ask(argv[1], &fd);

		if (pid <= 0) {
			printf("request %d was not answered: %s\n", asked, strerror(errno));
			return 1;
		}
		if (note(pid) < 0) {
			printf("request %d was answered by %d, which had a successor\n", asked,
				(int)pid);
			return 1;
		}
		took = now_ms() - began;
		longest = took > longest ? took : longest;
		await_end(fd);
	}
	printf("asked %d answered %d copies %zu longest %.0f ms\n", asked - 1, asked - 1, n_copies,
		longest);
	return 0;
}
