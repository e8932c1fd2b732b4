/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardd's parent, over its wire: the test is its manager (double.c hands it the wire). Whatever
 * becomes of the manager, what it stored and started is there for the next one.
 *
 * test-parent OUTBOARDD DOUBLE IN-CGROUP, inside a scope.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/peer.h"
#include "base/pulse.h"
#include "base/str.h"
#include "manager/parent-wire.h"
#include "manager/parent/double.h"

#define WAIT_MSEC 20000	     /* a ceiling for what takes milliseconds */
#define NUMBER 7000000000ull /* of a child: more than 32 bits */

static const char *outboardd_path, *double_path, *in_cgroup_path; /* the arguments */
static char programs[] = "/tmp/programs.XXXXXX";

static struct {
	pid_t pid;
	int reports_fd; /* managers' doubles come here */
	pid_t manager_pid;
	int manager_fd; /* the wire: we are the manager */
	struct double_report manager;
} outboardd = { .reports_fd = -1, .manager_fd = -1 };

static struct wire_packet packet;

static uint64_t now_msec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_ready(int fd, int wait_msec)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, wait_msec) == 1;
}

static void await_message(int fd)
{
	int r;

	assert_true(is_ready(fd, WAIT_MSEC));
	r = wire_receive(fd, &packet, 0);
	assert_int_equal(r, 0);
}

/* The next manager's wire is ours. */
static void await_manager(void)
{
	_cleanup_fd_ int fd = -1;

	assert_true(is_ready(outboardd.reports_fd, WAIT_MSEC));
	fd = accept4(outboardd.reports_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	await_message(fd);
	assert_int_equal(packet.header.type, DOUBLE_IS_MANAGER);
	fd_close(outboardd.manager_fd);
	memcpy(&outboardd.manager, packet.body, sizeof outboardd.manager);
	outboardd.manager_pid = outboardd.manager.pid;
	outboardd.manager_fd = wire_take_fd(&packet, 0);
	assert_true(outboardd.manager_fd >= 0);
}

/* What a manager is given at its start, up to BEGIN. */
struct given {
	size_t n_stored, n_children;
	struct {
		char name[PARENT_NAME_BYTES];
		int fd;
	} stored[PARENT_FDS_MAX + 8];
	struct parent_child children[PARENT_CHILDREN_MAX];
	int pid_fds[PARENT_CHILDREN_MAX];
};

static struct given given;

static void forget_given(void)
{
	size_t i;

	for (i = 0; i < given.n_stored; i++)
		fd_close(given.stored[i].fd);
	for (i = 0; i < given.n_children; i++)
		fd_close(given.pid_fds[i]);
	given.n_stored = given.n_children = 0;
}

static void await_begin(void)
{
	forget_given();
	for (;;) {
		await_message(outboardd.manager_fd);
		if (packet.header.type == PARENT_BEGIN)
			return;
		if (packet.header.type == PARENT_FD) {
			memcpy(given.stored[given.n_stored].name, packet.body, PARENT_NAME_BYTES);
			given.stored[given.n_stored++].fd = wire_take_fd(&packet, 0);
			continue;
		}
		assert_int_equal(packet.header.type, PARENT_CHILD);
		memcpy(&given.children[given.n_children], packet.body, sizeof(struct parent_child));
		given.pid_fds[given.n_children++] = wire_take_fd(&packet, 0);
	}
}

static void answer_ping(void)
{
	assert_int_equal(wire_send(outboardd.manager_fd, PARENT_PONG, 0, 0, NULL, 0, NULL, 0), 0);
}

/* The next message that is no PING; those are answered. */
static void await_other(uint16_t type)
{
	do {
		await_message(outboardd.manager_fd);
		if (packet.header.type == PARENT_PING)
			answer_ping();
	} while (packet.header.type == PARENT_PING);
	assert_int_equal(packet.header.type, type);
}

static int given_fd(const char *name)
{
	size_t i;

	for (i = 0; i < given.n_stored; i++)
		if (streq(given.stored[i].name, name))
			return given.stored[i].fd;
	return -1;
}

static const struct parent_child *given_child(uint64_t number)
{
	size_t i;

	for (i = 0; i < given.n_children; i++)
		if (given.children[i].child == number)
			return &given.children[i];
	return NULL;
}

/* ---- Starting and ending ---------------------------------------------------------------------- */

static pid_t start_outboardd(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl(in_cgroup_path, in_cgroup_path, "outboardd", outboardd_path, "--log-stderr",
			NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static int start(void **state)
{
	setenv("OUTBOARD_LIBEXEC", programs, 1);
	setenv(DOUBLE_SOCKET, "/tmp/reports.sock", 1);
	outboardd.reports_fd = wire_listen("/tmp/reports.sock", 0600, 16);
	assert_true(outboardd.reports_fd >= 0);
	outboardd.pid = start_outboardd();
	await_manager();
	await_begin();
	return 0;
}

static int stop(void **state)
{
	int status;

	if (outboardd.pid > 0) {
		kill(outboardd.pid, SIGTERM);
		assert_int_equal(waitpid(outboardd.pid, &status, 0), outboardd.pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	outboardd.pid = 0;
	forget_given();
	outboardd.manager_fd = fd_close(outboardd.manager_fd);
	outboardd.reports_fd = fd_close(outboardd.reports_fd);
	return 0;
}

/* As a service manager starts it: what it is told comes to notify_fd. */
static int notify_fd = -1;

static int start_as_service(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/tmp/notify.sock" };

	unlink(address.sun_path);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(notify_fd >= 0);
	assert_int_equal(bind(notify_fd, (struct sockaddr *)&address, sizeof address), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	start(state);
	unsetenv("NOTIFY_SOCKET");
	return 0;
}

static int stop_service(void **state)
{
	notify_fd = fd_close(notify_fd);
	return stop(state);
}

static void await_notice(const char *expected)
{
	char text[64] = "";

	assert_true(is_ready(notify_fd, WAIT_MSEC));
	assert_true(recv(notify_fd, text, sizeof text - 1, 0) > 0);
	assert_string_equal(text, expected);
}

/*
 * The one event that nobody is told of: that another process, here outboardd, has reaped its child. A
 * pidfd says that the child has ended, and of reaping only from Linux 6.9 on; so the number is asked
 * for, a millisecond apart.
 */
static void await_reaped(pid_t pid)
{
	const struct timespec moment = { .tv_nsec = 1000000 };

	while (kill(pid, 0) == 0)
		nanosleep(&moment, NULL);
}

static void kill_manager(void)
{
	assert_int_equal(kill(outboardd.manager_pid, SIGKILL), 0);
	await_manager();
	await_begin();
}

/* ---- Children --------------------------------------------------------------------------------- */

struct process {
	pid_t pid;
	int pid_fd, control_fd, output_fd;
	struct double_report report;
};

static void process_done(struct process *process)
{
	if (process->pid_fd >= 0) {
		process_signal(process->pid_fd, SIGKILL);
		assert_true(is_ready(process->pid_fd, WAIT_MSEC));
	}
	fd_close(process->pid_fd);
	fd_close(process->control_fd);
	fd_close(process->output_fd);
}

static void send_spawn(uint64_t number, uint32_t program, unsigned flags, const char *names,
	const int *fds, size_t n_fds)
{
	struct parent_spawn spawn = { .child = number, .program = program, .flags = flags };

	STR_PUT(spawn.names, names);
	assert_int_equal(wire_send(outboardd.manager_fd, PARENT_SPAWN, 0, number + 1, &spawn,
				 sizeof spawn, fds, n_fds),
		0);
	await_other(PARENT_SPAWNED);
	assert_int_equal(packet.header.id, number + 1);
}

static struct process spawn_program(uint64_t number, uint32_t program, unsigned flags)
{
	struct process process;
	int pair[2], pipe_fds[2];
	struct parent_child is;

	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	send_spawn(number, program, flags, "spare,control",
		(const int[]){ pipe_fds[1], pipe_fds[0], pair[1] }, 3);
	memcpy(&is, packet.body, sizeof is);
	assert_int_equal(is.status, 0);
	assert_true(is.child == number && is.start_time > 0);
	process = (struct process){ .pid = is.pid,
		.pid_fd = wire_take_fd(&packet, 0),
		.control_fd = pair[0],
		.output_fd = pipe_fds[0] };
	assert_true(process.pid_fd >= 0);
	close(pair[1]);
	close(pipe_fds[1]);
	await_message(process.control_fd);
	assert_int_equal(packet.header.type, DOUBLE_IS_CHILD);
	memcpy(&process.report, packet.body, sizeof process.report);
	assert_int_equal(process.report.pid, process.pid);
	return process;
}

static struct process spawn(uint64_t number, unsigned flags)
{
	return spawn_program(number, PARENT_PROGRAM_LAUNCH, flags);
}

static void await_exited(uint64_t number, int code, int status)
{
	const struct parent_child *is = (void *)packet.body;

	await_other(PARENT_EXITED);
	assert_true(is->child == number);
	assert_int_equal(is->code, code);
	assert_int_equal(is->status, status);
}

static int send_name(uint16_t type, const char *name, int fd)
{
	struct parent_name message = { 0 };

	STR_PUT(message.name, name);
	return wire_send(outboardd.manager_fd, type, 0, 0, &message, sizeof message, &fd, fd >= 0);
}

/* ---- Tests ------------------------------------------------------------------------------------ */

/* Drop close_range() in spawn.c, or the duplicates out of the way, to make this red. */
static void children_inherit_what_is_named(void **state)
{
	struct process process = spawn(NUMBER, 0);
	char said[64] = "", expected[64];
	struct stat status;
	size_t i;

	assert_string_equal(outboardd.manager.fds, "parent=3");
	assert_int_equal(outboardd.manager.open_fds, 0xf);
	assert_string_equal(process.report.fds, "spare=3,control=4");
	assert_int_equal(process.report.open_fds, 0x1f);
	snprintf(expected, sizeof expected, "said by %d\n", process.pid);
	assert_true(read(process.output_fd, said, sizeof said - 1) > 0);
	assert_string_equal(said, expected);
	for (i = 0; i < given.n_stored; i++)
		if (str_starts(given.stored[i].name, "listen:"))
			assert_true(fstat(given.stored[i].fd, &status) == 0 &&
				S_ISSOCK(status.st_mode));
	assert_int_equal(given.n_stored, 3);
	process_done(&process);
	await_exited(NUMBER, CLD_KILLED, SIGKILL);
}

static void ends_are_told(void **state)
{
	struct process process = spawn(NUMBER, 0);

	assert_int_equal(wire_send(process.control_fd, DOUBLE_EXIT, 0, 0, "\x2a", 1, NULL, 0), 0);
	await_exited(NUMBER, CLD_EXITED, 42);
	process_done(&process);
}

static void spawns_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		uint64_t number;
		uint32_t program;
		unsigned flags;
		const char *names;
	} cases[] = {
		{ 0, PARENT_PROGRAM_LAUNCH, 0, "control" },
		{ 1, 0, 0, "control" },
		{ 1, PARENT_PROGRAM_MAX_, 0, "control" },
		{ 1, 0xffffffff, 0, "control" },
		{ 1, PARENT_PROGRAM_LAUNCH, 2, "control" },
		{ 1, PARENT_PROGRAM_LAUNCH, 0, "" },
		{ 1, PARENT_PROGRAM_LAUNCH, 0, "control,more" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct parent_child *is = (void *)packet.body;

		send_spawn(cases[i].number, cases[i].program, cases[i].flags, cases[i].names,
			(const int[]){ STDERR_FILENO, STDERR_FILENO }, 2);
		assert_int_equal(is->status, -EINVAL);
		assert_int_equal(packet.n_fds, 0);
	}
}

/* Leave parent_send_all() out of start_manager() to make this red. */
static void a_new_manager_gets_everything(void **state)
{
	struct process lives = spawn(NUMBER, 0), ends = spawn(NUMBER + 1, 0);
	int pipe_fds[2], other[2];
	char text[8] = "";

	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(pipe2(other, O_CLOEXEC), 0);
	assert_int_equal(send_name(PARENT_STORE, "log:1", other[0]), 0);
	assert_int_equal(send_name(PARENT_STORE, "log:1", pipe_fds[0]), 0);
	assert_int_equal(send_name(PARENT_STORE, "log:2", pipe_fds[0]), 0);
	assert_int_equal(send_name(PARENT_UNSTORE, "log:2", -1), 0);
	assert_int_equal(send_name(PARENT_UNSTORE, "log:3", -1), 0);
	close(pipe_fds[0]);
	kill_manager();
	assert_int_equal(given_child(NUMBER + 1)->code, 0);
	/* the second that dies as soon as it is started is missed for a second: one ends meanwhile */
	kill(outboardd.manager_pid, SIGKILL);
	await_reaped(outboardd.manager_pid);
	process_signal(ends.pid_fd, SIGKILL);
	await_manager();
	await_begin();
	assert_int_equal(given_child(NUMBER + 1)->code, CLD_KILLED);
	assert_int_equal(given_child(NUMBER + 1)->status, SIGKILL);
	/* told once */
	kill_manager();
	assert_null(given_child(NUMBER + 1));
	assert_non_null(given_child(NUMBER));
	assert_int_equal(given_child(NUMBER)->pid, lives.pid);
	assert_int_equal(given_child(NUMBER)->code, 0);
	assert_true(given_fd("listen:manager") >= 0 && given_fd("listen:control") >= 0 &&
		given_fd("listen:endpoint") >= 0);
	assert_int_equal(given_fd("log:2"), -1);
	assert_int_equal(write(pipe_fds[1], "kept", 4), 4);
	assert_int_equal(read(given_fd("log:1"), text, sizeof text), 4);
	assert_string_equal(text, "kept");
	assert_int_equal(send_name(PARENT_UNSTORE, "log:1", -1), 0);
	process_done(&lives);
	await_exited(NUMBER, CLD_KILLED, SIGKILL);
	process_done(&ends);
	close(pipe_fds[1]);
	close(other[0]);
	close(other[1]);
}

/* Brokers are told to die with their parent; extensions are not. */
static void extensions_outlive_outboardd(void **state)
{
	struct process extension = spawn(NUMBER, 0),
		       broker = spawn(NUMBER + 1, PARENT_SPAWN_DIES_WITH_PARENT);
	int manager_pid_fd = process_pidfd(outboardd.manager_pid), status;

	kill(outboardd.pid, SIGKILL);
	assert_int_equal(waitpid(outboardd.pid, &status, 0), outboardd.pid);
	assert_true(is_ready(broker.pid_fd, WAIT_MSEC));
	assert_true(is_ready(manager_pid_fd, WAIT_MSEC));
	assert_false(is_ready(extension.pid_fd, 0));
	close(manager_pid_fd);
	process_done(&extension);
	process_done(&broker);
	outboardd.pid = start_outboardd(); /* the lock went with the one that was killed */
	await_manager();
	await_begin();
	assert_int_equal(given.n_children, 0);
}

/* Whoever comes after us in the boot may rely on what the manager starts before its loop. */
static void ready_is_a_manager_in_its_loop(void **state)
{
	await_message(outboardd.manager_fd);
	assert_int_equal(packet.header.type, PARENT_PING);
	/* the manager asks for something before it has come to its loop */
	send_spawn(0, 0, 0, "", (const int[]){ STDERR_FILENO }, 1);
	assert_false(is_ready(notify_fd, 0));
	answer_ping();
	await_notice("READY=1");
	/* said once, whatever comes after */
	kill_manager();
	await_message(outboardd.manager_fd);
	answer_ping();
	kill(outboardd.pid, SIGTERM);
	await_notice("STOPPING=1");
}

/* A manager that fails must not hold up the boot. */
static void ready_when_the_manager_fails(void **state)
{
	assert_false(is_ready(notify_fd, 0));
	kill_manager();
	await_notice("READY=1");
}

static void is_replaced_within(int msec)
{
	pid_t old = outboardd.manager_pid;
	uint64_t start = now_msec();

	await_manager();
	await_begin();
	assert_int_not_equal(outboardd.manager_pid, old);
	assert_in_range(now_msec() - start, 0, msec);
}

static void a_stopped_manager_is_replaced(void **state)
{
	kill(outboardd.manager_pid, SIGSTOP);
	is_replaced_within(3000);
}

/* Stopped with as much to be told as there can be: the parent may not wait for it. */
static void a_full_queue_holds_nobody_up(void **state)
{
	char name[64];
	int i;

	for (i = 0; i < PARENT_FDS_MAX + 4; i++) {
		snprintf(name, sizeof name, "service:org.example.%d", i);
		assert_int_equal(send_name(PARENT_STORE, name, STDERR_FILENO), 0);
	}
	/* nobody reads what the next ones are told at their start */
	kill(outboardd.manager_pid, SIGKILL);
	await_manager();
	kill(outboardd.manager_pid, SIGSTOP);
	is_replaced_within(3000);
	assert_int_equal(given.n_stored, PARENT_FDS_MAX + 3);
	for (i = 0; i < PARENT_FDS_MAX; i++) {
		snprintf(name, sizeof name, "service:org.example.%d", i);
		assert_int_equal(send_name(PARENT_UNSTORE, name, -1), 0);
	}
	kill_manager();
	assert_int_equal(given.n_stored, 3);
}

static void a_manager_that_does_not_answer_is_replaced(void **state)
{
	char path[PATH_MAX];
	_cleanup_fd_ int fd = -1;

	/* the one after the start is answered: only who comes makes it answer again */
	await_message(outboardd.manager_fd);
	assert_int_equal(packet.header.type, PARENT_PING);
	answer_ping();
	fd = wire_connect(path_get(PATH_MANAGER_SOCKET, NULL, path));
	assert_true(fd >= 0);
	await_message(outboardd.manager_fd);
	assert_int_equal(packet.header.type, PARENT_PING);
	is_replaced_within(7000);
}

/* Whatever a broken manager sends, it is replaced, and what was stored before stays. */
static void garbage_from_the_manager(void **state)
{
	struct parent_name unended;
	size_t i;

	memset(&unended, 'x', sizeof unended);
	for (i = 0; i < 6; i++) {
		int fd = outboardd.manager_fd;

		assert_int_equal(send_name(PARENT_STORE, "service:kept", STDERR_FILENO), 0);
		if (i == 0)
			assert_int_equal(write(fd, "garbage", 7), 7);
		else if (i == 1)
			wire_send(fd, 999, 0, 0, NULL, 0, NULL, 0);
		else if (i == 2)
			wire_send(fd, PARENT_SPAWN, 0, 0, "short", 5, &fd, 1);
		else if (i == 3)
			wire_send(fd, PARENT_STORE, 0, 0, &unended, sizeof unended, &fd, 1);
		else if (i == 4)
			send_name(PARENT_STORE, "no descriptor", -1);
		else
			outboardd.manager_fd = fd_close(fd);
		is_replaced_within(WAIT_MSEC);
		assert_true(given_fd("service:kept") >= 0);
		/* another outboardd: this one would wait longer for the manager each time */
		stop(state);
		start(state);
	}
}

static void two_never_run_on_one_root(void **state)
{
	pid_t pid = start_outboardd();
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_false(is_ready(outboardd.reports_fd, 0));
}

static uint64_t status_number(pid_t pid, const char *key)
{
	_cleanup_free_ char *text = NULL;
	const char *at;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	assert_int_equal(file_read_at(AT_FDCWD, path, 65536, &text, NULL), 0);
	at = strstr(text, key);
	assert_non_null(at);
	return strtoull(at + strlen(key), NULL, 10);
}

/* No timer runs while nothing is due: 3 s without one voluntary context switch. */
static void an_idle_parent_sleeps(void **state)
{
	const char *const key = "\nvoluntary_ctxt_switches:";
	uint64_t before;

	await_message(outboardd.manager_fd);
	assert_int_equal(packet.header.type, PARENT_PING);
	answer_ping();
	/* its answer to this comes after it has taken the PONG */
	send_spawn(0, 0, 0, "", (const int[]){ STDERR_FILENO }, 1);
	assert_true(is_ready(outboardd.manager_fd, 100) == false);
	before = status_number(outboardd.pid, key);
	assert_false(is_ready(outboardd.manager_fd, 3000));
	assert_int_equal(status_number(outboardd.pid, key), before);
	print_message("parent: RssAnon %llu kB, VmRSS %llu kB\n",
		(unsigned long long)status_number(outboardd.pid, "\nRssAnon:"),
		(unsigned long long)status_number(outboardd.pid, "\nVmRSS:"));
#ifndef __SANITIZE_ADDRESS__ /* whose runtime alone takes more */
	assert_in_range(status_number(outboardd.pid, "\nRssAnon:"), 1, 1024);
#endif
}

/* ---- Those for which others wait --------------------------------------------------------------- */

static struct process broker;
static struct pulse pulse; /* as the broker has it, whose process only sleeps */

/* Wherever the broker has them. */
static int start_with_broker(void **state)
{
	size_t i;

	start(state);
	broker = spawn_program(NUMBER, PARENT_PROGRAM_ENDPOINT, 0);
	assert_string_equal(
		broker.report.fds, "spare=3,control=4,pulse-page=5,pulse-bell=6,pulse-queue=7");
	assert_int_equal(broker.report.open_fds, 0xff);
	for (i = 0; i < PULSE_FDS; i++)
		pulse.fds[i] = (int)syscall(SYS_pidfd_getfd, broker.pid_fd, 5 + (int)i, 0);
	pulse.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, pulse.fds[PULSE_PAGE], 0);
	assert_ptr_not_equal(pulse.page, MAP_FAILED);
	return 0;
}

static int stop_with_broker(void **state)
{
	pulse_done(&pulse);
	process_done(&broker);
	return stop(state);
}

/* Two seconds after its last beat; the rest is for a busy machine. */
static void is_ended(uint64_t since_msec)
{
	await_exited(NUMBER, CLD_KILLED, SIGKILL);
	assert_in_range(now_msec() - since_msec, 1500, 3000);
}

static void a_broker_that_is_stuck_is_ended(void **state)
{
	pulse_beat(&pulse, true);
	is_ended(now_msec());
}

/* It has not even seen that somebody waits. */
static void a_queue_that_nobody_reads_is_enough(void **state)
{
	int ends[2];
	uint64_t since;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(pulse_add_queue(&pulse, ends[0]), 0);
	assert_int_equal(kill(broker.pid, SIGSTOP), 0);
	assert_false(is_ready(broker.pid_fd, 2500)); /* nobody waits */
	since = now_msec();
	assert_int_equal(write(ends[1], "x", 1), 1);
	is_ended(since);
	close(ends[0]);
	close(ends[1]);
}

static void a_broker_that_works_is_left_alone(void **state)
{
	const char *const key = "\nvoluntary_ctxt_switches:";
	uint64_t before;
	int i;

	for (i = 0; i < 12; i++) {
		pulse_beat(&pulse, true);
		assert_false(is_ready(broker.pid_fd, 250));
	}
	assert_int_equal(pulse.page->watched, 1);
	pulse_beat(&pulse, false);
	assert_false(is_ready(broker.pid_fd, 2500));
	assert_int_equal(pulse.page->watched, 0);
	/* and nobody looks any more */
	before = status_number(outboardd.pid, key);
	assert_false(is_ready(broker.pid_fd, 1000));
	assert_int_equal(status_number(outboardd.pid, key), before);
	pulse_beat(&pulse, true);
	is_ended(now_msec());
}

static void link_programs(void)
{
	static const char *const names[] = { "outboardd-manager", "outboard-launch",
		"outboard-esd" };
	char path[PATH_MAX];
	size_t i;

	assert_non_null(mkdtemp(programs));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof path, "%s/%s", programs, names[i]);
		assert_int_equal(symlink(double_path, path), 0);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(children_inherit_what_is_named),
		TEST(ends_are_told),
		TEST(spawns_that_do_not_fit_are_refused),
		TEST(a_new_manager_gets_everything),
		TEST(extensions_outlive_outboardd),
#define SERVICE(name) cmocka_unit_test_setup_teardown(name, start_as_service, stop_service)
		SERVICE(ready_is_a_manager_in_its_loop),
		SERVICE(ready_when_the_manager_fails),
#undef SERVICE
		TEST(a_stopped_manager_is_replaced),
		TEST(a_full_queue_holds_nobody_up),
		TEST(a_manager_that_does_not_answer_is_replaced),
		TEST(garbage_from_the_manager),
		TEST(two_never_run_on_one_root),
		TEST(an_idle_parent_sleeps),
#undef TEST
#define BROKER(name) cmocka_unit_test_setup_teardown(name, start_with_broker, stop_with_broker)
		BROKER(a_broker_that_is_stuck_is_ended),
		BROKER(a_queue_that_nobody_reads_is_enough),
		BROKER(a_broker_that_works_is_left_alone),
#undef BROKER
	};

	if (argc != 4) {
		fprintf(stderr, "usage: test-parent OUTBOARDD DOUBLE IN-CGROUP\n");
		return 2;
	}
	outboardd_path = argv[1];
	double_path = realpath(argv[2], NULL);
	if (!double_path)
		return 2;
	in_cgroup_path = argv[3];
	link_programs();
	return cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}
