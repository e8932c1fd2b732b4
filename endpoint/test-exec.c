/* SPDX-License-Identifier: Apache-2.0
 *
 * The first event, end to end, as a user has it: outboard-esd over the kernel of this machine, a
 * client through the public header, and programs that start in the scope. Needs root, a scope
 * (SCOPE_CGROUP) and the right to load BPF programs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "endpoint/test-scene.h"

#define PROGRAMS 40
#define FLOOD 400
#define WAITING \
	600 /* more than two batches of the library, whose queue turns to the socket between them */
#define BATCH 256	 /* of the library */
#define LARGE_BYTES 3500 /* of an argument: FLOOD of them do not fit into a ring of 1 MiB */

static struct seen {
	pid_t pid, ppid;
	uid_t uid, ruid;
	gid_t gid;
	uint64_t seq_num, global_seq_num;
	char path[256], first[64], before[256];
	uint32_t n_arguments;
	es_event_type_t type;
	int stat;
} seen[FLOOD * 4];
static atomic_uint n_seen;
static sem_t go_on;
static _Atomic(bool) hold;

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	struct seen *at = &seen[n_seen];
	const es_process_t *process = message->process;

	if (message->event_type == ES_EVENT_TYPE_NOTIFY_EXEC) {
		es_string_token_t first = es_exec_arg(&message->event.exec, 1);

		process = message->event.exec.target;
		STR_PUT(at->first, first.data);
		at->n_arguments = es_exec_arg_count(&message->event.exec);
	}
	at->type = message->event_type;
	at->pid = audit_token_to_pid(process->audit_token);
	at->ppid = process->ppid;
	at->uid = audit_token_to_euid(process->audit_token);
	at->ruid = audit_token_to_ruid(process->audit_token);
	at->gid = audit_token_to_egid(process->audit_token);
	at->seq_num = message->seq_num;
	at->global_seq_num = message->global_seq_num;
	STR_PUT(at->path, process->executable->path.data);
	STR_PUT(at->before, message->process->executable->path.data);
	at->stat = message->event_type == ES_EVENT_TYPE_NOTIFY_EXIT ? message->event.exit.stat : 0;
	n_seen++;
	sem_post(&something);
	if (hold)
		while (sem_wait(&go_on) < 0)
			;
}

static char *environment[] = { "A=b", NULL };

/* Runs /bin/true as a user whose ids all differ. */
static pid_t run_program(int number, uid_t uid, gid_t gid)
{
	char word[16];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	snprintf(word, sizeof word, "%d", number);
	if (uid &&
		(setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
			setresuid(uid, uid, uid) < 0))
		_exit(126);
	execle("/bin/true", "true", word, "a b", NULL, environment);
	_exit(127);
}

static pid_t run_large(void)
{
	char large[LARGE_BYTES + 1];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	memset(large, 'x', LARGE_BYTES);
	large[LARGE_BYTES] = '\0';
	execl("/bin/true", "true", "large", large, NULL);
	_exit(127);
}

static es_client_t *new_client(void)
{
	es_client_t *client;

	n_seen = 0;
	assert_int_equal(es_new_client_f(&client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	return client;
}

static void subscribe(es_client_t *client, es_event_type_t type)
{
	assert_int_equal(es_subscribe(client, &type, 1), ES_RETURN_SUCCESS);
}

static void test_every_program_once(void **state)
{
	es_client_t *client = new_client();
	pid_t pids[PROGRAMS];
	char whole[PATH_MAX];
	int i;

	assert_non_null(realpath("/bin/true", whole));
	subscribe(client, ES_EVENT_TYPE_NOTIFY_EXEC);
	for (i = 0; i < PROGRAMS; i++)
		pids[i] = run_program(i, (uid_t)(2001 + i), (gid_t)(3001 + i));
	for (i = 0; i < PROGRAMS; i++)
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	await_count(&n_seen, PROGRAMS);
	for (i = 0; i < PROGRAMS; i++) {
		const struct seen *at = seen;
		char word[16];
		int times = 0, k;

		snprintf(word, sizeof word, "%d", i);
		for (k = 0; k < (int)n_seen; k++) {
			if (seen[k].pid == pids[i]) {
				at = &seen[k];
				times++;
			}
		}
		assert_int_equal(times, 1);
		assert_int_equal(at->ppid, getpid());
		assert_string_equal(at->path, whole);
		assert_string_equal(at->first, word);
		assert_int_equal(at->n_arguments, 3);
		assert_int_equal(at->uid, 2001 + i);
		assert_int_equal(at->ruid, 2001 + i);
		assert_int_equal(at->gid, 3001 + i);
	}
	assert_int_equal(n_seen, PROGRAMS); /* nothing from outside, nothing twice */
	for (i = 0; i < PROGRAMS; i++)
		assert_int_equal(seen[i].global_seq_num, i);
	es_delete_client(client);
}

/* Without the subscription nothing comes: shown by the one that comes after it is back. */
static void test_unsubscribed_is_silent(void **state)
{
	const es_event_type_t exec = ES_EVENT_TYPE_NOTIFY_EXEC;
	es_client_t *client = new_client();
	es_event_type_t *list;
	size_t n;

	subscribe(client, exec);
	assert_int_equal(es_subscriptions(client, &n, &list), ES_RETURN_SUCCESS);
	assert_int_equal(n, 1);
	assert_int_equal(list[0], exec);
	free(list);
	assert_int_equal(es_unsubscribe(client, &exec, 1), ES_RETURN_SUCCESS);
	waitpid(run_program(1, 0, 0), NULL, 0);
	subscribe(client, exec);
	waitpid(run_program(2, 0, 0), NULL, 0);
	await_count(&n_seen, 1);
	assert_string_equal(seen[0].first, "2");
	es_delete_client(client);
}

static void test_fork_and_exit(void **state)
{
	es_client_t *client = new_client();
	int status;
	pid_t pid;

	subscribe(client, ES_EVENT_TYPE_NOTIFY_EXIT);
	pid = fork();
	if (pid == 0)
		_exit(7);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	await_count(&n_seen, 1);
	assert_int_equal(seen[0].pid, pid);
	assert_int_equal(seen[0].stat, status);
	es_delete_client(client);
}

static void test_what_is_missing_says_so(void **state)
{
	const es_event_type_t both[] = { ES_EVENT_TYPE_NOTIFY_EXEC, ES_EVENT_TYPE_AUTH_OPEN };
	const es_event_type_t unknown[] = { (es_event_type_t)5000, ES_EVENT_TYPE_NOTIFY_EXEC };
	es_client_t *client = new_client();
	es_event_type_t *list;
	ob_error_t *error;
	size_t n;

	assert_int_equal(es_subscribe(client, both, 2), ES_RETURN_ERROR);
	error = ob_es_client_copy_last_error(client);
	assert_non_null(error);
	assert_string_equal(ob_error_get_rule(error), "endpoint.event-unsupported");
	assert_non_null(strstr(ob_error_get_localized_description(error), "AUTH_OPEN"));
	ob_error_release(error);
	assert_int_equal(es_subscriptions(client, &n, &list), ES_RETURN_SUCCESS);
	assert_int_equal(n, 0);
	assert_int_equal(es_subscribe(client, unknown, 2), ES_RETURN_SUCCESS);
	es_delete_client(client);
}

static void test_only_root(void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		es_client_t *client;

		if (setresuid(2001, 2001, 2001) < 0)
			_exit(99);
		_exit((int)es_new_client_f(&client, NULL, on_message));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), ES_NEW_CLIENT_RESULT_ERR_NOT_PRIVILEGED);
}

static void test_a_slow_client_loses_by_number(void **state)
{
	ob_es_counters_t counters = { .size = sizeof counters };
	es_client_t *client = new_client();
	uint64_t missing = 0;
	unsigned i, held;

	hold = true;
	subscribe(client, ES_EVENT_TYPE_NOTIFY_EXEC);
	for (i = 0; i < FLOOD; i++)
		waitpid(run_large(), NULL, 0);
	assert_int_equal(ob_es_client_get_counters(client, &counters), 0);
	if (counters.dropped == 0)
		fail_msg("%u programs fit into the ring: nothing was tested", FLOOD);
	held = FLOOD - (unsigned)counters.dropped;
	hold = false;
	sem_post(&go_on);
	await_count(&n_seen, held);
	/* a last one shows the gap */
	waitpid(run_program(0, 0, 0), NULL, 0);
	await_count(&n_seen, held + 1);
	for (i = 1; i < n_seen; i++)
		missing += seen[i].global_seq_num - seen[i - 1].global_seq_num - 1;
	assert_int_equal(missing, counters.dropped);
	es_delete_client(client);
}

static void test_esd_is_replaced(void **state)
{
	ob_es_counters_t counters = { .size = sizeof counters };
	es_client_t *client = new_client();
	int r;

	subscribe(client, ES_EVENT_TYPE_NOTIFY_EXEC);
	esd_stop();
	esd_start(NULL);
	/* the library comes back by itself: until then there is nothing to count */
	do {
		r = ob_es_client_get_counters(client, &counters);
		if (r < 0)
			poll(NULL, 0, 5);
	} while (r < 0);
	n_seen = 0;
	waitpid(run_program(3, 0, 0), NULL, 0);
	await_count(&n_seen, 1);
	assert_string_equal(seen[0].first, "3");
	assert_int_equal(ob_es_client_get_counters(client, &counters), 0);
	assert_int_equal(counters.restarts, 1);
	es_delete_client(client);
}

/*
 * What lay in the ring when outboard-esd ended is told, what comes afterwards too, and a jump of the
 * numbers between them says that something may be missing.
 */
static void test_what_was_written_is_told(void **state)
{
	es_client_t *client = new_client();
	ob_es_counters_t counters = { .size = sizeof counters };
	unsigned i;

	hold = true;
	subscribe(client, ES_EVENT_TYPE_NOTIFY_EXEC);
	for (i = 0; i < WAITING; i++)
		waitpid(run_program((int)i, 0, 0), NULL, 0);
	await_count(&n_seen, 1); /* the handler is in the first one, the others wait */
	esd_stop();
	esd_start(NULL);
	hold = false;
	sem_post(&go_on);
	await_count(&n_seen, WAITING);
	while (ob_es_client_get_counters(client, &counters) < 0)
		poll(NULL, 0, 5);
	waitpid(run_program(WAITING, 0, 0), NULL, 0);
	await_count(&n_seen, WAITING + 1);
	for (i = 0; i < WAITING; i++)
		assert_int_equal(seen[i].global_seq_num, i);
	assert_int_equal(seen[WAITING].global_seq_num, WAITING + 1);
	assert_int_equal(seen[WAITING].seq_num, WAITING + 1);
	es_delete_client(client);
}

/* The ring is empty when its turn is over, and the next one wakes it all the same. */
static void test_one_batch_to_the_last(void **state)
{
	es_client_t *client = new_client();
	unsigned i;

	hold = true;
	subscribe(client, ES_EVENT_TYPE_NOTIFY_EXEC);
	for (i = 0; i < BATCH; i++)
		waitpid(run_program((int)i, 0, 0), NULL, 0);
	await_count(&n_seen, 1); /* the handler is in the first one, the others wait */
	hold = false;
	sem_post(&go_on);
	await_count(&n_seen, BATCH);
	waitpid(run_program(BATCH, 0, 0), NULL, 0);
	await_count(&n_seen, BATCH + 1);
	es_delete_client(client);
}

/* ---- what a program starts with ---------------------------------------------------------------- */

static struct {
	uint32_t n;
	es_fd_t fds[8];
	int last;
	char script[PATH_MAX];
} started;

static void on_start(es_client_t *client, const es_message_t *message, void *context)
{
	const es_event_exec_t *exec = &message->event.exec;
	uint32_t i;

	started.n = es_exec_fd_count(exec);
	for (i = 0; i < started.n && i < ARRAY_SIZE(started.fds); i++)
		started.fds[i] = *es_exec_fd(exec, i);
	if (es_exec_fd(exec, started.n))
		started.n = UINT32_MAX; /* beyond the count there is none */
	started.last = exec->last_fd;
	STR_PUT(started.script, exec->script ? exec->script->path.data : "");
	n_seen++;
	sem_post(&something);
}

/* A file at 0, a pipe at 1, a socket at 5, and nothing else: by way of numbers that are not in use. */
static void start_with(const char *folder, const char *program)
{
	pid_t pid = fork();

	if (pid == 0) {
		int pair[2], out[2];

		if (chdir(folder) < 0 || pipe(out) < 0 ||
			socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
			_exit(99);
		dup2(open("/dev/null", O_RDONLY), 210);
		dup2(out[1], 211);
		dup2(pair[0], 212);
		dup2(210, 0);
		dup2(211, 1);
		dup2(212, 5);
		close_range(2, 4, 0);
		close_range(6, ~0u, 0);
		execl(program, program, NULL);
		_exit(98);
	}
	waitpid(pid, NULL, 0);
}

static void test_descriptors_and_script(void **state)
{
	char folder[] = "/tmp/exec-XXXXXX", path[64];
	es_client_t *client;
	int fd;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/script", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_int_equal(write(fd, "#!/bin/true\n", 12), 12);
	close(fd);
	n_seen = 0;
	assert_int_equal(es_new_client_f(&client, NULL, on_start), ES_NEW_CLIENT_RESULT_SUCCESS);
	subscribe(client, ES_EVENT_TYPE_NOTIFY_EXEC);
	start_with(folder, "./script");
	await_count(&n_seen, 1);
	assert_int_equal(started.n, 3);
	assert_int_equal(started.fds[0].fd, 0);
	assert_int_equal(started.fds[0].fdtype, 1);
	assert_int_equal(started.fds[1].fd, 1);
	assert_int_equal(started.fds[1].fdtype, 6);
	assert_true(started.fds[1].pipe.pipe_id > 0);
	assert_int_equal(started.fds[2].fd, 5);
	assert_int_equal(started.fds[2].fdtype, 2);
	assert_int_equal(started.last, 5);
	assert_string_equal(started.script, path);
	start_with("/", "/bin/true");
	await_count(&n_seen, 2);
	assert_string_equal(started.script, "");
	es_delete_client(client);
	unlink(path);
	rmdir(folder);
}

static const es_message_t *kept;

static void keep(es_client_t *client, const es_message_t *message, void *context)
{
	if (!kept) {
		kept = message;
		es_retain_message(message);
	}
	n_seen++;
	sem_post(&something);
}

static void test_a_kept_message_stays(void **state)
{
	es_client_t *client;

	n_seen = 0;
	assert_int_equal(es_new_client_f(&client, NULL, keep), ES_NEW_CLIENT_RESULT_SUCCESS);
	subscribe(client, ES_EVENT_TYPE_NOTIFY_EXEC);
	waitpid(run_program(11, 0, 0), NULL, 0);
	waitpid(run_program(12, 0, 0), NULL, 0);
	await_count(&n_seen, 2);
	es_delete_client(client);
	assert_string_equal(es_exec_arg(&kept->event.exec, 1).data, "11");
	assert_true(str_ends(kept->event.exec.target->executable->path.data, "/true"));
	assert_int_equal(es_exec_arg(&kept->event.exec, 99).length, 0);
	es_release_message(kept);
}

static void test_clients_of_two(void **state)
{
	es_client_t *first = new_client(), *second;

	assert_int_equal(es_new_client_f(&second, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	subscribe(first, ES_EVENT_TYPE_NOTIFY_EXEC);
	waitpid(run_program(1, 0, 0), NULL, 0);
	await_count(&n_seen, 1);
	assert_int_equal(n_seen, 1); /* the other has not subscribed */
	es_delete_client(first);
	subscribe(second, ES_EVENT_TYPE_NOTIFY_EXEC);
	waitpid(run_program(2, 0, 0), NULL, 0);
	await_count(&n_seen, 2);
	es_delete_client(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_program_once),
		cmocka_unit_test(test_unsubscribed_is_silent),
		cmocka_unit_test(test_fork_and_exit),
		cmocka_unit_test(test_descriptors_and_script),
		cmocka_unit_test(test_what_is_missing_says_so),
		cmocka_unit_test(test_only_root),
		cmocka_unit_test(test_a_kept_message_stays),
		cmocka_unit_test(test_clients_of_two),
		cmocka_unit_test(test_a_slow_client_loses_by_number),
		cmocka_unit_test(test_what_was_written_is_told),
		cmocka_unit_test(test_one_batch_to_the_last),
		cmocka_unit_test(test_esd_is_replaced),
	};
	int r;

	if (!scene_begin("test-exec"))
		return 77;
	sem_init(&go_on, 0, 0);
	esd_start(NULL);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	esd_stop();
	return r;
}
