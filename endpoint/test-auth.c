/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking before a program runs and before a file is opened, as a user has it: outboard-esd with the
 * scope's own file system, clients through the public header, actors whose ids all differ. Everything
 * that is asked about lies on a tmpfs of this test; nothing else of the machine is ever held.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <mach/mach_time.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "endpoint/test-scene.h"

#define DEADLINE_MS 300
#define UID 2101
#define GID 3101

static char field[PATH_MAX]; /* the tmpfs */

/* ---- what the client does ---------------------------------------------------------------------- */

enum plan { ALLOW, DENY, SILENT, DENY_MARKED, WRONG_CALL, TWICE };

static struct {
	_Atomic(enum plan) plan;
	atomic_bool cache;
	atomic_uint n_exec, n_open, n_notify, n_denied;
	char target[256], script[256], first[64], second[64], actor[256];
	uint32_t n_arguments, fflag;
	uid_t uid;
	gid_t gid, target_gid;
	uid_t target_uid;
	uint64_t budget_ns;
	int pidversion_before, pidversion_after, notify_version;
	char notify_target[256], notify_script[256], notify_first[64];
	uint32_t notify_arguments;
	_Atomic(int) result, second_result;
} seen;

static void answer(es_client_t *client, const es_message_t *message, bool deny)
{
	if (message->event_type == ES_EVENT_TYPE_AUTH_OPEN)
		seen.result = (int)es_respond_flags_result(
			client, message, deny ? 0 : UINT32_MAX, seen.cache);
	else
		seen.result = (int)es_respond_auth_result(client, message,
			deny ? ES_AUTH_RESULT_DENY : ES_AUTH_RESULT_ALLOW, seen.cache);
}

static void look(const es_message_t *message)
{
	const es_event_exec_t *exec = &message->event.exec;

	seen.budget_ns = message->deadline - message->mach_time;
	seen.uid = audit_token_to_euid(message->process->audit_token);
	seen.gid = audit_token_to_egid(message->process->audit_token);
	STR_PUT(seen.actor, message->process->executable->path.data);
	if (message->event_type == ES_EVENT_TYPE_AUTH_OPEN) {
		STR_PUT(seen.target, message->event.open.file->path.data);
		seen.fflag = (uint32_t)message->event.open.fflag;
		seen.n_open++;
		return;
	}
	STR_PUT(seen.target, exec->target->executable->path.data);
	STR_PUT(seen.script, exec->script ? exec->script->path.data : "");
	STR_PUT(seen.first, es_exec_arg(exec, 0).data);
	STR_PUT(seen.second, es_exec_arg(exec, 1).data);
	seen.n_arguments = es_exec_arg_count(exec);
	seen.target_uid = audit_token_to_euid(exec->target->audit_token);
	seen.target_gid = audit_token_to_egid(exec->target->audit_token);
	seen.pidversion_before = audit_token_to_pidversion(message->process->audit_token);
	seen.pidversion_after = audit_token_to_pidversion(exec->target->audit_token);
	seen.n_exec++;
}

static void look_at_notify(const es_message_t *message)
{
	const es_event_exec_t *exec = &message->event.exec;

	if (message->event_type == ES_EVENT_TYPE_NOTIFY_EXEC) {
		STR_PUT(seen.notify_target, exec->target->executable->path.data);
		STR_PUT(seen.notify_script, exec->script ? exec->script->path.data : "");
		STR_PUT(seen.notify_first, es_exec_arg(exec, 0).data);
		seen.notify_arguments = es_exec_arg_count(exec);
		seen.notify_version = audit_token_to_pidversion(exec->target->audit_token);
		seen.n_denied += message->action.notify.result.auth == ES_AUTH_RESULT_DENY;
	}
	seen.n_notify++;
}

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	enum plan plan = seen.plan;

	if (message->action_type == ES_ACTION_TYPE_NOTIFY) {
		look_at_notify(message);
		if (plan == WRONG_CALL)
			seen.result = (int)es_respond_auth_result(
				client, message, ES_AUTH_RESULT_ALLOW, false);
		sem_post(&something);
		return;
	}
	look(message);
	if (plan == WRONG_CALL && message->event_type == ES_EVENT_TYPE_AUTH_EXEC)
		seen.second_result = (int)es_respond_flags_result(client, message, 0, false);
	if (plan != SILENT)
		answer(client, message,
			plan == DENY ||
				(plan == DENY_MARKED && strstr(seen.second, "EVIL") != NULL));
	if (plan == TWICE)
		seen.second_result = (int)es_respond_auth_result(
			client, message, ES_AUTH_RESULT_DENY, false);
	sem_post(&something);
}

/* ---- the scene --------------------------------------------------------------------------------- */

static const char *in_field(const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", field, name);
	return path;
}

static void put_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(in_field(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void copy_program(const char *from, const char *name)
{
	char command[2 * PATH_MAX];

	snprintf(command, sizeof command, "cp %s %s", from, in_field(name));
	assert_int_equal(system(command), 0);
}

static void set_the_field(void)
{
	char text[PATH_MAX + 128];

	path_get(PATH_RUN, NULL, field);
	mkdir_path(field, 0755);
	strcat(field, "/field");
	assert_int_equal(mkdir(field, 0755), 0);
	assert_int_equal(mount("field", field, "tmpfs", 0, "mode=755"), 0);
	copy_program("/bin/true", "good");
	copy_program("/bin/cat", "reader");
	copy_program("/bin/true", "raised");
	assert_int_equal(chown(in_field("raised"), 2222, 3333), 0);
	assert_int_equal(chmod(in_field("raised"), 06755), 0);
	snprintf(text, sizeof text, "#!%s  with  words \n", in_field("good"));
	put_file("script", text, 0755);
	snprintf(text, sizeof text, "#!%s\n", in_field("script"));
	put_file("script-of-script", text, 0755);
	put_file("text", "secret\n", 0644);
}

static es_client_t *new_client(const es_event_type_t *events, uint32_t n)
{
	es_client_t *client;

	memset(&seen, 0, sizeof seen);
	assert_int_equal(es_new_client_f(&client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, events, n), ES_RETURN_SUCCESS);
	return client;
}

static void become_user(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(GID, GID, GID) < 0 || setresuid(UID, UID, UID) < 0)
		_exit(99);
}

/* Exit status of a program run as a user; 100 + errno when it did not start. */
static int run(const char *program, const char *argument)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		become_user();
		execl(program, "called", argument, "last", NULL);
		_exit(100 + errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int open_as_user(const char *path, int flags)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		become_user();
		_exit(open(path, flags) < 0 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static uint64_t now_ms(void)
{
	return mach_absolute_time() / 1000000;
}

static const es_event_type_t exec_events[] = { ES_EVENT_TYPE_AUTH_EXEC, ES_EVENT_TYPE_NOTIFY_EXEC };
static const es_event_type_t open_event = ES_EVENT_TYPE_AUTH_OPEN;

/* ---- exec -------------------------------------------------------------------------------------- */

static void test_denied_and_allowed(void **state)
{
	es_client_t *client = new_client(exec_events, 2);

	seen.plan = DENY;
	assert_int_equal(run(in_field("good"), "one"), 100 + EPERM);
	assert_int_equal(seen.n_exec, 1);
	assert_int_equal(seen.result, ES_RESPOND_RESULT_SUCCESS);
	assert_string_equal(seen.target, in_field("good"));
	assert_string_equal(seen.second, "one");
	assert_int_equal(seen.n_arguments, 3);
	assert_int_equal(seen.uid, UID);
	assert_int_equal(seen.gid, GID);
	assert_true(str_ends(seen.actor, "/test-endpoint-auth"));
	assert_int_equal(seen.budget_ns, 15000000000ull);
	await_count(&seen.n_notify, 1); /* of what was denied a NOTIFY says so */
	assert_int_equal(seen.n_denied, 1);
	seen.plan = ALLOW;
	assert_int_equal(run(in_field("good"), "two"), 0);
	assert_int_equal(seen.n_exec, 2);
	await_count(&seen.n_notify, 2);
	assert_int_equal(seen.n_denied, 1);
	es_delete_client(client);
	assert_int_equal(run(in_field("good"), "three"), 0);
	assert_int_equal(seen.n_exec, 2); /* nobody is asked any more */
}

static void expect_same(const char *script)
{
	assert_int_equal(seen.n_exec, 1);
	await_count(&seen.n_notify, 1);
	assert_string_equal(seen.target, seen.notify_target);
	assert_string_equal(seen.script, script);
	assert_string_equal(seen.first, seen.notify_first);
	assert_int_equal(seen.n_arguments, seen.notify_arguments);
	assert_int_equal(seen.pidversion_after, seen.notify_version);
	assert_int_not_equal(seen.pidversion_after, seen.pidversion_before);
}

/* However many files an execve opens: one question, and the NOTIFY is of the same program. */
static void test_one_question(void **state)
{
	static const struct {
		const char *name, *target, *script, *first;
		uint32_t n_arguments;
	} rows[] = {
		{ "good", "good", "", "called", 3 },
		{ "script", "good", "script", NULL, 5 },
		{ "script-of-script", "good", "script-of-script", NULL, 6 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		es_client_t *client = new_client(exec_events, 2);

		assert_int_equal(run(in_field(rows[i].name), "one"), 0);
		expect_same(rows[i].script[0] ? in_field(rows[i].script) : "");
		assert_string_equal(seen.target, in_field(rows[i].target));
		assert_int_equal(seen.n_arguments, rows[i].n_arguments);
		es_delete_client(client);
	}
}

static void test_ids_that_a_program_gets(void **state)
{
	es_client_t *client = new_client(exec_events, 2);

	assert_int_equal(run(in_field("raised"), "one"), 0);
	expect_same("");
	assert_int_equal(seen.uid, UID);
	assert_int_equal(seen.target_uid, 2222);
	assert_int_equal(seen.target_gid, 3333);
	es_delete_client(client);
}

static void *exec_it(void *argument)
{
	execl(in_field("good"), "called", argument, NULL);
	_exit(100 + errno);
}

static void test_from_a_thread(void **state)
{
	es_client_t *client = new_client(exec_events, 2);
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t thread;

		pthread_create(&thread, NULL, exec_it, "thread");
		pthread_join(thread, NULL);
		_exit(98);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	expect_same("");
	assert_string_equal(seen.second, "thread");
	es_delete_client(client);
}

/* Another thread exchanges the argument while the answer is on its way: what was denied never runs. */
static void *flip(void *text)
{
	for (;;) {
		memcpy(text, "GOOD", 4);
		atomic_thread_fence(memory_order_seq_cst);
		memcpy(text, "EVIL", 4);
		atomic_thread_fence(memory_order_seq_cst);
	}
	return NULL;
}

static void test_what_was_shown_is_what_runs(void **state)
{
	const char *program = in_field("echo");
	es_client_t *client;
	int i, ran = 0;

	copy_program("/bin/echo", "echo");
	client = new_client(exec_events, 2);
	seen.plan = DENY_MARKED;
	for (i = 0; i < 60; i++) {
		char word[8] = "",
		     *text = mmap(
			     NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		int out[2], status;
		pid_t pid;

		assert_int_equal(pipe(out), 0);
		pid = fork();
		if (pid == 0) {
			pthread_t thread;

			dup2(out[1], STDOUT_FILENO);
			strcpy(text, "GOOD");
			pthread_create(&thread, NULL, flip, text);
			execl(program, "echo", text, NULL);
			_exit(100);
		}
		close(out[1]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		ran += read(out[0], word, 4) == 4;
		assert_string_not_equal(word, "EVIL");
		close(out[0]);
		munmap(text, 4096);
	}
	printf("of 60 with an argument that changes, %d ran\n", ran);
	es_delete_client(client);
}

/* Of a memfd there is nothing to hold: it runs, is told, and is counted. */
static void test_what_cannot_be_asked(void **state)
{
	ob_es_counters_t before = { .size = sizeof before }, after = { .size = sizeof after };
	es_client_t *client = new_client(exec_events, 2);
	int status, from = open("/bin/true", O_RDONLY | O_CLOEXEC), fd = memfd_create("true", 0);
	struct stat whole;
	pid_t pid;

	assert_int_equal(fstat(from, &whole), 0);
	assert_int_equal(sendfile(fd, from, NULL, (size_t)whole.st_size), whole.st_size);
	seen.plan = DENY;
	assert_int_equal(ob_es_client_get_counters(client, &before), 0);
	pid = fork();
	if (pid == 0) {
		fexecve(fd, (char *[]){ "true", NULL }, environ);
		_exit(98);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	await_count(&seen.n_notify, 1);
	assert_int_equal(seen.n_exec, 0);
	assert_int_equal(ob_es_client_get_counters(client, &after), 0);
	assert_int_equal(after.unasked, before.unasked + 1);
	es_delete_client(client);
	close(from);
	close(fd);
}

/* Two clients in one process, one of which goes: the other's own acts are still nobody's question. */
static void test_own_acts(void **state)
{
	es_client_t *first = new_client(&open_event, 1), *second;
	int fd;

	assert_int_equal(es_new_client_f(&second, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(second, &open_event, 1), ES_RETURN_SUCCESS);
	seen.plan = DENY;
	es_delete_client(first);
	assert_int_equal(open_as_user(in_field("text"), O_RDONLY), EPERM);
	fd = open(in_field("text"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	close(fd);
	es_delete_client(second);
}

/* ---- deadlines and answers --------------------------------------------------------------------- */

static const es_event_type_t auth_exec = ES_EVENT_TYPE_AUTH_EXEC;

static void expect_wait(int expected, uint64_t least_ms)
{
	uint64_t began = now_ms(), waited;

	assert_int_equal(run(in_field("good"), "one"), expected);
	waited = now_ms() - began;
	if (waited < least_ms || waited > least_ms + 10 * DEADLINE_MS)
		fail_msg("waited %d ms, expected %d", (int)waited, (int)least_ms);
}

static void test_a_silent_client(void **state)
{
	es_client_t *client = new_client(&auth_exec, 1);
	ob_es_counters_t counters = { .size = sizeof counters };
	uint32_t milliseconds;

	assert_int_equal(
		es_set_deadline_max_milliseconds(client, &auth_exec, 1, 15001), ES_RETURN_ERROR);
	assert_int_equal(es_set_deadline_max_milliseconds(client, &auth_exec, 1, DEADLINE_MS),
		ES_RETURN_SUCCESS);
	assert_int_equal(es_get_deadline_max_milliseconds(client, auth_exec, &milliseconds),
		ES_RETURN_SUCCESS);
	assert_int_equal(milliseconds, DEADLINE_MS);
	seen.plan = SILENT;
	expect_wait(0, DEADLINE_MS); /* fail open unless it is said otherwise */
	assert_int_equal(seen.budget_ns, DEADLINE_MS * 1000000ull);
	assert_int_equal(es_set_deadline_miss_mode(client, ES_DEADLINE_MISS_MODE_FAIL_CLOSED),
		ES_RETURN_SUCCESS);
	expect_wait(100 + EPERM, DEADLINE_MS);
	assert_int_equal(ob_es_client_get_counters(client, &counters), 0);
	assert_int_equal(counters.deadline_misses, 2);
	seen.plan = ALLOW;
	expect_wait(0, 0);
	es_delete_client(client);
}

/* In a process of its own, which does not outlive it. */
static void test_the_mode_that_kills(void **state)
{
	int status, up[2];
	char word = 0;
	pid_t pid;

	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		es_client_t *client;

		if (es_new_client_f(&client, NULL, on_message) != ES_NEW_CLIENT_RESULT_SUCCESS ||
			es_set_deadline_max_milliseconds(client, &auth_exec, 1, DEADLINE_MS) ||
			es_set_deadline_miss_mode(client, ES_DEADLINE_MISS_MODE_KILL) ||
			es_subscribe(client, &auth_exec, 1))
			_exit(99);
		seen.plan = SILENT;
		(void)!write(up[1], "u", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(up[0], &word, 1), 1);
	expect_wait(0, DEADLINE_MS);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(up[0]);
	close(up[1]);
}

/* Killed with a question open: nobody waits for it. */
static void test_a_client_that_dies(void **state)
{
	int status, up[2];
	char word = 0;
	pid_t pid, asker;

	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		es_client_t *client;

		if (es_new_client_f(&client, NULL, on_message) != ES_NEW_CLIENT_RESULT_SUCCESS ||
			es_subscribe(client, &auth_exec, 1))
			_exit(99);
		seen.plan = SILENT;
		(void)!write(up[1], "u", 1);
		while (sem_wait(&something) < 0)
			;
		(void)!write(up[1], "q", 1);
		for (;;)
			pause();
	}
	assert_int_equal(read(up[0], &word, 1), 1);
	asker = fork();
	if (asker == 0) {
		become_user();
		execl(in_field("good"), "good", NULL);
		_exit(100 + errno);
	}
	assert_int_equal(read(up[0], &word, 1), 1); /* the question is open */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(asker, &status, 0), asker);
	assert_int_equal(status, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(up[0]);
	close(up[1]);
}

/* Killed with a question open: the kernel lets it on, and the client is asked by the next one. */
static void test_esd_that_dies(void **state)
{
	es_client_t *client = new_client(&auth_exec, 1);
	int status;
	pid_t asker;

	seen.plan = SILENT;
	asker = fork();
	if (asker == 0) {
		become_user();
		execl(in_field("good"), "good", NULL);
		_exit(100 + errno);
	}
	await_count(&seen.n_exec, 1);
	esd_stop();
	assert_int_equal(waitpid(asker, &status, 0), asker);
	assert_int_equal(status, 0);
	esd_start(field);
	seen.plan = DENY;
	do /* until it has come back by itself, nobody is asked */
		status = run(in_field("good"), "again");
	while (status == 0);
	assert_int_equal(status, 100 + EPERM);
	es_delete_client(client);
}

static const es_message_t *kept;

static void keep(es_client_t *client, const es_message_t *message, void *context)
{
	es_retain_message(message);
	kept = message;
	seen.n_exec++;
	sem_post(&something);
}

static void test_results_of_answers(void **state)
{
	es_client_t *client = new_client(exec_events, 2), *other;
	ob_error_t *error;

	assert_int_equal(es_respond_auth_result(client, NULL, ES_AUTH_RESULT_ALLOW, false),
		ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT);
	seen.plan = WRONG_CALL;
	assert_int_equal(run(in_field("good"), "one"), 0);
	await_count(&seen.n_notify, 1);
	assert_int_equal(seen.second_result, ES_RESPOND_RESULT_ERR_EVENT_TYPE);
	es_delete_client(client);

	client = new_client(&auth_exec, 1);
	seen.plan = TWICE;
	assert_int_equal(run(in_field("good"), "one"), 0);
	/* the handler goes on after its first answer, which is what was waited for */
	es_delete_client(client);
	assert_int_equal(seen.result, ES_RESPOND_RESULT_SUCCESS);
	assert_int_equal(seen.second_result, ES_RESPOND_RESULT_ERR_DUPLICATE_RESPONSE);

	assert_int_equal(es_new_client_f(&client, NULL, keep), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_new_client_f(&other, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_set_deadline_max_milliseconds(client, &auth_exec, 1, DEADLINE_MS),
		ES_RETURN_SUCCESS);
	assert_int_equal(es_subscribe(client, &auth_exec, 1), ES_RETURN_SUCCESS);
	assert_int_equal(run(in_field("good"), "one"), 0);
	assert_int_equal(es_respond_auth_result(other, kept, ES_AUTH_RESULT_DENY, false),
		ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT);
	assert_int_equal(es_respond_auth_result(client, kept, ES_AUTH_RESULT_DENY, false),
		ES_RESPOND_RESULT_NOT_FOUND);
	error = ob_es_client_copy_last_error(client);
	assert_string_equal(ob_error_get_rule(error), "endpoint.answer");
	ob_error_release(error);
	esd_stop();
	assert_int_equal(es_respond_auth_result(client, kept, ES_AUTH_RESULT_DENY, false),
		ES_RESPOND_RESULT_ERR_DUPLICATE_RESPONSE);
	esd_start(field);
	es_release_message(kept);
	es_delete_client(client);
	es_delete_client(other);
}

/* ---- open -------------------------------------------------------------------------------------- */

static void test_open(void **state)
{
	es_client_t *client = new_client(&open_event, 1);

	seen.plan = DENY;
	assert_int_equal(open_as_user(in_field("text"), O_RDONLY), EPERM);
	assert_int_equal(seen.n_open, 1);
	assert_string_equal(seen.target, in_field("text"));
	assert_int_equal(seen.fflag & 3, 1);
	assert_int_equal(seen.uid, UID);
	seen.plan = ALLOW;
	assert_int_equal(open_as_user(in_field("text"), O_RDONLY | O_NONBLOCK), 0);
	assert_int_equal(seen.n_open, 2);
	assert_int_equal(seen.fflag & (3 | O_NONBLOCK), 1 | O_NONBLOCK);
	assert_int_equal(run(in_field("good"), "one"), 0);
	assert_int_equal(seen.n_open, 2); /* an execve is no open */
	es_delete_client(client);
}

/* ---- the cache --------------------------------------------------------------------------------- */

/* With the answer remembered nobody is asked until something changes. */
static void expect_questions(unsigned n)
{
	unsigned before = seen.n_exec;

	assert_int_equal(run(in_field("cached"), "one"), 0);
	assert_int_equal(seen.n_exec - before, n);
}

static void by_write(void)
{
	int fd = open(in_field("cached"), O_WRONLY | O_APPEND | O_CLOEXEC);

	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static void by_mmap(void)
{
	int fd = open(in_field("cached"), O_RDWR | O_CLOEXEC);
	char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	at[9] ^= 1; /* padding of the ELF header */
	munmap(at, 4096);
}

static void by_link(void)
{
	assert_int_equal(link(in_field("cached"), in_field("linked")), 0);
	assert_int_equal(unlink(in_field("linked")), 0);
}

static void by_rename(void)
{
	copy_program("/bin/true", "fresh");
	assert_int_equal(rename(in_field("fresh"), in_field("cached")), 0);
}

static void by_reuse(void)
{
	assert_int_equal(unlink(in_field("cached")), 0);
	copy_program("/bin/true", "cached");
}

static void test_cache(void **state)
{
	void (*const changes[])(void) = { by_write, by_mmap, by_link, by_rename, by_reuse };
	es_client_t *client, *other;
	unsigned before, n = 0;
	size_t i;

	copy_program("/bin/true", "cached");
	client = new_client(exec_events, 2);
	expect_questions(1);
	expect_questions(1); /* it was not asked to be remembered */
	seen.cache = true;
	expect_questions(1);
	before = seen.n_notify;
	expect_questions(0);
	await_count(&seen.n_notify, before + 1);
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		changes[i]();
		expect_questions(1);
		expect_questions(0);
	}
	assert_int_equal(es_clear_cache(client), ES_CLEAR_CACHE_RESULT_SUCCESS);
	expect_questions(1);
	expect_questions(0);
	assert_int_equal(es_new_client_f(&other, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	expect_questions(1);
	while (es_clear_cache(client) == ES_CLEAR_CACHE_RESULT_SUCCESS)
		n++;
	assert_true(n < 20);
	es_delete_client(other);
	es_delete_client(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_denied_and_allowed),
		cmocka_unit_test(test_one_question),
		cmocka_unit_test(test_ids_that_a_program_gets),
		cmocka_unit_test(test_from_a_thread),
		cmocka_unit_test(test_what_was_shown_is_what_runs),
		cmocka_unit_test(test_what_cannot_be_asked),
		cmocka_unit_test(test_own_acts),
		cmocka_unit_test(test_a_silent_client),
		cmocka_unit_test(test_the_mode_that_kills),
		cmocka_unit_test(test_a_client_that_dies),
		cmocka_unit_test(test_esd_that_dies),
		cmocka_unit_test(test_results_of_answers),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_cache),
	};
	int r;

	if (!scene_begin("test-auth"))
		return 77;
	set_the_field();
	esd_start(field);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	esd_stop();
	umount2(field, MNT_DETACH);
	return r;
}
