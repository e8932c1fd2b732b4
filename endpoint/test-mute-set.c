/* SPDX-License-Identifier: Apache-2.0
 *
 * The sets of mutes: tuples, taken away exactly; what every client begins with; lists. And the hash by
 * which the kernel program knows a path, against its authors' values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "endpoint/engine/engine.h"
#include "endpoint/lib/mute-set.h"
#include "endpoint/siphash.h"

static struct mute_row *add(struct mute_set *set, uint32_t kind, const char *path)
{
	struct mute_row *row;

	assert_int_equal(mute_set_add(set, kind, path, NULL, &row), 0);
	return row;
}

static void test_the_same_is_one(void **state)
{
	struct mute_set set = { 0 };

	add(&set, ES_MUTE_PREFIX, "/usr/bin");
	add(&set, ES_MUTE_PREFIX, "/usr/bin/");
	add(&set, ES_MUTE_LITERAL, "/usr/bin");
	assert_int_equal(set.n, 3);
	assert_ptr_equal(add(&set, ES_MUTE_PREFIX, "/usr/bin"),
		mute_set_find(&set, ES_MUTE_PREFIX, "/usr/bin", NULL));
	assert_int_equal(set.n, 3);
	assert_null(mute_set_find(&set, ES_MUTE_PREFIX, "/usr/bi", NULL));
	assert_null(mute_set_find(&set, ES_MUTE_TARGET_PREFIX, "/usr/bin", NULL));
	mute_set_remove(&set, mute_set_find(&set, ES_MUTE_PREFIX, "/usr/bin", NULL));
	assert_null(mute_set_find(&set, ES_MUTE_PREFIX, "/usr/bin", NULL));
	assert_non_null(mute_set_find(&set, ES_MUTE_PREFIX, "/usr/bin/", NULL));
	assert_non_null(mute_set_find(&set, ES_MUTE_LITERAL, "/usr/bin", NULL));
	mute_set_done(&set);
}

/* Put in and taken out in another order: what is left is what was not taken out. */
static void test_many(void **state)
{
	struct mute_set set = { 0 };
	char path[32];
	unsigned i;

	for (i = 0; i < 1000; i++) {
		snprintf(path, sizeof path, "/%u", i * 7919 % 1000);
		add(&set, ES_MUTE_LITERAL, path);
	}
	assert_int_equal(set.n, 1000);
	for (i = 0; i < 1000; i += 2) {
		snprintf(path, sizeof path, "/%u", i);
		mute_set_remove(&set, mute_set_find(&set, ES_MUTE_LITERAL, path, NULL));
	}
	for (i = 0; i < 1000; i++) {
		snprintf(path, sizeof path, "/%u", i);
		assert_true(!mute_set_find(&set, ES_MUTE_LITERAL, path, NULL) == !(i % 2));
	}
	mute_set_done(&set);
}

static void test_processes(void **state)
{
	audit_token_t token = { { 1, 2, 3, 4, 5, 600, 7, 8 } }, same = token, other = token;
	struct mute_set set = { 0 };
	es_muted_processes_t *list;
	struct mute_row *row;

	same.val[1] = 99; /* who it is may change */
	other.val[7]++;	  /* another program */
	assert_int_equal(mute_set_add(&set, ES_MUTE_PROCESS, NULL, &token, &row), 0);
	row->events.events[0] = 1ull << 9 | 1ull << 15;
	add(&set, ES_MUTE_LITERAL, "/x");
	assert_non_null(mute_set_find(&set, ES_MUTE_PROCESS, NULL, &same));
	assert_null(mute_set_find(&set, ES_MUTE_PROCESS, NULL, &other));
	assert_int_equal(set.rows[set.n - 1].kind, ES_MUTE_PROCESS); /* after all paths */
	assert_int_equal(mute_set_copy_processes(&set, &list), 0);
	assert_int_equal(list->count, 1);
	assert_memory_equal(&list->processes[0].audit_token, &token, sizeof token);
	assert_int_equal(list->processes[0].event_count, 2);
	assert_int_equal(list->processes[0].events[0], ES_EVENT_TYPE_NOTIFY_EXEC);
	assert_int_equal(list->processes[0].events[1], ES_EVENT_TYPE_NOTIFY_EXIT);
	free(list);
	mute_set_done(&set);
}

static void test_events(void **state)
{
	const es_event_type_t some[] = { ES_EVENT_TYPE_NOTIFY_FORK, (es_event_type_t)5000,
		ES_EVENT_TYPE_NOTIFY_EXEC };
	struct es_mute_events all, events;
	uint32_t i, n = 0;

	mute_events_all(&all, ES_MUTE_LITERAL);
	for (i = 0; i < ES_EVENTS_MAX; i++)
		n += (all.events[i / 64] >> i % 64) & 1;
	assert_int_equal(n, ES_EVENT_TYPE_LAST);
	mute_events_of(&events, ES_MUTE_PREFIX, some, 3);
	assert_int_equal(events.events[0], 1ull << 9 | 1ull << 11);
	/* a fork has no target */
	mute_events_of(&events, ES_MUTE_TARGET_PREFIX, some, 3);
	assert_int_equal(events.events[0], 1ull << 9);
	mute_events_of(&events, ES_MUTE_TARGET_LITERAL, some, 2);
	assert_true(mute_events_none(&events));
	mute_events_all(&all, ES_MUTE_TARGET_LITERAL);
	assert_false(all.events[0] & 1ull << ES_EVENT_TYPE_NOTIFY_EXIT);
	assert_true(all.events[0] & 1ull << ES_EVENT_TYPE_NOTIFY_SIGNAL);
}

/* Only AUTH events, so that all is told; and what starts others is asked about what it starts. */
static void test_begun_with(void **state)
{
	struct mute_set set = { 0 };
	es_muted_paths_t *list;
	const struct mute_row *row;
	bool systemd = false;
	size_t i, k;

	assert_int_equal(mute_set_fill(&set), 0);
	assert_int_equal(mute_set_copy_paths(&set, &list), 0);
	assert_true(list->count > 0);
	assert_int_equal(list->count, set.n);
	for (i = 0; i < list->count; i++) {
		const es_muted_path_t *path = &list->paths[i];

		assert_int_equal(path->type, ES_MUTE_PATH_TYPE_LITERAL);
		assert_int_equal(path->path.length, strlen(path->path.data));
		assert_true(path->event_count > 0);
		for (k = 0; k < path->event_count; k++)
			assert_true(capability_asks((uint32_t)path->events[k]));
		systemd |= strcmp(path->path.data, "/usr/lib/systemd/systemd") == 0;
	}
	assert_true(systemd);
	row = mute_set_find(&set, ES_MUTE_LITERAL, "/usr/lib/systemd/systemd", NULL);
	assert_false(row->events.events[0] & 1ull << ES_EVENT_TYPE_AUTH_EXEC);
	assert_true(row->events.events[0] & 1ull << ES_EVENT_TYPE_AUTH_OPEN);
	free(list);
	mute_set_done(&set);
}

/* vectors_sip128 of the authors' test: SipHash-2-4, key 00..0f, input 00..n-1 */
static void test_hash(void **state)
{
	static const struct {
		size_t bytes;
		uint8_t hash[16];
	} rows[] = {
		{ 0,
			{ 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14,
				0xc7, 0x55, 0x02, 0x93 } },
		{ 1,
			{ 0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11,
				0x9b, 0x22, 0xfc, 0x45 } },
		{ 15,
			{ 0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f,
				0x97, 0xcf, 0xc3, 0xd9 } },
		{ 33,
			{ 0x77, 0xc6, 0x07, 0x71, 0x46, 0xf0, 0x1c, 0x32, 0xb6, 0xb6, 0x9d, 0x5f,
				0x4e, 0xa9, 0xff, 0xcf } },
	};
	uint8_t input[64], out[16];
	size_t i, k, b;

	for (i = 0; i < sizeof input; i++)
		input[i] = (uint8_t)i;
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t hash[2], word;
		struct siphash at;

		siphash_begin(&at, 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull);
		for (k = 0; k + 8 <= rows[i].bytes; k += 8) {
			for (word = 0, b = 0; b < 8; b++)
				word |= (uint64_t)input[k + b] << 8 * b;
			siphash_word(&at, word, 2);
		}
		for (word = 0, b = 0; k + b < rows[i].bytes; b++)
			word |= (uint64_t)input[k + b] << 8 * b;
		siphash_end(&at, word, rows[i].bytes, 2, 4, hash);
		for (b = 0; b < 16; b++)
			out[b] = (uint8_t)(hash[b / 8] >> b % 8 * 8);
		assert_memory_equal(out, rows[i].hash, 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_is_one),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_begun_with),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
