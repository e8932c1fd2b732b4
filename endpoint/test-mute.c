/* SPDX-License-Identifier: Apache-2.0
 *
 * Muting, as a client has it: outboard-esd over the kernel of this machine, the public header, and
 * programs that start in the scope. What is muted is shown by what comes in its place: each program that
 * must not be told of is followed by one that must. Needs root, a scope and the right to load BPF.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
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
#include "base/peer.h"
#include "base/str.h"
#include "endpoint/test-scene.h"

#define SEEN 4096
#define MANY 10000
#define PATHS_MAX 16384
#define MUTED "/usr/bin/true"
#define OTHER "/usr/bin/false"
#define MARK "/tmp/mark" /* outside of all that is muted here */

static struct seen {
	es_event_type_t type;
	pid_t pid;
	audit_token_t token; /* of the process, or of the new one */
	char target[PATH_MAX];
} seen[SEEN];
static atomic_uint n_seen;
static char self[PATH_MAX];
static es_client_t *client;

static void on_message(es_client_t *of, const es_message_t *message, void *context)
{
	struct seen *at = &seen[n_seen % SEEN];

	at->type = message->event_type;
	at->token = message->process->audit_token;
	at->target[0] = '\0';
	if (message->event_type == ES_EVENT_TYPE_NOTIFY_EXEC)
		STR_PUT(at->target, message->event.exec.target->executable->path.data);
	if (message->event_type == ES_EVENT_TYPE_NOTIFY_FORK)
		at->token = message->event.fork.child->audit_token;
	at->pid = audit_token_to_pid(at->token);
	n_seen++;
	sem_post(&something);
}

static void subscribe(es_event_type_t type)
{
	assert_int_equal(es_subscribe(client, &type, 1), ES_RETURN_SUCCESS);
}

/* A client of its own for each test, that is told of programs. */
static int begin(void **state)
{
	assert_int_equal(es_new_client_f(&client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	n_seen = 0;
	subscribe(ES_EVENT_TYPE_NOTIFY_EXEC);
	return 0;
}

static int end(void **state)
{
	return es_delete_client(client) == ES_RETURN_SUCCESS ? 0 : -1;
}

static void become_user(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(3001, 3001, 3001) < 0 ||
		setresuid(2001, 2001, 2001) < 0)
		_exit(126);
}

/* By a user whose ids all differ. */
static void run(const char *program)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		become_user();
		execl(program, program, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		fail_msg("%s did not run: %x", program, (unsigned)status);
}

/* What is told between a program that is run and the mark after it. */
static unsigned told_of(const char *program)
{
	unsigned before = n_seen, at, told;

	run(program);
	run(MARK);
	for (at = before;; at++) {
		await_count(&n_seen, at + 1);
		if (streq(seen[at % SEEN].target, MARK))
			break;
	}
	told = at - before;
	if (told && !streq(seen[before % SEEN].target, program))
		fail_msg("%s was told of in place of %s", seen[before % SEEN].target, program);
	return told;
}

static void expect_rule(const char *rule)
{
	ob_error_t *error = ob_es_client_copy_last_error(client);

	assert_non_null(error);
	assert_string_equal(ob_error_get_rule(error), rule);
	ob_error_release(error);
}

static void mute(const char *path, es_mute_path_type_t type)
{
	assert_int_equal(es_mute_path(client, path, type), ES_RETURN_SUCCESS);
}

static void unmute(const char *path, es_mute_path_type_t type)
{
	assert_int_equal(es_unmute_path(client, path, type), ES_RETURN_SUCCESS);
}

/* ---- paths ------------------------------------------------------------------------------------ */

/* The sum over all threads of this process but the one that runs the tests. */
static unsigned long switches(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned long sum = 0;

	assert_non_null(tasks);
	while ((entry = readdir(tasks))) {
		char path[300], line[256];
		FILE *file;

		if (entry->d_name[0] == '.' || atoi(entry->d_name) == getpid())
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof line, file))
			if (str_starts(line, "voluntary_ctxt_switches:"))
				sum += strtoul(strchr(line, ':') + 1, NULL, 10);
		if (file)
			fclose(file);
	}
	closedir(tasks);
	return sum;
}

static uint64_t delivered(void)
{
	ob_es_counters_t counters = { .size = sizeof counters };

	assert_int_equal(ob_es_client_get_counters(client, &counters), 0);
	return counters.delivered;
}

static void test_target(void **state)
{
	unsigned long slept;
	uint64_t before;
	int i;

	assert_int_equal(told_of(MUTED), 1);
	mute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(told_of(MUTED), 0);
	assert_int_equal(told_of(OTHER), 1);
	/* nothing of this process runs for it */
	before = delivered();
	poll(NULL, 0, 50); /* the library's nap after a burst */
	slept = switches();
	for (i = 0; i < 20; i++)
		run(MUTED);
	assert_int_equal(switches(), slept);
	assert_int_equal(delivered(), before);
	unmute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(told_of(MUTED), 1);
}

static void test_prefixes(void **state)
{
	static const struct {
		const char *prefix;
		unsigned muted, other; /* how often each is told of */
	} rows[] = {
		{ "/u", 0, 0 }, { "/usr", 0, 0 }, { "/usr/", 0, 0 }, { "/usr/bi", 0, 0 },
		{ "/usr/bin", 0, 0 }, { "/usr/bin/", 0, 0 }, { "/usr/bin/t", 0, 1 },
		{ "/usr/bin/tru", 0, 1 }, { MUTED, 0, 1 }, { MUTED "/", 1, 1 }, { MUTED "x", 1, 1 },
		{ "/usr/bin/f", 1, 0 }, { "/usr/sbin/", 1, 1 },
		{ "/bin/", 1, 1 }, /* a link, which no path goes through */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		mute(rows[i].prefix, ES_MUTE_PATH_TYPE_TARGET_PREFIX);
		if (told_of(MUTED) != rows[i].muted || told_of(OTHER) != rows[i].other)
			fail_msg("prefix %s", rows[i].prefix);
		unmute(rows[i].prefix, ES_MUTE_PATH_TYPE_TARGET_PREFIX);
	}
	/* of two, each alone: only the same is taken back */
	mute("/usr/bi", ES_MUTE_PATH_TYPE_TARGET_PREFIX);
	mute("/usr/bin/", ES_MUTE_PATH_TYPE_TARGET_PREFIX);
	unmute("/usr/", ES_MUTE_PATH_TYPE_TARGET_PREFIX);
	unmute("/usr/bi", ES_MUTE_PATH_TYPE_TARGET_PREFIX);
	assert_int_equal(told_of(MUTED), 0);
	unmute("/usr/bin/", ES_MUTE_PATH_TYPE_TARGET_PREFIX);
	assert_int_equal(told_of(MUTED), 1);
	/* a folder whose slash is the eighth byte */
	mkdir_path("/tmp/ab", 0755);
	if (link(MARK, "/tmp/ab/program") < 0)
		assert_int_equal(errno, EEXIST);
	assert_int_equal(told_of("/tmp/ab/program"), 1);
	mute("/tmp/ab/", ES_MUTE_PATH_TYPE_TARGET_PREFIX);
	assert_int_equal(told_of("/tmp/ab/program"), 0);
}

/* Who acts: this program, for one type of event and not for another. */
static void test_executable(void **state)
{
	const es_event_type_t fork_type = ES_EVENT_TYPE_NOTIFY_FORK;

	subscribe(ES_EVENT_TYPE_NOTIFY_FORK);
	/* so that it is looked who acts each time, and what was found out before is not what counts */
	assert_int_equal(
		es_mute_path_events(client, "/none", ES_MUTE_PATH_TYPE_LITERAL, &fork_type, 1),
		ES_RETURN_SUCCESS);
	run(MARK);
	await_count(&n_seen, 2);
	assert_int_equal(seen[0].type, ES_EVENT_TYPE_NOTIFY_FORK);
	assert_int_equal(
		es_mute_path_events(client, self, ES_MUTE_PATH_TYPE_LITERAL, &fork_type, 1),
		ES_RETURN_SUCCESS);
	assert_int_equal(told_of(MUTED), 1); /* the program, and not the two forks */
	assert_int_equal(
		es_unmute_path_events(client, self, ES_MUTE_PATH_TYPE_LITERAL, &fork_type, 1),
		ES_RETURN_SUCCESS);
	n_seen = 0;
	run(MARK);
	await_count(&n_seen, 2);
	assert_int_equal(seen[0].type, ES_EVENT_TYPE_NOTIFY_FORK);
}

/* Of all events, so of none that this program's children do before they are another program. */
static void test_executable_of_all(void **state)
{
	const char *last = strrchr(self, '/');
	char folder[PATH_MAX];
	unsigned before;

	subscribe(ES_EVENT_TYPE_NOTIFY_EXIT);
	snprintf(folder, sizeof folder, "%.*s", (int)(last - self + 1), self);
	assert_int_equal(es_mute_path_prefix(client, folder), ES_RETURN_SUCCESS);
	before = n_seen;
	run(MUTED);
	await_count(&n_seen, before + 1);
	assert_int_equal(
		seen[before % SEEN].type, ES_EVENT_TYPE_NOTIFY_EXIT); /* of what it became */
	unmute(folder, ES_MUTE_PATH_TYPE_PREFIX);
}

static void test_signal_by_its_target(void **state)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	assert_int_equal(es_unsubscribe_all(client), ES_RETURN_SUCCESS);
	subscribe(ES_EVENT_TYPE_NOTIFY_SIGNAL);
	mute(self, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(kill(pid, SIGCONT), 0);
	unmute(self, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(kill(pid, SIGKILL), 0);
	waitpid(pid, NULL, 0);
	await_count(&n_seen, 1);
	assert_int_equal(n_seen, 1);
}

static void test_many(void **state)
{
	char path[64];
	unsigned i;

	for (i = 0; i < MANY; i++) {
		snprintf(path, sizeof path, "/usr/bin/true-%u/%s", i, i % 2 ? "" : "x");
		mute(path,
			i % 2 ? ES_MUTE_PATH_TYPE_TARGET_PREFIX : ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	}
	assert_int_equal(told_of(MUTED), 1);
	mute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(told_of(MUTED), 0);
	esd_stop();
	esd_start(NULL);
	while (ob_es_client_get_counters(
		       client, &(ob_es_counters_t){ .size = sizeof(ob_es_counters_t) }) < 0)
		poll(NULL, 0, 5);
	assert_int_equal(told_of(MUTED), 0);
	assert_int_equal(told_of(OTHER), 1);
	for (; i < PATHS_MAX; i++) {
		snprintf(path, sizeof path, "/limit/%u", i);
		if (es_mute_path(client, path, ES_MUTE_PATH_TYPE_TARGET_LITERAL) !=
			ES_RETURN_SUCCESS)
			break;
	}
	expect_rule("endpoint.mute-limit");
	assert_true(i > MANY); /* with what a client begins with it is full before */
	assert_int_equal(es_unmute_all_target_paths(client), ES_RETURN_SUCCESS);
	assert_int_equal(told_of(MUTED), 1);
	mute("/limit", ES_MUTE_PATH_TYPE_TARGET_LITERAL);
}

static void test_refused(void **state)
{
	const es_event_type_t without[] = { ES_EVENT_TYPE_NOTIFY_FORK, ES_EVENT_TYPE_NOTIFY_EXIT };
	const es_event_type_t with[] = { ES_EVENT_TYPE_NOTIFY_FORK, ES_EVENT_TYPE_NOTIFY_EXEC };

	assert_int_equal(
		es_mute_path(client, "usr/bin/true", ES_MUTE_PATH_TYPE_LITERAL), ES_RETURN_ERROR);
	expect_rule("endpoint.mute-path");
	assert_int_equal(
		es_mute_path_events(client, MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL, without, 2),
		ES_RETURN_ERROR);
	expect_rule("endpoint.mute-target");
	assert_int_equal(
		es_mute_path_events(client, MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL, with, 2),
		ES_RETURN_SUCCESS);
	assert_int_equal(told_of(MUTED), 0);
}

/* ---- another file at the same path -------------------------------------------------------------- */

static void put_word(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, word, strlen(word)) < 0)
		_exit(125);
	close(fd);
}

/* What any user can do: a file of his own at that path, in a namespace of his own. */
static void test_bound_over_it(void **state)
{
	int status;
	pid_t pid;

	mute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(told_of(MUTED), 0);
	pid = fork();
	if (pid == 0) {
		become_user();
		prctl(PR_SET_DUMPABLE, 1);
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(77);
		put_word("/proc/self/setgroups", "deny");
		put_word("/proc/self/uid_map", "0 2001 1");
		if (mount(MARK, MUTED, NULL, MS_BIND, NULL) < 0)
			_exit(124);
		execl(MUTED, MUTED, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		skip(); /* a kernel that has no namespaces for users */
	assert_int_equal(status, 0);
	await_count(&n_seen, 2); /* after the mark */
	assert_string_equal(seen[1].target, MUTED);
}

static void test_chroot(void **state)
{
	static const char *const links[] = { "bin", "lib", "lib64" };
	char path[PATH_MAX], to[32];
	int status;
	size_t i;
	pid_t pid;

	mkdir_path("/tmp/root/usr", 0755);
	assert_int_equal(mount("/usr", "/tmp/root/usr", NULL, MS_BIND, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(links); i++) {
		snprintf(path, sizeof path, "/tmp/root/%s", links[i]);
		snprintf(to, sizeof to, "usr/%s", links[i]);
		assert_int_equal(symlink(to, path), 0);
	}
	mute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	pid = fork();
	if (pid == 0) {
		if (chroot("/tmp/root") < 0 || chdir("/") < 0)
			_exit(126);
		become_user();
		execl(MUTED, MUTED, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	await_count(&n_seen, 1);
	assert_string_equal(seen[0].target, "/tmp/root" MUTED);
	mute("/tmp/root" MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(umount2("/tmp/root/usr", MNT_DETACH), 0);
}

/* ---- processes -------------------------------------------------------------------------------- */

/* A process that runs MUTED once it is told to, by the pipe that it holds. */
static pid_t start_waiting(int *ret_fd)
{
	int pair[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		close(pair[1]);
		if (read(pair[0], &byte, 1) < 0)
			_exit(126);
		execl(MUTED, MUTED, NULL);
		_exit(127);
	}
	close(pair[0]);
	*ret_fd = pair[1];
	return pid;
}

static size_t count_processes(void)
{
	es_muted_processes_t *list;
	size_t n;

	assert_int_equal(es_muted_processes_events(client, &list), ES_RETURN_SUCCESS);
	n = list->count;
	es_release_muted_processes(list);
	return n;
}

static void test_process(void **state)
{
	audit_token_t token, *tokens;
	size_t n;
	pid_t pid;
	int fd;

	subscribe(ES_EVENT_TYPE_NOTIFY_FORK);
	pid = start_waiting(&fd);
	await_count(&n_seen, 1);
	token = seen[0].token;
	assert_int_equal(audit_token_to_pid(token), pid);
	assert_int_equal(es_unsubscribe_all(client), ES_RETURN_SUCCESS);
	subscribe(ES_EVENT_TYPE_NOTIFY_EXEC);
	subscribe(ES_EVENT_TYPE_NOTIFY_EXIT);
	n_seen = 0;
	assert_int_equal(es_mute_process(client, &token), ES_RETURN_SUCCESS);
	assert_int_equal(es_muted_processes(client, &n, &tokens), ES_RETURN_SUCCESS);
	assert_int_equal(n, 1);
	assert_memory_equal(&tokens[0], &token, sizeof token);
	free(tokens);
	/* the exec is the process' last act as it is muted; what it has become then is another */
	fd_close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	await_count(&n_seen, 1);
	assert_int_equal(seen[0].type, ES_EVENT_TYPE_NOTIFY_EXIT);
	assert_int_equal(seen[0].pid, pid);
	assert_int_equal(count_processes(), 0);
	assert_int_equal(es_mute_process(client, &token), ES_RETURN_ERROR);
	expect_rule("endpoint.mute-process");
	assert_int_equal(es_unmute_process(client, &token), ES_RETURN_SUCCESS);
}

static audit_token_t token_of(pid_t pid)
{
	audit_token_t token = { { 0 } };
	uint64_t start;

	assert_int_equal(process_start_time(pid, &start), 0);
	token.val[5] = (unsigned)pid;
	token.val[7] = (unsigned)start;
	return token;
}

/* Its children are others: neither muted by what it is, nor by what was found out about it. */
static void test_not_its_child(void **state)
{
	const es_event_type_t fork_type = ES_EVENT_TYPE_NOTIFY_FORK;
	const audit_token_t token = token_of(getpid());
	pid_t pid, parent;
	int i;

	assert_int_equal(es_unsubscribe_all(client), ES_RETURN_SUCCESS);
	subscribe(ES_EVENT_TYPE_NOTIFY_FORK);
	assert_int_equal(es_mute_process_events(client, &token, &fork_type, 1), ES_RETURN_SUCCESS);
	for (i = 0; i < 2; i++) {
		parent = fork();
		if (parent == 0) {
			pid = i ? fork() : 0;
			if (pid > 0)
				waitpid(pid, NULL, 0);
			_exit(0);
		}
		assert_int_equal(waitpid(parent, NULL, 0), parent);
	}
	await_count(&n_seen, 1); /* the second one's child, alone */
	assert_int_equal(n_seen, 1);
	assert_int_not_equal(seen[0].pid, parent);
}

/* A process that lives on with another program: its token of before is nobody's. */
static void test_exec_ends_it(void **state)
{
	audit_token_t token;
	pid_t pid;
	int pair[2], i;
	char byte;

	subscribe(ES_EVENT_TYPE_NOTIFY_FORK);
	assert_int_equal(pipe(pair), 0);
	pid = fork();
	if (pid == 0) {
		close(pair[1]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(pair[0], &byte, 1) == 0)
			execl("/bin/sleep", "sleep", "60", NULL);
		_exit(127);
	}
	close(pair[0]);
	await_count(&n_seen, 1);
	token = seen[0].token;
	assert_int_equal(es_mute_process(client, &token), ES_RETURN_SUCCESS);
	assert_int_equal(count_processes(), 1);
	close(pair[1]);
	for (i = 0; count_processes() && i < PATIENCE_SECONDS * 200; i++)
		poll(NULL, 0, 5);
	assert_int_equal(count_processes(), 0);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* and it lives */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* By when it began: whichever program it runs, until its end. */
static void test_process_whatever_it_runs(void **state)
{
	audit_token_t token, wrong;
	pid_t pid;
	int fd;

	subscribe(ES_EVENT_TYPE_NOTIFY_EXIT);
	pid = start_waiting(&fd);
	token = token_of(pid);
	wrong = token;
	wrong.val[7]++; /* began later: another process */
	assert_int_equal(es_mute_process(client, &wrong), ES_RETURN_ERROR);
	assert_int_equal(es_mute_process(client, &token), ES_RETURN_SUCCESS);
	assert_int_equal(count_processes(), 1);
	fd_close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(count_processes(), 0);
	run(MARK);
	await_count(&n_seen, 2); /* its exec and its end */
	assert_string_equal(seen[0].target, MARK);
	/* and the same not muted: both come */
	n_seen = 0;
	pid = start_waiting(&fd);
	fd_close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	await_count(&n_seen, 2);
	assert_int_equal(seen[0].pid, pid);
}

/* ---- inversion -------------------------------------------------------------------------------- */

static void invert(es_mute_inversion_type_t type, es_mute_inverted_return_t then)
{
	assert_int_equal(es_invert_muting(client, type), ES_RETURN_SUCCESS);
	assert_int_equal(es_muting_inverted(client, type), then);
}

static void test_inverted_target(void **state)
{
	mute(MARK, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	invert(ES_MUTE_INVERSION_TYPE_TARGET_PATH, ES_MUTE_INVERTED);
	assert_int_equal(told_of(MUTED), 0); /* the mark, and nothing else */
	mute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(told_of(MUTED), 1);
	assert_int_equal(told_of(OTHER), 0);
	invert(ES_MUTE_INVERSION_TYPE_TARGET_PATH, ES_MUTE_NOT_INVERTED);
	assert_int_equal(es_unmute_all_target_paths(client), ES_RETURN_SUCCESS);
	assert_int_equal(told_of(MUTED), 1);
}

static void test_inverted_path(void **state)
{
	assert_int_equal(es_unmute_all_paths(client), ES_RETURN_SUCCESS);
	invert(ES_MUTE_INVERSION_TYPE_PATH, ES_MUTE_INVERTED);
	run(MUTED); /* nothing is selected: nothing comes */
	mute(self, ES_MUTE_PATH_TYPE_LITERAL);
	assert_int_equal(told_of(OTHER), 1); /* this program starts it */
	assert_string_equal(seen[0].target, OTHER);
	invert(ES_MUTE_INVERSION_TYPE_PATH, ES_MUTE_NOT_INVERTED);
	run(MUTED); /* now this program is muted */
	unmute(self, ES_MUTE_PATH_TYPE_LITERAL);
	n_seen = 0;
	assert_int_equal(told_of(OTHER), 1);
	assert_string_equal(seen[0].target, OTHER);
}

static void test_inverted_process(void **state)
{
	audit_token_t token;
	pid_t pid;
	int fd;

	invert(ES_MUTE_INVERSION_TYPE_PROCESS, ES_MUTE_INVERTED);
	run(OTHER);
	pid = start_waiting(&fd);
	token = token_of(pid);
	assert_int_equal(es_mute_process(client, &token), ES_RETURN_SUCCESS);
	fd_close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	await_count(&n_seen, 1);
	assert_string_equal(seen[0].target, MUTED);
	invert(ES_MUTE_INVERSION_TYPE_PROCESS, ES_MUTE_NOT_INVERTED);
	assert_int_equal(told_of(OTHER), 1);
	assert_int_equal(n_seen, 3);
}

/* ---- the sets, over outboard-esd's end ---------------------------------------------------------- */

static void test_replaced(void **state)
{
	ob_es_counters_t counters = { .size = sizeof counters };

	mute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	esd_stop();
	esd_start(NULL);
	while (ob_es_client_get_counters(client, &counters) < 0)
		poll(NULL, 0, 5);
	assert_int_equal(told_of(MUTED), 0);
	/* a change while nobody is there is made when somebody is */
	esd_stop();
	unmute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	mute(OTHER, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	esd_start(NULL);
	while (ob_es_client_get_counters(client, &counters) < 0)
		poll(NULL, 0, 5);
	assert_int_equal(told_of(MUTED), 1);
	assert_int_equal(told_of(OTHER), 0);
}

/* Each client has its own; what one has muted the other is told of. */
static void test_two_clients(void **state)
{
	es_client_t *first = client, *second;

	mute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(es_new_client_f(&second, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	client = second;
	subscribe(ES_EVENT_TYPE_NOTIFY_EXEC);
	assert_int_equal(es_unsubscribe_all(first), ES_RETURN_SUCCESS);
	assert_int_equal(told_of(MUTED), 1);
	mute(MUTED, ES_MUTE_PATH_TYPE_TARGET_LITERAL);
	assert_int_equal(told_of(MUTED), 0);
	assert_int_equal(es_delete_client(first), ES_RETURN_SUCCESS);
	assert_int_equal(told_of(MUTED), 0); /* the first one took its own away, and no more */
}

static int begin_all(void **state)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/cp", "cp", MUTED, MARK, NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	if (access(MARK, X_OK) < 0 || !realpath("/proc/self/exe", self))
		return -1;
	esd_start(NULL);
	return 0;
}

static int end_all(void **state)
{
	esd_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_target, begin, end),
		cmocka_unit_test_setup_teardown(test_prefixes, begin, end),
		cmocka_unit_test_setup_teardown(test_executable, begin, end),
		cmocka_unit_test_setup_teardown(test_executable_of_all, begin, end),
		cmocka_unit_test_setup_teardown(test_signal_by_its_target, begin, end),
		cmocka_unit_test_setup_teardown(test_refused, begin, end),
		cmocka_unit_test_setup_teardown(test_bound_over_it, begin, end),
		cmocka_unit_test_setup_teardown(test_chroot, begin, end),
		cmocka_unit_test_setup_teardown(test_process, begin, end),
		cmocka_unit_test_setup_teardown(test_not_its_child, begin, end),
		cmocka_unit_test_setup_teardown(test_exec_ends_it, begin, end),
		cmocka_unit_test_setup_teardown(test_process_whatever_it_runs, begin, end),
		cmocka_unit_test_setup_teardown(test_inverted_target, begin, end),
		cmocka_unit_test_setup_teardown(test_inverted_path, begin, end),
		cmocka_unit_test_setup_teardown(test_inverted_process, begin, end),
		cmocka_unit_test_setup_teardown(test_two_clients, begin, end),
		cmocka_unit_test_setup_teardown(test_replaced, begin, end),
		cmocka_unit_test_setup_teardown(test_many, begin, end),
	};

	if (!scene_begin("test-mute"))
		return 77;
	return cmocka_run_group_tests(tests, begin_all, end_all);
}
