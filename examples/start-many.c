/* SPDX-License-Identifier: Apache-2.0
 *
 * start-many N PROGRAM [ARGUMENT...]: starts the program N times, one after the other, and says of each
 * what its caller saw, as it happens:
 *
 *     PID ERRNO START LIFE
 *
 * START: microseconds until execve(2) had returned or the program was there; LIFE: from then until it
 * had ended. A program that could not be started has PID 0 and ERRNO.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ll + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	int i, n = argc > 2 ? atoi(argv[1]) : 0;

	if (n <= 0) {
		fprintf(stderr, "usage: start-many N PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < n; i++) {
		long long began = now_us(), started;
		pid_t pid = 0;
		int r = posix_spawn(&pid, argv[2], NULL, NULL, &argv[2], environ);

		started = now_us();
		if (r == 0 && waitpid(pid, NULL, 0) != pid)
			r = errno;
		printf("%d %d %lld %lld\n", r == 0 ? (int)pid : 0, r, started - began,
			now_us() - started);
	}
	return 0;
}
