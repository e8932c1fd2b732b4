/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Making a record and sending it: begin() takes a place to make it in, put*() append the strings in
 * the order of enum es_blob, send() writes it into the ring of each client that is to have it.
 *
 * One hop: kernel to client. Lost records are counted here, in the client's counters, and each record
 * says how many were before it. The reader numbers the messages: only the ring's own lock knows their
 * order, and a number that is taken before the place in the ring is another CPU's turn too late.
 */
#ifndef OB_ENDPOINT_BPF_SEND_H
#define OB_ENDPOINT_BPF_SEND_H

#include "endpoint/bpf/maps.h"
#include "endpoint/bpf/mute.h"

#define WAKE_APART_NS 20000 /* at most one forced wake-up in this time and client */

/* NULL: what happens here is none of ours. */
static __always_inline struct es_control *control_in_scope(void)
{
	u32 zero = 0;
	struct es_control *page = bpf_map_lookup_elem(&control, &zero);

	if (!page || (page->scoped && bpf_current_task_under_cgroup(&scope_cgroups, 0) != 1))
		return 0;
	return page;
}

static __always_inline void end(struct scratch *scratch)
{
	*(volatile u32 *)&scratch->busy = 0;
}

static __always_inline struct scratch *take_scratch(struct es_control *page)
{
	u32 first = bpf_get_smp_processor_id() * SCRATCHES_PER_CPU, i;

	for (i = 0; i < SCRATCHES_PER_CPU; i++) {
		u32 index = first + i;
		struct scratch *scratch = bpf_map_lookup_elem(&scratches, &index);

		if (scratch && __sync_lock_test_and_set(&scratch->busy, 1) == 0) {
			scratch->index = index;
			return scratch;
		}
	}
	__sync_fetch_and_add(&page->no_scratch, 1);
	return 0;
}

/* NULL: no place. Else end() it. */
static __always_inline struct scratch *begin(struct es_control *page, u32 event, u32 fixed_bytes)
{
	struct scratch *scratch = take_scratch(page);
	struct es_record *record;

	if (!scratch)
		return 0;
	record = &scratch->record;
	__builtin_memset(record, 0, sizeof *record);
	scratch->at = fixed_bytes;
	record->version = ES_RECORD_VERSION;
	record->event_type = event;
	record->fixed_bytes = fixed_bytes;
	record->time = bpf_ktime_get_ns();
	record->thread_id = (u32)bpf_get_current_pid_tgid();
	scratch->mute.actor_known = 0;
	scratch->mute.tree = 0;
	return scratch;
}

/*
 * The bound stands on the very register that is handed over: the compiler likes to compare a copy,
 * and the verifiers of 6.1 and 6.12 do not carry that over. No string is longer than
 * ES_BLOB_BYTES - 1.
 */
static __always_inline void put(struct scratch *scratch, u32 blob, const void *from, u32 bytes)
{
	u32 at = scratch->at;

	bytes &= ES_BLOB_BYTES - 1;
	asm volatile("" : "+r"(bytes), "+r"(at));
	if (at > MADE_BYTES || bytes >= ES_BLOB_BYTES || bytes == 0)
		return;
	if (bpf_probe_read_kernel(&scratch->made[at], bytes, from) < 0)
		return;
	scratch->record.blob_bytes[blob] = bytes;
	scratch->at = at + bytes;
}

/* The path that was walked into scratch->path. */
static __always_inline void put_path(struct scratch *scratch, u32 blob)
{
	u32 bytes = scratch->path.bytes & (ES_BLOB_BYTES - 1), start = ES_BLOB_BYTES - bytes;

	asm volatile("" : "+r"(start));
	if (start < ES_BLOB_BYTES)
		put(scratch, blob, &scratch->path.text[start], bytes);
}

/* Memory of the current process; what is longer is cut. False: it cannot be read. */
static __always_inline bool put_user(
	struct scratch *scratch, u32 blob, unsigned long from, unsigned long length)
{
	u32 at = scratch->at, bytes = length;

	if (length > ES_BLOB_BYTES - 2)
		bytes = ES_BLOB_BYTES - 2;
	asm volatile("" : "+r"(bytes), "+r"(at));
	if (bytes > ES_BLOB_BYTES - 2 || bytes == 0 || at > MADE_BYTES)
		return true;
	if (bpf_probe_read_user(&scratch->made[at], bytes, (void *)from))
		return false;
	scratch->made[at + bytes] = 0;
	scratch->record.blob_bytes[blob] = bytes + 1;
	scratch->at = at + bytes + 1;
	return true;
}

struct sending {
	struct scratch *scratch;
	u64 clients;
	u64 sent;
};

static __always_inline u64 wake_flags(u32 client, struct es_counters *count)
{
	u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&wakes, &client);
	struct es_wake_page *page = inner ? bpf_map_lookup_elem(inner, &zero) : 0;
	u64 now;

	if (!page || !page->waiting)
		return BPF_RB_NO_WAKEUP;
	now = bpf_ktime_get_ns();
	/* a client that only ever raises its flag must not cost the others an interrupt a record */
	if (now - count->last_wake < WAKE_APART_NS)
		return 0;
	count->last_wake = now;
	page->waiting = 0;
	return BPF_RB_FORCE_WAKEUP;
}

/* Each client has its own; AUTH_EXEC is 0, AUTH_OPEN 1. */
static __always_inline u64 deadline_of(const struct es_record *record, u32 client)
{
	u32 zero = 0;
	struct es_control *page = bpf_map_lookup_elem(&control, &zero);

	if (!page)
		return record->time;
	return record->time +
		page->answer_ns[record->event_type & 1][client & (ES_CLIENTS_MAX - 1)];
}

static long send_one(u32 index, struct sending *sending)
{
	struct scratch *scratch = sending->scratch;
	struct es_record *record = &scratch->record;
	u32 client = lowest(sending->clients), bytes = record->bytes;
	struct es_counters *count;
	struct bpf_dynptr place;
	u64 nth;
	u64 *dropped_of_type;
	void *ring;

	if (!sending->clients || client >= ES_CLIENTS_MAX)
		return 1;
	sending->clients &= sending->clients - 1;
	ring = bpf_map_lookup_elem(&rings, &client);
	count = bpf_map_lookup_elem(&counters, &client);
	if (!ring || !count)
		return 0;
	dropped_of_type = &count->dropped_of_type[record->event_type & (ES_EVENTS_MAX - 1)];
	asm volatile("" : "+r"(bytes));
	if (bytes > MADE_BYTES)
		return 1;
	if (bpf_ringbuf_reserve_dynptr(ring, bytes, 0, &place)) {
		__sync_fetch_and_add(dropped_of_type, 1);
		__sync_fetch_and_add(&count->dropped, 1);
		bpf_ringbuf_discard_dynptr(&place, 0);
		return 0;
	}
	record->deadline = record->question ? deadline_of(record, client) : 0;
	record->dropped_of_type = *(volatile u64 *)dropped_of_type;
	record->dropped = *(volatile u64 *)&count->dropped;
	bpf_dynptr_write(&place, 0, scratch->made, bytes, 0);
	/*
	 * The flag is looked at when the place is taken: who raises it later sees the record. The sum that
	 * is fetched is a full barrier between the two, which nothing else here is.
	 */
	nth = __sync_fetch_and_add(&count->sent, 1);
	asm volatile("" : : "r"(nth));
	bpf_ringbuf_submit_dynptr(&place, wake_flags(client, count));
	sending->sent |= 1ull << client;
	return 0;
}

/* Which of @clients have it: those that have muted it have not, nor those of another tree. */
static __always_inline u64 send(struct scratch *scratch, u64 clients)
{
	u32 zero = 0, event = scratch->record.event_type & (ES_EVENTS_MAX - 1);
	struct es_control *page = bpf_map_lookup_elem(&control, &zero);
	struct sending sending = { .scratch = scratch };

	if (page)
		clients &= ~page->descending | scratch->mute.tree;
	if (page && clients & (page->muting.actor[event] | page->muting.target[event]))
		clients = not_muted(scratch->index, clients);
	if (!clients)
		return 0;
	sending.clients = clients;
	scratch->record.bytes = scratch->at;
	bpf_loop(ES_CLIENTS_MAX, send_one, &sending, 0);
	return sending.sent;
}

#endif
