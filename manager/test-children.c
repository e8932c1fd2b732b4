/* SPDX-License-Identifier: Apache-2.0
 *
 * The manager's side of its parent. Behind the wire stands the parent's own code for messages and
 * for starting processes (parent/serve.c, spawn.c) in a process of the test's, and what it starts is
 * parent/double.c; where the parent is to say what a sound one never does, the test speaks itself.
 *
 * test-manager-children DOUBLE
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/peer.h"
#include "base/str.h"
#include "manager/children.h"
#include "manager/parent/double.h"
#include "manager/parent/parent.h"

#define WAIT_MSEC 20000	     /* a ceiling for what takes milliseconds */
#define NUMBER 7000000000ull /* of a child: more than 32 bits */
#define WIRES 2		     /* managers, one after the other */

static char *double_path;
static char programs[] = "/tmp/outboard-children-XXXXXX";
static struct wire_packet packet;

static void __attribute__((noreturn)) wait_for_ever(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(3, ~0u, 0); /* it holds no wire open */
	for (;;)
		pause();
}

/* ---- The parent ------------------------------------------------------------------------------- */

static struct parent parent;

uint64_t parent_now_usec(void)
{
	return 0;
}

void parent_ready(void)
{
}

static void reap(void)
{
	siginfo_t info;
	size_t i;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
			return;
		for (i = 0; i < PARENT_CHILDREN_MAX; i++)
			if (parent.children[i].is.child && parent.children[i].is.pid == info.si_pid)
				parent_child_ended(
					&parent, &parent.children[i], info.si_code, info.si_status);
	}
}

/* Serves one manager until it is gone, then the next one; ends with the last. */
static void __attribute__((noreturn)) be_parent(const int wires[static WIRES])
{
	sigset_t set;
	int i, r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	parent.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	parent.log_here = true;
	for (i = 0; i < LISTENERS; i++)
		parent.listen_fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < WIRES; i++) {
		struct pollfd fds[] = { { wires[i], POLLIN, 0 }, { parent.signal_fd, POLLIN, 0 } };
		struct signalfd_siginfo signal;

		parent.manager_fd = wires[i];
		for (r = parent_send_all(&parent); r == 0; r = parent_serve(&parent)) {
			if (poll(fds, 2, -1) < 0)
				_exit(2);
			if (fds[1].revents && read(parent.signal_fd, &signal, sizeof signal) > 0)
				reap();
		}
		/* what ends now is told to the next one */
		parent.manager_fd = -1;
		fd_close(wires[i]);
	}
	_exit(0);
}

/* ---- The manager ------------------------------------------------------------------------------ */

static struct {
	sd_event *event;
	pid_t parent_pid;
	int wires[WIRES];
	struct children *children;
	size_t n_ended;
	uint64_t ended;
	int code, status;
} manager;

static void on_ended(void *context, uint64_t child, int code, int status)
{
	assert_ptr_equal(context, &manager);
	manager.n_ended++;
	manager.ended = child;
	manager.code = code;
	manager.status = status;
}

static size_t count_fds(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	size_t n = 0;
	DIR *folder;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	assert_non_null(folder);
	while ((entry = readdir(folder)))
		n += entry->d_name[0] != '.';
	closedir(folder);
	return n;
}

/* Takes @wire over. */
static void manager_start(int wire)
{
	assert_int_equal(sd_event_new(&manager.event), 0);
	assert_int_equal(
		children_new(manager.event, wire, on_ended, &manager, &manager.children), 0);
}

static void manager_end(void)
{
	manager.children = children_free(manager.children);
	manager.event = sd_event_unref(manager.event);
}

static int set_up(void **state)
{
	int theirs[WIRES], pair[2], i;

	manager.n_ended = 0;
	setenv("OUTBOARD_LIBEXEC", programs, 1);
	for (i = 0; i < WIRES; i++) {
		assert_int_equal(wire_pair(pair), 0);
		manager.wires[i] = pair[0];
		theirs[i] = pair[1];
	}
	manager.parent_pid = fork();
	assert_true(manager.parent_pid >= 0);
	if (manager.parent_pid == 0) {
		for (i = 0; i < WIRES; i++)
			close(manager.wires[i]);
		be_parent(theirs);
	}
	for (i = 0; i < WIRES; i++)
		close(theirs[i]);
	manager_start(TAKE_FD(manager.wires[0]));
	return 0;
}

static int tear_down(void **state)
{
	int i, status;

	manager_end();
	for (i = 0; i < WIRES; i++)
		fd_close(manager.wires[i]);
	assert_int_equal(waitpid(manager.parent_pid, &status, 0), manager.parent_pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* nothing that was started is a child of the manager's, not even a dead one */
	assert_int_equal(waitpid(-1, &status, WNOHANG), -1);
	return 0;
}

static void run_until_ended(size_t n)
{
	while (manager.n_ended < n)
		assert_true(sd_event_run(manager.event, WAIT_MSEC * 1000ull) > 0);
}

static void assert_ended(uint64_t number, int code, int status)
{
	assert_true(manager.ended == number);
	assert_int_equal(manager.code, code);
	assert_int_equal(manager.status, status);
	assert_false(children_is_alive(manager.children, number));
	assert_int_equal(children_get_pid(manager.children, number), 0);
	assert_int_equal(children_signal(manager.children, number, SIGKILL), -ESRCH);
}

/* ---- Its children ----------------------------------------------------------------------------- */

struct process {
	pid_t pid;
	uint64_t start_time;
	int control_fd, output_fd;
};

static int start(uint64_t number, struct process *ret)
{
	int pair[2], pipe_fds[2], r;

	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	r = children_spawn(manager.children, number, PARENT_PROGRAM_LAUNCH,
		PARENT_SPAWN_DIES_WITH_PARENT, "spare,control",
		(const int[]){ pipe_fds[1], STDIN_FILENO, pair[1] }, 3, &ret->pid,
		&ret->start_time);
	close(pair[1]);
	close(pipe_fds[1]);
	ret->control_fd = pair[0];
	ret->output_fd = pipe_fds[0];
	return r;
}

static void done(struct process *process)
{
	fd_close(process->control_fd);
	fd_close(process->output_fd);
}

static void await_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&poll_fd, 1, WAIT_MSEC), 1);
}

/* It runs, and has said what it has. */
static struct double_report await_report(const struct process *process)
{
	struct double_report report;

	await_readable(process->control_fd);
	assert_int_equal(wire_receive(process->control_fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, DOUBLE_IS_CHILD);
	memcpy(&report, packet.body, sizeof report);
	return report;
}

static void tell_to_exit(const struct process *process, unsigned char status)
{
	assert_int_equal(WIRE_SEND(process->control_fd, DOUBLE_EXIT, 0, &status), 0);
}

/* All that it has written, until its end. */
static void read_output(const struct process *process, char *ret, size_t bytes)
{
	size_t n = 0;
	ssize_t got;

	while ((got = read(process->output_fd, ret + n, bytes - 1 - n)) > 0)
		n += (size_t)got;
	assert_int_equal(got, 0);
	ret[n] = '\0';
}

/* Red when a descriptor is left out, is another one, or one more comes along. */
static void test_it_has_what_is_named(void **state)
{
	struct double_report report;
	struct process process;
	uint64_t start_time;
	struct stat ours, its;
	int fd;

	assert_int_equal(start(NUMBER, &process), 0);
	report = await_report(&process);
	assert_int_equal(report.pid, process.pid);
	assert_string_equal(report.fds, "spare=3,control=4");
	assert_true(report.open_fds == 0x1f);
	assert_int_equal(process_start_time(process.pid, &start_time), 0);
	assert_true(start_time == process.start_time);
	assert_true(children_is_alive(manager.children, NUMBER));
	assert_int_equal(children_get_pid(manager.children, NUMBER), process.pid);
	assert_false(children_is_alive(manager.children, NUMBER + 1));

	fd = children_get_fd(manager.children, NUMBER, 3);
	if (fd == -EPERM) {
		print_message("pidfd_getfd(2) is not allowed here\n");
	} else {
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &its) + fstat(STDIN_FILENO, &ours), 0);
		assert_true(its.st_ino == ours.st_ino && its.st_dev == ours.st_dev);
		close(fd);
	}
	assert_int_equal(children_get_fd(manager.children, NUMBER + 1, 3), -ESRCH);
	tell_to_exit(&process, 0);
	run_until_ended(1);
	done(&process);
}

/* Red when code and status are mixed up, or when what it said is lost with it. */
static void test_it_exits(void **state)
{
	char said[256], expected[64];
	struct process process;

	assert_int_equal(start(NUMBER, &process), 0);
	await_report(&process);
	tell_to_exit(&process, 7);
	run_until_ended(1);
	assert_ended(NUMBER, CLD_EXITED, 7);
	assert_int_equal(kill(process.pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	read_output(&process, said, sizeof said);
	snprintf(expected, sizeof expected, "said by %d\n", (int)process.pid);
	assert_string_equal(said, expected);
	done(&process);
}

/* Red when the end is told from within a call of the manager's, which walks its own lists then. */
static void test_it_is_killed(void **state)
{
	struct process first, second;
	siginfo_t info;
	int pid_fd;

	assert_int_equal(start(NUMBER, &first), 0);
	await_report(&first);
	pid_fd = process_pidfd(first.pid);
	assert_true(pid_fd >= 0);
	assert_int_equal(children_signal(manager.children, NUMBER, SIGKILL), 0);
	await_readable(pid_fd);
	assert_int_equal(waitid(P_PIDFD, (id_t)pid_fd, &info, WEXITED), -1); /* not ours to reap */
	close(pid_fd);
	/* the message of its end comes before the answer to a second one like this, at the latest */
	assert_int_equal(start(NUMBER + 1, &second), 0);
	await_report(&second);
	assert_int_equal(children_signal(manager.children, NUMBER + 1, 0), 0);
	assert_int_equal(manager.n_ended, 0);
	run_until_ended(1);
	assert_ended(NUMBER, CLD_KILLED, SIGKILL);
	assert_true(children_is_alive(manager.children, NUMBER + 1));
	tell_to_exit(&second, 0);
	run_until_ended(2);
	done(&first);
	done(&second);
}

/* Red when a program that is not there is no child that has ended, or nobody learns why. */
static void test_there_is_no_program(void **state)
{
	char said[512];
	struct process process = { .control_fd = -1 };
	int fds[2];
	uint64_t start_time;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(children_spawn(manager.children, NUMBER, PARENT_PROGRAM_NETWORK, 0, "",
				 &fds[1], 1, &pid, &start_time),
		0);
	close(fds[1]);
	run_until_ended(1);
	assert_ended(NUMBER, CLD_EXITED, 127);
	process.output_fd = fds[0];
	read_output(&process, said, sizeof said);
	done(&process);
	assert_non_null(strstr(said, "cannot run"));
	assert_non_null(strstr(said, "outboard-ned: No such file or directory"));

	/* refused before there is a process */
	pid = 0;
	fds[0] = STDERR_FILENO;
	assert_int_equal(children_spawn(manager.children, NUMBER, PARENT_PROGRAM_MAX_, 0, "", fds,
				 1, &pid, &start_time),
		-EINVAL);
	assert_int_equal(children_spawn(manager.children, NUMBER, PARENT_PROGRAM_LAUNCH, 0, "a,b",
				 fds, 1, &pid, &start_time),
		-EINVAL);
	assert_int_equal(pid, 0);
	assert_false(children_is_alive(manager.children, NUMBER));

	/* and the next one is started as if nothing had been */
	assert_int_equal(start(NUMBER + 1, &process), 0);
	await_report(&process);
	tell_to_exit(&process, 1);
	run_until_ended(2);
	assert_ended(NUMBER + 1, CLD_EXITED, 1);
	done(&process);
}

/* Red when a start, an end or a stored descriptor leaves one open, here or in the parent. */
static void test_no_descriptor_is_left(void **state)
{
	size_t ours = count_fds(getpid()), before = count_fds(manager.parent_pid), i;
	struct process process;

	for (i = 1; i <= 20; i++) {
		assert_int_equal(start(NUMBER + i, &process), 0);
		await_report(&process);
		assert_int_equal(children_store(manager.children, "a", process.control_fd), 0);
		assert_int_equal(children_store(manager.children, "a", process.output_fd), 0);
		children_unstore(manager.children, "a");
		tell_to_exit(&process, 0);
		run_until_ended(i);
		done(&process);
		assert_int_equal(count_fds(getpid()), ours);
	}
	/* it closes what belongs to a message after it has answered: so a few, but not one for each */
	assert_in_range(count_fds(manager.parent_pid), before, before + 3);
}

static int note_child(void *context, const struct parent_child *child)
{
	uint64_t *sum = context;

	*sum += child->child;
	return 0;
}

static int note_stored(void *context, const char *name, int fd)
{
	snprintf((char *)context + strlen(context), 32, "%s ", name);
	return fcntl(fd, F_GETFD) < 0 ? -errno : 0;
}

/* Red when the next manager lacks what this one had, or is not told what has ended in between. */
static void test_the_next_manager_has_it_all(void **state)
{
	char names[256] = "";
	struct process lives, ends;
	struct stat stored, pipe_end;
	uint64_t sum = 0;
	int pid_fd;

	assert_int_equal(children_stored(manager.children, "log:1"), -ENOENT);
	assert_int_equal(start(NUMBER, &lives), 0);
	await_report(&lives);
	assert_int_equal(start(NUMBER + 1, &ends), 0);
	await_report(&ends);
	assert_int_equal(children_store(manager.children, "log:1", lives.output_fd), 0);
	assert_int_equal(children_store(manager.children, "log:2", ends.output_fd), 0);
	children_unstore(manager.children, "log:2");
	assert_true(children_stored(manager.children, "log:1") >= 0);
	assert_int_equal(children_stored(manager.children, "log:2"), -ENOENT);
	pid_fd = process_pidfd(ends.pid);
	assert_true(pid_fd >= 0);

	manager_end();
	tell_to_exit(&ends, 3);
	await_readable(pid_fd);
	close(pid_fd);
	manager_start(TAKE_FD(manager.wires[1]));

	assert_int_equal(children_each_stored(manager.children, note_stored, names), 0);
	assert_string_equal(names, "listen:manager listen:control listen:endpoint log:1 ");
	assert_int_equal(fstat(children_stored(manager.children, "log:1"), &stored), 0);
	assert_int_equal(fstat(lives.output_fd, &pipe_end), 0);
	assert_true(stored.st_ino == pipe_end.st_ino);
	assert_int_equal(children_each(manager.children, note_child, &sum), 0);
	assert_true(sum == 2 * NUMBER + 1);
	assert_int_equal(children_get_pid(manager.children, NUMBER), lives.pid);
	assert_int_equal(manager.n_ended, 0);
	run_until_ended(1);
	assert_ended(NUMBER + 1, CLD_EXITED, 3);

	assert_int_equal(children_signal(manager.children, NUMBER, SIGTERM), 0);
	run_until_ended(2);
	assert_ended(NUMBER, CLD_KILLED, SIGTERM);
	done(&lives);
	done(&ends);
}

/* A process that an outboardd before this one has left: a child of this one's no more. */
static void test_an_orphan_is_adopted(void **state)
{
	uint64_t start_time;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		wait_for_ever();
	assert_int_equal(process_start_time(pid, &start_time), 0);
	assert_int_equal(children_adopt(manager.children, NUMBER, PARENT_PROGRAM_LAUNCH, pid,
				 start_time + 1),
		-ESRCH);
	assert_false(children_is_alive(manager.children, NUMBER));
	assert_int_equal(
		children_adopt(manager.children, NUMBER, PARENT_PROGRAM_LAUNCH, pid, start_time),
		0);
	assert_int_equal(children_get_pid(manager.children, NUMBER), pid);
	assert_int_equal(children_signal(manager.children, NUMBER, SIGKILL), 0);
	run_until_ended(1);
	assert_ended(NUMBER, 0, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(
		children_adopt(manager.children, NUMBER, PARENT_PROGRAM_LAUNCH, pid, start_time),
		-ESRCH);
}

/* Red when a process that has no place in the table runs on, known to nobody. */
static void test_one_too_many_is_ended(void **state)
{
	struct process process;
	uint64_t start_time;
	char said[8];
	unsigned i;

	assert_int_equal(process_start_time(getpid(), &start_time), 0);
	for (i = 0; i < PARENT_CHILDREN_MAX; i++)
		assert_int_equal(children_adopt(manager.children, NUMBER + i, PARENT_PROGRAM_LAUNCH,
					 getpid(), start_time),
			0);
	assert_int_equal(children_adopt(manager.children, NUMBER + i, PARENT_PROGRAM_LAUNCH,
				 getpid(), start_time),
		-EUSERS);
	assert_int_equal(start(NUMBER + i, &process), -EUSERS);
	/* its end: the other end of its output is closed */
	do
		await_readable(process.output_fd);
	while (read(process.output_fd, said, sizeof said) > 0);
	done(&process);
}

/* ---- A parent that the test is ---------------------------------------------------------------- */

static int raw_set_up(void **state)
{
	int pair[2];

	manager.n_ended = 0;
	assert_int_equal(wire_pair(pair), 0);
	manager.wires[0] = pair[1];
	assert_int_equal(wire_send(pair[1], PARENT_BEGIN, 0, 0, NULL, 0, NULL, 0), 0);
	manager_start(pair[0]);
	return 0;
}

static int raw_tear_down(void **state)
{
	manager_end();
	manager.wires[0] = fd_close(manager.wires[0]);
	return 0;
}

static void say(uint16_t type, uint64_t id, const void *body, size_t bytes)
{
	assert_int_equal(wire_send(manager.wires[0], type, id ? WIRE_FLAG_REPLY : 0, id, body,
				 bytes, NULL, 0),
		0);
}

static void turn_loop(void)
{
	while (sd_event_run(manager.event, 0) > 0)
		;
}

static bool has_message(void)
{
	struct pollfd poll_fd = { .fd = manager.wires[0], .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

/* A child is started by a manager that has not come to its loop, with what the parent says first. */
static void spawn_after(uint64_t id, uint16_t type, const void *body, size_t bytes)
{
	const struct parent_child child = { .child = NUMBER + id, .pid = 4711, .start_time = 1 };
	uint64_t start_time = 0;
	pid_t pid = 0;

	say(type, 0, body, bytes);
	say(PARENT_SPAWNED, id, &child, sizeof child);
	assert_int_equal(children_spawn(manager.children, NUMBER + id, PARENT_PROGRAM_LAUNCH, 0, "",
				 (const int[]){ STDERR_FILENO }, 1, &pid, &start_time),
		0);
	assert_int_equal(pid, 4711);
	assert_int_equal(wire_receive(manager.wires[0], &packet, 0), 0);
	assert_int_equal(packet.header.type, PARENT_SPAWN);
	wire_packet_done(&packet);
}

/* Answer in on_ping() to make this red: outboardd would be ready before its extensions run. */
static void test_a_ping_is_answered_by_the_loop(void **state)
{
	spawn_after(1, PARENT_PING, NULL, 0);
	assert_false(has_message());
	turn_loop();
	assert_true(has_message());
	assert_int_equal(wire_receive(manager.wires[0], &packet, 0), 0);
	assert_int_equal(packet.header.type, PARENT_PONG);
	turn_loop();
	assert_false(has_message());
}

static void test_an_end_is_told_by_the_loop(void **state)
{
	const struct parent_child end = { .child = NUMBER + 1, .code = CLD_EXITED, .status = 7 };

	spawn_after(1, PARENT_PING, NULL, 0);
	spawn_after(2, PARENT_EXITED, &end, sizeof end);
	assert_int_equal(manager.n_ended, 0);
	turn_loop();
	assert_int_equal(manager.n_ended, 1);
	assert_ended(NUMBER + 1, CLD_EXITED, 7);
}

/* Without a parent there is nothing to manage: an end, but no failure. */
static void test_the_parent_is_gone(void **state)
{
	manager.wires[0] = fd_close(manager.wires[0]);
	assert_int_equal(sd_event_loop(manager.event), 0);
}

static void test_the_parent_talks_nonsense(void **state)
{
	const struct parent_name name = { "what nobody asks a manager" };

	assert_int_equal(WIRE_SEND(manager.wires[0], PARENT_STORE, 0, &name), 0);
	assert_int_equal(sd_event_loop(manager.event), 1);
}

/* An answer that comes when nobody waits for it any more brings a process: it is nobody's. */
static void test_a_late_answer_is_no_child(void **state)
{
	struct parent_child is = { .child = NUMBER };
	int pid_fd, status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		wait_for_ever();
	pid_fd = process_pidfd(pid);
	assert_true(pid_fd >= 0);
	is.pid = pid;
	assert_int_equal(wire_send(manager.wires[0], PARENT_SPAWNED, WIRE_FLAG_REPLY, 1, &is,
				 sizeof is, &pid_fd, 1),
		0);
	turn_loop();
	await_readable(pid_fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_false(children_is_alive(manager.children, NUMBER));
	close(pid_fd);
}

static int link_programs(void **state)
{
	char path[PATH_MAX];

	if (!mkdtemp(programs))
		return -1;
	snprintf(path, sizeof path, "%s/outboard-launch", programs);
	return symlink(double_path, path);
}

static int unlink_programs(void **state)
{
	char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/outboard-launch", programs);
	free(double_path);
	return unlink(path) + rmdir(programs);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define RAW(name) cmocka_unit_test_setup_teardown(name, raw_set_up, raw_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_it_has_what_is_named),
		TEST(test_it_exits),
		TEST(test_it_is_killed),
		TEST(test_there_is_no_program),
		TEST(test_no_descriptor_is_left),
		TEST(test_the_next_manager_has_it_all),
		TEST(test_an_orphan_is_adopted),
		TEST(test_one_too_many_is_ended),
		RAW(test_a_ping_is_answered_by_the_loop),
		RAW(test_an_end_is_told_by_the_loop),
		RAW(test_the_parent_is_gone),
		RAW(test_the_parent_talks_nonsense),
		RAW(test_a_late_answer_is_no_child),
	};

	if (argc != 2)
		return 2;
	double_path = realpath(argv[1], NULL);
	if (!double_path)
		return 2;
	return cmocka_run_group_tests(tests, link_programs, unlink_programs);
}
