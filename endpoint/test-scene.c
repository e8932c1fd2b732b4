/* SPDX-License-Identifier: Apache-2.0
 *
 * See test-scene.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/paths.h"
#include "endpoint/test-scene.h"

pid_t esd;
sem_t something;

bool scene_begin(const char *test)
{
	char path[PATH_MAX];

	if (geteuid() != 0 || !getenv("SCOPE_CGROUP")) {
		fprintf(stderr, "%s: needs root and a scope (test/lib/scope)\n", test);
		return false;
	}
	sem_init(&something, 0, 0);
	mkdir_path(path_get(PATH_RUN, NULL, path), 0755);
	return true;
}

void scene_use_plain_sources(void)
{
	char path[PATH_MAX];
	FILE *file;

	mkdir_path(path_get(PATH_CONFIG, NULL, path), 0755);
	path_get(PATH_CONFIG, "outboard.conf", path);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("[endpoint]\nsources = plain\n", file);
	fclose(file);
}

void esd_start(const char *filesystem)
{
	char program[PATH_MAX], path[PATH_MAX], word[6];
	int out[2];

	assert_int_equal(pipe(out), 0);
	esd = fork();
	if (esd == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execl(path_program("outboard-esd", program), "outboard-esd", "--standalone",
			"--listen", path_get(PATH_ENDPOINT_SOCKET, NULL, path), "--scope",
			getenv("SCOPE_CGROUP"), filesystem ? "--scope-filesystem" : NULL,
			filesystem, NULL);
		_exit(127);
	}
	close(out[1]);
	assert_int_equal(read(out[0], word, sizeof word), 6); /* "ready\n" */
	close(out[0]);
}

void esd_stop(void)
{
	assert_int_equal(kill(esd, SIGKILL), 0);
	assert_int_equal(waitpid(esd, NULL, 0), esd);
}

void await_count(const atomic_uint *counter, unsigned n)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_SECONDS;
	while (*counter < n)
		if (sem_timedwait(&something, &until) < 0 && errno == ETIMEDOUT)
			fail_msg("%u messages in %d s, expected %u", *counter, PATIENCE_SECONDS, n);
}
