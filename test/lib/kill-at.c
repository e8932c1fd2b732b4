/* SPDX-License-Identifier: Apache-2.0
 *
 * kill-at [--point N] [--signal KILL|STOP] [--match TEXT] PID: end or stop a process at one exact
 * moment of its work on a file.
 *
 * A point is one side (before, after) of a system call that changes or syncs a file whose path
 * holds TEXT (default: registry.db). At point N the whole process gets the signal while the thread
 * stands still: before the call it has not happened, after it the caller does not know yet that it
 * has. So a test that walks N from 1 until no point is left has seen every state that a crash can
 * leave on disk.
 *
 * Prints "attached" when every thread is traced, then a line a point, "N before pwrite64 ...", and
 * at the end "killed at N", or "seen M" when the process ended first or SIGTERM came.
 * Exit: 0 the signal was sent; 3 there was no such point; 1 failed; 2 usage.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/macros.h"
#include "base/str.h"

static const struct call {
	uint64_t number;
	const char *name;
	int fd_argument; /* -1: the first argument is a path, not a descriptor */
} calls[] = {
	{ SYS_write, "write", 0 },
	{ SYS_pwrite64, "pwrite64", 0 },
	{ SYS_writev, "writev", 0 },
	{ SYS_pwritev, "pwritev", 0 },
	{ SYS_fsync, "fsync", 0 },
	{ SYS_fdatasync, "fdatasync", 0 },
	{ SYS_ftruncate, "ftruncate", 0 },
	{ SYS_fallocate, "fallocate", 0 },
	{ SYS_unlink, "unlink", -1 },
	{ SYS_rename, "rename", -1 },
};

static struct {
	pid_t pid;
	unsigned long point;
	int signal;
	const char *match;
	unsigned long seen;
} job = { .signal = SIGKILL, .match = "registry.db" };

static volatile sig_atomic_t told_to_end;

static void on_term(int signal)
{
	told_to_end = 1;
}

static const struct call *call_of(uint64_t number)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		if (calls[i].number == number)
			return &calls[i];
	return NULL;
}

/* The path that the call is about, from the descriptor's link or from the tracee's memory. */
static bool path_of_call(
	const struct call *call, const uint64_t args[static 6], char path[static 4096])
{
	char link[64];
	ssize_t n;

	if (call->fd_argument < 0) {
		FILE *memory;
		size_t got;

		snprintf(link, sizeof link, "/proc/%d/mem", (int)job.pid);
		memory = fopen(link, "re");
		if (!memory)
			return false;
		got = fseeko(memory, (off_t)args[0], SEEK_SET) == 0 ? fread(path, 1, 255, memory)
								    : 0;
		fclose(memory);
		path[got] = '\0';
		return got > 0;
	}
	snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)job.pid, (int)args[call->fd_argument]);
	n = readlink(link, path, 4095);
	path[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* One side of one call. True when this was the point and the process has got its signal. */
static bool at_point(const char *side, const struct call *call, const char *path)
{
	const char *name = strrchr(path, '/');

	job.seen++;
	printf("%lu %s %s %s\n", job.seen, side, call->name, name ? name + 1 : path);
	fflush(stdout);
	if (job.point == 0 || job.seen != job.point)
		return false;
	kill(job.pid, job.signal);
	printf("killed at %lu\n", job.seen);
	fflush(stdout);
	return true;
}

/* What each thread is in the middle of: the exit of a call does not say which call it was. */
static struct thread {
	pid_t tid;
	const struct call *call;
	char path[4096];
} threads[64];

static struct thread *thread_of(pid_t tid)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(threads); i++) {
		if (threads[i].tid == tid)
			return &threads[i];
		if (threads[i].tid == 0) {
			threads[i].tid = tid;
			return &threads[i];
		}
	}
	return NULL;
}

static bool on_syscall_stop(pid_t tid)
{
	struct __ptrace_syscall_info info;
	struct thread *thread = thread_of(tid);
	const struct call *call;
	uint64_t args[6];

	if (!thread || ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info) <= 0)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		call = thread->call;
		thread->call = NULL;
		return call && at_point("after", call, thread->path);
	}
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	memcpy(args, info.entry.args, sizeof args);
	call = call_of(info.entry.nr);
	if (!call || !path_of_call(call, args, thread->path) || !strstr(thread->path, job.match))
		return false;
	thread->call = call;
	return at_point("before", call, thread->path);
}

static int attach(pid_t pid)
{
	const struct dirent *entry;
	char path[64];
	DIR *folder;
	int n = 0;

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	folder = opendir(path);
	if (!folder)
		return -errno;
	while ((entry = readdir(folder))) {
		pid_t tid = (pid_t)atoi(entry->d_name);

		if (tid <= 0)
			continue;
		if (ptrace(PTRACE_SEIZE, tid, NULL,
			    (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE)) < 0 ||
			ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0) {
			int r = -errno;

			closedir(folder);
			return r;
		}
		n++;
	}
	closedir(folder);
	return n;
}

/* Let @tid go on until its next call, with the signal that stopped it, if one did. */
static void go_on(pid_t tid, int status)
{
	int stop = WSTOPSIG(status), event = status >> 16;

	if (event == PTRACE_EVENT_STOP && (stop == SIGSTOP || stop == SIGTSTP)) {
		ptrace(PTRACE_LISTEN, tid, NULL, NULL);
		return;
	}
	if (event != 0 || stop == (SIGTRAP | 0x80) || stop == SIGTRAP)
		stop = 0;
	ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(long)stop);
}

static int trace(void)
{
	int status, waiting = attach(job.pid);
	pid_t tid;

	if (waiting < 0)
		return waiting;
	while (!told_to_end) {
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0 || (tid == job.pid && !WIFSTOPPED(status)))
			break;
		if (!WIFSTOPPED(status))
			continue;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) && on_syscall_stop(tid))
			return 0; /* our end lets every thread go: into the signal */
		go_on(tid, status);
		if (waiting > 0 && --waiting == 0) {
			printf("attached\n");
			fflush(stdout);
		}
	}
	printf("seen %lu\n", job.seen);
	return 3;
}

static const struct option options[] = {
	{ "point", required_argument, NULL, 'p' },
	{ "signal", required_argument, NULL, 's' },
	{ "match", required_argument, NULL, 'm' },
	{ 0 },
};

int main(int argc, char **argv)
{
	const struct sigaction action = {
		.sa_handler = on_term
	}; /* no SA_RESTART: wakes waitpid */
	int c, r;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'p')
			job.point = strtoul(optarg, NULL, 10);
		else if (c == 'm')
			job.match = optarg;
		else if (c == 's' && streq(optarg, "STOP"))
			job.signal = SIGSTOP;
		else if (c != 's' || !streq(optarg, "KILL"))
			return 2;
	}
	if (optind + 1 != argc || (job.pid = (pid_t)atoi(argv[optind])) <= 0) {
		fprintf(stderr,
			"usage: kill-at [--point N] [--signal KILL|STOP] [--match TEXT] PID\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	r = trace();
	if (r < 0) {
		fprintf(stderr, "kill-at: cannot trace process %d: %s\n", (int)job.pid,
			strerror(-r));
		return 1;
	}
	return r;
}
