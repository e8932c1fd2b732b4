/* SPDX-License-Identifier: Apache-2.0
 *
 * The first process of a scope: it is pid 1 there, so every orphan becomes its child, and what
 * still lives after the command can be counted, named and ended.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "test/lib/scope.h"

#define END_MSEC 2000 /* what the command has told to end may take this long */

static int64_t now_msec(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sigchld_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
}

static pid_t command_start(char **command)
{
	sigset_t none;
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	execvp(command[0], command);
	fprintf(stderr, "scope: %s: %s\n", command[0], strerror(errno));
	_exit(127);
}

/* Reaps all children until @command has ended. */
static int command_wait(pid_t command)
{
	sigset_t set;
	int status, signal;
	pid_t pid;

	sigchld_set(&set);
	for (;;) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid == command)
				return WIFEXITED(status) ? WEXITSTATUS(status)
							 : 128 + WTERMSIG(status);
		}
		sigwait(&set, &signal);
	}
}

/* Do all others end within @msec? Signalled ones are reported by SIGCHLD, never polled. */
static bool others_end(int64_t msec)
{
	int64_t until = now_msec() + msec, left;
	sigset_t set;
	pid_t pid;

	sigchld_set(&set);
	for (;;) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			return true;
		left = until - now_msec();
		if (left <= 0)
			return false;
		sigtimedwait(
			&set, NULL, &(struct timespec){ left / 1000, (left % 1000) * 1000000 });
	}
}

static void process_name(const char *pid)
{
	_cleanup_free_ char *words = NULL;
	char path[64];
	size_t bytes = 0;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	file_read_at(-1, path, 65536, &words, &bytes);
	for (size_t i = 0; i + 1 < bytes; i++)
		words[i] = words[i] ? words[i] : ' ';
	fprintf(stderr, "scope: left behind: process %s %.200s\n", pid, str_or(words, ""));
}

/* Names what lives beside pid 1 and ends it. */
static int processes_end(void)
{
	int n = 0;

	if (others_end(END_MSEC))
		return 0;
	for (int pid = 2; pid < 65536; pid++) {
		char name[16];

		if (kill(pid, 0) < 0)
			continue;
		snprintf(name, sizeof(name), "%d", pid);
		process_name(name);
		n++;
	}
	kill(-1, SIGKILL);
	others_end(END_MSEC);
	return n;
}

static void keep(int code)
{
	sigset_t set;
	int signal;

	fprintf(stderr,
		"scope: the command ended with %d; the scope is kept until SIGTERM.\n"
		"scope: enter it with: nsenter --target $(pgrep -n -x scope) --all\n",
		code);
	sigchld_set(&set);
	for (;;) {
		sigwait(&set, &signal);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

_Noreturn void scope_inside(const struct scope *scope)
{
	sigset_t set;
	int code, left;
	pid_t command;

	sigchld_set(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	if (scope_dress(scope) < 0)
		_exit(1);
	command = command_start(scope->command);
	if (command < 0) {
		fprintf(stderr, "scope: fork: %s\n", strerror(errno));
		_exit(1);
	}
	code = command_wait(command);
	if (scope->keep)
		keep(code);
	left = processes_end() + scope_count_left();
	_exit(code == 0 && left > 0 ? SCOPE_LEFT_BEHIND : code);
}
