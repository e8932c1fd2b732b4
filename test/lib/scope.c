/* SPDX-License-Identifier: Apache-2.0
 *
 * scope [--keep] [--users] -- COMMAND [ARGUMENT...]
 *
 * Runs a command as root in a small world of its own, so that tests that touch kernel state can
 * run beside each other and beside a real Outboard: namespaces (mount, pid, net, ipc, uts), a
 * cgroup in every hierarchy, a root on a file system of its own. test/README.md is its manual.
 *
 * This process stays outside. Whatever happens to it, nothing lives on: the first process inside
 * dies with it, and the folders in the cgroup hierarchies, the only thing that the machine can
 * see of a scope, are locked by it and removed by the next scope that finds the lock free.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "test/lib/cgroups.h"
#include "test/lib/scope.h"

#define SCOPE_PREFIX "ob-scope-"
#define SCOPE_NEEDS_MISSING 77

static int n_left;

static void left_cgroup(const char *path)
{
	fprintf(stderr, "scope: left behind: cgroup %s\n", path);
	n_left++;
}

static int usage(void)
{
	fprintf(stderr, "usage: scope [--keep] [--users] -- COMMAND [ARGUMENT...]\n");
	return 2;
}

static int scope_parse(struct scope *scope, int argc, char **argv)
{
	static const struct option options[] = {
		{ "keep", no_argument, NULL, 'k' },
		{ "users", no_argument, NULL, 'u' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		scope->keep |= option == 'k';
		scope->users |= option == 'u';
		if (option == '?')
			return -EINVAL;
	}
	scope->command = argv + optind;
	return optind < argc ? 0 : -EINVAL;
}

/* A private view of mounts with a cgroup v2 that can be written, mounted here if the machine has none. */
static int cgroups_prepare(struct hierarchies *hierarchies)
{
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	r = hierarchies_find(hierarchies);
	if (r == 0 && access(hierarchies->list[0].top, W_OK) < 0)
		r = mount(NULL, hierarchies->list[0].top, NULL, MS_REMOUNT | MS_BIND, NULL) < 0
			? -errno
			: 0;
	if (r != -ENOENT)
		return r;
	if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) <
		0)
		return -errno;
	return hierarchies_find(hierarchies);
}

static int cgroups_make(struct hierarchies *hierarchies, int *ret_lock_fd)
{
	int r = -EAGAIN;
	char name[64];

	for (unsigned try = 0; r == -EAGAIN && try < 1000; try++) {
		snprintf(name, sizeof(name), SCOPE_PREFIX "%d-%u", (int)getpid(), try);
		r = hierarchies_make(hierarchies, name, ret_lock_fd);
	}
	return r;
}

static void cgroups_remove(const struct hierarchies *hierarchies)
{
	for (size_t i = hierarchies->n; i-- > 0;) {
		const struct hierarchy *hierarchy = &hierarchies->list[i];
		int r;

		if (!hierarchy->scope[0])
			continue;
		r = cgroup_remove(hierarchy->scope, hierarchy->v2, 5000);
		if (r < 0) {
			left_cgroup(hierarchy->scope);
			fprintf(stderr, "scope: %s: %s\n", hierarchy->scope, strerror(-r));
		}
	}
}

static void environment(const struct hierarchies *hierarchies)
{
	static const char *const unset[] = { "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
		"DBUS_SYSTEM_BUS_ADDRESS", "NOTIFY_SOCKET", "TMPDIR", "OUTBOARD_FDS" };
	struct stat status;
	char id[24];

	for (size_t i = 0; i < ARRAY_SIZE(unset); i++)
		unsetenv(unset[i]);
	if (stat(hierarchies->list[0].scope, &status) == 0) {
		snprintf(id, sizeof(id), "%llu", (unsigned long long)status.st_ino);
		setenv("SCOPE_CGROUP_ID", id, 1);
	}
	setenv("SCOPE_CGROUP", hierarchies->list[0].scope, 1);
	setenv("OUTBOARD_ROOT", SCOPE_ROOT, 1);
}

/* The child waits until it has been moved, and ends if we are gone before it is told to die with us. */
static pid_t start_inside(
	const struct scope *scope, const struct hierarchies *hierarchies, int lock_fd)
{
	int go[2];
	pid_t pid;
	char byte;

	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	pid = (pid_t)syscall(SYS_clone,
		CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD,
		NULL, NULL, NULL, NULL);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(go[1]);
		close(lock_fd);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		close(go[0]);
		scope_inside(scope);
	}
	close(go[0]);
	if (pid > 0) {
		int r = hierarchies_enter(hierarchies, "main", pid);

		if (r == 0 && write(go[1], "", 1) != 1)
			r = -errno;
		if (r < 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			pid = r;
		}
	} else {
		pid = -errno;
	}
	close(go[1]);
	return pid;
}

/* A signal that asks us to end ends the scope; the command's own end is the usual case. */
static int wait_inside(pid_t pid, const sigset_t *signals)
{
	int status, signal;

	for (;;) {
		sigwait(signals, &signal);
		if (signal != SIGCHLD)
			kill(pid, SIGKILL);
		if (waitpid(pid, &status, signal == SIGCHLD ? WNOHANG : 0) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

int main(int argc, char **argv)
{
	struct scope scope = { 0 };
	static struct hierarchies hierarchies;
	_cleanup_fd_ int lock_fd = -1;
	sigset_t signals;
	pid_t pid = -1;
	int code, r;

	if (scope_parse(&scope, argc, argv) < 0)
		return usage();
	if (geteuid() != 0) {
		fprintf(stderr, "scope: needs root\n");
		return SCOPE_NEEDS_MISSING;
	}
	r = cgroups_prepare(&hierarchies);
	if (r < 0) {
		fprintf(stderr, "scope: no cgroup v2 that can be written: %s\n", strerror(-r));
		return SCOPE_NEEDS_MISSING;
	}
	hierarchies_reap(&hierarchies, SCOPE_PREFIX);
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	r = cgroups_make(&hierarchies, &lock_fd);
	if (r == 0) {
		environment(&hierarchies);
		pid = start_inside(&scope, &hierarchies, lock_fd);
		r = pid < 0 ? (int)pid : 0;
	}
	if (r < 0) {
		fprintf(stderr, "scope: cannot be made: %s\n", strerror(-r));
		cgroups_remove(&hierarchies);
		return 1;
	}
	code = wait_inside(pid, &signals);
	cgroup_leftovers(hierarchies.list[0].scope, left_cgroup);
	cgroups_remove(&hierarchies);
	return code == 0 && n_left > 0 ? SCOPE_LEFT_BEHIND : code;
}
