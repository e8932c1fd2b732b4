/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine in the daemon: rings of clients, and what else the kernel's programs look in. See engine.h;
 * who is told of what, and which programs are attached for that, is in watch.c.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/macros.h"
#include "endpoint/endpoint-wire.h"
#include "endpoint/engine/ask.h"
#include "endpoint/engine/bpf.h"
#include "endpoint/engine/engine-internal.h"
#include "endpoint/engine/mute.h"

#define ADOPT_ROUNDS 8u

uint32_t engine_sources(const struct engine *engine)
{
	return engine->sources;
}

struct ask *engine_ask(struct engine *engine)
{
	return engine->ask;
}

int engine_count(struct engine *engine, uint32_t client, struct endpoint_counters *ret)
{
	struct es_counters counters = { 0 };
	int r = bpf_map_get(engine->loaded.maps[MAP_counters], &client, &counters);

	if (r < 0)
		return r;
	ret->dropped = counters.dropped;
	ret->sent = counters.sent;
	ret->unmade = engine->control->no_scratch;
	ret->unasked = engine->control->unasked;
	ret->exchanged = engine->control->exchanged;
	ret->missed = engine->ask ? ask_count(engine->ask, client, ASK_MISSED) : 0;
	return 0;
}

void engine_look(const struct engine *engine, uint32_t client, struct engine_client *ret)
{
	struct es_counters counters = { 0 };
	uint32_t i;

	*ret = (struct engine_client){ .ring_bytes = engine->ring_bytes[client] };
	if (bpf_map_get(engine->loaded.maps[MAP_counters], &client, &counters) == 0) {
		ret->sent = counters.sent;
		ret->dropped = counters.dropped;
		memcpy(ret->dropped_of_type, counters.dropped_of_type, sizeof ret->dropped_of_type);
	}
	for (i = 0; i < ES_EVENTS_MAX; i++)
		if (engine->control->subscribed[i] & 1ull << client)
			ret->subscribed[i / 64] |= 1ull << i % 64;
	for (i = 0; i < 2; i++)
		ret->deadline_ms[i] = (uint32_t)(engine->control->answer_ns[i][client] / 1000000);
	mutes_count(engine->mutes, client, ret->mutes, &ret->inverted);
	if (!engine->ask)
		return;
	ret->asked = ask_count(engine->ask, client, ASK_ASKED);
	ret->answered = ask_count(engine->ask, client, ASK_ANSWERED);
	ret->wrong = ask_count(engine->ask, client, ASK_WRONG);
	ret->missed = ask_count(engine->ask, client, ASK_MISSED);
	ret->waiting = ret->asked - ask_count(engine->ask, client, ASK_OVER);
	ret->miss_mode = ask_get_miss(engine->ask, client);
}

void engine_total(const struct engine *engine, struct engine_totals *ret)
{
	const struct es_control *control = engine->control;

	*ret = (struct engine_totals){ .unmade = control->no_scratch,
		.unstored = control->no_storage,
		.unasked = control->unasked,
		.exchanged = control->exchanged,
		.unmuted = control->muting.capped };
	memcpy(ret->subscribed, control->subscribed, sizeof ret->subscribed);
}

void engine_set_deadlines(
	struct engine *engine, uint32_t client, const struct endpoint_deadlines *deadlines)
{
	int i;

	for (i = 0; i < 2; i++)
		engine->control->answer_ns[i][client] = deadlines->milliseconds[i] * 1000000ull;
	if (engine->ask)
		ask_set_miss(engine->ask, client, (enum ask_miss)deadlines->miss_mode);
}

/* ---- clients ---------------------------------------------------------------------------------- */

int engine_add_client(struct engine *engine, uint32_t client, uint32_t ring_bytes, int32_t pid,
	int pid_fd, int ret_fds[static CLIENT_FDS])
{
	static const struct es_counters none;
	const int *maps = engine->loaded.maps;
	_cleanup_fd_ int ring = -1, wake = -1;
	int r;

	if (client >= ES_CLIENTS_MAX || ring_bytes < ENDPOINT_RING_BYTES_MIN ||
		ring_bytes & (ring_bytes - 1))
		return -EINVAL;
	engine_drop_client(engine, client);
	if (engine->all_bytes + ring_bytes > ENDPOINT_RING_BYTES_ALL)
		return -ENOBUFS;
	ring = bpf_map_new(BPF_MAP_TYPE_RINGBUF, 0, 0, ring_bytes, 0);
	wake = bpf_map_new(BPF_MAP_TYPE_ARRAY, 4, sizeof(struct es_wake_page), 1, BPF_F_MMAPABLE);
	if (ring < 0 || wake < 0)
		return ring < 0 ? ring : wake;
	r = bpf_map_put(maps[MAP_counters], &client, &none, BPF_ANY);
	if (r == 0)
		r = bpf_map_put(maps[MAP_wakes], &client, &wake, BPF_ANY);
	if (r == 0)
		r = bpf_map_put(maps[MAP_rings], &client, &ring, BPF_ANY);
	ret_fds[CLIENT_ANSWERS] = -1;
	if (r == 0 && engine->ask)
		r = ask_add_client(engine->ask, client, pid, pid_fd, &ret_fds[CLIENT_ANSWERS]);
	if (r < 0)
		return r;
	engine->ring_bytes[client] = ring_bytes;
	engine->all_bytes += ring_bytes;
	ret_fds[CLIENT_RING] = TAKE_FD(ring);
	ret_fds[CLIENT_WAKE] = TAKE_FD(wake);
	return 0;
}

/*
 * Each task that is there is looked at, until none is new: what is forked meanwhile may be of one that
 * was not looked at yet. @pid 0: nobody descends any more.
 */
static int adopt(struct engine *engine, uint32_t client, int32_t pid)
{
	struct es_control *control = engine->control;
	uint32_t before, rounds = 0;
	int r;

	control->adopt_client = 1ull << client;
	control->adopt_pid = (uint32_t)pid;
	do {
		before = __atomic_load_n(&control->adopted, __ATOMIC_RELAXED);
		r = bpf_iterate_task(engine->loaded.programs[PROGRAM_adopt], 0);
		rounds++;
	} while (r == 0 && rounds < ADOPT_ROUNDS &&
		(rounds < 2 || __atomic_load_n(&control->adopted, __ATOMIC_RELAXED) != before));
	return r;
}

int engine_descend(struct engine *engine, uint32_t client, int32_t pid)
{
	__atomic_fetch_or(&engine->control->descending, 1ull << client, __ATOMIC_RELAXED);
	return adopt(engine, client, pid);
}

void engine_drop_client(struct engine *engine, uint32_t client)
{
	watch_forget(engine, client);
	if (engine->control->descending & 1ull << client) {
		adopt(engine, client, 0);
		__atomic_fetch_and(
			&engine->control->descending, ~(1ull << client), __ATOMIC_RELAXED);
	}
	mutes_drop(engine->mutes, client);
	if (engine->ring_bytes[client] == 0)
		return;
	if (engine->ask)
		ask_drop_client(engine->ask, client);
	/* never given to another: the old client still has it mapped */
	bpf_map_drop(engine->loaded.maps[MAP_rings], &client);
	bpf_map_drop(engine->loaded.maps[MAP_wakes], &client);
	engine->all_bytes -= engine->ring_bytes[client];
	engine->ring_bytes[client] = 0;
}

/* ---- which program a file is ------------------------------------------------------------------ */

int engine_wanted_fd(const struct engine *engine)
{
	return engine->loaded.maps[MAP_wanted];
}

int engine_identity_put(struct engine *engine, const struct es_identity_key *key,
	const struct es_identity *identity)
{
	return bpf_map_put(engine->loaded.maps[MAP_identities], key, identity, BPF_ANY);
}

void engine_identity_drop(struct engine *engine, const struct es_identity_key *key)
{
	bpf_map_drop(engine->loaded.maps[MAP_identities], key);
}

uint32_t engine_identity_epoch(const struct engine *engine)
{
	return engine->control->identity_epoch;
}

void engine_identity_renew(struct engine *engine)
{
	uint32_t next = engine->control->identity_epoch + 1;

	__atomic_store_n(&engine->control->identity_epoch, next ? next : 1, __ATOMIC_RELAXED);
}

/* ---- mutes ------------------------------------------------------------------------------------ */

int engine_mute(struct engine *engine, uint32_t client, const struct engine_mute *mute)
{
	return mutes_set(engine->mutes, client, mute);
}

void engine_invert(struct engine *engine, uint32_t client, uint32_t inverted)
{
	mutes_invert(engine->mutes, client, inverted);
}

bool engine_is_muted(struct engine *engine, uint32_t client, const struct engine_mute *mute)
{
	return mutes_has(engine->mutes, client, mute);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static int set_up(struct engine *engine, int scope_fd)
{
	const size_t bytes = (sizeof *engine->control + 4095) & ~4095ul;
	const uint32_t zero = 0;
	struct stat namespace;
	int r;

	engine->control = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		engine->loaded.maps[MAP_control], 0);
	if (engine->control == MAP_FAILED) {
		engine->control = NULL;
		return -errno;
	}
	if (stat("/proc/self/ns/pid", &namespace) < 0)
		return -errno;
	engine->control->identity_epoch = 1;
	engine->control->broker_pid = (uint32_t)getpid();
	engine->control->pid_namespace = (uint32_t) namespace.st_ino;
	if (stat("/proc/self/ns/mnt", &namespace) < 0)
		return -errno;
	engine->control->mount_namespace = (uint32_t) namespace.st_ino;
	r = mutes_new(&engine->control->muting, engine->loaded.maps[MAP_mutes],
		engine->loaded.maps[MAP_mute_parts], &engine->mutes);
	if (r < 0)
		return r;
	if (scope_fd >= 0) {
		r = bpf_map_put(engine->loaded.maps[MAP_scope_cgroups], &zero, &scope_fd, BPF_ANY);
		if (r < 0)
			return r;
		if (fstat(scope_fd, &namespace) < 0)
			return -errno;
		engine->control
			->scope_cgroup = namespace.st_ino; /* as cgroup v2 numbers its folders */
		engine->control->scoped = 1;
	}
	return 0;
}

/* Without it everything can still be watched. */
static void open_ask(struct engine *engine, const struct engine_settings *settings)
{
	const struct ask_settings ask = { .loaded = &engine->loaded,
		.control = engine->control,
		.filesystems = settings->filesystems,
		.pulse = settings->pulse,
		.fail_closed = settings->fail_closed };

	/* a scope without file systems of its own must not hold those of the machine */
	bool bounded = settings->scope_fd < 0 || settings->filesystems;

	if (engine->sources & SOURCE_ASK && (!bounded || ask_new(&ask, &engine->ask) < 0))
		engine->sources &= ~SOURCE_ASK;
}

int engine_new(
	const struct engine_settings *settings, struct engine **ret, char problem[static 256])
{
	struct engine *engine = calloc(1, sizeof *engine);
	int r;

	problem[0] = '\0';
	if (!engine)
		return -ENOMEM;
	r = watch_begin(engine, settings->sources | SOURCE_TRACEPOINT, problem);
	if (r == 0)
		r = set_up(engine, settings->scope_fd);
	if (r == 0)
		r = watch_attach_first(engine);
	if (r < 0) {
		engine_free(engine);
		return r;
	}
	engine->fail_closed = settings->fail_closed;
	open_ask(engine, settings);
	*ret = engine;
	return 0;
}

struct engine *engine_free(struct engine *engine)
{
	if (!engine)
		return NULL;
	load_end(&engine->loading);
	ask_free(engine->ask);
	mutes_free(engine->mutes);
	if (engine->control)
		munmap(engine->control, (sizeof *engine->control + 4095) & ~4095ul);
	loaded_done(&engine->loaded);
	free(engine);
	return NULL;
}
