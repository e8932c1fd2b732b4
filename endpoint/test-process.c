/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a process is, in each message of it: an actor whose ids all differ, which has a login, a session
 * and a group of its own, forks, signals and becomes another program from its second thread, in odd
 * places. What was told is held against what it was made to be. Needs root and a scope (SCOPE_CGROUP).
 * test-process PROGRAM
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <bsm/libbsm.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/paths.h"
#include "base/str.h"
#include "endpoint/test-scene.h"

enum { RUID = 2001, EUID = 2002, RGID = 3003, EGID = 3004, LOGIN = 5005, CHILD_EXIT = 7 };

#define LONG_NAME "a-program-of-sixty-four-characters-more-than-any-comm-would-hold"
_Static_assert(sizeof LONG_NAME == 65, "");
#define DEEP_NAME_BYTES 200
#define DEEP 19

static char root[128], program[PATH_MAX], own[PATH_MAX], deep_name[DEEP_NAME_BYTES + 1];

/* What the actor knows of itself, written before it acts. */
static struct shared {
	pid_t pid, parent, group, session, child;
	unsigned audit_session;
	char cwd[2 * PATH_MAX];
	struct stat cwd_is;
} * shared;

enum { GOT_FORK, GOT_SIGNAL, GOT_EXIT, GOT_EXEC, GOT };
static const es_event_type_t types[GOT] = { ES_EVENT_TYPE_NOTIFY_FORK, ES_EVENT_TYPE_NOTIFY_SIGNAL,
	ES_EVENT_TYPE_NOTIFY_EXIT, ES_EVENT_TYPE_NOTIFY_EXEC };
static const es_message_t *got[GOT];
static atomic_uint n_got;
static _Atomic(pid_t) actor;

/* One of each type: of the actor, and the end of its child. */
static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	pid_t pid = audit_token_to_pid(message->process->audit_token);
	int i;

	if (message->event_type == ES_EVENT_TYPE_NOTIFY_EXIT ? pid != shared->child : pid != actor)
		return;
	for (i = 0; i < GOT; i++) {
		if (message->event_type != types[i] || got[i])
			continue;
		es_retain_message(message);
		got[i] = message;
		n_got++;
		sem_post(&something);
	}
}

static void drop_all(void)
{
	int i;

	for (i = 0; i < GOT; i++) {
		if (got[i])
			es_release_message(got[i]);
		got[i] = NULL;
	}
	n_got = 0;
}

/* ---- the actor --------------------------------------------------------------------------------- */

/* In a child: an assertion of cmocka's would go on in there with the parent's tests. */
#define must(what)                                                                    \
	do {                                                                          \
		if (!(what)) {                                                        \
			fprintf(stderr, "actor, line %d: %s: %m\n", __LINE__, #what); \
			_exit(1);                                                     \
		}                                                                     \
	} while (0)

static unsigned number_in(const char *path)
{
	unsigned number = (unsigned)-1; /* a kernel without audit has neither login nor session */
	FILE *file = fopen(path, "re");

	if (file) {
		if (fscanf(file, "%u", &number) != 1)
			number = (unsigned)-1;
		fclose(file);
	}
	return number;
}

static void log_in(void)
{
	FILE *file = fopen("/proc/self/loginuid", "we");

	if (file) {
		fprintf(file, "%d", LOGIN);
		fclose(file);
	}
	shared->audit_session = number_in("/proc/self/sessionid");
}

/* The caller waits for it, and ends as it did. */
static void go_on_in_a_child(void)
{
	pid_t pid = fork();
	int status;

	must(pid >= 0);
	if (pid == 0) {
		must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
		return;
	}
	must(waitpid(pid, &status, 0) == pid);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

/* One leads the session, one the group, and the third one acts: no two numbers are alike. */
static void join_others(void)
{
	must(setsid() > 0);
	go_on_in_a_child();
	must(setpgid(0, 0) == 0);
	go_on_in_a_child();
	shared->pid = getpid();
	shared->parent = getppid();
	shared->group = getpgrp();
	shared->session = getsid(0);
}

static void fork_and_signal(void)
{
	int up[2];
	char letter;
	pid_t child;

	must(pipe2(up, O_CLOEXEC) == 0);
	child = fork();
	if (child == 0) {
		must(read(up[0], &letter, 1) == 1);
		_exit(CHILD_EXIT);
	}
	shared->child = child; /* before it ends */
	must(child > 0 && kill(child, SIGURG) == 0);
	must(write(up[1], "x", 1) == 1 && waitpid(child, NULL, 0) == child);
}

static void *act(void *path)
{
	fork_and_signal();
	execle(path, "called-so", "one", "", "three words here", NULL,
		(char *[]){ "A=1", "B=two words", NULL });
	_exit(100 + errno);
}

static void become_user(void)
{
	must(setgroups(0, NULL) == 0 && setresgid(RGID, EGID, EGID) == 0);
	must(setresuid(RUID, EUID, EUID) == 0);
}

static void actor_main(const int go[2], int ready_fd, void (*prepare)(void), char *path)
{
	pthread_t thread;
	char letter;

	log_in();
	join_others();
	must(chdir(root) == 0);
	must(write(ready_fd, "x", 1) == 1 && read(go[0], &letter, 1) == 1);
	if (prepare)
		prepare();
	become_user();
	if (shared->cwd[0] == '\0')
		must(getcwd(shared->cwd, sizeof shared->cwd) && stat(".", &shared->cwd_is) == 0);
	must(pthread_create(&thread, NULL, act, path) == 0);
	pthread_join(thread, NULL);
	_exit(98);
}

static void run_actor(void (*prepare)(void), char *path)
{
	int go[2], ready[2], status;
	pid_t leader;
	char letter;

	drop_all();
	memset(shared, 0, sizeof *shared);
	actor = 0;
	assert_int_equal(pipe2(go, O_CLOEXEC) | pipe2(ready, O_CLOEXEC), 0);
	leader = fork();
	if (leader == 0)
		actor_main(go, ready[1], prepare, path);
	assert_int_equal(read(ready[0], &letter, 1), 1);
	actor = shared->pid;
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(waitpid(leader, &status, 0), leader);
	close(go[0]);
	close(go[1]);
	close(ready[0]);
	close(ready[1]);
	if (status != 0)
		fail_msg("the actor: %x", status);
}

/* ---- comparing --------------------------------------------------------------------------------- */

static void compare_ids(const es_process_t *process, pid_t pid, pid_t parent)
{
	const audit_token_t token = process->audit_token;

	assert_int_equal(audit_token_to_pid(token), pid);
	assert_int_equal(audit_token_to_ruid(token), RUID);
	assert_int_equal(audit_token_to_euid(token), EUID);
	assert_int_equal(audit_token_to_rgid(token), RGID);
	assert_int_equal(audit_token_to_egid(token), EGID);
	assert_int_equal((unsigned)audit_token_to_auid(token),
		shared->audit_session == (unsigned)-1 ? (unsigned)-1 : LOGIN);
	assert_int_equal((unsigned)audit_token_to_asid(token), shared->audit_session);
	assert_int_equal(process->ppid, parent);
	assert_int_equal(process->original_ppid, parent);
	assert_int_equal(audit_token_to_pid(process->parent_audit_token), parent);
	assert_int_equal(process->group_id, shared->group);
	assert_int_equal(process->session_id, shared->session);
	assert_false(process->is_es_client);
	assert_null(process->tty);
}

static bool is_on_overlay(const char *path)
{
	struct statfs of;

	return statfs(path, &of) == 0 && of.f_type == OVERLAYFS_SUPER_MAGIC;
}

static void compare_file(const es_file_t *is, const char *path, const struct stat *should)
{
	assert_string_equal(is->path.data, path);
	assert_int_equal(is->path.length, strlen(path));
	assert_false(is->path_truncated);
	assert_int_equal(is->stat.st_ino, should->st_ino);
	/* stat(2) gives overlayfs' files another one than that of their mount: EndpointSecurity(7) */
	if (!is_on_overlay(path))
		assert_int_equal(is->stat.st_dev, should->st_dev);
	assert_int_equal(is->stat.st_mode, should->st_mode);
	assert_int_equal(is->stat.st_size, should->st_size);
	assert_int_equal(is->stat.st_uid, should->st_uid);
	assert_int_equal(is->stat.st_gid, should->st_gid);
	assert_int_equal(is->stat.st_mtim.tv_sec, should->st_mtim.tv_sec);
	assert_int_equal(is->stat.st_mtim.tv_nsec, should->st_mtim.tv_nsec);
}

static void compare_words(const es_event_exec_t *exec)
{
	static const char *const words[] = { "called-so", "one", "", "three words here" };
	static const char *const variables[] = { "A=1", "B=two words" };
	uint32_t i;

	assert_int_equal(es_exec_arg_count(exec), ARRAY_SIZE(words));
	for (i = 0; i < ARRAY_SIZE(words); i++)
		assert_string_equal(es_exec_arg(exec, i).data, words[i]);
	assert_int_equal(es_exec_env_count(exec), ARRAY_SIZE(variables));
	for (i = 0; i < ARRAY_SIZE(variables); i++)
		assert_string_equal(es_exec_env(exec, i).data, variables[i]);
}

/* `process` is the image before, the target the one after: one process, another version. */
static void compare_exec(const char *path, const struct stat *file, const char *cwd)
{
	const es_message_t *message = got[GOT_EXEC];
	const es_event_exec_t *exec = &message->event.exec;
	const es_process_t *before = message->process, *after = exec->target;
	struct stat own_is;

	assert_int_equal(stat(own, &own_is), 0);
	compare_ids(before, shared->pid, shared->parent);
	compare_ids(after, shared->pid, shared->parent);
	compare_file(before->executable, own, &own_is);
	compare_file(after->executable, path, file);
	assert_int_not_equal(audit_token_to_pidversion(before->audit_token),
		audit_token_to_pidversion(after->audit_token));
	assert_memory_equal(&before->start_time, &after->start_time, sizeof before->start_time);
	assert_string_equal(exec->cwd->path.data, cwd);
	assert_int_equal(exec->cwd->stat.st_ino, shared->cwd_is.st_ino);
	assert_null(exec->script);
	compare_words(exec);
	assert_int_not_equal(message->thread->thread_id, 0);
}

static void compare_others(void)
{
	const es_process_t *child = got[GOT_FORK]->event.fork.child;

	compare_ids(got[GOT_FORK]->process, shared->pid, shared->parent);
	compare_ids(child, shared->child, shared->pid);
	assert_string_equal(child->executable->path.data, own);
	compare_ids(got[GOT_SIGNAL]->process, shared->pid, shared->parent);
	compare_ids(got[GOT_SIGNAL]->event.signal.target, shared->child, shared->pid);
	assert_int_equal(got[GOT_SIGNAL]->event.signal.sig, SIGURG);
	/* its number on the machine, which nobody in a pid namespace knows */
	assert_int_equal(got[GOT_FORK]->thread->thread_id, got[GOT_SIGNAL]->thread->thread_id);
	compare_ids(got[GOT_EXIT]->process, shared->child, shared->pid);
	assert_int_equal(got[GOT_EXIT]->event.exit.stat, CHILD_EXIT << 8);
	assert_memory_equal(&got[GOT_EXIT]->process->audit_token, &child->audit_token,
		sizeof child->audit_token);
	assert_true(got[GOT_FORK]->mach_time <= got[GOT_SIGNAL]->mach_time &&
		got[GOT_SIGNAL]->mach_time <= got[GOT_EXIT]->mach_time &&
		got[GOT_EXIT]->mach_time <= got[GOT_EXEC]->mach_time);
}

static es_client_t *new_client(void)
{
	es_client_t *client;

	assert_int_equal(es_new_client_f(&client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, types, GOT), ES_RETURN_SUCCESS);
	return client;
}

/* ---- tests ------------------------------------------------------------------------------------- */

static char *in_root(const char *name)
{
	static char path[PATH_MAX + 160];

	snprintf(path, sizeof path, "%s/%s", root, name);
	return path;
}

static void put_program(const char *path)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof command, "cp '%s' '%s'", program, path);
	assert_int_equal(system(command), 0);
}

static void test_from_a_second_thread(void **state)
{
	es_client_t *client = new_client();
	struct stat file;

	put_program(in_root(LONG_NAME));
	assert_int_equal(stat(in_root(LONG_NAME), &file), 0);
	run_actor(NULL, in_root(LONG_NAME));
	await_count(&n_got, GOT);
	compare_exec(in_root(LONG_NAME), &file, shared->cwd);
	compare_others();
	es_delete_client(client);
}

/* The folders are entered one by one: no call takes a path as long as this one. */
static void enter_deep(void)
{
	char from[PATH_MAX], *path = shared->cwd;
	int i;

	path += sprintf(path, "%s", root);
	for (i = 0; i < DEEP; i++) {
		must((mkdir(deep_name, 0755) == 0 || errno == EEXIST) && chdir(deep_name) == 0);
		path += sprintf(path, "/%s", deep_name);
	}
	must(stat(".", &shared->cwd_is) == 0);
	snprintf(from, sizeof from, "%s/%s", root, LONG_NAME);
	must(link(from, "program") == 0 || errno == EEXIST);
}

static void test_a_path_of_4000_bytes(void **state)
{
	es_client_t *client = new_client();
	char path[sizeof shared->cwd + 16];
	struct stat file;

	memset(deep_name, 'd', DEEP_NAME_BYTES);
	run_actor(enter_deep, "./program");
	await_count(&n_got, GOT);
	assert_int_equal(stat(in_root(LONG_NAME), &file), 0);
	snprintf(path, sizeof path, "%s/program", shared->cwd);
	assert_true(strlen(path) > 3800);
	compare_exec(path, &file, shared->cwd);
	es_delete_client(client);
}

/* The path is that of the mount tree, not of the root. */
static void enter_root(void)
{
	must(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(chroot(root) == 0 && chdir("/") == 0);
}

static void test_a_root_and_a_mount_namespace(void **state)
{
	es_client_t *client = new_client();
	struct stat file;

	put_program(in_root("inside"));
	assert_int_equal(stat(in_root("inside"), &file), 0);
	run_actor(enter_root, "/inside");
	await_count(&n_got, GOT);
	assert_string_equal(shared->cwd, "/");
	compare_exec(in_root("inside"), &file, root);
	compare_others();
	es_delete_client(client);
}

static void leave_nothing(void)
{
	must(mkdir("gone", 0700) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0);
	must(stat(".", &shared->cwd_is) == 0);
	snprintf(shared->cwd, sizeof shared->cwd, "%s/gone", root);
}

static void test_a_removed_working_directory(void **state)
{
	es_client_t *client = new_client();
	struct stat file;

	put_program(in_root("left"));
	assert_int_equal(stat(in_root("left"), &file), 0);
	run_actor(leave_nothing, in_root("left"));
	await_count(&n_got, GOT);
	compare_exec(in_root("left"), &file, shared->cwd);
	es_delete_client(client);
}

/* ---- a number that comes again ----------------------------------------------------------------- */

static const es_message_t *execs[2];
static atomic_uint n_execs;

static void on_exec(es_client_t *client, const es_message_t *message, void *context)
{
	if (n_execs >= 2 || !str_ends(message->event.exec.target->executable->path.data, "/again"))
		return;
	es_retain_message(message);
	execs[n_execs++] = message;
	sem_post(&something);
}

/* False: another process took the number in between. */
static bool run_as(pid_t pid)
{
	FILE *file = fopen("/proc/sys/kernel/ns_last_pid", "we");
	pid_t is;

	assert_non_null(file);
	fprintf(file, "%d", (int)pid - 1);
	assert_int_equal(fclose(file), 0);
	is = fork();
	if (is == 0) {
		if (getpid() != pid)
			_exit(0);
		become_user();
		execl(in_root("again"), "again", NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(is, NULL, 0), is);
	return is == pid;
}

/* They are counted in hundredths of a second since the boot. */
static void await_next_version(void)
{
	struct timespec began, now;

	clock_gettime(CLOCK_BOOTTIME, &began);
	do
		clock_gettime(CLOCK_BOOTTIME, &now);
	while (now.tv_sec == began.tv_sec && now.tv_nsec / 10000000 == began.tv_nsec / 10000000);
}

static void test_a_number_that_comes_again(void **state)
{
	const es_event_type_t exec = ES_EVENT_TYPE_NOTIFY_EXEC;
	const pid_t number = getpid() + 1000;
	const es_process_t *first, *second;
	es_client_t *client;
	int i;

	put_program(in_root("again"));
	assert_int_equal(es_new_client_f(&client, NULL, on_exec), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, &exec, 1), ES_RETURN_SUCCESS);
	for (i = 0; i < 2; i++) {
		while (!run_as(number))
			;
		await_count(&n_execs, (unsigned)i + 1);
		await_next_version();
	}
	first = execs[0]->event.exec.target;
	second = execs[1]->event.exec.target;
	assert_int_equal(audit_token_to_pid(first->audit_token), number);
	assert_int_equal(audit_token_to_pid(second->audit_token), number);
	assert_int_not_equal(audit_token_to_pidversion(first->audit_token),
		audit_token_to_pidversion(second->audit_token));
	assert_memory_not_equal(&first->start_time, &second->start_time, sizeof first->start_time);
	assert_string_equal(first->executable->path.data, second->executable->path.data);
	es_release_message(execs[0]);
	es_release_message(execs[1]);
	es_delete_client(client);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_a_second_thread),
		cmocka_unit_test(test_a_path_of_4000_bytes),
		cmocka_unit_test(test_a_root_and_a_mount_namespace),
		cmocka_unit_test(test_a_removed_working_directory),
		cmocka_unit_test(test_a_number_that_comes_again),
	};
	ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
	int r;

	if (argc != 2 || length < 0 || !realpath(argv[1], program)) {
		fprintf(stderr, "usage: test-process PROGRAM\n");
		return 2;
	}
	if (!scene_begin("test-process"))
		return 77;
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(root, sizeof root, "%s/process", getenv("OUTBOARD_ROOT"));
	if (shared == MAP_FAILED || mkdir(root, 0755) < 0 ||
		mount("process", root, "tmpfs", 0, "mode=755") < 0)
		return 1;
	esd_start(NULL);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	esd_stop();
	if (umount2(root, MNT_DETACH) < 0)
		return 1;
	return r;
}
