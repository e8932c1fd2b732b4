/* SPDX-License-Identifier: Apache-2.0
 *
 * What outboard-esd says of itself: the document that who asks it gets, and the deadlines missed that the
 * manager hears of; with doubles in place of the engine and of the manager's socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "endpoint/daemon/esd.h"

#define EXEC 9u

static struct esd esd;
static struct connection client = { .slot = 2, .phase = PHASE_CLIENT };
static int notices[2];
static unsigned n_told;

/* ---- in place of the engine, of the deciding thread, and of the manager --------------------------- */

void engine_look(const struct engine *engine, uint32_t slot, struct engine_client *ret)
{
	assert_int_equal(slot, client.slot);
	*ret = (struct engine_client){ .ring_bytes = 1 << 20,
		.sent = 4,
		.dropped = 3,
		.dropped_of_type = { [EXEC] = 3 },
		.subscribed = { 1u << EXEC | 1 },
		.asked = 9,
		.answered = 7,
		.waiting = 1,
		.missed = 6,
		.miss_mode = ASK_MISS_FAIL_CLOSED,
		.deadline_ms = { 11, 12 },
		.mutes = { [ES_MUTE_TARGET_PREFIX] = 21, [ES_MUTE_PROCESS] = 22 },
		.inverted = 1u << ES_INVERT_TARGET };
}

void engine_total(const struct engine *engine, struct engine_totals *ret)
{
	*ret = (struct engine_totals){ .unasked = 77, .unmade = 78, .subscribed = { [EXEC] = 5 } };
}

uint32_t engine_sources(const struct engine *engine)
{
	return SOURCE_TRACEPOINT;
}

struct ask *engine_ask(struct engine *engine)
{
	return (struct ask *)notices;
}

int ask_notice_fd(const struct ask *ask)
{
	return notices[0];
}

int ask_next_notice(struct ask *ask, struct ask_notice *ret)
{
	return read(notices[0], ret, sizeof *ret) == sizeof *ret ? 0 : -EAGAIN;
}

bool ask_is_broken(const struct ask *ask, uint32_t slot)
{
	return false;
}

void ask_on_unmarked(struct ask *ask, ask_unmarked_fn *say, void *context)
{
}

int ask_mounts_changed(struct ask *ask)
{
	return 0;
}

struct connection *connection_free(struct connection *connection)
{
	return NULL;
}

void manager_tell_clients(struct esd *of)
{
	n_told++;
}

/* ---- the document --------------------------------------------------------------------------------- */

static void expect_text(const char *text, const char *wanted)
{
	if (!text || !strstr(text, wanted))
		fail_msg("no %s in %s", wanted, text ? text : "nothing");
}

/* On the socket that came with the question, and then its end. */
static char *ask_report(void)
{
	static struct wire_packet packet;
	const void *text;
	int pair[2], fd;
	size_t bytes;
	char *copy;

	assert_int_equal(wire_pair(pair), 0);
	report_send(&esd, pair[1]);
	assert_int_equal(wire_receive(pair[0], &packet, MSG_DONTWAIT), 0);
	assert_int_equal(packet.header.type, BROKER_REPORTED);
	fd = wire_take_fd(&packet, 0);
	assert_int_equal(memfd_map_sealed(fd, 1 << 24, &text, &bytes), 0);
	copy = strndup(text, bytes);
	munmap((void *)(uintptr_t)text, bytes);
	close(fd);
	assert_int_equal(wire_receive(pair[0], &packet, MSG_DONTWAIT), -EPIPE);
	close(pair[0]);
	return copy;
}

static int begin(void **state)
{
	esd = (struct esd){ .generation = 5, .manager_fd = -1 };
	client.handed = true;
	client.child_pid = getpid();
	STR_PUT(client.name, "org.example.agent");
	esd.connections = esd.slots[2] = &client;
	esd.n_clients = 1;
	n_told = 0;
	assert_int_equal(pipe2(notices, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(sd_event_new(&esd.event) >= 0);
	assert_true(asking_open(&esd) >= 0);
	return 0;
}

static int end(void **state)
{
	sd_event_source_disable_unref(esd.misses_timer);
	sd_event_unref(esd.event);
	close(notices[0]);
	close(notices[1]);
	return 0;
}

static void test_the_whole(void **state)
{
	char *text, wanted[256];

	text = ask_report();
	expect_text(text, "\"generation\":5,\"fail_mode\":\"open\",\"sources\":[\"tracepoints\"]}");
	snprintf(wanted, sizeof wanted,
		"{\"name\":\"org.example.agent\",\"pid\":%d,\"uid\":%u,\"extension\":true,\"state\":\"asked\",",
		(int)getpid(), (unsigned)geteuid());
	expect_text(text, wanted);
	expect_text(text,
		"\"subscriptions\":[\"AUTH_EXEC\",\"NOTIFY_EXEC\"],\"dropped_of_event\":{\"NOTIFY_EXEC\":3}");
	expect_text(text,
		"\"open_questions\":1,\"deadline_misses\":6,\"miss_mode\":\"fail closed\","
		"\"deadline_milliseconds\":{\"AUTH_EXEC\":11,\"AUTH_OPEN\":12}");
	expect_text(text,
		"\"target_prefixes\":21,\"target_paths\":0,\"processes\":22},"
		"\"inverted\":[\"targets\"]");
	expect_text(text, "\"counters\":{\"clients\":1,\"sent\":4,\"dropped\":3,\"asked\":9,");
	expect_text(text, "\"unasked\":77,\"exchanged\":0,\"unmade\":78,");
	/* the engine's own table, with the source that this machine has */
	expect_text(text,
		"{\"event\":\"NOTIFY_EXEC\",\"number\":9,\"does\":\"tell\",\"available\":true,"
		"\"source\":\"tracepoint sched_process_exec\",");
	expect_text(text, "\"reason\":null,\"clients\":2}");
	expect_text(text,
		"{\"event\":\"AUTH_EXEC\",\"number\":0,\"does\":\"ask\",\"available\":false,"
		"\"source\":null,\"imprecise\":null,\"reason\":\"this kernel, or");
	assert_null(strstr(text, "RESERVED"));
	expect_text(text, "\"misses\":[]}");
	free(text);
}

static void test_states(void **state)
{
	char *text;

	esd.slots[2] = NULL;
	client.slot = -1;
	client.name[0] = '\0';
	text = ask_report();
	expect_text(text, "{\"name\":null,");
	expect_text(text, "\"state\":\"no client yet\"");
	free(text);
	client.phase = PHASE_PROVE;
	text = ask_report();
	expect_text(text, "\"state\":\"arriving\"");
	expect_text(text, "\"counters\":{\"clients\":1,\"sent\":0,");
	free(text);
	client.phase = PHASE_CLIENT;
	client.slot = 2;
}

/* ---- deadlines missed ----------------------------------------------------------------------------- */

static void miss(const struct ask_notice *notice)
{
	assert_int_equal(write(notices[1], notice, sizeof *notice), sizeof *notice);
}

/* Each is kept, with who, what and why; the manager hears at once of the first, then once a second. */
static void test_misses(void **state)
{
	struct ask_notice notice = { .client = 2,
		.event = 1,
		.wrong = 5,
		.miss = ASK_MISS_FAIL_CLOSED,
		.path = "/a\xff\"b" };
	char *text;
	int i;

	miss(&notice);
	assert_true(sd_event_run(esd.event, 0) > 0);
	assert_int_equal(n_told, 1);
	text = ask_report();
	expect_text(text, "\"client\":\"org.example.agent\",");
	expect_text(text,
		"\"event\":\"AUTH_OPEN\",\"path\":\"/a\\ufffd\\\"b\","
		"\"code\":\"ES_RESPOND_RESULT_ERR_EVENT_TYPE\",\"outcome\":\"denied\"}]}");
	free(text);
	notice.wrong = 0;
	notice.miss = ASK_MISS_KILL;
	for (i = 0; i < 40; i++) {
		notice.dropped = i == 7 ? 2 : 0; /* found no room before it */
		miss(&notice);
		assert_true(sd_event_run(esd.event, 0) > 0);
	}
	assert_int_equal(n_told, 1);
	assert_int_equal(esd.n_misses, 41);
	assert_true(sd_event_run(esd.event, UINT64_MAX) > 0); /* the second is over */
	assert_int_equal(n_told, 2);
	text = ask_report();
	expect_text(text, "\"code\":\"no answer\",\"outcome\":\"allowed, client killed\"");
	assert_null(strstr(text, "ES_RESPOND_RESULT_ERR_EVENT_TYPE")); /* the last 32 are kept */
	expect_text(text, "\"deadline_misses\":43,\"unasked\"");
	free(text);
	/* nothing was missed meanwhile: it is quiet, and the next one is told at once */
	assert_true(sd_event_run(esd.event, UINT64_MAX) > 0);
	assert_int_equal(n_told, 2);
	miss(&notice);
	assert_true(sd_event_run(esd.event, 0) > 0);
	assert_int_equal(n_told, 3);
}

static void test_a_client_that_has_gone(void **state)
{
	const struct ask_notice notice = { .client = 7, .path = "/x" };
	char *text;

	miss(&notice);
	assert_true(sd_event_run(esd.event, 0) > 0);
	text = ask_report();
	expect_text(
		text, "\"client\":\"a client that has gone\",\"pid\":0,\"event\":\"AUTH_EXEC\"");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_the_whole, begin, end),
		cmocka_unit_test_setup_teardown(test_states, begin, end),
		cmocka_unit_test_setup_teardown(test_misses, begin, end),
		cmocka_unit_test_setup_teardown(test_a_client_that_has_gone, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
