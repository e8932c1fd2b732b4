/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of a question that nobody answers: a client whose answer decides nothing and who does not
 * look, and a program or an open that nobody can be asked about, in both fail modes. With the log of a
 * real outboard-esd. What is asked about lies on a tmpfs of this test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
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
#define QUESTIONS_MAX 1024u /* engine/ask-internal.h: that wait at once */

static char field[PATH_MAX], program[PATH_MAX + 16], text[PATH_MAX + 16], self[PATH_MAX];
static FILE *log_of_esd;

/* ---- the client -------------------------------------------------------------------------------- */

/* What it does with a question; nobody looks at what the calls return. */
enum plan { ALLOW, SILENT, LATER, WRONG_CALL, WRONG_VALUE, WRONG_THEN_RIGHT };
static _Atomic(enum plan) plan;
static atomic_uint n_asked;
static const es_message_t *kept;

static void answer(es_client_t *client, const es_message_t *message, bool flags, unsigned value)
{
	if (flags)
		es_respond_flags_result(client, message, value, false);
	else
		es_respond_auth_result(client, message, (es_auth_result_t)value, false);
}

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	bool open = message->event_type == ES_EVENT_TYPE_AUTH_OPEN;

	if (plan == WRONG_CALL || plan == WRONG_THEN_RIGHT)
		answer(client, message, !open, 0);
	if (plan == WRONG_VALUE)
		answer(client, message, false, 7);
	if (plan == ALLOW || plan == WRONG_THEN_RIGHT)
		answer(client, message, open, open ? UINT32_MAX : ES_AUTH_RESULT_ALLOW);
	if (plan == LATER) {
		es_retain_message(message);
		kept = message;
	}
	n_asked++;
	sem_post(&something);
}

static es_client_t *new_client(es_event_type_t event, es_deadline_miss_mode_t mode)
{
	es_client_t *client;

	n_asked = 0;
	plan = ALLOW;
	assert_int_equal(es_new_client_f(&client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_set_deadline_max_milliseconds(client, &event, 1, DEADLINE_MS),
		ES_RETURN_SUCCESS);
	assert_int_equal(es_set_deadline_miss_mode(client, mode), ES_RETURN_SUCCESS);
	assert_int_equal(es_subscribe(client, &event, 1), ES_RETURN_SUCCESS);
	return client;
}

/* ---- the scene --------------------------------------------------------------------------------- */

static void begin_esd(const char *fail_mode)
{
	char path[PATH_MAX], line[64];
	int fd, out[2], keep = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);

	fd = open(path_get(PATH_CONFIG, "outboard.conf", path),
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	snprintf(line, sizeof line, "[endpoint]\n%s%s\n", fail_mode ? "fail_mode = " : "",
		fail_mode ? fail_mode : "");
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	close(fd);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	dup2(out[1], STDERR_FILENO);
	esd_start(field);
	dup2(keep, STDERR_FILENO);
	close(keep);
	close(out[1]);
	log_of_esd = fdopen(out[0], "re");
}

static void end_esd(void)
{
	esd_stop();
	fclose(log_of_esd);
}

/* The next line of that id: outboard-esd says little, so what is awaited is near. */
static void await_line(const char *id, char *line, size_t bytes)
{
	struct pollfd readable = { .fd = fileno(log_of_esd), .events = POLLIN };

	do {
		if (poll(&readable, 1, PATIENCE_SECONDS * 1000) != 1 ||
			!fgets(line, (int)bytes, log_of_esd))
			fail_msg("no line %s in the log", id);
	} while (!strstr(line, id));
}

static void become_user(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(GID, GID, GID) < 0 || setresuid(UID, UID, UID) < 0)
		_exit(99);
}

/* What a child that was a user has come to: its exit status, 100 + errno, or 1000 and its signal. */
static int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		become_user();
		execl(path, "called", NULL);
		_exit(100 + errno);
	}
	return end_of(pid);
}

static int open_text(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		become_user();
		_exit(open(text, O_RDONLY) < 0 ? 100 + errno : 0);
	}
	return end_of(pid);
}

/* Whether it has run is told by what it wrote. */
static int run_memfd(bool *ret_ran)
{
	int from = open("/bin/echo", O_RDONLY | O_CLOEXEC), fd = memfd_create("echo", MFD_CLOEXEC);
	struct stat whole;
	int out[2], end;
	char word[8];
	pid_t pid;

	assert_int_equal(fstat(from, &whole), 0);
	assert_int_equal(sendfile(fd, from, NULL, (size_t)whole.st_size), whole.st_size);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		become_user();
		dup2(out[1], STDOUT_FILENO);
		fexecve(fd, (char *[]){ "echo", "ran", NULL }, (char *[]){ NULL });
		_exit(98);
	}
	close(out[1]);
	end = end_of(pid);
	*ret_ran = read(out[0], word, sizeof word) > 0;
	close(out[0]);
	close(from);
	close(fd);
	return end;
}

static uint64_t now_ms(void)
{
	return mach_absolute_time() / 1000000;
}

/* ---- a client that does not look --------------------------------------------------------------- */

static void expect_field(const char *line, const char *name, const char *value)
{
	char field_text[PATH_MAX + 64];

	snprintf(field_text, sizeof field_text, "\"%s\":\"%s\"", name, value);
	if (!strstr(line, field_text))
		fail_msg("no %s in %s", field_text, line);
}

/* Held until the deadline and no longer; then the log says who, what, on which file and why. */
static void test_nobody_looks(void **state)
{
	static const struct {
		enum plan plan;
		es_event_type_t event;
		es_deadline_miss_mode_t mode;
		const char *name, *code, *outcome;
	} rows[] = {
		{ WRONG_CALL, ES_EVENT_TYPE_AUTH_EXEC, ES_DEADLINE_MISS_MODE_FAIL_OPEN, "AUTH_EXEC",
			"ES_RESPOND_RESULT_ERR_EVENT_TYPE", "allowed" },
		{ WRONG_VALUE, ES_EVENT_TYPE_AUTH_EXEC, ES_DEADLINE_MISS_MODE_FAIL_CLOSED,
			"AUTH_EXEC", "ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT", "denied" },
		{ WRONG_CALL, ES_EVENT_TYPE_AUTH_OPEN, ES_DEADLINE_MISS_MODE_FAIL_CLOSED,
			"AUTH_OPEN", "ES_RESPOND_RESULT_ERR_EVENT_TYPE", "denied" },
		{ SILENT, ES_EVENT_TYPE_AUTH_OPEN, ES_DEADLINE_MISS_MODE_FAIL_OPEN, "AUTH_OPEN",
			"no answer", "allowed" },
	};
	char line[4096];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		es_client_t *client = new_client(rows[i].event, rows[i].mode);
		bool open = rows[i].event == ES_EVENT_TYPE_AUTH_OPEN;
		ob_es_counters_t counters = { .size = sizeof counters };
		uint64_t began = now_ms(), waited;
		int end;

		plan = rows[i].plan;
		end = open ? open_text() : run(program);
		waited = now_ms() - began;
		assert_int_equal(
			end, rows[i].mode == ES_DEADLINE_MISS_MODE_FAIL_OPEN ? 0 : 100 + EPERM);
		if (waited < DEADLINE_MS || waited > 10 * DEADLINE_MS)
			fail_msg("row %zu: held %d ms", i, (int)waited);
		await_line("\"id\":\"ENDPOINT_MISSED\"", line, sizeof line);
		expect_field(line, "object", self);
		expect_field(line, "event", rows[i].name);
		expect_field(line, "path", open ? text : program);
		expect_field(line, "code", rows[i].code);
		expect_field(line, "outcome", rows[i].outcome);
		assert_int_equal(ob_es_client_get_counters(client, &counters), 0);
		assert_int_equal(counters.deadline_misses, 1);
		es_delete_client(client);
	}
}

/* A wrong answer takes nothing away: the right one decides, at once. */
static void test_a_second_try(void **state)
{
	es_client_t *client = new_client(
		ES_EVENT_TYPE_AUTH_EXEC, ES_DEADLINE_MISS_MODE_FAIL_CLOSED);
	ob_es_counters_t counters = { .size = sizeof counters };

	plan = WRONG_THEN_RIGHT;
	assert_int_equal(run(program), 0);
	assert_int_equal(ob_es_client_get_counters(client, &counters), 0);
	assert_int_equal(counters.deadline_misses, 0);
	es_delete_client(client);
}

/* Who waited was let on by the kernel; the answer finds nobody, and says so. */
static void test_nobody_is_there(void **state)
{
	const es_event_type_t exec = ES_EVENT_TYPE_AUTH_EXEC;
	es_client_t *client = new_client(exec, ES_DEADLINE_MISS_MODE_FAIL_CLOSED);
	pid_t asker;

	assert_int_equal(
		es_set_deadline_max_milliseconds(client, &exec, 1, 15000), ES_RETURN_SUCCESS);
	plan = LATER;
	asker = fork();
	if (asker == 0)
		_exit(run(program));
	await_count(&n_asked, 1);
	end_esd();
	assert_int_equal(es_respond_auth_result(client, kept, ES_AUTH_RESULT_DENY, false),
		ES_RESPOND_RESULT_ERR_INTERNAL);
	assert_int_equal(end_of(asker), 0);
	es_release_message(kept);
	es_delete_client(client);
	begin_esd(NULL);
}

/* ---- what nobody can be asked about ------------------------------------------------------------ */

static void expect_memfd(int end, bool ran)
{
	bool has_run;

	assert_int_equal(run_memfd(&has_run), end);
	assert_int_equal(has_run, ran);
}

static void test_unasked_in_fail_open(void **state)
{
	es_client_t *client = new_client(ES_EVENT_TYPE_AUTH_EXEC, ES_DEADLINE_MISS_MODE_FAIL_OPEN);
	ob_es_counters_t before = { .size = sizeof before }, after = before;

	assert_int_equal(ob_es_client_get_counters(client, &before), 0);
	expect_memfd(0, true);
	assert_int_equal(run("/bin/true"), 0); /* on no file system of the scope's */
	assert_int_equal(ob_es_client_get_counters(client, &after), 0);
	assert_int_equal(after.unasked, before.unasked + 2);
	assert_int_equal(n_asked, 0);
	es_delete_client(client);
}

static void test_unasked_in_fail_closed(void **state)
{
	es_client_t *client = new_client(ES_EVENT_TYPE_AUTH_EXEC, ES_DEADLINE_MISS_MODE_FAIL_OPEN);
	const es_event_type_t exec = ES_EVENT_TYPE_AUTH_EXEC;
	unsigned n;
	bool ran;

	expect_memfd(1000 + SIGKILL, false);
	assert_int_equal(run("/bin/true"), 1000 + SIGKILL);
	assert_int_equal(n_asked, 0);
	assert_int_equal(run(program), 0);
	await_count(&n_asked, 1); /* the handler goes on after its answer */
	/* nobody asks any more, and asks again */
	assert_int_equal(es_unsubscribe(client, &exec, 1), ES_RETURN_SUCCESS);
	expect_memfd(0, true);
	assert_int_equal(run("/bin/true"), 0);
	assert_int_equal(es_subscribe(client, &exec, 1), ES_RETURN_SUCCESS);
	expect_memfd(1000 + SIGKILL, false);
	es_delete_client(client);
	/* until outboard-esd has seen that it is gone */
	for (n = 0; n < 1000 && run_memfd(&ran) != 0; n++)
		assert_false(ran);
	assert_true(ran);
}

/* An execve that has begun when nobody asked yet is let be, whenever it gets on: it is held here meanwhile. */
static void test_under_way(void **state)
{
	char beside[PATH_MAX], other[PATH_MAX + 16], command[2 * PATH_MAX];
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);
	struct fanotify_event_metadata held;
	struct fanotify_response go = { .response = FAN_ALLOW };
	es_client_t *client;
	pid_t pid;

	path_get(PATH_RUN, "beside", beside);
	assert_int_equal(mkdir(beside, 0755), 0);
	assert_int_equal(mount("beside", beside, "tmpfs", 0, "mode=755"), 0);
	snprintf(other, sizeof other, "%s/true", beside);
	snprintf(command, sizeof command, "cp /bin/true %s", other);
	assert_int_equal(system(command), 0);
	assert_int_equal(fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM,
				 FAN_OPEN_EXEC_PERM, AT_FDCWD, beside),
		0);
	pid = fork();
	if (pid == 0)
		_exit(run(other));
	assert_int_equal(read(group, &held, sizeof held), sizeof held);
	client = new_client(ES_EVENT_TYPE_AUTH_EXEC, ES_DEADLINE_MISS_MODE_FAIL_OPEN);
	go.fd = held.fd;
	assert_int_equal(write(group, &go, sizeof go), sizeof go);
	assert_int_equal(end_of(pid), 0);
	close(held.fd);
	close(group);
	assert_int_equal(run(other), 1000 + SIGKILL);
	es_delete_client(client);
	umount2(beside, MNT_DETACH);
	rmdir(beside);
}

static atomic_bool is_known;

static void on_known(es_client_t *client, const es_message_t *message, void *context)
{
	if (message->event_type == ES_EVENT_TYPE_AUTH_EXEC) {
		es_respond_auth_result(client, message, ES_AUTH_RESULT_ALLOW, false);
		return;
	}
	is_known = message->process->cdhash[0] | message->process->cdhash[1] |
		message->process->cdhash[2];
	n_asked++;
	sem_post(&something);
}

/* outboard-esd's own worker lies where nobody is asked, and is started nevertheless. */
static void test_its_own_worker(void **state)
{
	const es_event_type_t events[] = { ES_EVENT_TYPE_AUTH_EXEC, ES_EVENT_TYPE_NOTIFY_EXIT };
	unsigned n = 0;
	es_client_t *client;

	n_asked = 0;
	is_known = false;
	assert_int_equal(es_new_client_f(&client, NULL, on_known), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, events, 2), ES_RETURN_SUCCESS);
	while (!is_known) {
		assert_int_equal(run(program), 0);
		await_count(&n_asked, ++n);
		if (n == 2000)
			fail_msg("the program is not known after %u runs", n);
	}
	es_delete_client(client);
}

/* ---- no room for a question -------------------------------------------------------------------- */

static void *open_it(void *result)
{
	int fd = open(text, O_RDONLY | O_CLOEXEC);

	*(int *)result = fd < 0 ? errno : 0;
	return NULL;
}

/* As many threads as may wait, in a process of its own that says when they have ended. */
static pid_t fill(void)
{
	static int results[QUESTIONS_MAX];
	static pthread_t threads[QUESTIONS_MAX];
	pid_t pid = fork();
	pthread_attr_t small;
	unsigned i, denied = 0;

	if (pid != 0)
		return pid;
	become_user();
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	for (i = 0; i < QUESTIONS_MAX; i++)
		if (pthread_create(&threads[i], &small, open_it, &results[i]) != 0)
			_exit(98);
	for (i = 0; i < QUESTIONS_MAX; i++) {
		pthread_join(threads[i], NULL);
		denied += results[i] != 0;
	}
	_exit(denied ? 97 : 0);
}

static void need_speed(void)
{
	if (getenv("LAB"))
		skip(); /* emulated, so many are not asked within their deadline */
}

static void expect_one_more(int end)
{
	const es_event_type_t open_event = ES_EVENT_TYPE_AUTH_OPEN;
	es_client_t *client = new_client(open_event, ES_DEADLINE_MISS_MODE_FAIL_OPEN);
	pid_t pid;

	assert_int_equal(
		es_set_deadline_max_milliseconds(client, &open_event, 1, 15000), ES_RETURN_SUCCESS);
	plan = SILENT;
	pid = fill();
	await_count(&n_asked, QUESTIONS_MAX);
	assert_int_equal(open_text(), end);
	assert_int_equal(n_asked, QUESTIONS_MAX);
	es_delete_client(client); /* who waits gets the client's own mode */
	assert_int_equal(end_of(pid), 0);
}

static void test_no_room_in_fail_open(void **state)
{
	need_speed();
	expect_one_more(0);
}

static void test_no_room_in_fail_closed(void **state)
{
	need_speed();
	expect_one_more(100 + EPERM);
}

static void set_the_field(void)
{
	char command[3 * PATH_MAX], path[PATH_MAX];

	path_get(PATH_RUN, NULL, field);
	mkdir_path(field, 0755);
	mkdir_path(path_get(PATH_CONFIG, NULL, path), 0755);
	strcat(field, "/field");
	assert_int_equal(mkdir(field, 0755), 0);
	assert_int_equal(mount("field", field, "tmpfs", 0, "mode=755"), 0);
	snprintf(program, sizeof program, "%s/good", field);
	snprintf(text, sizeof text, "%s/text", field);
	snprintf(command, sizeof command, "cp /bin/true %s && echo secret >%s", program, text);
	assert_int_equal(system(command), 0);
	self[readlink("/proc/self/exe", self, sizeof self - 1)] = '\0';
}

int main(void)
{
	const struct CMUnitTest in_fail_open[] = {
		cmocka_unit_test(test_nobody_looks),
		cmocka_unit_test(test_a_second_try),
		cmocka_unit_test(test_nobody_is_there),
		cmocka_unit_test(test_unasked_in_fail_open),
		cmocka_unit_test(test_no_room_in_fail_open),
	};
	const struct CMUnitTest in_fail_closed[] = {
		cmocka_unit_test(test_unasked_in_fail_closed),
		cmocka_unit_test(test_under_way),
		cmocka_unit_test(test_its_own_worker),
		cmocka_unit_test(test_no_room_in_fail_closed),
	};
	int r;

	if (!scene_begin("test-missed"))
		return 77;
	set_the_field();
	begin_esd(NULL); /* open unless it is said otherwise */
	r = cmocka_run_group_tests(in_fail_open, NULL, NULL);
	end_esd();
	begin_esd("closed");
	r |= cmocka_run_group_tests(in_fail_closed, NULL, NULL);
	end_esd();
	umount2(field, MNT_DETACH);
	return r;
}
