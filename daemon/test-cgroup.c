/* SPDX-License-Identifier: Apache-2.0
 *
 * Cgroups, on whatever layout the machine has: the limits bite, the end of everything in a folder
 * is seen, and what a process made below its own folder goes with it. Runs in a cgroup of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "daemon/cgroup.h"

#define MIB (1024ull * 1024)
#define WAIT_MSEC 20000
#define NAME "extension-1"

static struct cgroup_tree tree;

static void enter(const char *name)
{
	char files[CGROUP_CONTROLLERS + 1][CGROUP_PATH_BYTES];
	size_t i, n = cgroup_procs_files(&tree, name, files);

	for (i = 0; i < n; i++)
		if (file_write_at(AT_FDCWD, files[i], "0") < 0)
			_exit(100);
}

/* @work in a child in NAME; its wait status. */
static int run(int (*work)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		enter(NAME);
		_exit(work());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static struct cgroup_usage usage(void)
{
	struct cgroup_usage used;

	assert_int_equal(cgroup_usage(&tree, NAME, &used), 0);
	return used;
}

static void needs(enum cgroup_controller controller)
{
	if (!(tree.controllers & 1u << controller))
		skip();
}

static int make(void **state)
{
	const struct cgroup_limits limits = {
		.memory_bytes = 32 * MIB, .pids = 8, .cpu_percent = 20
	};

	return cgroup_make(&tree, NAME, &limits);
}

static int unmake(void **state)
{
	return cgroup_remove(&tree, NAME);
}

static int use_memory(void)
{
	const size_t bytes = 64 * MIB;
	char *memory = mmap(
		NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (memory == MAP_FAILED)
		return 1;
	for (i = 0; i < bytes; i += 4096)
		memory[i] = 1;
	return 0;
}

/* Leave memory out of set_limit() to make this red. */
static void memory_is_bounded(void **state)
{
	int status;

	needs(CGROUP_MEMORY);
	assert_int_equal(use_memory(), 0); /* outside of it, the same succeeds */
	status = run(use_memory);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_in_range(usage().out_of_memory, 1, 1);
}

static int use_pids(void)
{
	int n;

	for (n = 0; n < 20; n++) {
		pid_t pid = fork();

		if (pid == 0) {
			pause();
			_exit(0);
		}
		if (pid < 0)
			break;
	}
	return errno == EAGAIN ? n : 100;
}

static void await_empty(void)
{
	struct pollfd events = { .fd = cgroup_events_fd(&tree, NAME), .events = POLLPRI };

	assert_true(events.fd >= 0);
	while (cgroup_is_populated(&tree, NAME)) {
		char text[256];

		assert_int_equal(poll(&events, 1, WAIT_MSEC), 1);
		/* read, so that the next change is told */
		assert_true(pread(events.fd, text, sizeof text, 0) > 0);
	}
	close(events.fd);
}

static void pids_are_bounded_and_all_are_killed(void **state)
{
	int status;

	needs(CGROUP_PIDS);
	status = run(use_pids);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7); /* and itself */
	assert_in_range(usage().forks_refused, 1, 1);
	assert_int_equal(usage().pids, 7);
	assert_true(cgroup_is_populated(&tree, NAME));
	assert_int_equal(cgroup_remove(&tree, NAME), -EBUSY);
	assert_int_equal(cgroup_kill(&tree, NAME), 0);
	await_empty();
}

static int use_cpu(void)
{
	struct timespec now, start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec - start.tv_sec < 2);
	return 0;
}

/* 20 % of 1 to 2 s; a period of 100 ms more, since that is the grain. */
static void cpu_is_bounded(void **state)
{
	needs(CGROUP_CPU);
	assert_int_equal(run(use_cpu), 0);
	assert_in_range(usage().cpu_usec, 1000, 500000);
}

static void a_process_is_found_by_its_folder(void **state)
{
	int pair[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		enter(NAME);
		_exit(write(pair[1], "x", 1) == 1 ? pause() : 1);
	}
	assert_int_equal(read(pair[0], &byte, 1), 1);
	assert_true(cgroup_has_pid(&tree, NAME, pid));
	assert_false(cgroup_has_pid(&tree, NAME, getpid()));
	assert_false(cgroup_has_pid(&tree, "extension-2", pid));
	assert_int_equal(cgroup_kill(&tree, NAME), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	await_empty();
	close(pair[0]);
	close(pair[1]);
}

static void folders_below_go_with_it(void **state)
{
	char path[CGROUP_PATH_BYTES + 32];

	snprintf(path, sizeof path, "%s/" NAME "/own", tree.unified);
	assert_int_equal(mkdir(path, 0755), 0);
	strcat(path, "/deeper");
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(cgroup_remove(&tree, NAME), 0);
	assert_int_equal(cgroup_remove(&tree, NAME), 0);
	assert_int_equal(cgroup_kill(&tree, NAME), -ENOENT);
	assert_int_equal(cgroup_events_fd(&tree, NAME), -ENOENT);
	assert_false(cgroup_is_populated(&tree, NAME));
}

/* An extension of the outboardd before this one is in it: limits are set anew, nothing is lost. */
static void a_folder_that_is_there_is_taken(void **state)
{
	const struct cgroup_limits limits = {
		.memory_bytes = 128 * MIB, .pids = 8, .cpu_percent = 200
	};

	assert_int_equal(cgroup_make(&tree, NAME, &limits), 0);
	assert_int_equal(run(use_memory), 0);
}

static void the_id_is_the_folders(void **state)
{
	struct stat status;
	uint64_t id;

	assert_int_equal(stat(tree.unified, &status), 0);
	assert_int_equal(cgroup_id(tree.unified, &id), 0);
	assert_true(id == status.st_ino);
	assert_int_equal(cgroup_id("/nowhere", &id), -ENOENT);
}

static int enter_folder(void)
{
	return file_write_at(AT_FDCWD, "../cgroup.procs", "0") == 0 ? 0 : 1;
}

/*
 * What systemd does after a kill -9 of the service: while an extension runs, nothing can be started
 * in the service's folder until the controllers have been released; then their limits hold again.
 */
static void a_service_can_be_started_again(void **state)
{
	const struct cgroup_limits limits = {
		.memory_bytes = 32 * MIB, .pids = 8, .cpu_percent = 20
	};
	int status;
	pid_t pid;

	if (tree.legacy[CGROUP_MEMORY][0])
		skip(); /* only v2 has that rule */
	pid = fork();
	if (pid == 0) {
		enter(NAME);
		_exit(pause());
	}
	while (!cgroup_is_populated(&tree, NAME))
		;
	assert_int_equal(chdir(tree.unified), 0);
	assert_int_equal(chdir(NAME), 0);
	status = run(enter_folder);
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(cgroup_release(), 0);
	status = run(enter_folder);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(cgroup_open(&tree), 0);
	assert_int_equal(cgroup_make(&tree, NAME, &limits), 0);
	status = run(use_memory);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(cgroup_kill(&tree, NAME), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	await_empty();
}

/* Only from within the leaf: else what is divided would be somebody else's. */
static int open_tree_(void **state)
{
	struct cgroup_tree none;

	assert_int_equal(cgroup_open(&none), -ENOTSUP);
	assert_int_equal(cgroup_enter_leaf("daemon"), 0);
	assert_int_equal(cgroup_open(&tree), 0);
	assert_true(str_ends(tree.unified, "/service"));
	print_message("memory %s, pids %s, cpu %s\n", tree.legacy[CGROUP_MEMORY][0] ? "v1" : "v2",
		tree.legacy[CGROUP_PIDS][0] ? "v1" : "v2",
		tree.legacy[CGROUP_CPU][0] ? "v1" : "v2");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)
		TEST(memory_is_bounded),
		TEST(pids_are_bounded_and_all_are_killed),
		TEST(cpu_is_bounded),
		TEST(a_process_is_found_by_its_folder),
		TEST(folders_below_go_with_it),
		TEST(a_folder_that_is_there_is_taken),
		TEST(a_service_can_be_started_again),
		cmocka_unit_test(the_id_is_the_folders),
#undef TEST
	};

	return cmocka_run_group_tests_name("cgroup", tests, open_tree_, NULL);
}
