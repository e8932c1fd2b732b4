/* SPDX-License-Identifier: Apache-2.0
 *
 * See test-beside.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/peer.h"
#include "base/str.h"
#include "endpoint/test-beside.h"
#include "endpoint/test-scene.h"

#define UID 2101
#define GID 3101

char field[PATH_MAX];

const char *field_path(const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof paths[0], "%s/%s", field, name);
	return path;
}

void field_begin(void)
{
	char command[2 * PATH_MAX];

	path_get(PATH_RUN, NULL, field);
	strcat(field, "/field");
	if (mkdir(field, 0755) < 0 || mount("field", field, "tmpfs", 0, "mode=755") < 0)
		abort();
	snprintf(command, sizeof command, "cp /bin/true %s", field_path("good"));
	if (system(command) != 0)
		abort();
}

void field_end(void)
{
	umount2(field, MNT_DETACH);
}

uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

unsigned test_size(unsigned usual, unsigned full)
{
	const char *size = getenv("OUTBOARD_TEST_SIZE");

	return size && streq(size, "long") ? full : usual;
}

static uint64_t random_state;

void seed_begin(void)
{
	const char *given = getenv("OUTBOARD_TEST_SEED");

	random_state = given ? strtoull(given, NULL, 10) : now_ms() ^ (uint64_t)getpid() << 20;
	printf("OUTBOARD_TEST_SEED=%llu\n", (unsigned long long)random_state);
	fflush(stdout);
}

/* splitmix64: the same on every libc */
uint32_t random_below(uint32_t n)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((x ^ x >> 31) >> 32) % n;
}

/* ---- the client that behaves ------------------------------------------------------------------- */

static struct {
	es_client_t *client;
	atomic_uint asked, told, answered, gaps;
	uint64_t next[2], next_of_all;
	unsigned run;
} beside;

static void count(const es_message_t *message)
{
	uint64_t *next = &beside.next[message->event_type == ES_EVENT_TYPE_NOTIFY_EXEC];

	if (message->seq_num != *next || message->global_seq_num != beside.next_of_all)
		beside.gaps++;
	*next = message->seq_num + 1;
	beside.next_of_all = message->global_seq_num + 1;
}

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	const char *path = message->event.exec.target->executable->path.data;

	count(message);
	if (message->event_type == ES_EVENT_TYPE_AUTH_EXEC) {
		beside.asked++;
		/* another client may have decided first, whose answer then is the last */
		if (es_respond_auth_result(client, message, ES_AUTH_RESULT_ALLOW, false) ==
			ES_RESPOND_RESULT_SUCCESS)
			beside.answered++;
	} else if (streq(path, field_path("good"))) {
		beside.told++;
	}
	sem_post(&something);
}

void beside_begin(void)
{
	static const es_event_type_t events[] = { ES_EVENT_TYPE_AUTH_EXEC,
		ES_EVENT_TYPE_NOTIFY_EXEC };

	memset(&beside, 0, sizeof beside);
	assert_int_equal(
		es_new_client_f(&beside.client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(beside.client, events, 2), ES_RETURN_SUCCESS);
}

pid_t start_good(const char *word)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(GID, GID, GID) < 0 ||
			setresuid(UID, UID, UID) < 0)
			_exit(99);
		execl(field_path("good"), "good", word, NULL);
		_exit(100 + errno);
	}
	assert_true(pid > 0);
	return pid;
}

int end_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int run_good(void)
{
	return end_of(start_good(NULL));
}

void beside_run(void)
{
	uint64_t began = now_ms(), took;

	assert_int_equal(run_good(), 0);
	took = now_ms() - began;
	if (took >= STALL_MS)
		fail_msg("program %u took %d ms", beside.run, (int)took);
	beside.run++;
}

void beside_run_until(pid_t culprit, const char *what)
{
	int status;
	pid_t ended;

	do {
		beside_run();
		ended = waitpid(culprit, &status, WNOHANG);
	} while (ended == 0);
	assert_int_equal(ended, culprit);
	if (status != 0)
		fail_msg("%s: status %x", what, status);
	beside_run();
}

void beside_end(void)
{
	ob_es_counters_t counters = { .size = sizeof counters };

	await_count(&beside.told, beside.run);
	assert_int_equal(beside.told, beside.run);
	assert_int_equal(beside.asked, beside.run);
	assert_int_equal(beside.answered, beside.run);
	assert_int_equal(beside.gaps, 0);
	assert_int_equal(ob_es_client_get_counters(beside.client, &counters), 0);
	assert_int_equal(counters.dropped, 0);
	assert_int_equal(counters.deadline_misses, 0);
	assert_int_equal(counters.restarts, 0);
	assert_int_equal(es_delete_client(beside.client), ES_RETURN_SUCCESS);
}

/* ---- one by hand ------------------------------------------------------------------------------- */

static void expect(struct raw *raw, uint16_t type)
{
	must(wire_receive(raw->fd, &raw->packet, 0) == 0);
	if (raw->packet.header.type != type) {
		fprintf(stderr, "culprit: %u and not %u\n", raw->packet.header.type, type);
		_exit(1);
	}
}

void raw_connect(struct raw *raw)
{
	const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	char path[PATH_MAX];

	*raw = (struct raw){ .answer_fd = -1, .ring = RING_NONE };
	raw->fd = wire_connect(path_get(PATH_ENDPOINT_SOCKET, NULL, path));
	must(raw->fd >= 0);
	setsockopt(raw->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	must(peer_prove(raw->fd, &raw->packet) == 0);
}

void raw_greet(struct raw *raw)
{
	const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };

	must(WIRE_SEND(raw->fd, WIRE_HELLO, 1, &hello) == 0);
	expect(raw, WIRE_HELLO);
}

void raw_new(struct raw *raw, uint32_t ring_bytes)
{
	const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	const struct endpoint_new new = { .ring_bytes = ring_bytes,
		.record_version = ES_RECORD_VERSION };

	must(WIRE_SEND(raw->fd, ENDPOINT_NEW, 2, &new) == 0);
	expect(raw, ENDPOINT_RING);
	must(raw->packet.n_fds == 3);
	raw->answer_fd = wire_take_fd(&raw->packet, 2);
	setsockopt(raw->answer_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	must(ring_map(&raw->ring, wire_take_fd(&raw->packet, 0), wire_take_fd(&raw->packet, 1),
		     ring_bytes) == 0);
}

void raw_subscribe(struct raw *raw, uint64_t events)
{
	const struct endpoint_set set = { .events = { events } };

	must(WIRE_SEND(raw->fd, ENDPOINT_SUBSCRIBE, 3, &set) == 0);
	expect(raw, WIRE_STATUS);
	must(((struct wire_status *)(void *)raw->packet.body)->status == 0);
}

void raw_deadline(struct raw *raw, uint32_t milliseconds, uint32_t miss_mode)
{
	const struct endpoint_deadlines deadlines = { .miss_mode = miss_mode,
		.milliseconds = { milliseconds, milliseconds } };

	must(WIRE_SEND(raw->fd, ENDPOINT_DEADLINES, 4, &deadlines) == 0);
	expect(raw, WIRE_STATUS);
}

void raw_expect_end(struct raw *raw)
{
	int r;

	do
		r = wire_receive(raw->fd, &raw->packet, 0);
	while (r == 0);
	must(r == -EPIPE);
}

void raw_done(struct raw *raw)
{
	ring_done(&raw->ring);
	wire_packet_done(&raw->packet);
	raw->answer_fd = fd_close(raw->answer_fd);
	raw->fd = fd_close(raw->fd);
}
