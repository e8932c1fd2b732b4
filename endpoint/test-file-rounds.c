/* SPDX-License-Identifier: Apache-2.0
 *
 * Every act once and in order: several processes do the same over and over, and each of their
 * messages has to be the next of the round. Needs root, and a scope (SCOPE_CGROUP).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <bsm/libbsm.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/paths.h"
#include "endpoint/test-scene.h"

#define WORKERS 3
#define AHEAD \
	200 /* acts of a worker that nobody has read yet: the ring holds more of all of them */

static struct shared {
	atomic_ulong handled[WORKERS];
} * shared;

static const es_event_type_t types[] = { ES_EVENT_TYPE_NOTIFY_OPEN, ES_EVENT_TYPE_NOTIFY_CLOSE,
	ES_EVENT_TYPE_NOTIFY_CREATE, ES_EVENT_TYPE_NOTIFY_UNLINK, ES_EVENT_TYPE_NOTIFY_RENAME };
static char root[128]; /* a file system of the test's own */

/* In a child: an assertion of cmocka's would go on in there with the parent's tests. */
#define must(what)                                                                    \
	do {                                                                          \
		if (!(what)) {                                                        \
			fprintf(stderr, "actor, line %d: %s: %m\n", __LINE__, #what); \
			_exit(1);                                                     \
		}                                                                     \
	} while (0)

static es_client_t *client_of(ob_es_handler_function_t handler)
{
	es_client_t *client;

	assert_int_equal(es_new_client_f(&client, NULL, handler), ES_NEW_CLIENT_RESULT_SUCCESS);
	return client;
}

/* What a worker does over and over, and what each round has to be told as. */
static const struct round {
	const char *name;
	void (*act)(void);
	es_event_type_t types[6];
} rounds[];
static pid_t workers[WORKERS];
static atomic_ulong wrong;
static const struct round *which;

static void make_and_remove(void)
{
	int fd = open("n", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	must(rename("n", "r") == 0 && unlink("r") == 0);
}

static void open_and_close(void)
{
	must(close(open("fixed", O_RDONLY | O_CLOEXEC)) == 0);
}

static void there_and_back(void)
{
	must(rename("p", "q") == 0 && rename("q", "p") == 0);
}

static void link_and_unlink(void)
{
	must(link("fixed", "l") == 0 && unlink("l") == 0);
}

#define OPEN ES_EVENT_TYPE_NOTIFY_OPEN
#define CLOSE ES_EVENT_TYPE_NOTIFY_CLOSE
#define CREATE ES_EVENT_TYPE_NOTIFY_CREATE
#define RENAME ES_EVENT_TYPE_NOTIFY_RENAME
#define UNLINK ES_EVENT_TYPE_NOTIFY_UNLINK
static const struct round rounds[] = {
	{ "create, write, close, rename, unlink", make_and_remove,
		{ CREATE, OPEN, CLOSE, RENAME, UNLINK } },
	{ "open, close", open_and_close, { OPEN, CLOSE } },
	{ "rename there and back", there_and_back, { RENAME, RENAME } },
	{ "link, unlink", link_and_unlink, { CREATE, UNLINK } },
};

static unsigned acts_of(const struct round *round)
{
	unsigned n = 0;

	while (n < ARRAY_SIZE(round->types) && round->types[n])
		n++;
	return n;
}

static void on_round(es_client_t *client, const es_message_t *message, void *context)
{
	pid_t pid = audit_token_to_pid(message->process->audit_token);
	int i;

	for (i = 0; i < WORKERS; i++) {
		if (workers[i] != pid)
			continue;
		if (message->event_type != which->types[shared->handled[i] % acts_of(which)])
			wrong++;
		shared->handled[i]++;
		sem_post(&something);
	}
}

static void worker_main(int number, unsigned n, int go_fd)
{
	char folder[16], letter;
	unsigned long done = 0;
	unsigned i, waits;

	must(read(go_fd, &letter, 1) == 1);
	snprintf(folder, sizeof folder, "w%d", number);
	must(chdir(root) == 0 && chdir(folder) == 0);
	for (i = 0; i < n; i++) {
		which->act();
		done += acts_of(which);
		for (waits = 0; shared->handled[number] + AHEAD < done; waits++)
			if (waits > PATIENCE_SECONDS * 1000)
				_exit(2); /* lost: the parent says how many */
			else
				poll(NULL, 0, 1);
	}
	_exit(0);
}

static void make_folders(void)
{
	char path[PATH_MAX + 32];
	int i, k;

	for (i = 0; i < WORKERS; i++) {
		snprintf(path, sizeof path, "%s/w%d", root, i);
		assert_int_equal(mkdir(path, 0700), 0);
		for (k = 0; k < 2; k++) {
			snprintf(path, sizeof path, "%s/w%d/%s", root, i, k ? "p" : "fixed");
			assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
		}
	}
}

static void fail_lost(es_client_t *client, const struct round *round, int i, unsigned long all)
{
	ob_es_counters_t counters = { .size = sizeof counters };

	ob_es_client_get_counters(client, &counters);
	fail_msg("%s: of worker %d %lu of %lu were told (others %lu, %lu), %lu of all were wrong; "
		 "dropped %lu, unmade %lu",
		round->name, i, (unsigned long)shared->handled[i], all,
		(unsigned long)shared->handled[(i + 1) % WORKERS],
		(unsigned long)shared->handled[(i + 2) % WORKERS], (unsigned long)wrong,
		(unsigned long)counters.dropped, (unsigned long)counters.unmade);
}

static void run_round(const struct round *round, unsigned n)
{
	unsigned long all = (unsigned long)n * acts_of(round);
	es_client_t *client;
	int go[2], i, status;
	struct timespec until;

	which = round;
	wrong = 0;
	memset(shared, 0, sizeof *shared);
	assert_int_equal(pipe(go), 0);
	for (i = 0; i < WORKERS; i++) {
		workers[i] = fork();
		if (workers[i] == 0)
			worker_main(i, n, go[0]);
	}
	client = client_of(on_round);
	assert_int_equal(es_subscribe(client, types, ARRAY_SIZE(types)), ES_RETURN_SUCCESS);
	assert_int_equal(write(go[1], "xxx", WORKERS), WORKERS);
	close(go[0]);
	close(go[1]);
	for (i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(workers[i], &status, 0), workers[i]);
		if (status != 0)
			fail_lost(client, round, i, all);
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_SECONDS;
	for (i = 0; i < WORKERS; i++)
		while (shared->handled[i] < all)
			if (sem_timedwait(&something, &until) < 0 && errno == ETIMEDOUT)
				fail_msg("%s: %lu of %lu", round->name,
					(unsigned long)shared->handled[i], all);
	es_delete_client(client);
	for (i = 0; i < WORKERS; i++)
		assert_int_equal(shared->handled[i], all);
	assert_int_equal(wrong, 0);
}

static void test_every_act_once_and_in_order(void **state)
{
	const char *size = getenv("OUTBOARD_TEST_SIZE");
	unsigned n = size && strcmp(size, "long") == 0 ? 5000 : 500;
	size_t i;

	make_folders();
	for (i = 0; i < ARRAY_SIZE(rounds); i++)
		run_round(&rounds[i], n);
}

static void on_nothing(es_client_t *client, const es_message_t *message, void *context)
{
}

static bool all_are_there(void)
{
	es_client_t *client = client_of(on_nothing);
	bool all = es_subscribe(client, types, ARRAY_SIZE(types)) == ES_RETURN_SUCCESS;

	es_delete_client(client);
	return all;
}

/* "plain": without trampolines, where there are some. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_act_once_and_in_order),
	};
	int r = 77;

	if (!scene_begin("test-file-rounds"))
		return 77;
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(root, sizeof root, "%s/rounds", getenv("OUTBOARD_ROOT"));
	if (shared == MAP_FAILED || mkdir(root, 0755) < 0 ||
		mount("rounds", root, "tmpfs", 0, NULL) < 0)
		return 1;
	if (argc > 1 && strcmp(argv[1], "plain") == 0)
		scene_use_plain_sources();
	esd_start(NULL);
	if (all_are_there())
		r = cmocka_run_group_tests(tests, NULL, NULL);
	else
		fprintf(stderr, "test-file-rounds: this kernel has no source for CLOSE\n");
	esd_stop();
	if (umount2(root, MNT_DETACH) < 0)
		return 1;
	return r;
}
