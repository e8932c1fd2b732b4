/* SPDX-License-Identifier: Apache-2.0
 *
 * The ways in which a program comes to run, and in which an answer that is remembered ends: what the kernel
 * makes of a file (binfmt_misc), what has no name (fexecve, a memfd), what lies on an overlay. In a scope
 * with a file system of its own; nothing else of the machine is ever held.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <bsm/libbsm.h>
#include <cmocka.h>
#include "base/macros.h"
#include "base/paths.h"
#include "base/str.h"
#include "endpoint/test-scene.h"

static char field[PATH_MAX];

/* Of an exec, as it was asked about and as it was told. */
struct told {
	char target[PATH_MAX], script[PATH_MAX], cwd[PATH_MAX], arguments[512], environment[512];
	int version;
};

static struct {
	atomic_bool deny, cache;
	atomic_uint n_asked, n_told;
	struct told asked, told;
} seen;

static void join(char *to, size_t bytes, const es_event_exec_t *exec, uint32_t n,
	es_string_token_t (*one)(const es_event_exec_t *exec, uint32_t i))
{
	uint32_t i;
	size_t at = 0;

	for (i = 0, to[0] = '\0'; i < n && at < bytes; i++)
		at += (size_t)snprintf(to + at, bytes - at, "%s|", one(exec, i).data);
}

static void look(struct told *ret, const es_event_exec_t *exec)
{
	STR_PUT(ret->target, exec->target->executable->path.data);
	STR_PUT(ret->script, exec->script ? exec->script->path.data : "");
	STR_PUT(ret->cwd, exec->cwd->path.data);
	join(ret->arguments, sizeof ret->arguments, exec, es_exec_arg_count(exec), es_exec_arg);
	join(ret->environment, sizeof ret->environment, exec, es_exec_env_count(exec), es_exec_env);
	ret->version = audit_token_to_pidversion(exec->target->audit_token);
}

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	if (message->event_type == ES_EVENT_TYPE_NOTIFY_EXEC) {
		look(&seen.told, &message->event.exec);
		seen.n_told++;
		sem_post(&something);
		return;
	}
	seen.n_asked++;
	if (message->event_type == ES_EVENT_TYPE_AUTH_OPEN) {
		es_respond_flags_result(client, message, seen.deny ? 0 : UINT32_MAX, seen.cache);
		return;
	}
	look(&seen.asked, &message->event.exec);
	es_respond_auth_result(client, message,
		seen.deny ? ES_AUTH_RESULT_DENY : ES_AUTH_RESULT_ALLOW, seen.cache);
}

static const es_event_type_t execs[] = { ES_EVENT_TYPE_AUTH_EXEC, ES_EVENT_TYPE_NOTIFY_EXEC };
static const es_event_type_t open_event = ES_EVENT_TYPE_AUTH_OPEN;

static es_client_t *new_client(const es_event_type_t *events, uint32_t n)
{
	es_client_t *client;

	memset(&seen, 0, sizeof seen);
	assert_int_equal(es_new_client_f(&client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, events, n), ES_RETURN_SUCCESS);
	return client;
}

/* ---- files ------------------------------------------------------------------------------------- */

static const char *in_field(const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static unsigned next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof paths[0], "%s/%s", field, name);
	return path;
}

static void copy(const char *from, int to_fd)
{
	int from_fd = open(from, O_RDONLY | O_CLOEXEC);
	struct stat whole;

	assert_int_equal(fstat(from_fd, &whole), 0);
	assert_int_equal(sendfile(to_fd, from_fd, NULL, (size_t)whole.st_size), whole.st_size);
	close(from_fd);
}

static void copy_program(const char *from, const char *name)
{
	int fd = open(in_field(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	copy(from, fd);
	close(fd);
}

static void put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static char *const arguments[] = { "called", "one", "two", NULL };
static char *const environment[] = { "A=1", "B=2", NULL };

/* Exit status; 100 + errno when it did not start. @fd: of the program, or -1. */
static int run(const char *path, int fd)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir("/usr") < 0)
			_exit(99);
		if (fd >= 0)
			fexecve(fd, arguments, environment);
		else
			execve(path, arguments, environment);
		_exit(100 + errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* What was asked about is what was told: one question, one message. */
static void expect_same(const char *target, const char *script, const char *words)
{
	await_count(&seen.n_told, 1);
	assert_int_equal(seen.n_asked, 1);
	assert_string_equal(seen.asked.target, target);
	assert_string_equal(seen.asked.script, script);
	assert_string_equal(seen.asked.arguments, words);
	assert_string_equal(seen.asked.cwd, "/usr");
	assert_string_equal(seen.asked.environment, "A=1|B=2|");
	assert_string_equal(seen.told.target, target);
	assert_string_equal(seen.told.script, script);
	assert_string_equal(seen.told.arguments, words);
	assert_string_equal(seen.told.cwd, "/usr");
	assert_string_equal(seen.told.environment, "A=1|B=2|");
	assert_int_equal(seen.asked.version, seen.told.version);
}

/* ---- ways to run ------------------------------------------------------------------------------- */

static void test_by_descriptor(void **state)
{
	int fd = open(in_field("good"), O_RDONLY | O_CLOEXEC);
	es_client_t *client = new_client(execs, 2);

	assert_true(fd >= 0);
	assert_int_equal(run(NULL, fd), 0);
	expect_same(in_field("good"), "", "called|one|two|");
	seen.deny = true;
	assert_int_equal(run(NULL, fd), 100 + EPERM);
	assert_int_equal(seen.n_asked, 2);
	es_delete_client(client);
	assert_int_equal(run(NULL, fd), 0);
	close(fd);
}

/* Of a memfd there is nothing to hold: it runs, is told and counted, and the table of events says so. */
static void test_without_a_file(void **state)
{
	ob_es_counters_t before = { .size = sizeof before }, after = { .size = sizeof after };
	ob_es_event_support_t support = { .size = sizeof support };
	es_client_t *client = new_client(execs, 2);
	int fd = memfd_create("a-name", MFD_CLOEXEC);

	copy("/bin/true", fd);
	seen.deny = true;
	assert_int_equal(ob_es_client_get_counters(client, &before), 0);
	assert_int_equal(run(NULL, fd), 0);
	await_count(&seen.n_told, 1);
	assert_int_equal(seen.n_asked, 0);
	assert_string_equal(seen.told.target, "/memfd:a-name");
	assert_string_equal(seen.told.arguments, "called|one|two|");
	assert_int_equal(ob_es_client_get_counters(client, &after), 0);
	assert_int_equal(after.unasked, before.unasked + 1);
	assert_int_equal(ob_es_event_get_support(execs[0], &support), 0);
	assert_non_null(strstr(support.imprecise, "not asked about: a memfd"));
	es_delete_client(client);
	close(fd);
}

#define BINFMT "/proc/sys/fs/binfmt_misc"

/*
 * A file that the kernel runs by an interpreter of its list, which is one for the whole kernel: in a guest
 * only.
 */
static void test_by_binfmt_misc(void **state)
{
	char line[PATH_MAX + 64], words[3 * PATH_MAX];
	es_client_t *client;

	if (!getenv("LAB"))
		skip();
	assert_int_equal(system("modprobe binfmt_misc"), 0);
	if (access(BINFMT "/register", F_OK) < 0)
		assert_int_equal(mount("binfmt_misc", BINFMT, "binfmt_misc", 0, NULL), 0);
	snprintf(line, sizeof line, ":outboard-test:M::OBTEST::%s:", in_field("good"));
	put_text(in_field("odd"), "OBTEST and more\n");
	put_text(BINFMT "/register", line);
	client = new_client(execs, 2);
	assert_int_equal(run(in_field("odd"), -1), 0);
	snprintf(words, sizeof words, "%s|%s|one|two|", in_field("good"), in_field("odd"));
	expect_same(in_field("good"), in_field("odd"), words);
	seen.deny = true;
	assert_int_equal(run(in_field("odd"), -1), 100 + EPERM);
	assert_int_equal(seen.n_asked, 2);
	es_delete_client(client);
	assert_int_equal(run(in_field("odd"), -1), 0);
	put_text(BINFMT "/outboard-test", "-1");
	assert_int_equal(umount(BINFMT), 0);
}

/* ---- what is remembered ------------------------------------------------------------------------ */

static void expect_questions(int (*act)(const char *path), const char *path, unsigned n)
{
	unsigned before = seen.n_asked;

	assert_int_equal(act(path), 0);
	assert_int_equal(seen.n_asked - before, n);
}

static int run_it(const char *path)
{
	return run(path, -1);
}

static void by_opening_it(const char *path)
{
	/* nothing is written, but what is opened for it is copied up before */
	close(open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
}

static void by_its_mode(const char *path)
{
	assert_int_equal(chmod(path, 0711), 0);
}

static void test_an_overlay(void **state)
{
	void (*const changes[])(const char *path) = { by_opening_it, by_its_mode };
	static const char *const folders[] = { "lower", "upper", "work", "merged" };
	char options[4 * PATH_MAX];
	es_client_t *client;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(folders); i++)
		assert_int_equal(mkdir(in_field(folders[i]), 0755), 0);
	copy_program("/bin/true", "lower/0");
	copy_program("/bin/true", "lower/1");
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", in_field("lower"),
		in_field("upper"), in_field("work"));
	assert_int_equal(mount("overlay", in_field("merged"), "overlay", 0, options), 0);
	client = new_client(execs, 2);
	seen.cache = true;
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		char name[16], path[PATH_MAX];

		snprintf(name, sizeof name, "merged/%zu", i);
		STR_PUT(path, in_field(name));
		expect_questions(run_it, path, 1);
		assert_string_equal(seen.asked.target, path);
		expect_questions(run_it, path, 0);
		changes[i](path);
		snprintf(name, sizeof name, "upper/%zu", i);
		assert_int_equal(access(in_field(name), F_OK), 0);
		expect_questions(run_it, path, 1);
		expect_questions(run_it, path, 0);
	}
	es_delete_client(client);
	assert_int_equal(umount(in_field("merged")), 0);
}

/* @program reads the file "text". */
static int read_by(const char *program)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
		execl(program, "reader", in_field("text"), NULL);
		_exit(100 + errno);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* An answer is one about a program and a file: another program is asked about anew. */
static void test_another_program(void **state)
{
	es_client_t *client;

	copy_program("/usr/bin/md5sum", "reader");
	copy_program("/usr/bin/sha1sum", "other");
	put_text(in_field("text"), "secret\n");
	client = new_client(&open_event, 1);
	expect_questions(read_by, in_field("reader"), 1);
	expect_questions(read_by, in_field("reader"), 1);
	seen.cache = true;
	expect_questions(read_by, in_field("reader"), 1);
	expect_questions(read_by, in_field("reader"), 0);
	expect_questions(read_by, in_field("other"), 1);
	expect_questions(read_by, in_field("other"), 0);
	expect_questions(read_by, in_field("reader"), 0);
	es_delete_client(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_descriptor),
		cmocka_unit_test(test_without_a_file),
		cmocka_unit_test(test_by_binfmt_misc),
		cmocka_unit_test(test_an_overlay),
		cmocka_unit_test(test_another_program),
	};
	int r;

	if (!scene_begin("test-auth-ways"))
		return 77;
	path_get(PATH_RUN, NULL, field);
	strcat(field, "/field");
	if (mkdir(field, 0755) < 0 || mount("field", field, "tmpfs", 0, "mode=755") < 0)
		return 1;
	copy_program("/bin/true", "good");
	esd_start(field);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	esd_stop();
	umount2(field, MNT_DETACH);
	return r;
}
