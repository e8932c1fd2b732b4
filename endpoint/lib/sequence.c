/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of messages: seq_num, one row for each event type, and global_seq_num. They are given
 * here, in the order in which the records lie in the ring, because nothing in the kernel could give
 * them so without a lock around the ring: two CPUs that count first and take their place in the ring
 * afterwards may do the one in this order and the other in that. What was lost comes with each record
 * as a sum. Of two neighbours the later one can have read an older sum; then the gap stands one
 * message further on, and no number is ever given twice or out of turn.
 */
#include "endpoint/lib/lib.h"

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t take(struct sequence_row *row, uint64_t dropped)
{
	row->dropped = later(row->dropped, row->dropped_before + dropped);
	return row->taken++ + row->dropped;
}

void sequence_number(
	struct sequence *sequence, const struct es_record *record, es_message_t *message)
{
	message->seq_num = take(
		&sequence->types[record->event_type % ES_EVENTS_MAX], record->dropped_of_type);
	message->global_seq_num = take(&sequence->all, record->dropped);
}

void sequence_pass(struct sequence *sequence)
{
	sequence->all.taken++;
}

static void renew(struct sequence_row *row, bool gap)
{
	row->dropped += gap;
	row->dropped_before = row->dropped;
}

void sequence_restart(
	struct sequence *sequence, const uint64_t subscribed[static ES_EVENTS_MAX / 64])
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < ES_EVENTS_MAX; i++) {
		bool gap = subscribed[i / 64] & 1ull << i % 64;

		renew(&sequence->types[i], gap);
		any |= gap;
	}
	renew(&sequence->all, any);
}
