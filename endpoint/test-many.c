/* SPDX-License-Identifier: Apache-2.0
 *
 * Many questions, many clients: whoever answers, is slow, dies with a question open or never answers,
 * each program goes on in time, and none is denied that nobody has denied; and whoever comes and goes
 * leaves nothing behind in outboard-esd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/macros.h"
#include "base/str.h"
#include "endpoint/test-beside.h"
#include "endpoint/test-scene.h"

#define AT_ONCE 8 /* programs */
#define SILENT_MS 100
#define LATE_MS 2000 /* of a busy machine */

static const es_event_type_t auth_exec = ES_EVENT_TYPE_AUTH_EXEC;

/* ---- clients ----------------------------------------------------------------------------------- */

enum way { ANSWERS, IS_SLOW, DIES, IS_SILENT };
static enum way way;
static atomic_uint n_asked, n_failed;

/* Who is told "no" by his first argument is denied. */
static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	bool denied = streq(es_exec_arg(&message->event.exec, 1).data, "no");

	n_asked++;
	if (way == IS_SLOW)
		poll(NULL, 0, (int)random_below(10));
	if (way == DIES && random_below(8) == 0)
		raise(SIGKILL);
	if (way != IS_SILENT &&
		es_respond_auth_result(client, message,
			way == ANSWERS && denied ? ES_AUTH_RESULT_DENY : ES_AUTH_RESULT_ALLOW,
			false) > ES_RESPOND_RESULT_NOT_FOUND)
		n_failed++;
	sem_post(&something);
}

static es_client_t *new_client(enum way which)
{
	es_client_t *client;

	way = which;
	n_asked = n_failed = 0;
	assert_int_equal(es_new_client_f(&client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, &auth_exec, 1), ES_RETURN_SUCCESS);
	return client;
}

/* In a process of its own, until it is killed; it has subscribed. */
static pid_t start_client(enum way which)
{
	char letter;
	int up[2];
	pid_t pid;

	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		es_client_t *client;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		way = which;
		must(es_new_client_f(&client, NULL, on_message) == ES_NEW_CLIENT_RESULT_SUCCESS);
		must(es_subscribe(client, &auth_exec, 1) == ES_RETURN_SUCCESS);
		must(write(up[1], "u", 1) == 1);
		for (;;)
			pause();
	}
	close(up[1]);
	assert_int_equal(read(up[0], &letter, 1), 1);
	close(up[0]);
	return pid;
}

static void end_client(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* ---- programs ---------------------------------------------------------------------------------- */

/* Some at once, of which one or none is to be denied. */
static void run_some(void)
{
	uint32_t bad = random_below(4 * AT_ONCE);
	uint64_t began = now_ms();
	pid_t pids[AT_ONCE];
	uint32_t i;

	for (i = 0; i < AT_ONCE; i++)
		pids[i] = start_good(i == bad ? "no" : "yes");
	for (i = 0; i < AT_ONCE; i++) {
		int status = end_of(pids[i]);

		if (status != (i == bad ? 100 + EPERM : 0))
			fail_msg("%s: %d", i == bad ? "to be denied" : "denied by nobody", status);
	}
	if (now_ms() - began > STALL_MS)
		fail_msg("%d programs took %u ms", AT_ONCE, (unsigned)(now_ms() - began));
}

static void test_every_program_returns(void **state)
{
	unsigned i, n = test_size(400, 10000) / AT_ONCE, deaths = 0;
	ob_es_counters_t counters = { .size = sizeof counters };
	es_client_t *client = new_client(ANSWERS);
	pid_t slow = start_client(IS_SLOW), dies = start_client(DIES);

	for (i = 0; i < n; i++) {
		run_some();
		if (waitpid(dies, NULL, WNOHANG) == dies) {
			deaths++;
			dies = start_client(DIES);
		}
	}
	assert_true(deaths > 0);
	assert_int_equal(n_asked, n * AT_ONCE);
	assert_int_equal(n_failed, 0);
	assert_int_equal(ob_es_client_get_counters(client, &counters), 0);
	assert_int_equal(counters.deadline_misses, 0);
	printf("%u programs, %u deaths\n", n * AT_ONCE, deaths);
	end_client(slow);
	end_client(dies);
	es_delete_client(client);
}

/* The other one's answer does not shorten it, and nothing lengthens it. */
static void test_one_that_never_answers(void **state)
{
	unsigned i, n = test_size(15, 500);
	ob_es_counters_t counters = { .size = sizeof counters };
	es_client_t *silent = new_client(IS_SILENT);
	pid_t answers = start_client(ANSWERS);

	assert_int_equal(es_set_deadline_max_milliseconds(silent, &auth_exec, 1, SILENT_MS),
		ES_RETURN_SUCCESS);
	for (i = 0; i < n; i++) {
		uint64_t began = now_ms(), took;

		assert_int_equal(run_good(), 0);
		took = now_ms() - began;
		if (took < SILENT_MS || took > SILENT_MS + LATE_MS)
			fail_msg("program %u took %u ms", i, (unsigned)took);
	}
	assert_int_equal(n_asked, n);
	assert_int_equal(ob_es_client_get_counters(silent, &counters), 0);
	assert_int_equal(counters.deadline_misses, n);
	end_client(answers);
	es_delete_client(silent);
}

/* ---- coming and going -------------------------------------------------------------------------- */

enum { MAPS, LINKS, SOCKETS, OTHERS, KINDS };
struct census {
	unsigned fds[KINDS];
	unsigned anon_kib;
};

static void count_fd(struct census *census, const char *target)
{
	static const char *const marks[KINDS] = { "bpf-map", "bpf_link", "socket:", "" };
	int kind = 0;

	while (!strstr(target, marks[kind]))
		kind++;
	census->fds[kind]++;
}

static struct census take_census(pid_t pid)
{
	struct census census = { 0 };
	char path[64], text[4096], target[256];
	struct dirent *entry;
	DIR *folder;
	FILE *status;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		ssize_t n = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);

		if (n < 0)
			continue;
		target[n] = '\0';
		count_fd(&census, target);
	}
	closedir(folder);
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	status = fopen(path, "re");
	assert_non_null(status);
	while (fgets(text, sizeof text, status))
		sscanf(text, "RssAnon: %u", &census.anon_kib);
	fclose(status);
	return census;
}

/* Programs are attached a while longer than somebody needs them: later there may be less of them. */
static bool is_more(const struct census *now, const struct census *before)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(now->fds); i++)
		if (now->fds[i] > before->fds[i])
			return true;
	return false;
}

/* A sanitizer's runtime keeps for a while what is freed, and says itself what is not. */
#ifdef __SANITIZE_ADDRESS__
#define COUNTS_MEMORY false
#else
#define COUNTS_MEMORY true
#endif

/* What ends is taken note of a moment after. */
static void expect_census(const char *whose, pid_t pid, const struct census *before)
{
	unsigned waits = 0;
	struct census now;

	do {
		now = take_census(pid);
		if (!is_more(&now, before))
			break;
		poll(NULL, 0, 10);
	} while (waits++ < PATIENCE_SECONDS * 100);
	if (is_more(&now, before) || (COUNTS_MEMORY && now.anon_kib > before->anon_kib + 512))
		fail_msg("%s: maps %u, before %u; links %u, before %u; sockets %u, before %u; "
			 "others %u, before %u; RssAnon %u KiB, before %u",
			whose, now.fds[MAPS], before->fds[MAPS], now.fds[LINKS], before->fds[LINKS],
			now.fds[SOCKETS], before->fds[SOCKETS], now.fds[OTHERS],
			before->fds[OTHERS], now.anon_kib, before->anon_kib);
}

/* With a question open, which its end decides by its miss mode. */
static void come_and_go(unsigned i)
{
	bool closed = i & 1;
	es_client_t *client = new_client(IS_SILENT);
	uint64_t began;
	pid_t pid;
	int status;

	assert_int_equal(es_set_deadline_miss_mode(client,
				 closed ? ES_DEADLINE_MISS_MODE_FAIL_CLOSED
					: ES_DEADLINE_MISS_MODE_FAIL_OPEN),
		ES_RETURN_SUCCESS);
	pid = start_good(NULL);
	await_count(&n_asked, 1);
	began = now_ms();
	if (i & 2)
		assert_int_equal(es_unsubscribe_all(client), ES_RETURN_SUCCESS);
	assert_int_equal(es_delete_client(client), ES_RETURN_SUCCESS);
	status = end_of(pid);
	if (status != (closed ? 100 + EPERM : 0) || now_ms() - began > STALL_MS)
		fail_msg("client %u: %d after %u ms", i, status, (unsigned)(now_ms() - began));
}

static void test_nothing_is_left(void **state)
{
	unsigned i, n = test_size(60, 10000);
	struct census own, broker;

	for (i = 0; i < 8; i++) /* what is made once is made now */
		come_and_go(i);
	own = take_census(getpid());
	broker = take_census(esd);
	for (i = 0; i < n; i++)
		come_and_go(i);
	expect_census("outboard-esd", esd, &broker);
	expect_census("the client", getpid(), &own);
	assert_int_equal(run_good(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_program_returns),
		cmocka_unit_test(test_one_that_never_answers),
		cmocka_unit_test(test_nothing_is_left),
	};
	int r;

	if (!scene_begin("test-many"))
		return 77;
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed_begin();
	field_begin();
	esd_start(field);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	esd_stop();
	field_end();
	return r;
}
