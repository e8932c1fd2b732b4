/* SPDX-License-Identifier: Apache-2.0
 *
 * From a record to a message: a whole record becomes what it says, and nothing that is not one is
 * taken for one, wherever it is cut or bent. The seed of the bending is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "endpoint/engine/engine.h"
#include "endpoint/lib/lib.h"

static char buffer[ES_RECORD_BYTES_MAX];

static size_t put_record(void)
{
	static const struct {
		const char *bytes;
		uint32_t length;
	} blobs[ES_BLOBS] = {
		[ES_BLOB_EXECUTABLE] = { "/bin/sh", 8 },
		[ES_BLOB_TARGET] = { "/bin/true", 10 },
		[ES_BLOB_SECOND] = { "/", 2 },
		[ES_BLOB_ARGUMENTS] = { "true\0"
					"a b\0"
					"\0",
			11 },
	};
	struct es_record *record = (void *)buffer;
	char *at = (char *)(record + 1);
	int i;

	memset(buffer, 0, sizeof buffer);
	record->version = ES_RECORD_VERSION;
	record->fixed_bytes = sizeof *record;
	record->event_type = ES_EVENT_TYPE_NOTIFY_EXEC;
	record->target.token[5] = 77;
	record->target.ppid = 66;
	for (i = 0; i < ES_BLOBS; i++) {
		record->blob_bytes[i] = blobs[i].length;
		if (blobs[i].length)
			memcpy(at, blobs[i].bytes, blobs[i].length);
		at += blobs[i].length;
	}
	record->bytes = (uint32_t)(at - buffer);
	return record->bytes;
}

static void test_whole(void **state)
{
	struct box *box = box_new();
	size_t bytes = put_record();
	const es_event_exec_t *exec = &box->message.event.exec;

	assert_int_equal(box_fill(box, buffer, bytes), 0);
	assert_int_equal(audit_token_to_pid(exec->target->audit_token), 77);
	assert_int_equal(exec->target->ppid, 66);
	assert_string_equal(exec->target->executable->path.data, "/bin/true");
	assert_int_equal(exec->target->executable->path.length, 9);
	assert_string_equal(box->message.process->executable->path.data, "/bin/sh");
	assert_int_equal(es_exec_arg_count(exec), 3);
	assert_string_equal(es_exec_arg(exec, 0).data, "true");
	assert_string_equal(es_exec_arg(exec, 1).data, "a b");
	assert_int_equal(es_exec_arg(exec, 2).length, 0);
	assert_int_equal(es_exec_arg(exec, 3).length, 0);
	assert_int_equal(es_exec_env_count(exec), 0);
	box_unref(box);
}

static void test_kept_leaves_the_ring(void **state)
{
	struct box *box = box_new();
	size_t bytes = put_record();

	assert_int_equal(box_fill(box, buffer, bytes), 0);
	es_retain_message(&box->message);
	assert_true(box_is_kept(box));
	memset(buffer, 'x', sizeof buffer); /* the ring goes on */
	assert_string_equal(box->message.event.exec.target->executable->path.data, "/bin/true");
	assert_string_equal(es_exec_arg(&box->message.event.exec, 1).data, "a b");
	box_unref(box);
	es_release_message(&box->message);
}

static void test_no_record(void **state)
{
	struct box *box = box_new();
	struct es_record *record = (void *)buffer;
	size_t bytes = put_record(), i;

	for (i = 0; i < bytes; i++)
		assert_int_equal(box_fill(box, buffer, i), -EPROTO);
	record->fixed_bytes = ES_RECORD_FILES_BYTES; /* too few for an exec */
	assert_int_equal(box_fill(box, buffer, bytes), -EPROTO);
	put_record();
	record->version++;
	assert_int_equal(box_fill(box, buffer, bytes), -EPROTO);
	put_record();
	record->event_type = ES_EVENT_TYPE_AUTH_MMAP; /* nothing here makes one */
	assert_int_equal(box_fill(box, buffer, bytes), -EPROTO);
	put_record();
	record->blob_bytes[ES_BLOB_SECOND] = 0xffff;
	assert_int_equal(box_fill(box, buffer, bytes), -EPROTO);
	put_record();
	buffer[bytes - 1] = 'x'; /* no NUL */
	assert_int_equal(box_fill(box, buffer, bytes), -EPROTO);
	box_unref(box);
}

/* Bent in a few places, and then everything of it looked at: the sanitizers are the judge. */
static void test_bent(void **state)
{
	unsigned seed = (unsigned)time(NULL), taken = 0;
	struct box *box = box_new();
	int round;

	printf("seed %u\n", seed);
	srand(seed);
	for (round = 0; round < 20000; round++) {
		size_t bytes = put_record();
		int n;

		for (n = rand() % 4; n >= 0; n--)
			buffer[(size_t)rand() % bytes] = (char)rand();
		if (box_fill(box, buffer, bytes) == 0) {
			uint32_t i, count = es_exec_arg_count(&box->message.event.exec);

			taken++;
			for (i = 0;
				box->message.event_type == ES_EVENT_TYPE_NOTIFY_EXEC && i < count;
				i++)
				assert_true(
					es_exec_arg(&box->message.event.exec, i).length < bytes);
		}
	}
	assert_true(taken > 0);
	box_unref(box);
}

/* As the kernel program writes them: event type, lost of that type, lost of all. */
static void number(struct sequence *sequence, uint32_t event, uint64_t dropped_of_type,
	uint64_t dropped, uint64_t seq_num, uint64_t global_seq_num)
{
	const struct es_record record = {
		.event_type = event, .dropped_of_type = dropped_of_type, .dropped = dropped
	};
	es_message_t message = { 0 };

	sequence_number(sequence, &record, &message);
	assert_int_equal(message.seq_num, seq_num);
	assert_int_equal(message.global_seq_num, global_seq_num);
}

static void test_numbers(void **state)
{
	enum { EXEC = ES_EVENT_TYPE_NOTIFY_EXEC, EXIT = ES_EVENT_TYPE_NOTIFY_EXIT };
	uint64_t subscribed[ES_EVENTS_MAX / 64] = { 1ull << EXEC };
	struct sequence sequence = { 0 };

	number(&sequence, EXEC, 0, 0, 0, 0);
	number(&sequence, EXIT, 0, 0, 0, 1);
	number(&sequence, EXEC, 0, 0, 1, 2);
	number(&sequence, EXEC, 2, 3, 4, 6); /* two lost, and one of another type */
	number(&sequence, EXIT, 1, 3, 2, 7); /* that one */
	/* written on another CPU, which had read the sums before: never back, never twice */
	number(&sequence, EXEC, 1, 1, 5, 8);
	sequence_pass(&sequence);
	number(&sequence, EXEC, 2, 3, 6, 10);
	/* another ring counts from zero; what nobody counted shows where it was asked for */
	sequence_restart(&sequence, subscribed);
	number(&sequence, EXEC, 0, 0, 8, 12);
	number(&sequence, EXIT, 0, 0, 3, 13);
	number(&sequence, EXEC, 1, 1, 10, 15);
}

static void test_capabilities(void **state)
{
	uint32_t event, n = 0;

	for (event = 0; event < ES_EVENT_TYPE_LAST; event++) {
		ob_es_event_support_t support = { .size = sizeof support };

		assert_int_equal(ob_es_event_get_support((es_event_type_t)event, &support), 0);
		assert_non_null(support.name);
		assert_true((support.can_watch || support.can_ask) == (support.reason == NULL));
		assert_true((support.can_watch || support.can_ask) == (support.source != NULL));
		n += support.can_watch;
	}
	assert_true(n >= 1);
	assert_string_equal(capability_name(ES_EVENT_TYPE_NOTIFY_EXEC), "NOTIFY_EXEC");
	assert_string_equal(capability_name(ES_EVENT_TYPE_NOTIFY_EXIT), "NOTIFY_EXIT");
	assert_null(capability_name(ES_EVENT_TYPE_LAST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_kept_leaves_the_ring),
		cmocka_unit_test(test_no_record),
		cmocka_unit_test(test_bent),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
