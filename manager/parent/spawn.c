/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardd, the parent: starting processes. A child gets the descriptors that it is meant to have,
 * at 3, 4, ..., and nothing else; what they are called stands in its OUTBOARD_FDS.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/peer.h"
#include "base/str.h"
#include "manager/parent/parent.h"

#define CHILD_FD_FIRST 3
#define QUEUE_BYTES (2 << 20)
#define CHILD_FD_SPARE 512 /* out of the way of what they become */

static const char *const program_names[PARENT_PROGRAM_MAX_] = {
	[PARENT_PROGRAM_LAUNCH] = "outboard-launch",
	[PARENT_PROGRAM_ENDPOINT] = "outboard-esd",
	[PARENT_PROGRAM_NETWORK] = "outboard-ned",
	[PARENT_PROGRAM_DRIVER] = "outboard-driverd",
};

/* Fork with a pidfd that is the child's from its first moment on. */
static pid_t fork_with_pidfd(int *ret_pid_fd)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)ret_pid_fd,
		.exit_signal = SIGCHLD,
	};
	long pid = syscall(SYS_clone3, &args, sizeof args);

	return pid < 0 ? -errno : (pid_t)pid;
}

/* "control,endpoint" to "control=3,endpoint=4". -EINVAL: not as many names as descriptors. */
static int number_names(const char *names, size_t n_fds, char *buffer, size_t bytes)
{
	size_t at = 0, n = 0;

	while (*names) {
		size_t length = strcspn(names, ",");
		int written = snprintf(buffer + at, bytes - at, "%s%.*s=%zu", n ? "," : "",
			(int)length, names, n + CHILD_FD_FIRST);

		at += (size_t)written;
		if (at >= bytes)
			return -ENAMETOOLONG;
		n++;
		names += length + (names[length] == ',');
	}
	buffer[at] = '\0';
	return n == n_fds ? 0 : -EINVAL;
}

/* In the child: nothing here may fail silently, and nothing returns. */
static void __attribute__((noreturn)) become(const char *path, const char *name,
	const char *fds_text, const int *fds, size_t n_fds, int output_fd, bool dies_with_parent)
{
	char *const argv[] = { (char *)(uintptr_t)name, NULL };
	sigset_t none;
	size_t i;
	int kept[WIRE_FDS_MAX], null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dies_with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(125);
	if (output_fd >= 0 &&
		(dup2(output_fd, STDOUT_FILENO) < 0 || dup2(output_fd, STDERR_FILENO) < 0))
		_exit(125);
	for (i = 0; i < n_fds; i++) {
		kept[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, CHILD_FD_SPARE);
		if (kept[i] < 0)
			_exit(125);
	}
	if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
		_exit(125);
	for (i = 0; i < n_fds; i++)
		if (dup2(kept[i], (int)i + CHILD_FD_FIRST) < 0)
			_exit(125);
	syscall(SYS_close_range, (unsigned)(n_fds + CHILD_FD_FIRST), ~0u, 0);
	if (setenv("OUTBOARD_FDS", fds_text, 1) < 0)
		_exit(125);
	execv(path, argv);
	dprintf(STDERR_FILENO, "outboardd: cannot run %s: %s\n", path, strerror(errno));
	_exit(127);
}

static pid_t spawn(const char *name, const char *names, const int *fds, size_t n_fds, int output_fd,
	bool dies_with_parent, int *ret_pid_fd)
{
	char path[PATH_MAX], fds_text[1400];
	pid_t self = getpid(), pid;
	int r = number_names(names, n_fds, fds_text, sizeof fds_text);

	if (r < 0)
		return r;
	path_program(name, path);
	pid = fork_with_pidfd(ret_pid_fd);
	if (pid == 0) {
		/* a parent that died before prctl() would never be noticed */
		if (dies_with_parent && getppid() != self)
			_exit(125);
		become(path, name, fds_text, fds, n_fds, output_fd, dies_with_parent);
	}
	return pid;
}

int parent_spawn_manager(struct parent *parent)
{
	_cleanup_fd_ int theirs = -1, pid_fd = -1;
	int pair[2], r;
	pid_t pid;

	r = wire_pair(pair);
	if (r < 0)
		return r;
	theirs = pair[1];
	/* a manager that does not read holds nobody up: all that is held fits into its queue at once */
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0 ||
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &(int){ QUEUE_BYTES },
			sizeof(int)) < 0) {
		r = -errno;
		fd_close(pair[0]);
		return r;
	}
	pid = spawn("outboardd-manager", "parent", &theirs, 1,
		parent->log_here ? -1 : parent->log_fds[1], true, &pid_fd);
	if (pid < 0) {
		fd_close(pair[0]);
		return pid;
	}
	parent->manager_pid = pid;
	parent->manager_fd = pair[0];
	parent->manager_start_usec = parent_now_usec();
	parent->stopped_until_usec = parent->pong_until_usec = parent->restart_at_usec = 0;
	return 0;
}

static struct child *free_place(struct parent *parent)
{
	size_t i;

	for (i = 0; i < PARENT_CHILDREN_MAX; i++)
		if (parent->children[i].is.child == 0)
			return &parent->children[i];
	return NULL;
}

/* Its pulse behind what the manager gives it. */
static int spawn_watched(struct parent *parent, const struct parent_spawn *spawn_, const int *fds,
	size_t n_fds, struct child *child)
{
	_cleanup_(pulse_done) struct pulse pulse = PULSE_NONE;
	char names[sizeof spawn_->names + sizeof PULSE_NAMES + 1];
	int all[WIRE_FDS_MAX], r;
	pid_t pid;

	if (n_fds + PULSE_FDS > ARRAY_SIZE(all))
		return -EINVAL;
	r = pulse_new(&pulse);
	if (r < 0)
		return r;
	snprintf(names, sizeof names, "%s%s%s", spawn_->names, spawn_->names[0] ? "," : "",
		PULSE_NAMES);
	memcpy(all, fds, n_fds * sizeof *fds);
	memcpy(all + n_fds, pulse.fds, sizeof pulse.fds);
	pid = spawn(program_names[spawn_->program], names, all + 1, n_fds - 1 + PULSE_FDS, all[0],
		spawn_->flags & PARENT_SPAWN_DIES_WITH_PARENT, &child->pid_fd);
	if (pid < 0)
		return pid;
	r = parent_watch(parent, child, &pulse);
	if (r < 0) /* it runs, and says so; only that nobody looks */
		log_failure(LOG_PARENT_CHILD_UNWATCHED, NULL, r, NULL);
	return pid;
}

int parent_spawn_child(struct parent *parent, const struct parent_spawn *spawn_, const int *fds,
	size_t n_fds, struct child **ret)
{
	struct child *child = free_place(parent);
	pid_t pid;

	if (!child)
		return -EUSERS;
	if (spawn_->child == 0 || spawn_->program == 0 || spawn_->program >= PARENT_PROGRAM_MAX_ ||
		spawn_->flags & ~PARENT_SPAWN_ALL)
		return -EINVAL;
	child->pid_fd = -1;
	if (spawn_->program == PARENT_PROGRAM_ENDPOINT)
		pid = spawn_watched(parent, spawn_, fds, n_fds, child);
	else
		pid = spawn(program_names[spawn_->program], spawn_->names, fds + 1, n_fds - 1,
			fds[0], spawn_->flags & PARENT_SPAWN_DIES_WITH_PARENT, &child->pid_fd);
	if (pid < 0)
		return pid;
	child->is = (struct parent_child){
		.child = spawn_->child, .program = spawn_->program, .pid = pid
	};
	/* cannot fail while nobody has reaped it, and we alone do */
	process_start_time(pid, &child->is.start_time);
	*ret = child;
	return 0;
}
