/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients of descendants: outboard-esd over the scope and a tmpfs of this test. The client lives in a
 * process of its own, the keeper, so that this one is outside of its tree; what both do is told or asked,
 * or is not, and the keeper says what it was. A client of all, in here, is told of everything meanwhile:
 * what was not told to the one was told to the other. Needs root, a scope and the right to load BPF.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/paths.h"
#include "endpoint/test-scene.h"

/* Whose program it was, by its name: each is a copy of true(1). */
enum who { OUTSIDE, BEFORE, CHILD, ORPHAN, NAMES };
static const char *const names[NAMES] = { "outside", "before", "child", "orphan" };

static char field[PATH_MAX];
static atomic_uint n_told[NAMES], n_asked[NAMES], n_forks, n_synced;
static es_auth_result_t verdict;
static bool caches;

static const char *program_of(enum who who)
{
	static char paths[NAMES][PATH_MAX + 16];

	snprintf(paths[who], sizeof paths[who], "%s/%s", field, names[who]);
	return paths[who];
}

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	const char *path;
	int who;

	if (message->event_type == ES_EVENT_TYPE_NOTIFY_FORK) {
		n_forks += audit_token_to_pid(message->process->audit_token) == getpid();
		return;
	}
	path = message->event.exec.target->executable->path.data;
	for (who = 0; who < NAMES; who++) {
		if (strcmp(path, program_of((enum who)who)) != 0)
			continue;
		if (message->action_type == ES_ACTION_TYPE_AUTH)
			n_asked[who]++;
		else
			n_told[who]++;
	}
	if (message->action_type == ES_ACTION_TYPE_AUTH)
		es_respond_auth_result(client, message, verdict, caches);
	sem_post(&something);
}

static void on_synced(void *context)
{
	n_synced++;
	sem_post(&something);
}

static void forget(void)
{
	int i;

	for (i = 0; i < NAMES; i++)
		n_told[i] = n_asked[i] = 0;
	n_forks = n_synced = 0;
}

/* All that has happened so far has been told. */
static void sync_with(es_client_t *client)
{
	unsigned before = n_synced;

	assert_int_equal(es_sync_client_f(client, NULL, on_synced), ES_RETURN_SUCCESS);
	await_count(&n_synced, before + 1);
}

static void exec_now(enum who who)
{
	execl(program_of(who), names[who], NULL);
	_exit(errno == EPERM ? 77 : 1);
}

/* 0, or 77: execve said EPERM */
static int run(enum who who)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		exec_now(who);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* A child whose parent has ended when it starts its program. */
static void run_orphan(void)
{
	int gone[2], done[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(gone) | pipe(done), 0);
	pid = fork();
	if (pid == 0) {
		if (fork() > 0)
			_exit(0);
		close(gone[1]);
		close(done[0]);
		if (read(gone[0], &byte, 1) == 0 && fork() == 0)
			exec_now(ORPHAN);
		wait(NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(gone[0]);
	close(gone[1]);
	close(done[1]);
	assert_int_equal(read(done[0], &byte, 1), 0);
	close(done[0]);
}

/* ---- the keeper ------------------------------------------------------------------------------- */

struct keeper {
	pid_t pid;
	int to[2], from[2];
};

struct report {
	unsigned told[NAMES], asked[NAMES], forks;
	int before, child;
};

static void fill_report(struct report *report)
{
	int i;

	for (i = 0; i < NAMES; i++) {
		report->told[i] = n_told[i];
		report->asked[i] = n_asked[i];
	}
	report->forks = n_forks;
}

/* A client that denies what it is asked about; one child that was there before it. */
static void keep(struct keeper *keeper, bool asks)
{
	static const es_event_type_t events[] = { ES_EVENT_TYPE_NOTIFY_EXEC,
		ES_EVENT_TYPE_NOTIFY_FORK, ES_EVENT_TYPE_AUTH_EXEC };
	struct report report = { 0 };
	es_client_t *client;
	int go[2], status;
	char byte = 0;
	pid_t before;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	assert_int_equal(pipe(go), 0);
	before = fork();
	if (before == 0) {
		if (read(go[0], &byte, 1) == 1)
			exec_now(BEFORE);
		_exit(2);
	}
	verdict = ES_AUTH_RESULT_DENY;
	caches = true;
	assert_int_equal(es_new_descendants_client_f(&client, NULL, on_message),
		ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, events, asks ? 3 : 2), ES_RETURN_SUCCESS);
	assert_int_equal(write(keeper->from[1], &byte, 1), 1);
	assert_int_equal(read(keeper->to[0], &byte, 1), 1); /* what is outside has been done */
	assert_int_equal(write(go[1], &byte, 1), 1);
	assert_int_equal(waitpid(before, &status, 0), before);
	report.before = WEXITSTATUS(status);
	report.child = run(CHILD);
	run_orphan();
	sync_with(client);
	fill_report(&report);
	assert_int_equal(write(keeper->from[1], &report, sizeof report), sizeof report);
	assert_int_equal(read(keeper->to[0], &byte, 1), 1);
	_exit(0);
}

static void keeper_start(struct keeper *keeper, bool asks)
{
	char byte;

	assert_int_equal(pipe(keeper->to) | pipe(keeper->from), 0);
	keeper->pid = fork();
	if (keeper->pid == 0)
		keep(keeper, asks);
	assert_int_equal(read(keeper->from[0], &byte, 1), 1);
}

static void keeper_go_on(struct keeper *keeper, struct report *ret)
{
	assert_int_equal(write(keeper->to[1], "", 1), 1);
	assert_int_equal(read(keeper->from[0], ret, sizeof *ret), sizeof *ret);
}

static void keeper_end(struct keeper *keeper)
{
	int status;

	assert_int_equal(write(keeper->to[1], "", 1), 1);
	assert_int_equal(waitpid(keeper->pid, &status, 0), keeper->pid);
	assert_int_equal(status, 0);
	close(keeper->to[0]);
	close(keeper->to[1]);
	close(keeper->from[0]);
	close(keeper->from[1]);
}

/* ---- the tests -------------------------------------------------------------------------------- */

static es_client_t *client_of_all(es_event_type_t event)
{
	es_client_t *client;

	forget();
	assert_int_equal(es_new_client_f(&client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, &event, 1), ES_RETURN_SUCCESS);
	return client;
}

/* Children from before and after, one whose parent has ended, and the keeper itself: and nobody else. */
static void test_told(void **state)
{
	struct keeper keeper;
	struct report report;
	es_client_t *all;

	keeper_start(&keeper, false);
	all = client_of_all(ES_EVENT_TYPE_NOTIFY_EXEC);
	assert_int_equal(run(OUTSIDE), 0);
	keeper_go_on(&keeper, &report);
	assert_int_equal(report.told[OUTSIDE], 0);
	assert_int_equal(report.told[BEFORE], 1);
	assert_int_equal(report.told[CHILD], 1);
	assert_int_equal(report.told[ORPHAN], 1);
	assert_int_equal(report.forks, 2); /* its own: the child, and the orphan's parent */
	sync_with(all);
	assert_int_equal(n_told[OUTSIDE], 1);
	assert_int_equal(n_told[ORPHAN], 1);
	keeper_end(&keeper);
	assert_int_equal(es_delete_client(all), ES_RETURN_SUCCESS);
}

/* Its tree is asked about and denied; what is outside neither waits nor is denied, cached or not. */
static void test_asked(void **state)
{
	struct keeper keeper;
	struct report report;

	keeper_start(&keeper, true);
	assert_int_equal(run(OUTSIDE), 0);
	assert_int_equal(run(CHILD), 0);
	keeper_go_on(&keeper, &report);
	assert_int_equal(report.asked[OUTSIDE], 0);
	assert_int_equal(report.before, 77);
	assert_int_equal(report.child, 77);
	assert_int_equal(report.asked[BEFORE], 1);
	assert_int_equal(report.asked[CHILD], 1);
	assert_int_equal(report.asked[ORPHAN], 1);
	assert_int_equal(run(CHILD), 0); /* the keeper's answer was not for everybody */
	keeper_end(&keeper);
	assert_int_equal(run(CHILD), 0);
}

/* What a client of all has answered for everybody is no answer of the keeper's. */
static void test_not_answered_by_others(void **state)
{
	struct keeper keeper;
	struct report report;
	es_client_t *all;

	verdict = ES_AUTH_RESULT_ALLOW;
	caches = true;
	keeper_start(&keeper, true);
	all = client_of_all(ES_EVENT_TYPE_AUTH_EXEC);
	assert_int_equal(run(CHILD), 0);
	assert_int_equal(run(CHILD), 0);
	assert_int_equal(n_asked[CHILD], 1); /* remembered */
	keeper_go_on(&keeper, &report);
	assert_int_equal(report.asked[CHILD], 1);
	assert_int_equal(report.child, 77);
	keeper_end(&keeper);
	assert_int_equal(es_delete_client(all), ES_RETURN_SUCCESS);
}

/* The place of a client that has ended, in which the next one begins, has no descendants. */
static void test_place_is_empty(void **state)
{
	es_client_t *client;

	forget();
	assert_int_equal(es_new_descendants_client_f(&client, NULL, on_message),
		ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_delete_client(client), ES_RETURN_SUCCESS);
	test_told(state);
}

static void test_shortest_deadline(void **state)
{
	static const es_event_type_t events[] = { ES_EVENT_TYPE_AUTH_EXEC };
	static const es_event_type_t other[] = { ES_EVENT_TYPE_AUTH_RENAME };
	es_client_t *client;
	uint32_t ms = 7;

	assert_int_equal(es_new_descendants_client_f(&client, NULL, on_message),
		ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_get_deadline_min_milliseconds(client, events[0], &ms), 0);
	assert_int_equal(ms, 0);
	assert_int_equal(es_set_deadline_max_milliseconds(client, events, 1, 100), 0);
	assert_int_equal(es_set_deadline_min_milliseconds(client, events, 1, 300), 0);
	assert_int_equal(es_get_deadline_max_milliseconds(client, events[0], &ms), 0);
	assert_int_equal(ms, 300); /* pulled up */
	assert_int_equal(es_set_deadline_max_milliseconds(client, events, 1, 200), 0);
	assert_int_equal(es_get_deadline_min_milliseconds(client, events[0], &ms), 0);
	assert_int_equal(ms, 200); /* pulled down */
	assert_int_equal(
		es_set_deadline_min_milliseconds(client, events, 1, 15001), ES_RETURN_ERROR);
	assert_int_equal(es_set_deadline_min_milliseconds(client, other, 1, 10), ES_RETURN_ERROR);
	assert_int_equal(es_delete_client(client), ES_RETURN_SUCCESS);
}

static int begin_all(void **state)
{
	char command[6 * PATH_MAX];
	int i;

	path_get(PATH_RUN, NULL, field);
	strcat(field, "/field");
	assert_int_equal(mkdir(field, 0755), 0);
	assert_int_equal(mount("field", field, "tmpfs", 0, "mode=755"), 0);
	for (i = 0; i < NAMES; i++) {
		snprintf(command, sizeof command, "cp /bin/true %s", program_of((enum who)i));
		assert_int_equal(system(command), 0);
	}
	esd_start(field);
	return 0;
}

static int end_all(void **state)
{
	esd_stop();
	return umount(field);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told),
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_not_answered_by_others),
		cmocka_unit_test(test_place_is_empty),
		cmocka_unit_test(test_shortest_deadline),
	};

	if (!scene_begin("test-descendants"))
		return 77;
	return cmocka_run_group_tests(tests, begin_all, end_all);
}
