/* SPDX-License-Identifier: Apache-2.0
 *
 * See mute.h. After each change the generation is another one, so that what a program has found out
 * about a process and kept is found out again.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "base/macros.h"
#include "endpoint/endpoint-wire.h"
#include "endpoint/engine/bpf.h"
#include "endpoint/engine/mute.h"
#include "endpoint/siphash.h"

struct row {
	struct es_mute_key key;
	struct es_mute_events events;
	bool directory; /* a prefix that ends in '/' */
};

/* A table with room, open addressing: rows[] without events are free. */
struct rows {
	struct row *rows;
	uint32_t n, size; /* size: power of two */
	uint32_t n_of_kind[ES_MUTE_KINDS];
	uint32_t of_event[ES_ROLES][ES_EVENTS_MAX]; /* how many rows have it */
	uint32_t inverted;
};

struct mutes {
	struct es_muting *muting;
	int clients_map_fd, parts_map_fd;
	uint32_t n;
	uint32_t of_length[ES_ROLES][ES_BLOB_BYTES + 1];
	struct rows *clients[ES_CLIENTS_MAX];
	struct es_mute_events
		whole[ES_ROLES]; /* all events that there are, and that have a target */
};

static const struct es_mute_events nothing;

static bool is_set(const struct es_mute_events *events, uint32_t event)
{
	return events->events[event / 64] & 1ull << event % 64;
}

static bool is_nothing(const struct es_mute_events *events)
{
	return memcmp(events, &nothing, sizeof nothing) == 0;
}

static enum es_mute_role role_of(uint32_t kind)
{
	return kind == ES_MUTE_TARGET_PREFIX || kind == ES_MUTE_TARGET_LITERAL ? ES_ROLE_TARGET
									       : ES_ROLE_ACTOR;
}

/* ---- rows ------------------------------------------------------------------------------------- */

static struct es_mute_key key_of(const struct mutes *mutes, const struct engine_mute *mute)
{
	struct es_mute_key key = { .kind = mute->kind };
	struct siphash at;
	uint64_t word = 0;
	uint32_t done;

	if (mute->kind == ES_MUTE_PROCESS) {
		key.hash[0] = (uint32_t)mute->pid;
		key.hash[1] = mute->version;
		return key;
	}
	key.bytes = (uint32_t)strlen(mute->path);
	siphash_begin(&at, mutes->muting->key[0], mutes->muting->key[1]);
	for (done = 0; done + 8 <= key.bytes; done += 8) {
		memcpy(&word, mute->path + done, 8);
		siphash_word(&at, le64toh(word), SIPHASH_ROUNDS);
	}
	word = 0;
	memcpy(&word, mute->path + done, key.bytes - done);
	siphash_end(&at, le64toh(word), key.bytes, SIPHASH_ROUNDS, SIPHASH_END_ROUNDS, key.hash);
	return key;
}

/* The row of @key, or the free one where it would be. */
static struct row *find(const struct rows *of, const struct es_mute_key *key)
{
	uint32_t at = (uint32_t)(key->hash[0] ^ key->hash[1] * 0x9e3779b97f4a7c15ull >> 32 ^
			      key->kind) &
		(of->size - 1);

	while (!is_nothing(&of->rows[at].events) &&
		memcmp(&of->rows[at].key, key, sizeof *key) != 0)
		at = (at + 1) & (of->size - 1);
	return &of->rows[at];
}

static int grow(struct rows *of)
{
	struct rows larger = { .size = of->size ? of->size * 2 : 64 };
	uint32_t i;

	if (of->n * 2 < of->size)
		return 0;
	larger.rows = calloc(larger.size, sizeof *larger.rows);
	if (!larger.rows)
		return -ENOMEM;
	for (i = 0; i < of->size; i++)
		if (!is_nothing(&of->rows[i].events))
			*find(&larger, &of->rows[i].key) = of->rows[i];
	free(of->rows);
	of->rows = larger.rows;
	of->size = larger.size;
	return 0;
}

/* Those that follow without a gap may have been put there because of this one: they are put anew. */
static void take_out(struct rows *of, struct row *row)
{
	uint32_t at = (uint32_t)(row - of->rows);

	row->events = nothing;
	for (at = (at + 1) & (of->size - 1); !is_nothing(&of->rows[at].events);
		at = (at + 1) & (of->size - 1)) {
		struct row moved = of->rows[at];

		of->rows[at].events = nothing;
		*find(of, &moved.key) = moved;
	}
}

static struct rows *rows_of(struct mutes *mutes, uint32_t client)
{
	if (client >= ES_CLIENTS_MAX)
		return NULL;
	if (!mutes->clients[client])
		mutes->clients[client] = calloc(1, sizeof *mutes->clients[client]);
	return mutes->clients[client];
}

/* ---- the maps --------------------------------------------------------------------------------- */

/* What the other clients have of @key stays. */
static int put_clients(struct mutes *mutes, uint32_t client, const struct es_mute_key *key,
	const struct es_mute_events *events)
{
	const uint64_t bit = 1ull << client;
	struct es_mute_clients clients = { 0 };
	int r = bpf_map_get(mutes->clients_map_fd, key, &clients);

	if (r < 0 && r != -ENOENT)
		return r;
	clients.all &= ~bit;
	clients.some &= ~bit;
	if (memcmp(events, &mutes->whole[role_of(key->kind)], sizeof *events) == 0)
		clients.all |= bit;
	else if (!is_nothing(events))
		clients.some |= bit;
	if (clients.all | clients.some)
		return bpf_map_put(mutes->clients_map_fd, key, &clients, BPF_ANY);
	return r == -ENOENT ? 0 : bpf_map_drop(mutes->clients_map_fd, key);
}

static int put_maps(struct mutes *mutes, uint32_t client, const struct es_mute_key *key,
	const struct es_mute_events *events)
{
	const struct es_mute_part part = { .key = *key, .client = client };
	const bool some = !is_nothing(events) &&
		memcmp(events, &mutes->whole[role_of(key->kind)], sizeof *events) != 0;
	int r = some ? bpf_map_put(mutes->parts_map_fd, &part, events, BPF_ANY) : 0;

	if (r == 0)
		r = put_clients(mutes, client, key, events);
	/* after the one that points here */
	if (r == 0 && !some)
		bpf_map_drop(mutes->parts_map_fd, &part);
	return r == -E2BIG ? -ENOBUFS : r;
}

/* ---- the page --------------------------------------------------------------------------------- */

static void set_bit(uint64_t *word, uint64_t bit, bool on)
{
	if (on)
		__atomic_fetch_or(word, bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(word, ~bit, __ATOMIC_RELAXED);
}

/* Whether an event of that type can be muted by this client at all: the programs ask this first. */
static void show_events(struct mutes *mutes, uint32_t client)
{
	const struct rows *of = mutes->clients[client];
	const uint64_t bit = 1ull << client;
	const uint32_t by_actor = 1u << ES_INVERT_PROCESS | 1u << ES_INVERT_PATH;
	uint32_t i;

	for (i = 0; i < ES_EVENTS_MAX; i++) {
		bool actor = of->of_event[ES_ROLE_ACTOR][i] || of->inverted & by_actor;
		bool target = of->of_event[ES_ROLE_TARGET][i] ||
			(of->inverted & 1u << ES_INVERT_TARGET &&
				is_set(&mutes->whole[ES_ROLE_TARGET], i));

		set_bit(&mutes->muting->actor[i], bit, actor);
		set_bit(&mutes->muting->target[i], bit, target);
	}
	__atomic_fetch_add(&mutes->muting->generation, 1, __ATOMIC_RELEASE);
}

/* Where prefixes end: a length of its own for each that does not end in '/'. */
static void count_prefix(struct mutes *mutes, const struct row *row, int by)
{
	enum es_mute_role role = role_of(row->key.kind);
	uint32_t last = row->key.bytes - 1;

	if (row->key.kind != ES_MUTE_PREFIX && row->key.kind != ES_MUTE_TARGET_PREFIX)
		return;
	if (row->directory) {
		mutes->muting->slashes[role] += (uint32_t)by;
		return;
	}
	mutes->of_length[role][row->key.bytes] += (uint32_t)by;
	if (mutes->of_length[role][row->key.bytes])
		mutes->muting->lengths[role][last / 8] |= (uint8_t)(1u << last % 8);
	else
		mutes->muting->lengths[role][last / 8] &= (uint8_t) ~(1u << last % 8);
}

static void count(struct mutes *mutes, struct rows *of, const struct row *row, int by)
{
	enum es_mute_role role = role_of(row->key.kind);
	uint32_t i;

	if (is_nothing(&row->events))
		return;
	for (i = 0; i < ES_EVENTS_MAX; i++)
		if (is_set(&row->events, i))
			of->of_event[role][i] += (uint32_t)by;
	of->n += (uint32_t)by;
	mutes->n += (uint32_t)by;
	of->n_of_kind[row->key.kind] += (uint32_t)by;
	if (row->key.kind == ES_MUTE_PROCESS)
		mutes->muting->processes += (uint32_t)by;
	count_prefix(mutes, row, by);
}

/* ---- what engine.c hands on ------------------------------------------------------------------- */

static int check_room(const struct mutes *mutes, const struct rows *of, uint32_t kind)
{
	if (mutes->n >= ES_MUTES_MAX)
		return -ENOBUFS;
	if (kind == ES_MUTE_PROCESS)
		return of->n_of_kind[ES_MUTE_PROCESS] < ENDPOINT_MUTED_PROCESSES_MAX ? 0 : -ENOSPC;
	return of->n - of->n_of_kind[ES_MUTE_PROCESS] < ENDPOINT_MUTED_PATHS_MAX ? 0 : -ENOSPC;
}

int mutes_set(struct mutes *mutes, uint32_t client, const struct engine_mute *mute)
{
	const enum es_mute_role role = role_of(mute->kind);
	struct rows *of = rows_of(mutes, client);
	struct row *row, fresh = { 0 };
	uint32_t i;
	int r = of ? grow(of) : -ENOMEM;

	if (r < 0)
		return r;
	fresh.key = key_of(mutes, mute);
	for (i = 0; i < ARRAY_SIZE(fresh.events.events); i++)
		fresh.events.events[i] = mute->events[i] & mutes->whole[role].events[i];
	fresh.directory = fresh.key.bytes && mute->path[fresh.key.bytes - 1] == '/';
	row = find(of, &fresh.key);
	if (is_nothing(&row->events) && is_nothing(&fresh.events))
		return 0;
	if (is_nothing(&row->events))
		r = check_room(mutes, of, mute->kind);
	if (r == 0)
		r = put_maps(mutes, client, &fresh.key, &fresh.events);
	if (r < 0) {
		put_maps(mutes, client, &fresh.key, &row->events);
		return r;
	}
	count(mutes, of, row, -1);
	count(mutes, of, &fresh, 1);
	if (is_nothing(&fresh.events))
		take_out(of, row);
	else
		*row = fresh;
	show_events(mutes, client);
	return 0;
}

void mutes_count(const struct mutes *mutes, uint32_t client, uint32_t ret[static ES_MUTE_KINDS],
	uint32_t *ret_inverted)
{
	static const struct rows none;
	const struct rows *of = client < ES_CLIENTS_MAX ? mutes->clients[client] : NULL;

	if (!of)
		of = &none;
	memcpy(ret, of->n_of_kind, sizeof of->n_of_kind);
	*ret_inverted = of->inverted;
}

void mutes_invert(struct mutes *mutes, uint32_t client, uint32_t inverted)
{
	struct rows *of = rows_of(mutes, client);
	uint32_t i;

	if (!of)
		return;
	of->inverted = inverted;
	for (i = 0; i < ES_INVERSIONS; i++)
		set_bit(&mutes->muting->inverted[i], 1ull << client, inverted & 1u << i);
	show_events(mutes, client);
}

/* A program takes out a process that has ended. */
bool mutes_has(struct mutes *mutes, uint32_t client, const struct engine_mute *mute)
{
	const struct es_mute_key key = key_of(mutes, mute);
	struct es_mute_clients clients = { 0 };

	return bpf_map_get(mutes->clients_map_fd, &key, &clients) == 0 &&
		(clients.all | clients.some) & 1ull << client;
}

void mutes_drop(struct mutes *mutes, uint32_t client)
{
	struct rows *of = client < ES_CLIENTS_MAX ? mutes->clients[client] : NULL;
	uint32_t i;

	if (!of)
		return;
	for (i = 0; i < of->size; i++) {
		if (is_nothing(&of->rows[i].events))
			continue;
		put_maps(mutes, client, &of->rows[i].key, &nothing);
		count(mutes, of, &of->rows[i], -1);
	}
	mutes_invert(mutes, client, 0);
	free(of->rows);
	free(of);
	mutes->clients[client] = NULL;
}

int mutes_new(struct es_muting *muting, int clients_map_fd, int parts_map_fd, struct mutes **ret)
{
	struct mutes *mutes = calloc(1, sizeof *mutes);
	uint32_t i;

	if (!mutes)
		return -ENOMEM;
	mutes->muting = muting;
	mutes->clients_map_fd = clients_map_fd;
	mutes->parts_map_fd = parts_map_fd;
	for (i = 0; i < ES_EVENTS_MAX; i++) {
		if (!capability_name(i))
			continue;
		mutes->whole[ES_ROLE_ACTOR].events[i / 64] |= 1ull << i % 64;
		if (capability_has_target(i))
			mutes->whole[ES_ROLE_TARGET].events[i / 64] |= 1ull << i % 64;
	}
	if (getrandom(muting->key, sizeof muting->key, 0) != sizeof muting->key) {
		free(mutes);
		return -EIO;
	}
	muting->generation = 1;
	*ret = mutes;
	return 0;
}

struct mutes *mutes_free(struct mutes *mutes)
{
	uint32_t i;

	if (!mutes)
		return NULL;
	for (i = 0; i < ES_CLIENTS_MAX; i++) {
		if (mutes->clients[i])
			free(mutes->clients[i]->rows);
		free(mutes->clients[i]);
	}
	free(mutes);
	return NULL;
}
