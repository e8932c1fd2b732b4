/* SPDX-License-Identifier: Apache-2.0
 *
 * Where is asked: what is mounted after outboard-esd has begun, and after somebody has subscribed. In a
 * scope with a file system of its own; nothing else of the machine is ever held.
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
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/paths.h"
#include "endpoint/test-scene.h"

static char field[PATH_MAX], beside[PATH_MAX];
static atomic_uint n_asked;

static void deny(es_client_t *client, const es_message_t *message, void *context)
{
	n_asked++;
	if (message->event_type == ES_EVENT_TYPE_AUTH_OPEN)
		es_respond_flags_result(client, message, 0, false);
	else
		es_respond_auth_result(client, message, ES_AUTH_RESULT_DENY, false);
}

static es_client_t *new_client(const es_event_type_t *events, uint32_t n)
{
	es_client_t *client;

	n_asked = 0;
	assert_int_equal(es_new_client_f(&client, NULL, deny), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, events, n), ES_RETURN_SUCCESS);
	return client;
}

/* What a child made of it: 0, or 100 + errno. */
static int in_child(int (*act)(const char *path), const char *path)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(act(path) < 0 ? 100 + errno : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

static int run_it(const char *path)
{
	return execl(path, "program", NULL);
}

static int open_it(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The mark comes a moment after the mount: until then it runs. */
static void await_result(int (*act)(const char *path), const char *path, int expected)
{
	time_t until = time(NULL) + PATIENCE_SECONDS;
	int r;

	while ((r = in_child(act, path)) != expected)
		if (time(NULL) > until)
			fail_msg("%s: %d, expected %d", path, r, expected);
}

/* By this process itself: of what a client does, nobody is asked. */
static void copy_program(const char *to)
{
	int from_fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
	int to_fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	struct stat whole;

	assert_int_equal(fstat(from_fd, &whole), 0);
	assert_int_equal(sendfile(to_fd, from_fd, NULL, (size_t)whole.st_size), whole.st_size);
	close(from_fd);
	close(to_fd);
}

static const char *mount_one(const char *below, const char *name)
{
	static char program[2 * PATH_MAX];
	char where[PATH_MAX + 64];

	snprintf(where, sizeof where, "%s/%s", below, name);
	assert_int_equal(mkdir(where, 0755), 0);
	assert_int_equal(mount(name, where, "tmpfs", 0, "mode=755"), 0);
	snprintf(program, sizeof program, "%s/program", where);
	copy_program(program);
	return program;
}

/* Nothing keeps it busy, but while a program on it is being hashed. */
static void unmount_one(const char *below, const char *name)
{
	time_t until = time(NULL) + PATIENCE_SECONDS;
	char where[PATH_MAX + 64];

	snprintf(where, sizeof where, "%s/%s", below, name);
	while (umount(where) < 0)
		if (errno != EBUSY || time(NULL) > until)
			fail_msg("%s cannot be unmounted: %s", where, strerror(errno));
	assert_int_equal(rmdir(where), 0);
}

static const es_event_type_t both[] = { ES_EVENT_TYPE_AUTH_EXEC, ES_EVENT_TYPE_AUTH_OPEN };

static void test_mounted_while_somebody_is_asked(void **state)
{
	es_client_t *client = new_client(both, 1);
	const char *program = mount_one(field, "with a space");

	await_result(run_it, program, 100 + EPERM);
	assert_true(n_asked > 0);
	es_delete_client(client);
	n_asked = 0;
	assert_int_equal(in_child(run_it, program), 0);
	assert_int_equal(n_asked, 0);
	unmount_one(field, "with a space");
}

static void test_mounted_before_somebody_is_asked(void **state)
{
	const char *program = mount_one(field, "before");
	es_client_t *client;

	assert_int_equal(in_child(run_it, program), 0);
	client = new_client(both, 1);
	assert_int_equal(in_child(run_it, program), 100 + EPERM);
	/* of what nobody has subscribed to, nobody is asked */
	assert_int_equal(in_child(open_it, program), 0);
	assert_int_equal(es_subscribe(client, &both[1], 1), ES_RETURN_SUCCESS);
	assert_int_equal(in_child(open_it, program), 100 + EPERM);
	assert_int_equal(es_unsubscribe(client, &both[0], 1), ES_RETURN_SUCCESS);
	assert_int_equal(in_child(run_it, program), 0);
	assert_int_equal(in_child(open_it, program), 100 + EPERM);
	es_delete_client(client);
	unmount_one(field, "before");
}

static void test_opened_on_what_is_new(void **state)
{
	es_client_t *client = new_client(&both[1], 1);
	const char *program = mount_one(field, "opened");

	await_result(open_it, program, 100 + EPERM);
	es_delete_client(client);
	assert_int_equal(in_child(open_it, program), 0);
	unmount_one(field, "opened");
}

/* Beside the scope's file system, and bound into it from there: the rest of the machine is not held. */
static void test_what_is_outside(void **state)
{
	char bound[PATH_MAX + 64], there[PATH_MAX + 64], inside[PATH_MAX + 96], program[PATH_MAX];
	es_client_t *client = new_client(both, 1);

	strcpy(program, mount_one(beside, "other"));
	snprintf(there, sizeof there, "%s/other", beside);
	snprintf(bound, sizeof bound, "%s/bound", field);
	snprintf(inside, sizeof inside, "%s/program", bound);
	assert_int_equal(mkdir(bound, 0755), 0);
	assert_int_equal(mount(there, bound, NULL, MS_BIND, NULL), 0);
	/* one that belongs is marked after them: so they have been looked at */
	await_result(run_it, mount_one(field, "last"), 100 + EPERM);
	assert_int_equal(in_child(run_it, program), 0);
	assert_int_equal(in_child(run_it, inside), 0);
	es_delete_client(client);
	assert_int_equal(umount(bound), 0);
	assert_int_equal(rmdir(bound), 0);
	unmount_one(field, "last");
	unmount_one(beside, "other");
}

/* ---- what is slow ------------------------------------------------------------------------------ */

#define SLOW_MS 1500
#define N_SLOW 12 /* more than there are readers */

static const char *eio_fs; /* NULL: built without libfuse3 */
static char plain[PATH_MAX + 16], served[PATH_MAX + 16], fault[PATH_MAX + 16];

/* A disk of FUSE at beside/served, whose program's readers wait as long as the file `fault` is there. */
static bool serve(void)
{
	char program[PATH_MAX + 32];
	int status;
	pid_t pid;

	snprintf(plain, sizeof plain, "%s/plain", beside);
	snprintf(served, sizeof served, "%s/served", beside);
	snprintf(fault, sizeof fault, "%s/fault", beside);
	snprintf(program, sizeof program, "%s/program", plain);
	if (!eio_fs || (mkdir(plain, 0755) < 0 && errno != EEXIST) ||
		(mkdir(served, 0755) < 0 && errno != EEXIST))
		return false;
	if (access(program, F_OK) < 0)
		copy_program(program);
	pid = fork();
	if (pid == 0) {
		execl(eio_fs, "eio-fs", "--stuck", "--while", fault, plain, served, "program",
			NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void mount_over(const char *where)
{
	char options[3 * PATH_MAX];

	snprintf(options, sizeof options, "lowerdir=%s:%s", served, beside);
	assert_int_equal(mkdir(where, 0755), 0);
	assert_int_equal(mount("over", where, "overlay", MS_RDONLY, options), 0);
}

static pid_t start_it(const char *path)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(run_it(path) < 0 ? 100 + errno : 0);
	return pid;
}

/*
 * Files of an overlay over that disk: what a program is cannot be read, so nobody can be asked, and at
 * the deadline the mode of who should have been decides. Read by the deciding thread, or by one reader
 * alone, it would hold the others.
 */
static void test_a_disk_that_does_not_answer(void **state)
{
	char over[PATH_MAX + 16], slow[PATH_MAX + 32], quick[2 * PATH_MAX];
	pid_t pids[N_SLOW];
	es_client_t *client;
	struct timespec from, to;
	int i, status;

	if (!serve())
		skip();
	snprintf(over, sizeof over, "%s/over", field);
	snprintf(slow, sizeof slow, "%s/program", over);
	strcpy(quick, mount_one(field, "quick"));
	mount_over(over);
	client = new_client(both, 1);
	assert_int_equal(
		es_set_deadline_max_milliseconds(client, both, 1, SLOW_MS), ES_RETURN_SUCCESS);
	assert_int_equal(es_set_deadline_miss_mode(client, ES_DEADLINE_MISS_MODE_FAIL_CLOSED),
		ES_RETURN_SUCCESS);
	await_result(run_it, quick, 100 + EPERM);
	close(open(fault, O_CREAT | O_CLOEXEC, 0644));
	n_asked = 0;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (i = 0; i < N_SLOW; i++)
		pids[i] = start_it(slow);
	for (i = 0; i < N_SLOW; i++) {
		assert_int_equal(in_child(run_it, quick), 100 + EPERM);
		assert_int_equal(n_asked, i + 1);
	}
	for (i = 0; i < N_SLOW; i++)
		assert_int_equal(waitpid(pids[i], &status, WNOHANG), 0);
	for (i = 0; i < N_SLOW; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(WEXITSTATUS(status), 100 + EPERM);
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_in_range(to.tv_sec - from.tv_sec, SLOW_MS / 1000, 10 * SLOW_MS / 1000);
	assert_int_equal(n_asked, N_SLOW); /* none of them */
	/* mended: it is read, and asked about */
	assert_int_equal(unlink(fault), 0);
	assert_int_equal(in_child(run_it, slow), 100 + EPERM);
	assert_int_equal(n_asked, N_SLOW + 1);
	es_delete_client(client);
	/* a reader that was stuck has it until it ends */
	assert_int_equal(umount2(over, MNT_DETACH), 0);
	assert_int_equal(umount2(served, MNT_DETACH), 0);
	assert_int_equal(rmdir(over), 0);
	unmount_one(field, "quick");
}

/* The disk itself: told of a file there, outboard-esd would have to open it. */
static void test_a_disk_of_somebody(void **state)
{
	char where[PATH_MAX + 16], program[PATH_MAX + 32];
	es_client_t *client;

	if (!serve())
		skip();
	snprintf(where, sizeof where, "%s/moved", field);
	snprintf(program, sizeof program, "%s/program", where);
	assert_int_equal(mkdir(where, 0755), 0);
	assert_int_equal(mount(served, where, NULL, MS_MOVE, NULL), 0);
	client = new_client(both, 1);
	/* one that belongs is marked after it: so it has been looked at */
	await_result(run_it, mount_one(field, "after"), 100 + EPERM);
	n_asked = 0;
	assert_int_equal(in_child(run_it, program), 0);
	assert_int_equal(n_asked, 0);
	es_delete_client(client);
	assert_int_equal(umount(where), 0);
	assert_int_equal(rmdir(where), 0);
	unmount_one(field, "after");
}

/* Nobody can be asked where nothing else is: so nobody is told that he will be. */
static void test_a_scope_of_somebody(void **state)
{
	es_client_t *client;

	if (!serve())
		skip();
	esd_stop();
	esd_start(served);
	n_asked = 0;
	assert_int_equal(es_new_client_f(&client, NULL, deny), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, both, 1), ES_RETURN_ERROR);
	es_delete_client(client);
	assert_int_equal(umount(served), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mounted_while_somebody_is_asked),
		cmocka_unit_test(test_mounted_before_somebody_is_asked),
		cmocka_unit_test(test_opened_on_what_is_new),
		cmocka_unit_test(test_what_is_outside),
		cmocka_unit_test(test_a_disk_that_does_not_answer),
		cmocka_unit_test(test_a_disk_of_somebody),
		cmocka_unit_test(test_a_scope_of_somebody),
	};
	int r;

	if (!scene_begin("test-auth-mounts"))
		return 77;
	eio_fs = argv[1];
	path_get(PATH_RUN, NULL, field);
	strcpy(beside, field);
	strcat(field, "/field");
	if (mkdir(field, 0755) < 0 || mount("field", field, "tmpfs", 0, "mode=755") < 0)
		return 1;
	esd_start(field);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	esd_stop();
	umount2(field, MNT_DETACH);
	return r;
}
