/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients that do not keep to the rules, each beside one that does: what is wrong is answered by what
 * the manual says, or by the end of the connection, and the other one loses nothing and waits for
 * nobody. test-mutated.c has the messages that are no messages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/paths.h"
#include "endpoint/test-beside.h"
#include "endpoint/test-scene.h"

#define RING_BYTES ENDPOINT_RING_BYTES_MIN
#define BIT(event) (1ull << ES_EVENT_TYPE_##event)
#define PROCESSES (BIT(NOTIFY_EXEC) | BIT(NOTIFY_FORK) | BIT(NOTIFY_EXIT))

/* ---- what a culprit does ----------------------------------------------------------------------- */

static void begin_client(struct raw *raw, uint64_t events)
{
	raw_connect(raw);
	raw_greet(raw);
	raw_new(raw, RING_BYTES);
	raw_subscribe(raw, events);
}

/* The next one in the ring, which has to be passed. */
static const struct es_record *await_record(struct raw *raw)
{
	const struct es_record *record;
	size_t bytes;

	while (!(record = ring_next(&raw->ring, &bytes))) {
		struct pollfd ring = { .fd = raw->ring.fd, .events = POLLIN };

		if (ring_sleep(&raw->ring))
			must(poll(&ring, 1, PATIENCE_SECONDS * 1000) == 1);
	}
	return record;
}

static uint64_t await_question(struct raw *raw)
{
	uint64_t question = await_record(raw)->question;

	must(question != 0);
	ring_pass(&raw->ring);
	return question;
}

static struct endpoint_counters count(struct raw *raw)
{
	struct endpoint_counters counters;

	must(wire_send(raw->fd, ENDPOINT_COUNT, 0, 9, NULL, 0, NULL, 0) == 0);
	must(wire_receive(raw->fd, &raw->packet, 0) == 0);
	must(raw->packet.header.type == ENDPOINT_COUNTERS);
	memcpy(&counters, raw->packet.body, sizeof counters);
	return counters;
}

static void expect_result(struct raw *raw, uint64_t question, uint32_t kind, uint32_t value,
	uint32_t result, uint32_t or_result)
{
	const struct endpoint_answer answer = {
		.question = question, .kind = kind, .value = value
	};
	struct endpoint_answered answered;

	must(send(raw->answer_fd, &answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer);
	must(recv(raw->answer_fd, &answered, sizeof answered, 0) == sizeof answered);
	must(answered.question == question);
	if (answered.result != result && answered.result != or_result) {
		fprintf(stderr, "culprit: %u and not %u\n", answered.result, result);
		_exit(1);
	}
}

/* ---- the culprits ------------------------------------------------------------------------------ */

/* Of programs that are told and of what it asks itself. */
static void never_reads(void)
{
	struct raw raw;
	int r = 0;

	begin_client(&raw, PROCESSES);
	while (count(&raw).dropped == 0)
		poll(NULL, 0, 10);
	while (r == 0)
		r = wire_send(raw.fd, ENDPOINT_COUNT, 0, 1, NULL, 0, NULL, 0);
	must(r == -EPIPE || r == -ECONNRESET);
	raw_expect_end(&raw);
	raw_done(&raw);
}

/* Of the results of its answers: then it is no client any more, and nobody asks it. */
static void never_reads_results(void)
{
	const struct endpoint_answer answer = { .question = 1 };
	struct raw raw;

	begin_client(&raw, BIT(AUTH_EXEC));
	while (send(raw.answer_fd, &answer, sizeof answer, MSG_NOSIGNAL) == sizeof answer)
		;
	must(errno == EPIPE || errno == ECONNRESET);
	raw_expect_end(&raw);
	raw_done(&raw);
}

/* Unknown, another's, of another kind, answered before: each has its result. */
static void answers_wrongly(void)
{
	unsigned i, n = test_size(30, 1000);
	struct raw raw, other;
	uint64_t question, before = 7;

	begin_client(&raw, BIT(AUTH_EXEC));
	begin_client(&other, BIT(AUTH_OPEN));
	for (i = 0; i < n; i++) {
		const uint32_t none = ES_RESPOND_RESULT_NOT_FOUND;

		question = await_question(&raw);
		expect_result(&raw, 0, ENDPOINT_ANSWER_RESULT, 1, none, none);
		expect_result(&raw, before, ENDPOINT_ANSWER_RESULT, 1, none, none);
		expect_result(&raw, question ^ 1ull << (16 + random_below(48)),
			ENDPOINT_ANSWER_RESULT, 1, none, none);
		expect_result(&raw, question + 1, ENDPOINT_ANSWER_RESULT, 1, none, none);
		expect_result(&other, question, ENDPOINT_ANSWER_RESULT, 1, none, none);
		expect_result(&raw, question, ENDPOINT_ANSWER_FLAGS, 0,
			ES_RESPOND_RESULT_ERR_EVENT_TYPE, ES_RESPOND_RESULT_ERR_EVENT_TYPE);
		expect_result(&raw, question, ENDPOINT_ANSWER_RESULT, 0, ES_RESPOND_RESULT_SUCCESS,
			ES_RESPOND_RESULT_SUCCESS);
		/* it is over when all have answered */
		expect_result(&raw, question, ENDPOINT_ANSWER_RESULT, 1,
			ES_RESPOND_RESULT_ERR_DUPLICATE_RESPONSE, none);
		before = question;
	}
	raw_done(&raw);
	raw_done(&other);
}

/* What is no answer is the end, and what it was asked goes on. */
static void answers_garbage(void)
{
	static const struct {
		size_t bytes;
		uint32_t kind;
	} rows[] = { { 1, 0 }, { 23, 0 }, { 25, 0 }, { 4096, 0 }, { 24, 3 }, { 24, UINT32_MAX } };
	_Alignas(struct endpoint_answer) static char bytes[4096];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct endpoint_answer *answer = (void *)bytes;
		struct raw raw;

		begin_client(&raw, BIT(AUTH_EXEC));
		answer->question = await_question(&raw);
		answer->kind = rows[i].kind;
		must(send(raw.answer_fd, bytes, rows[i].bytes, MSG_NOSIGNAL) ==
			(ssize_t)rows[i].bytes);
		raw_expect_end(&raw);
		raw_done(&raw);
	}
}

/* Then it is asked no more, and told of everything else. */
static void closes_its_answers(void)
{
	struct raw raw;

	begin_client(&raw, BIT(AUTH_EXEC) | PROCESSES);
	while (await_record(&raw)->question == 0)
		ring_pass(&raw.ring);
	raw.answer_fd = fd_close(raw.answer_fd);
	do
		ring_pass(&raw.ring);
	while (await_record(&raw)->event_type != ES_EVENT_TYPE_NOTIFY_EXEC);
	must(count(&raw).missed == 0);
	raw_done(&raw);
}

/* The kernel program takes the position for what it is, anywhere: what is lost is its own. */
static void scribbles(void)
{
	struct raw raw;
	unsigned n = test_size(200, 5000);

	begin_client(&raw, PROCESSES);
	raw_deadline(&raw, 20, ENDPOINT_MISS_FAIL_OPEN); /* before it is asked: it never answers */
	raw_subscribe(&raw, PROCESSES | BIT(AUTH_EXEC));
	for (;;) {
		struct endpoint_counters counters = count(&raw);
		int i;

		if (counters.dropped && counters.sent && counters.sent + counters.dropped >= n)
			break;
		for (i = 0; i < 1000; i++)
			*raw.ring.consumer = random_below(3) == 0
				? *raw.ring.producer
				: (uint64_t)random_below(UINT32_MAX) << random_below(33);
	}
	raw_done(&raw);
}

/* It raises its flag without end: at most one wake-up in 20 us is made of that. */
static void wants_to_be_woken(void)
{
	unsigned n = 0, all = test_size(200, 5000);
	struct raw raw;
	size_t bytes;

	begin_client(&raw, PROCESSES);
	while (n < all) {
		raw.ring.wake->waiting = 1;
		if (!ring_next(&raw.ring, &bytes))
			continue;
		ring_pass(&raw.ring);
		n++;
	}
	raw_done(&raw);
}

/* As many as there is room for say nothing at the door. */
static void stands_at_the_door(void)
{
	char path[PATH_MAX];
	int fds[200];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++)
		must((fds[i] = wire_connect(path_get(PATH_ENDPOINT_SOCKET, NULL, path))) >= 0);
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		struct pollfd end = { .fd = fds[i] };

		/* after five seconds each is sent away */
		must(poll(&end, 1, PATIENCE_SECONDS * 1000) == 1 && end.revents & POLLHUP);
	}
}

/* ---- through the library ----------------------------------------------------------------------- */

static atomic_uint n_messages;
static es_message_t *question_kept;

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	if (message->action_type == ES_ACTION_TYPE_AUTH && !question_kept)
		question_kept = es_copy_message(message);
	n_messages++;
	sem_post(&something);
}

static es_client_t *begin_library(const es_event_type_t *events, uint32_t n)
{
	es_client_t *client;

	must(es_new_client_f(&client, NULL, on_message) == ES_NEW_CLIENT_RESULT_SUCCESS);
	must(es_subscribe(client, events, n) == ES_RETURN_SUCCESS);
	while (n_messages == 0)
		sem_wait(&something);
	return client;
}

/* What is behind it is its parent's: every call says so, and changes nothing there. */
static void use_anothers(es_client_t *client)
{
	const es_event_type_t exec = ES_EVENT_TYPE_NOTIFY_EXEC;
	ob_es_counters_t counters = { .size = sizeof counters };
	es_event_type_t *events;
	size_t n;

	must(es_subscribe(client, &exec, 1) == ES_RETURN_ERROR);
	must(es_unsubscribe(client, &exec, 1) == ES_RETURN_ERROR);
	must(es_unsubscribe_all(client) == ES_RETURN_ERROR);
	must(es_subscriptions(client, &n, &events) == ES_RETURN_ERROR);
	must(es_respond_auth_result(client, question_kept, ES_AUTH_RESULT_DENY, false) ==
		ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT);
	must(es_clear_cache(client) == ES_CLEAR_CACHE_RESULT_ERR_INTERNAL);
	must(es_mute_path(client, "/x", ES_MUTE_PATH_TYPE_LITERAL) == ES_RETURN_ERROR);
	must(ob_es_client_get_counters(client, &counters) == -ECHILD);
	must(es_delete_client(client) == ES_RETURN_ERROR);
}

static void forks(void)
{
	const es_event_type_t auth = ES_EVENT_TYPE_AUTH_EXEC;
	ob_es_counters_t counters = { .size = sizeof counters };
	es_client_t *client = begin_library(&auth, 1);
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		use_anothers(client);
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid && status == 0);
	must(es_respond_auth_result(client, question_kept, ES_AUTH_RESULT_ALLOW, false) ==
		ES_RESPOND_RESULT_SUCCESS);
	must(ob_es_client_get_counters(client, &counters) == 0);
	must(es_delete_client(client) == ES_RETURN_SUCCESS);
}

/* A child has all of its descriptors and lives on: the client has ended all the same. */
static int heir_fds[2];
static void leaves_an_heir(void)
{
	const es_event_type_t auth = ES_EVENT_TYPE_AUTH_EXEC;
	pid_t pid;

	begin_library(&auth, 1);
	pid = fork();
	if (pid == 0) {
		char letter;

		/* until the test has seen that nobody waits for it */
		close(heir_fds[1]);
		(void)!read(heir_fds[0], &letter, 1);
		_exit(0);
	}
}

/* Where the consumer is, and where the producer. */
static int ring_of_library(volatile uint64_t *ret[static 2])
{
	char path[64], target[64];
	int fd;

	for (fd = 3; fd < 1024; fd++) {
		ssize_t n;
		int i;

		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof target - 1);
		if (n < 0 || !memmem(target, (size_t)n, "bpf-map", 7))
			continue;
		/* of a page that is only a page there is no second one */
		for (i = 1; i >= 0; i--) {
			void *at = mmap(NULL, 4096, i ? PROT_READ : PROT_READ | PROT_WRITE,
				MAP_SHARED, fd, i * 4096);

			if (at == MAP_FAILED)
				break;
			ret[i] = at;
		}
		if (i < 0)
			return 0;
	}
	return -ENOENT;
}

/* The library reads where its process says, where no record is. */
static void scribbles_in_its_library(void)
{
	const es_event_type_t events[] = { ES_EVENT_TYPE_NOTIFY_EXEC, ES_EVENT_TYPE_NOTIFY_FORK,
		ES_EVENT_TYPE_NOTIFY_EXIT };
	ob_es_counters_t counters = { .size = sizeof counters };
	volatile uint64_t *ends[2];
	es_client_t *client;

	/* what is inherited is of the client beside */
	close_range(3, ~0u, 0);
	client = begin_library(events, 3);
	must(ring_of_library(ends) == 0);
	do {
		/* now and then where the kernel's program can write, and wake */
		*ends[0] = random_below(4) ? *ends[1] : (uint64_t)random_below(UINT32_MAX) << 3;
		must(ob_es_client_get_counters(client, &counters) == 0);
	} while (counters.dropped < 10);
	must(es_delete_client(client) == ES_RETURN_SUCCESS);
}

/* ---- each beside one that behaves -------------------------------------------------------------- */

/* But programs: those that were loaded for the first who needed them stay. */
static unsigned fds_of_esd(void)
{
	char path[64], what[64];
	unsigned n = 0;
	int fd;

	for (fd = 0; fd < 4096; fd++) {
		ssize_t bytes;

		snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)esd, fd);
		bytes = readlink(path, what, sizeof what - 1);
		if (bytes < 0)
			continue;
		what[bytes] = '\0';
		n += strcmp(what, "anon_inode:bpf-prog") != 0;
	}
	return n;
}

static pid_t start(void (*culprit)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		culprit();
		_exit(0);
	}
	return pid;
}

static void test_beside(void **state)
{
	static const struct {
		const char *name;
		void (*culprit)(void);
		bool is_long;
	} rows[] = {
#define ROW(name) { #name, name, false }
		ROW(never_reads),
		ROW(never_reads_results),
		ROW(answers_wrongly),
		ROW(answers_garbage),
		ROW(closes_its_answers),
		ROW(scribbles),
		ROW(wants_to_be_woken),
		{ "stands_at_the_door", stands_at_the_door, true },
		ROW(forks),
		ROW(scribbles_in_its_library),
	};
	unsigned fds = fds_of_esd(), waits = 0;
	size_t i;

	beside_begin();
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t began = now_ms();

		if (rows[i].is_long && !test_size(0, 1))
			continue;
		beside_run_until(start(rows[i].culprit), rows[i].name);
		printf("%s: %u ms\n", rows[i].name, (unsigned)(now_ms() - began));
	}
	beside_end();
	assert_int_equal(kill(esd, 0), 0);
	/* the last one's connection is closed after its process has ended */
	while (fds_of_esd() > fds && waits++ < PATIENCE_SECONDS * 100)
		poll(NULL, 0, 10);
	assert_int_equal(fds_of_esd(), fds);
}

static void test_an_heir(void **state)
{
	assert_int_equal(pipe2(heir_fds, O_CLOEXEC), 0);
	beside_begin();
	beside_run_until(start(leaves_an_heir), "leaves_an_heir");
	beside_run();
	beside_end();
	close(heir_fds[1]); /* and the heir ends */
	close(heir_fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_beside),
		cmocka_unit_test(test_an_heir),
	};
	int r;

	if (!scene_begin("test-broken"))
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
