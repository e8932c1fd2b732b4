/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Mutes: which clients do not want to hear of an event, by who acts and by what it is done to.
 *
 *   wanting()    before a record is begun: who has subscribed, less those that are known to have muted
 *                this process or its executable. A look into what is kept of the process.
 *   wanting_target() when there is nothing but the path of a file that is opened or closed: the same, of
 *                that file. It is the walk that costs, so it is looked up each time.
 *   mute_actor() when the acting process stands in the record: the same, found out and kept.
 *   not_muted()  when the record is whole, in send(): who is to have it. For AUTH and NOTIFY alike, by
 *                what the record says and nothing else.
 *
 * A path is looked up whole, and at each place at which one of the muted prefixes may end: behind each
 * '/', if a prefix ends so, and at the lengths of those that do not, since macOS' prefix is one of a
 * string. So what a look-up costs depends on the path, not on how many are muted; more than
 * MUTE_LOOKUPS are not made, and counted.
 *
 * A path counts only if it is one in the broker's mount namespace, as the mount says on which the file
 * lies, not the task that uses it: anybody can mount what he likes where he likes in a namespace of his
 * own. For the same reason a path is from the top of the mount tree, not from the task's root, and what
 * is cut, is another's word, or lies outside of what is mounted matches nothing. Where it is uncertain,
 * an event is told.
 */
#ifndef OB_ENDPOINT_BPF_MUTE_H
#define OB_ENDPOINT_BPF_MUTE_H

#include "endpoint/bpf/maps.h"

#define MUTE_LOOKUPS 256
#define MUTE_NO_PATH (ES_FILE_TRUNCATED | ES_FILE_UNKNOWN | ES_FILE_UNVERIFIED | ES_FILE_DETACHED)

/* ES_EVENT_TYPE_* whose target is more than one file */
enum {
	MUTE_AUTH_RENAME = 6,
	MUTE_NOTIFY_CREATE = 13,
	MUTE_NOTIFY_RENAME = 25,
	MUTE_AUTH_CREATE = 44
};

/* The number of the lowest bit of @set, which has one: without a branch, each of which the verifier follows. */
static __always_inline u32 lowest(u64 set)
{
	u64 below = (set & -set) - 1;

	below -= below >> 1 & 0x5555555555555555ull;
	below = (below & 0x3333333333333333ull) + (below >> 2 & 0x3333333333333333ull);
	below = (below + (below >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return below * 0x0101010101010101ull >> 56;
}

/* ---- looking up ------------------------------------------------------------------------------- */

struct mute_text {
	struct scratch *scratch;
	struct es_control *page;
	const char *text;
	u32 bytes, role, at;
};

static long mute_look_part(u32 index, struct mute_text *text)
{
	struct mute_work *work = &text->scratch->mute;
	u32 event = text->scratch->record.event_type & (ES_EVENTS_MAX - 1);
	struct es_mute_events *events;

	if (!work->some)
		return 1;
	work->part.client = lowest(work->some);
	work->some &= work->some - 1;
	events = bpf_map_lookup_elem(&mute_parts, &work->part);
	if (events && events->events[event / 64] & 1ull << event % 64)
		work->found |= 1ull << (work->part.client & 63);
	return 0;
}

/* Adds who has muted what part.key says to work->found. */
static __always_inline void mute_look(struct mute_text *text)
{
	struct mute_work *work = &text->scratch->mute;
	struct es_mute_clients *clients = bpf_map_lookup_elem(&mutes, &work->part.key);

	if (!clients)
		return;
	work->found |= clients->all;
	work->some = clients->some & ~work->found;
	if (work->some)
		bpf_loop(ES_CLIENTS_MAX, mute_look_part, text, 0);
}

/* The first @bytes of the path, the last ones of which, after the words in work->at, are @tail. */
static __always_inline void mute_look_path(struct mute_text *text, u32 kind, u32 bytes, u64 tail)
{
	struct mute_work *work = &text->scratch->mute;
	struct siphash at = work->at;

	siphash_end(&at, tail, bytes, SIPHASH_ROUNDS, SIPHASH_END_ROUNDS, work->part.key.hash);
	work->part.key.kind = kind + (text->role == ES_ROLE_TARGET ? ES_MUTE_TARGET_PREFIX : 0);
	work->part.key.bytes = bytes;
	mute_look(text);
}

static __always_inline u64 mute_low_bytes(u64 word, u32 n)
{
	return n < 8 ? word & ((1ull << n * 8) - 1) : word;
}

/* The next place in the word at which a prefix may end. One that ends with the word has no tail. */
static long mute_end(u32 index, struct mute_text *text)
{
	struct mute_work *work = &text->scratch->mute;
	u32 n;

	if (!work->ends)
		return 1;
	n = lowest(work->ends) / 8 + 1;
	work->ends &= work->ends - 1;
	if (work->looked++ >= MUTE_LOOKUPS)
		return 1;
	mute_look_path(
		text, ES_MUTE_PREFIX, text->at + n, n < 8 ? mute_low_bytes(work->word, n) : 0);
	return 0;
}

#define EACH_BYTE 0x0101010101010101ull
/* The highest bit of each byte that is '/': without carries from one byte into the next */
static __always_inline u64 mute_slashes(u64 word)
{
	const u64 low = 0x7f * EACH_BYTE;
	u64 other = word ^ '/' * EACH_BYTE;

	return ~(((other & low) + low) | other | low);
}

/* Bit n of @bits as the highest bit of byte n. */
static __always_inline u64 mute_spread(u64 bits)
{
	bits = (bits | bits << 28) & 0x0000000f0000000full;
	bits = (bits | bits << 14) & 0x0003000300030003ull;
	bits = (bits | bits << 7) & EACH_BYTE;
	return bits << 7;
}

static long mute_word(u32 index, struct mute_text *text)
{
	struct mute_work *work = &text->scratch->mute;
	struct es_muting *muting = &text->page->muting;
	/* by the index, which the verifier takes for any number: it would follow a count of ours step by step */
	u32 at = index * 8, left = text->bytes - at, role = text->role & 1;
	struct siphash hash;
	u64 ends;

	if (at >= text->bytes || at >= ES_BLOB_BYTES)
		return 1;
	/* seven bytes behind the text are read, of memory that is ours */
	if (bpf_probe_read_kernel(&work->word, sizeof work->word, text->text + at) < 0)
		work->word = 0;
	text->at = at;
	work->word = mute_low_bytes(work->word, left);
	ends = mute_spread(muting->lengths[role][(at / 8) & (ES_BLOB_BYTES / 8 - 1)]);
	if (muting->slashes[role])
		ends |= mute_slashes(work->word);
	work->ends = mute_low_bytes(ends, left) & ~(1ull << 63);
	if (work->ends)
		bpf_loop(7, mute_end, text, 0);
	if (left < 8)
		return 1; /* the tail */
	hash = work->at;
	siphash_word(&hash, work->word, SIPHASH_ROUNDS);
	work->at = hash;
	work->ends = ends & 1ull << 63;
	if (work->ends)
		bpf_loop(1, mute_end, text, 0);
	work->word = 0;
	return 0;
}

/*
 * From here on some functions are no static ones: the verifier looks at such a one by itself, once,
 * instead of at each place that it is called from. They are given numbers in place of pointers.
 */
static __always_inline struct scratch *mute_scratch(u32 index)
{
	return bpf_map_lookup_elem(&scratches, &index);
}

static __always_inline struct es_control *mute_page(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* Who has muted the path of @bytes at @from in the place that a record is made in. */
__attribute__((noinline)) u64 mute_path(u32 index, u32 from, u32 bytes, u32 role)
{
	struct scratch *scratch = mute_scratch(index);
	struct es_control *page = mute_page();
	struct mute_text text = { .scratch = scratch, .page = page, .bytes = bytes, .role = role };
	struct mute_work *work;
	struct siphash hash;

	if (!scratch || !page)
		return 0;
	text.text = (char *)scratch + (from & 0x1ffff);
	work = &scratch->mute;
	siphash_begin(&hash, page->muting.key[0], page->muting.key[1]);
	work->at = hash;
	work->found = work->looked = 0;
	work->word = 0;
	bpf_loop(ES_BLOB_BYTES / 8, mute_word, &text, 0);
	mute_look_path(&text, ES_MUTE_LITERAL, bytes, work->word);
	if (work->looked > MUTE_LOOKUPS) {
		__sync_fetch_and_add(&page->muting.capped, 1);
		return 0;
	}
	return work->found;
}

/* ---- who acts --------------------------------------------------------------------------------- */

static __always_inline bool mute_is_path(
	const struct es_control *page, const struct es_record_file *file, u32 bytes)
{
	return bytes > 1 && bytes < ES_BLOB_BYTES && !(file->flags & MUTE_NO_PATH) &&
		file->mount_namespace == page->mount_namespace;
}

#define MUTE_PATH_TEXT ES_OFFSET(struct scratch, path.text)

/* Where the string @blob of the record lies in the scratch. */
static __always_inline u32 mute_blob(struct scratch *scratch, u32 blob)
{
	u32 at = ES_OFFSET(struct scratch, made) + scratch->record.fixed_bytes, i;

	for (i = 0; i < blob; i++)
		at += scratch->record.blob_bytes[i];
	return at;
}

static __always_inline u32 mute_start_version(const struct es_record_process *process)
{
	return (u32)(process->start_boottime / 10000000);
}

/* Exactly this program of the process, or whichever it runs: see version_of(). */
static __always_inline u64 mute_process(struct scratch *scratch, const struct es_record_process *is)
{
	struct mute_text text = { .scratch = scratch };
	struct mute_work *work = &scratch->mute;

	work->found = 0;
	if (!is->token[5])
		return 0; /* outside of the broker's namespace: no number is its own */
	work->part.key.kind = ES_MUTE_PROCESS;
	work->part.key.bytes = 0;
	work->part.key.hash[0] = is->token[5];
	work->part.key.hash[1] = is->token[7];
	mute_look(&text);
	work->part.key.hash[1] = mute_start_version(is);
	mute_look(&text);
	return work->found;
}

/* Clients that leave out what the acting process of the record does. */
__attribute__((noinline)) u64 mute_actor_found(u32 index)
{
	struct scratch *scratch = mute_scratch(index);
	struct es_control *page = mute_page();
	struct es_record_process *actor;
	u64 processes = 0, paths = 0;
	u32 bytes;

	if (!scratch || !page)
		return 0;
	actor = &scratch->record.process;
	bytes = scratch->record.blob_bytes[ES_BLOB_EXECUTABLE];
	if (page->muting.processes)
		processes = mute_process(scratch, actor);
	if (mute_is_path(page, &actor->executable, bytes))
		paths = mute_path(
			index, mute_blob(scratch, ES_BLOB_EXECUTABLE), bytes - 1, ES_ROLE_ACTOR);
	return (processes ^ page->muting.inverted[ES_INVERT_PROCESS]) |
		(paths ^ page->muting.inverted[ES_INVERT_PATH]);
}

static __always_inline u64 mute_stamp(struct es_control *page, u32 event)
{
	u64 generation = *(volatile u64 *)&page->muting.generation;

	return (generation << 8 | (event & (ES_EVENTS_MAX - 1))) * 0x9e3779b97f4a7c15ull;
}

static __always_inline void mute_forget_verdicts(struct known *of)
{
	__builtin_memset(of->verdicts, 0, sizeof of->verdicts);
}

/* The acting process is in the record, whole, and @of is what is known of it, or NULL. */
static __always_inline void mute_actor(
	struct scratch *scratch, struct es_control *page, struct known *of)
{
	u32 event = scratch->record.event_type & (ES_EVENTS_MAX - 1);
	struct verdict *verdict;
	u64 stamp, muted;

	if (!of || !(page->subscribed[event] & page->muting.actor[event]))
		return;
	verdict = &of->verdicts[event % VERDICTS];
	stamp = mute_stamp(
		page, event); /* before it is looked: what changes meanwhile is looked up again */
	muted = *(volatile u64 *)&verdict->muted;
	if (*(volatile u64 *)&verdict->check != (muted ^ stamp)) {
		muted = mute_actor_found(scratch->index);
		*(volatile u64 *)&verdict->muted = muted;
		*(volatile u64 *)&verdict->check = muted ^ stamp;
	}
	scratch->mute.actor = muted;
	scratch->mute.actor_known = 1;
}

static __always_inline u64 wanting(struct es_control *page, u32 event)
{
	u64 clients = page->subscribed[event], muted;
	struct verdict *verdict;
	struct known *of;

	if (!(clients & page->muting.actor[event]))
		return clients;
	of = bpf_task_storage_get(&known, bpf_get_current_task_btf()->group_leader, 0, 0);
	if (!of)
		return clients;
	verdict = &of->verdicts[event % VERDICTS];
	muted = *(volatile u64 *)&verdict->muted;
	if (*(volatile u64 *)&verdict->check != (muted ^ mute_stamp(page, event)))
		return clients;
	return clients & ~muted;
}

/* A process that ends, or starts another program, is not muted any more. */
static __always_inline void mute_forget_process(struct es_control *page, u32 number, u32 version)
{
	struct es_mute_key key = { .hash = { number, version }, .kind = ES_MUTE_PROCESS };

	if (page->muting.processes)
		bpf_map_delete_elem(&mutes, &key);
}

/* ---- what it is done to ----------------------------------------------------------------------- */

static __always_inline const void *mute_string(struct scratch *scratch, u32 blob)
{
	return (char *)scratch + (mute_blob(scratch, blob) & 0x1ffff);
}

/* Directory and name: what an event would have made. */
__attribute__((noinline)) u64 mute_new_path(u32 index)
{
	struct scratch *scratch = mute_scratch(index);
	struct es_control *page = mute_page();
	struct es_record *record;
	u32 folder, name;
	char *text;

	if (!scratch || !page)
		return 0;
	record = &scratch->record;
	folder = record->blob_bytes[ES_BLOB_SECOND];
	name = record->blob_bytes[ES_BLOB_ARGUMENTS];
	text = scratch->path.text;
	if (!mute_is_path(page, &record->second, folder) || name < 2 || name > 256)
		return 0;
	asm volatile("" : "+r"(folder));
	if (folder >= ES_BLOB_BYTES || folder < 2)
		return 0;
	bpf_probe_read_kernel(text, folder, mute_string(scratch, ES_BLOB_SECOND));
	folder--;
	if (folder > 1) {
		asm volatile("" : "+r"(folder));
		if (folder >= ES_BLOB_BYTES)
			return 0;
		text[folder] = '/';
		folder++;
	}
	asm volatile("" : "+r"(folder), "+r"(name));
	if (folder > ES_BLOB_BYTES || name > 256)
		return 0;
	bpf_probe_read_kernel(text + folder, name, mute_string(scratch, ES_BLOB_ARGUMENTS));
	if (folder + name > ES_BLOB_BYTES)
		return 0;
	return mute_path(index, MUTE_PATH_TEXT, folder + name - 1, ES_ROLE_TARGET);
}

static __always_inline u64 mute_file(struct scratch *scratch, struct es_control *page,
	const struct es_record_file *file, u32 blob)
{
	u32 bytes = scratch->record.blob_bytes[blob];

	if (!mute_is_path(page, file, bytes))
		return 0;
	return mute_path(scratch->index, mute_blob(scratch, blob), bytes - 1, ES_ROLE_TARGET);
}

/* The same, of what has just been walked, while nothing but that and the event stands in the record. */
__attribute__((noinline)) u64 mute_walked(u32 index)
{
	struct scratch *scratch = mute_scratch(index);
	struct es_control *page = mute_page();
	u64 inverted, found = 0;
	u32 event, bytes;

	if (!scratch || !page)
		return 0;
	event = scratch->record.event_type & (ES_EVENTS_MAX - 1);
	bytes = scratch->path.bytes & (ES_BLOB_BYTES - 1);
	inverted = page->muting.inverted[ES_INVERT_TARGET];
	if (mute_is_path(page, &scratch->record.file, bytes))
		found = mute_path(
			index, MUTE_PATH_TEXT + ES_BLOB_BYTES - bytes, bytes - 1, ES_ROLE_TARGET);
	return (found ^ inverted) & page->muting.target[event];
}

/* Clients that leave out what is done to these targets: all muted; inverted: none of them is. */
static __always_inline u64 mute_targets(struct scratch *scratch, struct es_control *page)
{
	struct es_record *record = &scratch->record;
	u32 event = record->event_type & (ES_EVENTS_MAX - 1);
	u64 inverted = page->muting.inverted[ES_INVERT_TARGET], all, any, one;

	if ((event == MUTE_NOTIFY_CREATE || event == MUTE_AUTH_CREATE) && record->value == 1) {
		all = any = mute_new_path(scratch->index);
	} else if (record->fixed_bytes > ES_RECORD_FILES_BYTES) {
		all = any = mute_file(scratch, page, &record->target.executable, ES_BLOB_TARGET);
	} else {
		all = any = mute_file(scratch, page, &record->file, ES_BLOB_TARGET);
		if (event == MUTE_NOTIFY_RENAME || event == MUTE_AUTH_RENAME) {
			one = record->value == 1
				? mute_new_path(scratch->index)
				: mute_file(scratch, page, &record->second, ES_BLOB_SECOND);
			all &= one;
			any |= one;
		}
	}
	return ((all & ~inverted) | (~any & inverted)) & page->muting.target[event];
}

/* ---- both ------------------------------------------------------------------------------------- */

/* Which of @clients are to have the record, which is whole. Uses scratch->path. */
__attribute__((noinline)) u64 not_muted(u32 index, u64 clients)
{
	struct scratch *scratch = mute_scratch(index);
	struct es_control *page = mute_page();
	u32 event;

	if (!scratch || !page)
		return clients;
	event = scratch->record.event_type & (ES_EVENTS_MAX - 1);
	if (clients & page->muting.actor[event])
		clients &= ~(
			scratch->mute.actor_known ? scratch->mute.actor : mute_actor_found(index));
	if (clients & page->muting.target[event])
		clients &= ~mute_targets(scratch, page);
	return clients;
}

#endif
