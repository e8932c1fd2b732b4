/* SPDX-License-Identifier: Apache-2.0
 *
 * Which program a message says it was, end to end: the machine's own packages, copies of their
 * programs, files that were changed, given away or bound over them, and a program that is written
 * while it runs. Needs root, a scope, the right to load BPF programs, and dpkg's database.
 *
 * With "print" it is a client that prints a line for each exec, until its input ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "bundle/sha256.h"

#define PATIENCE_SECONDS 20
#define PACKAGED "/usr/bin/false" /* over which files are bound */
#define DATABASE "/var/lib/dpkg"
#define CS_VALID 0x1u
#define CS_ADHOC 0x2u
#define CS_PLATFORM_BINARY 0x4000000u
#define CS_SIGNED 0x20000000u

struct who {
	pid_t pid;
	bool is_platform;
	unsigned flags;
	size_t hash_bytes;
	uint8_t hash[SHA256_BYTES], cdhash[20];
	char signing_id[128], team[16];
};

static char folder[] = "/tmp/identity-XXXXXX";
static es_client_t *client;
static struct who awaited;
static sem_t seen;
static pid_t esd;

static void take(struct who *ret, const es_process_t *process)
{
	ret->pid = audit_token_to_pid(process->audit_token);
	ret->is_platform = process->is_platform_binary;
	ret->flags = process->codesigning_flags;
	ret->hash_bytes = process->cdhash_full.size;
	memset(ret->hash, 0, sizeof ret->hash);
	memcpy(ret->hash, process->cdhash_full.data, ret->hash_bytes);
	memcpy(ret->cdhash, process->cdhash, sizeof ret->cdhash);
	STR_PUT(ret->signing_id, process->signing_id.data);
	STR_PUT(ret->team, process->team_id.data);
}

/* The handler takes the next one that is of @awaited.pid, and says so. */
static void on_message(es_client_t *its, const es_message_t *message, void *context)
{
	const es_process_t *process = message->event_type == ES_EVENT_TYPE_NOTIFY_EXEC
		? message->event.exec.target
		: message->event.signal.target;

	if (audit_token_to_pid(process->audit_token) != awaited.pid)
		return;
	take(&awaited, process);
	sem_post(&seen);
}

static void await(const char *what)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_SECONDS;
	while (sem_timedwait(&seen, &until) < 0)
		if (errno == ETIMEDOUT)
			fail_msg("%s: no message in %d s", what, PATIENCE_SECONDS);
}

/*
 * The child waits to be told, so that the handler knows its number before it has run anything.
 * @bound: over @path, in a mount namespace of its own
 */
static pid_t begin_program(const char *path, const char *argument, const char *bound)
{
	char byte;
	int go[2];
	pid_t pid;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (bound &&
			(unshare(CLONE_NEWNS) < 0 || mount(bound, path, NULL, MS_BIND, NULL) < 0))
			_exit(126);
		if (read(go[0], &byte, 1) == 1)
			execl(path, path, argument, NULL);
		_exit(127);
	}
	awaited.pid = pid;
	assert_int_equal(write(go[1], "", 1), 1);
	close(go[0]);
	close(go[1]);
	await(path);
	return pid;
}

static struct who run(const char *path)
{
	pid_t pid = begin_program(path, NULL, NULL);

	waitpid(pid, NULL, 0);
	return awaited;
}

/* Each exec is a message; the first ones may say that it is not known yet. */
static struct who run_until_known(const char *path)
{
	time_t end = time(NULL) + PATIENCE_SECONDS;
	struct who who;

	do
		who = run(path);
	while (who.hash_bytes == 0 && time(NULL) < end);
	if (who.hash_bytes != SHA256_BYTES)
		fail_msg("%s is not known after %d s", path, PATIENCE_SECONDS);
	return who;
}

static void hash_of(const char *path, uint8_t ret[static SHA256_BYTES])
{
	_cleanup_free_ char *data = NULL;
	size_t bytes;

	assert_int_equal(file_read_at(AT_FDCWD, path, 1 << 26, &data, &bytes), 0);
	sha256(data, bytes, ret);
}

static void check(const struct who *who, const char *file, const char *signing_id, unsigned flags)
{
	uint8_t hash[SHA256_BYTES];

	hash_of(file, hash);
	assert_memory_equal(who->hash, hash, sizeof hash);
	assert_memory_equal(who->cdhash, hash, sizeof who->cdhash);
	assert_string_equal(who->signing_id, signing_id);
	assert_string_equal(who->team, "");
	assert_int_equal(who->flags, flags);
	assert_int_equal(who->is_platform, (flags & CS_PLATFORM_BINARY) != 0);
}

static const char *in_folder(const char *name)
{
	static char path[64];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static const char *copy(const char *from, const char *name, const char *more)
{
	_cleanup_free_ char *data = NULL;
	const char *path = in_folder(name);
	size_t bytes;
	int fd;

	assert_int_equal(file_read_at(AT_FDCWD, from, 1 << 26, &data, &bytes), 0);
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, data, bytes), 0);
	assert_int_equal(fd_write_all(fd, more, strlen(more)), 0);
	close(fd);
	return path;
}

/* As dpkg(1) does: complete when it is there. */
static void install_file(const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof path, "%s/dpkg/%s", folder, name);
	assert_int_equal(file_replace_at(AT_FDCWD, path, text, strlen(text), 0644), 0);
}

/* ---- what is seen ----------------------------------------------------------------------------- */

#define PLATFORM (CS_VALID | CS_SIGNED | CS_PLATFORM_BINARY)

static void a_program_of_a_package(void **state)
{
	struct who who = run("/bin/true");

	/* nobody has run it before in here: not known, which says neither signed nor unsigned */
	assert_int_equal(who.hash_bytes, 0);
	assert_int_equal(who.flags, 0);
	assert_false(who.is_platform);
	assert_string_equal(who.signing_id, "");
	who = run_until_known("/bin/true");
	check(&who, "/bin/true", "deb:coreutils", PLATFORM);
	/* and from now on at once */
	who = run("/usr/bin/true");
	check(&who, "/bin/true", "deb:coreutils", PLATFORM);
}

static void a_copy_of_it(void **state)
{
	struct who who = run_until_known(copy("/bin/true", "copy", ""));

	check(&who, "/bin/true", "", CS_ADHOC);
}

/* A file that the kernel calls by its package's name, in the namespace of outboard-esd. */
static struct who run_bound(const char *file)
{
	struct who who;

	assert_int_equal(mount(file, PACKAGED, NULL, MS_BIND, NULL), 0);
	who = run_until_known(PACKAGED);
	assert_int_equal(umount(PACKAGED), 0);
	return who;
}

static void a_file_that_was_changed(void **state)
{
	struct who who;

	/* as it was: what follows is not for the name's sake */
	who = run_bound(copy(PACKAGED, "same", ""));
	check(&who, in_folder("same"), "deb:coreutils", PLATFORM);
	who = run_bound(copy(PACKAGED, "changed", "x"));
	check(&who, in_folder("changed"), "deb:coreutils", CS_SIGNED);
}

static void a_file_that_others_can_write(void **state)
{
	struct who who;

	assert_int_equal(chmod(copy(PACKAGED, "group", ""), 0775), 0);
	who = run_bound(in_folder("group"));
	check(&who, in_folder("group"), "deb:coreutils", CS_SIGNED | CS_VALID);
	assert_int_equal(chmod(copy(PACKAGED, "others", ""), 0757), 0);
	who = run_bound(in_folder("others"));
	check(&who, in_folder("others"), "deb:coreutils", CS_SIGNED | CS_VALID);
	assert_int_equal(chown(copy(PACKAGED, "user", ""), 2001, 3001), 0);
	who = run_bound(in_folder("user"));
	check(&who, in_folder("user"), "deb:coreutils", CS_SIGNED | CS_VALID);
}

/* What a process has bound for itself is not what the host has under that name. */
static void a_name_in_a_namespace_of_its_own(void **state)
{
	const char *mine = copy(PACKAGED, "hidden", "");
	time_t end = time(NULL) + PATIENCE_SECONDS;
	struct who who;
	pid_t pid;

	do {
		pid = begin_program(PACKAGED, NULL, mine);
		waitpid(pid, NULL, 0);
		who = awaited;
	} while (who.hash_bytes == 0 && time(NULL) < end);
	check(&who, mine, "", CS_ADHOC);
}

/* A file that is gone when it is looked for: found by its process, while that is there. */
static void a_file_without_a_name(void **state)
{
	const char *path = copy("/bin/sleep", "gone", "");
	struct who who;
	pid_t pid;

	pid = begin_program(path, "60", NULL);
	assert_int_equal(unlink(path), 0);
	who = awaited;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* whichever came first, its hash or its end: it is nobody's */
	assert_string_equal(who.signing_id, "");
	assert_false(who.is_platform);
}

static void written_while_it_runs(void **state)
{
	const es_event_type_t signals = ES_EVENT_TYPE_NOTIFY_SIGNAL;
	const struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
	struct who who;
	char path[64];
	pid_t pid;

	STR_PUT(path, copy("/usr/bin/sleep", "sleep", ""));
	assert_int_equal(es_subscribe(client, &signals, 1), ES_RETURN_SUCCESS);
	assert_int_equal(mount(path, "/usr/bin/sleep", NULL, MS_BIND, NULL), 0);
	do {
		pid = begin_program("/usr/bin/sleep", "60", NULL);
		who = awaited;
		if (who.hash_bytes == 0) {
			kill(pid, SIGKILL);
			await("its signal");
			waitpid(pid, NULL, 0);
		}
	} while (who.hash_bytes == 0);
	check(&who, path, "deb:coreutils", PLATFORM);
	kill(pid, SIGCONT);
	await("a signal before");
	check(&awaited, path, "deb:coreutils", PLATFORM);
	/* a name more or less is no writing */
	assert_int_equal(link(path, in_folder("link")), 0);
	kill(pid, SIGCONT);
	await("a signal after a link");
	check(&awaited, path, "deb:coreutils", PLATFORM);
	/* the kernel lets nobody write to a program that runs, or nearly: the time stands for it */
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	kill(pid, SIGCONT);
	await("a signal after");
	check(&awaited, path, "deb:coreutils", CS_SIGNED | CS_PLATFORM_BINARY);
	kill(pid, SIGKILL);
	await("its end");
	waitpid(pid, NULL, 0);
	assert_int_equal(umount("/usr/bin/sleep"), 0);
	assert_int_equal(es_unsubscribe(client, &signals, 1), ES_RETURN_SUCCESS);
}

/* The package comes after its program was run: what was said before is asked anew. */
static void a_package_that_comes(void **state)
{
	const char *path = copy("/bin/true", "tool", "");
	time_t end = time(NULL) + PATIENCE_SECONDS;
	struct who who = run_until_known(path);
	char text[128];

	check(&who, path, "", CS_ADHOC);
	snprintf(text, sizeof text, "/.\n%s\n", path);
	install_file("info/tool:amd64.list", text);
	install_file("status", "Package: coreutils\n\nPackage: tool\n");
	do
		who = run(path);
	while (!streq(who.signing_id, "deb:tool") && time(NULL) < end);
	/* without a digest of it, which not every package has */
	check(&who, path, "deb:tool", CS_SIGNED);
	who = run_until_known("/bin/true");
	check(&who, "/bin/true", "deb:coreutils", PLATFORM);
}

static void another_worker_for_one_that_died(void **state)
{
	_cleanup_free_ char *children = NULL;
	struct who who = run_until_known(copy("/bin/true", "before", ""));
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", esd, esd);
	assert_int_equal(file_read_at(AT_FDCWD, path, 4096, &children, NULL), 0);
	assert_true(atoi(children) > 0);
	assert_int_equal(kill(atoi(children), SIGKILL), 0);
	who = run_until_known(copy("/bin/true", "after", ""));
	check(&who, "/bin/true", "", CS_ADHOC);
}

/* ---- the whole -------------------------------------------------------------------------------- */

/* One package of this machine, in a database of ours: the worker and outboard-esd see no other. */
static int begin_database(void)
{
	static const char *const names[] = { "info/coreutils.list", "info/coreutils.md5sums",
		"status" };
	size_t i;

	if (mkdir(in_folder("dpkg"), 0755) < 0 || mkdir(in_folder("dpkg/info"), 0755) < 0)
		return -1;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *text = NULL;
		char path[64];

		snprintf(path, sizeof path, DATABASE "/%s", names[i]);
		if (file_read_at(AT_FDCWD, path, 1 << 26, &text, NULL) < 0)
			return -1;
		install_file(names[i], text);
	}
	return mount(in_folder("dpkg"), DATABASE, NULL, MS_BIND, NULL);
}

static int begin(void **state)
{
	const es_event_type_t exec = ES_EVENT_TYPE_NOTIFY_EXEC;
	char program[PATH_MAX], path[PATH_MAX], word[6];
	int out[2];

	sem_init(&seen, 0, 0);
	mkdir_path(path_get(PATH_RUN, NULL, path), 0755);
	if (!mkdtemp(folder) || chmod(folder, 0755) < 0 || pipe2(out, 0) < 0)
		return -1;
	if (begin_database() < 0)
		return -1;
	esd = fork();
	if (esd == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execl(path_program("outboard-esd", program), "outboard-esd", "--standalone",
			"--listen", path_get(PATH_ENDPOINT_SOCKET, NULL, path), "--scope",
			getenv("SCOPE_CGROUP"), NULL);
		_exit(127);
	}
	close(out[1]);
	if (read(out[0], word, sizeof word) != 6 ||
		es_new_client_f(&client, NULL, on_message) != ES_NEW_CLIENT_RESULT_SUCCESS)
		return -1;
	close(out[0]);
	return es_subscribe(client, &exec, 1) == ES_RETURN_SUCCESS ? 0 : -1;
}

/* Nothing of it stays: outboard-esd takes its worker with it. */
static int end(void **state)
{
	char command[64];
	int status;

	es_delete_client(client);
	kill(esd, SIGTERM);
	if (waitpid(esd, &status, 0) != esd)
		return -1;
	umount(DATABASE);
	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return status | system(command);
}

static void on_print(es_client_t *its, const es_message_t *message, void *context)
{
	const es_process_t *target = message->event.exec.target;
	char hash[2 * SHA256_BYTES + 1] = "-";
	size_t i;

	for (i = 0; i < target->cdhash_full.size && i < SHA256_BYTES; i++)
		snprintf(hash + 2 * i, 3, "%02x", target->cdhash_full.data[i]);
	printf("exec %s %s %s %#x %s\n", target->executable->path.data,
		target->signing_id.length ? target->signing_id.data : "-",
		target->team_id.length ? target->team_id.data : "-", target->codesigning_flags,
		hash);
	fflush(stdout);
}

static int print(void)
{
	const es_event_type_t exec = ES_EVENT_TYPE_NOTIFY_EXEC;
	char byte;

	if (es_new_client_f(&client, NULL, on_print) != ES_NEW_CLIENT_RESULT_SUCCESS ||
		es_subscribe(client, &exec, 1) != ES_RETURN_SUCCESS)
		return 1;
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	es_delete_client(client);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_of_a_package),
		cmocka_unit_test(a_copy_of_it),
		cmocka_unit_test(a_file_that_was_changed),
		cmocka_unit_test(a_file_that_others_can_write),
		cmocka_unit_test(a_name_in_a_namespace_of_its_own),
		cmocka_unit_test(a_file_without_a_name),
		cmocka_unit_test(written_while_it_runs),
		cmocka_unit_test(a_package_that_comes),
		cmocka_unit_test(another_worker_for_one_that_died),
	};

	if (argc > 1 && streq(argv[1], "print"))
		return print();
	if (access(DATABASE "/info/coreutils.md5sums", R_OK) < 0) {
		fprintf(stderr, "test-identity: needs dpkg's database (/var/lib/dpkg)\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, begin, end);
}
