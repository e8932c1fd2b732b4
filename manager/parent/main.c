/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardd, the parent: holds every descriptor that must survive, starts the manager and what the
 * manager asks for, and replaces the manager when it dies, is stopped or does not answer. It has
 * one loop over a handful of descriptors, no timer runs while nothing is due, and it reads nothing
 * that anybody but its own manager has written. outboardd(8) is its manual.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/peer.h"
#include "base/str.h"
#include "daemon/cgroup.h"
#include "daemon/notify.h"
#include "manager/parent/parent.h"

#define SECOND_USEC 1000000ull
#define STOPPED_USEC (2 * SECOND_USEC) /* a stopped manager is replaced after */
#define PONG_USEC (5 * SECOND_USEC)    /* one that does not answer */
#define BEGIN_USEC (60 * SECOND_USEC)  /* one that does not come to its loop after the start */
#define END_USEC (5 * SECOND_USEC)     /* what is given to the manager when we end */
#define LOG_PIPE_BYTES (1 << 20)

static struct parent parent = { .manager_fd = -1, .manager_pid = -1 };

uint64_t parent_now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_USEC + (uint64_t)now.tv_nsec / 1000;
}

/* One timer for all that may be due; off when nothing is. */
static void arm_timer(void)
{
	const uint64_t due[] = { parent.restart_at_usec, parent.stopped_until_usec,
		parent.pong_until_usec, parent.end_until_usec, parent.look_at_usec };
	struct itimerspec at = { 0 };
	uint64_t first = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(due); i++)
		if (due[i] && (!first || due[i] < first))
			first = due[i];
	at.it_value.tv_sec = (time_t)(first / SECOND_USEC);
	at.it_value.tv_nsec = (long)(first % SECOND_USEC) * 1000;
	timerfd_settime(parent.timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static int watch(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(parent.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void parent_ready(void)
{
	if (parent.told_ready || parent.ending)
		return;
	parent.told_ready = true;
	notify_system("READY=1");
}

/* What the dead manager had not read yet is not lost: it goes where our own lines go. */
static void pass_log_on(void)
{
	char buffer[4096];
	ssize_t n;

	while (!parent.log_here && (n = read(parent.log_fds[0], buffer, sizeof buffer)) > 0)
		if (fd_write_all(STDERR_FILENO, buffer, (size_t)n) < 0)
			return;
}

/* At once the first time; a manager that dies as soon as it is started waits longer each time. */
static void manager_ended(int code, int status)
{
	uint64_t now = parent_now_usec(), wait = 0;

	if (parent.manager_fd >= 0)
		parent_drain(&parent);
	parent.manager_fd = fd_close(parent.manager_fd);
	parent.manager_pid = -1;
	parent.stopped_until_usec = parent.pong_until_usec = 0;
	pass_log_on();
	if (parent.ending)
		return;
	parent_ready();
	parent.quick_deaths = now - parent.manager_start_usec < SECOND_USEC
		? parent.quick_deaths + 1
		: 0;
	if (parent.quick_deaths > 1)
		wait = SECOND_USEC << (parent.quick_deaths < 6 ? parent.quick_deaths - 2 : 4);
	parent.restart_at_usec = now + wait;
	log_event(LOG_PARENT_MANAGER_ENDED, NULL, code == CLD_EXITED ? "exit" : "signal",
		LOG_NUMBER(status), "restart_in_ms", LOG_NUMBER(wait / 1000), NULL);
}

/* The manager has to show that it lives, once at a time. A full queue is no excuse. */
static void ping_manager(uint64_t within_usec)
{
	int r;

	if (parent.manager_fd < 0 || parent.pong_until_usec)
		return;
	r = wire_send(parent.manager_fd, PARENT_PING, 0, 0, NULL, 0, NULL, 0);
	if (r == 0 || r == -EAGAIN)
		parent.pong_until_usec = parent_now_usec() + within_usec;
}

static void start_manager(void)
{
	int r = parent_spawn_manager(&parent);

	parent.restart_at_usec = 0;
	if (r == 0)
		r = watch(parent.manager_fd, EPOLLIN);
	if (r == 0)
		r = parent_send_all(&parent);
	if (r == 0)
		ping_manager(BEGIN_USEC);
	if (r < 0) {
		log_failure(LOG_PARENT_MANAGER_START, NULL, r, NULL);
		if (parent.manager_pid > 0)
			kill(parent.manager_pid, SIGKILL);
		else {
			parent.restart_at_usec = parent_now_usec() + SECOND_USEC;
			parent_ready();
		}
	}
}

static void kill_manager(const char *why)
{
	parent.stopped_until_usec = parent.pong_until_usec = 0;
	if (parent.manager_pid <= 0)
		return;
	log_event(LOG_PARENT_MANAGER_REPLACED, NULL, "because", why, NULL);
	kill(parent.manager_pid, SIGKILL);
}

static void manager_changed(const siginfo_t *info)
{
	if (info->si_code == CLD_STOPPED)
		parent.stopped_until_usec = parent_now_usec() + STOPPED_USEC;
	else if (info->si_code == CLD_CONTINUED)
		parent.stopped_until_usec = 0;
	else
		manager_ended(info->si_code, info->si_status);
}

static void reap(void)
{
	for (;;) {
		siginfo_t info = { 0 };
		size_t i;

		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG) < 0 ||
			info.si_pid == 0)
			return;
		if (info.si_pid == parent.manager_pid) {
			manager_changed(&info);
			continue;
		}
		if (info.si_code == CLD_STOPPED || info.si_code == CLD_CONTINUED)
			continue;
		for (i = 0; i < PARENT_CHILDREN_MAX; i++)
			if (parent.children[i].is.child &&
				parent.children[i].is.pid == info.si_pid &&
				parent_child_ended(&parent, &parent.children[i], info.si_code,
					info.si_status) == -EAGAIN)
				kill_manager("does not read");
	}
}

/* Extensions go on: the next outboardd adopts them. Brokers end with us. */
static void begin_to_end(void)
{
	if (parent.ending)
		return;
	parent.ending = true;
	parent.restart_at_usec = 0;
	notify_system("STOPPING=1");
	if (parent.manager_pid > 0) {
		kill(parent.manager_pid, SIGTERM);
		parent.end_until_usec = parent_now_usec() + END_USEC;
	}
}

static void on_signal(void)
{
	struct signalfd_siginfo info;

	while (read(parent.signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo != SIGCHLD)
			begin_to_end();
	}
	reap();
}

static void on_timer(void)
{
	uint64_t now = parent_now_usec(), count;

	if (read(parent.timer_fd, &count, sizeof count) < 0 && errno != EAGAIN)
		return;
	if (parent.stopped_until_usec && now >= parent.stopped_until_usec)
		kill_manager("stopped");
	if (parent.pong_until_usec && now >= parent.pong_until_usec)
		kill_manager("does not answer");
	if (parent.end_until_usec && now >= parent.end_until_usec) {
		parent.end_until_usec = 0;
		kill_manager("does not end");
	}
	if (parent.look_at_usec && now >= parent.look_at_usec)
		parent_look(&parent);
	if (parent.restart_at_usec && now >= parent.restart_at_usec)
		start_manager();
}

static void on_event(int fd)
{
	if (fd == parent.signal_fd)
		on_signal();
	else if (fd == parent.timer_fd)
		on_timer();
	else if (parent_rung(&parent, fd))
		return;
	else if (fd != parent.manager_fd)
		ping_manager(PONG_USEC); /* somebody has come to a listener */
	else if (parent_serve(&parent) < 0) {
		/* its end comes as SIGCHLD; until then its socket must not spin this loop */
		epoll_ctl(parent.epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		kill(parent.manager_pid, SIGKILL);
	}
}

static void run(void)
{
	while (!parent.ending || parent.manager_pid > 0) {
		struct epoll_event events[8];
		int n, i;

		arm_timer();
		n = epoll_wait(parent.epoll_fd, events, ARRAY_SIZE(events), -1);
		for (i = 0; i < n; i++)
			on_event(events[i].data.fd);
	}
}

static int listen_stream(const char *path)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	if (str_put(address.sun_path, sizeof address.sun_path, path) < 0)
		return -ENAMETOOLONG;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0666) < 0 ||
		listen(fd, 128) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int open_listeners(void)
{
	char path[PATH_MAX];
	size_t i;
	int r;

	parent.listen_fds[LISTEN_MANAGER] = wire_listen(
		path_get(PATH_MANAGER_SOCKET, NULL, path), 0666, 128);
	parent.listen_fds[LISTEN_CONTROL] = listen_stream(
		path_get(PATH_CONTROL_SOCKET, NULL, path));
	parent.listen_fds[LISTEN_ENDPOINT] = wire_listen(
		path_get(PATH_ENDPOINT_SOCKET, NULL, path), 0666, 128);
	for (i = 0; i < LISTENERS; i++) {
		if (parent.listen_fds[i] < 0)
			return parent.listen_fds[i];
		/* edge-triggered: one wake-up a caller, whoever accepts it */
		r = watch(parent.listen_fds[i], EPOLLIN | EPOLLET);
		if (r < 0)
			return r;
	}
	return 0;
}

static int make_folders(void)
{
	static const struct {
		enum path path;
		mode_t mode;
	} folders[] = { { PATH_RUN, 0755 }, { PATH_SERVICES, 0755 }, { PATH_STATE, 0755 },
		{ PATH_LOG, 0750 } };
	char path[PATH_MAX];
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(folders); i++) {
		r = mkdir_path(path_get(folders[i].path, NULL, path), folders[i].mode);
		if (r < 0) {
			log_failure(LOG_PARENT_CANNOT_START, path, r, NULL);
			return r;
		}
	}
	return 0;
}

/* Two on one root would take each other's listeners and registry. The lock goes with the process. */
static int take_lock(void)
{
	char path[PATH_MAX];
	int fd = open(
		path_get(PATH_RUN, "outboardd.lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int r = -errno;

		fd_close(fd);
		log_failure(r == -EWOULDBLOCK ? LOG_PARENT_RUNS_ALREADY : LOG_PARENT_CANNOT_START,
			path, r, NULL);
		return r;
	}
	return 0;
}

static int open_log(void)
{
	if (parent.log_here)
		return 0;
	/* daemons drop a line rather than wait for a reader; so both ends do not block */
	if (pipe2(parent.log_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	if (fcntl(parent.log_fds[1], F_SETPIPE_SZ, LOG_PIPE_BYTES) < 0 && errno != EPERM)
		return -errno;
	return 0;
}

static int set_up(void)
{
	const struct rlimit many = { 65536, 65536 };
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &many);
	umask(022);
	parent.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	parent.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	parent.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (parent.epoll_fd < 0 || parent.signal_fd < 0 || parent.timer_fd < 0)
		return -errno;
	r = watch(parent.signal_fd, EPOLLIN);
	if (r == 0)
		r = watch(parent.timer_fd, EPOLLIN);
	if (r == 0)
		r = open_log();
	if (r == 0)
		r = open_listeners();
	return r;
}

static const struct option options[] = {
	{ "foreground", no_argument, NULL,
		'f' }, /* it never does anything else: for scripts that say so */
	{ "log-stderr", no_argument, NULL, 'l' },
	{ "release", no_argument, NULL, 'r' },
	{ 0 },
};

/* By the service manager when we have ended, so that it can start the next one in our cgroup. */
static int release(void)
{
	int r = cgroup_release();

	if (r < 0)
		log_failure(LOG_PARENT_NO_CGROUP, NULL, r, NULL);
	return r < 0 ? 1 : 0;
}

static int start(void)
{
	int r;

	if (make_folders() < 0 || take_lock() < 0)
		return 1;
	r = cgroup_enter_leaf("daemon");
	if (r < 0)
		log_failure(LOG_PARENT_NO_CGROUP, NULL, r, NULL);
	r = set_up();
	if (r < 0) {
		log_failure(LOG_PARENT_CANNOT_START, NULL, r, NULL);
		return 1;
	}
	start_manager();
	run();
	return 0;
}

int main(int argc, char **argv)
{
	bool releases = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'l')
			parent.log_here = true;
		else if (option == 'r')
			releases = true;
		else if (option != 'f')
			return 2;
	}
	if (optind != argc) {
		fprintf(stderr, "usage: outboardd [--foreground] [--log-stderr] | --release\n");
		return 2;
	}
	log_set_name("outboardd");
	return releases ? release() : start();
}
