/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is told of what, and which programs are loaded and attached for that. Loading takes seconds on a
 * slow machine, and attaching waits for the kernel: both are done by a child, while the daemon's loop
 * serves the others. Detaching waits, too: a thread does it, and only after a while, since whoever has
 * gone may come back. A program that is attached and has nobody looks at that first.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/macros.h"
#include "endpoint/engine/ask.h"
#include "endpoint/engine/bpf.h"
#include "endpoint/engine/engine-internal.h"

enum { EVENT_AUTH_EXEC, EVENT_AUTH_OPEN };

/* ---- what is needed ---------------------------------------------------------------------------- */

static bool has_event(const uint64_t events[static ES_EVENTS_MAX / 64], uint32_t event)
{
	return events[event / 64] & 1ull << event % 64;
}

static bool is_wanted(const struct engine *engine, uint32_t event)
{
	int i;

	for (i = 0; i < ES_CLIENTS_MAX; i++)
		if (has_event(engine->wanted[i], event))
			return true;
	return false;
}

static bool is_needed(const struct engine *engine, const struct program_row *row)
{
	const uint16_t *event = row->events;

	if (!(engine->sources & object_rows[row->object].source))
		return false;
	if (*event == ALWAYS)
		return true;
	for (; *event != END; event++)
		if (*event != NEVER && is_wanted(engine, *event))
			return true;
	return false;
}

static bool is_attached(const struct program_row *row)
{
	return row->events[0] != NEVER;
}

/* False: all is there. */
static bool order_missing(const struct engine *engine, struct load_order *ret)
{
	bool any = false;
	int i;

	*ret = (struct load_order){ .not_kept_fd = engine->ask ? ask_group_fd(engine->ask) : -1 };
	for (i = 0; i < PROGRAMS; i++) {
		const struct program_row *row = &program_rows[i];

		if (!is_needed(engine, row))
			continue;
		if (engine->loaded.programs[i] < 0)
			any = ret->load[row->object] = true;
		if (is_attached(row) && engine->loaded.links[i] < 0)
			any = ret->attach[i] = true;
	}
	return any;
}

/* ---- who is told ------------------------------------------------------------------------------- */

/* What is under way already found no mark, and was nobody's question. */
static void must_ask_from_now(struct es_control *control)
{
	uint64_t last = __atomic_load_n(&control->exec_numbers, __ATOMIC_SEQ_CST);

	__atomic_store_n(&control->must_ask_from, last + 1, __ATOMIC_RELAXED);
}

/* Held is only what is numbered and compared: the programs come first. */
static int set_marks(struct engine *engine)
{
	struct es_control *control = engine->control;
	const bool exec = control->subscribed[EVENT_AUTH_EXEC] != 0;
	int r = 0;

	if (!exec)
		__atomic_store_n(&control->must_ask_from, 0, __ATOMIC_RELAXED);
	if (engine->ask)
		r = ask_watch(engine->ask, exec, control->subscribed[EVENT_AUTH_OPEN] != 0);
	if (r == 0 && exec && engine->fail_closed && !control->must_ask_from)
		must_ask_from_now(control);
	return r;
}

/* From now on: of @events; what is not among them is over at once. */
static void publish(struct engine *engine, uint32_t client, bool also_new)
{
	const uint64_t bit = 1ull << client;
	uint64_t *subscribed = engine->control->subscribed;
	uint32_t i;

	for (i = 0; i < ES_EVENTS_MAX; i++) {
		if (!has_event(engine->wanted[client], i)) {
			if (subscribed[i] & bit)
				__atomic_fetch_and(&subscribed[i], ~bit, __ATOMIC_RELAXED);
		} else if (also_new) {
			__atomic_fetch_or(&subscribed[i], bit, __ATOMIC_RELAXED);
		}
	}
}

static bool can_all(const struct engine *engine, uint32_t client)
{
	uint32_t i;

	for (i = 0; i < ES_EVENTS_MAX; i++)
		if (has_event(engine->wanted[client], i) && !capability_of(i, engine->sources))
			return false;
	return true;
}

/* What it had is what it has. */
static int give_up(struct engine *engine, uint32_t client, int error)
{
	const uint64_t bit = 1ull << client;
	uint32_t i;

	memset(engine->wanted[client], 0, sizeof engine->wanted[client]);
	for (i = 0; i < ES_EVENTS_MAX; i++)
		if (engine->control->subscribed[i] & bit)
			engine->wanted[client][i / 64] |= 1ull << i % 64;
	return error;
}

static int try_client(struct engine *engine, uint32_t client)
{
	struct load_order order;
	int r;

	if (!can_all(engine, client))
		return give_up(engine, client, -EOPNOTSUPP);
	if (order_missing(engine, &order)) {
		r = engine->loading.pid ? 0 : load_begin(&engine->loading, &order, &engine->loaded);
		return r < 0 ? give_up(engine, client, r) : -EINPROGRESS;
	}
	publish(engine, client, true);
	r = set_marks(engine);
	if (r < 0) {
		memset(engine->wanted[client], 0, sizeof engine->wanted[client]);
		publish(engine, client, false);
	}
	return r;
}

int engine_watch(
	struct engine *engine, uint32_t client, const uint64_t events[static ES_EVENTS_MAX / 64])
{
	int r;

	memcpy(engine->wanted[client], events, sizeof engine->wanted[client]);
	publish(engine, client, false);
	set_marks(engine);
	r = try_client(engine, client);
	if (r == -EINPROGRESS)
		engine->waiting |= 1ull << client;
	return r;
}

void watch_forget(struct engine *engine, uint32_t client)
{
	memset(engine->wanted[client], 0, sizeof engine->wanted[client]);
	engine->waiting &= ~(1ull << client);
	publish(engine, client, false);
	set_marks(engine);
}

/* ---- what the child has done ------------------------------------------------------------------- */

int engine_loading_fd(const struct engine *engine)
{
	return engine->loading.fd;
}

static void close_object(struct engine *engine, enum object which)
{
	int i;

	for (i = 0; i < PROGRAMS; i++) {
		if (program_rows[i].object != which)
			continue;
		engine->loaded.links[i] = fd_close(engine->loaded.links[i]);
		engine->loaded.programs[i] = fd_close(engine->loaded.programs[i]);
	}
}

static void lose_sources(struct engine *engine, uint32_t failed)
{
	int i;

	for (i = 0; i < OBJECTS; i++) {
		if (!(failed & 1u << i) || i == OBJECT_PROCESS)
			continue;
		close_object(engine, (enum object)i);
		engine->sources &= ~object_rows[i].source;
		/* what it cannot, another one may, less well */
		if (object_rows[i].source == SOURCE_TRAMPOLINE)
			engine->sources |= engine->allowed & SOURCES_PLAIN;
	}
}

int engine_loaded(
	struct engine *engine, engine_watched_fn *watched, void *context, char problem[static 256])
{
	struct load_result result;
	uint64_t waiting;
	int r = load_take(&engine->loading, false, &engine->loaded, &result);

	if (r < 0)
		return r;
	memcpy(problem, result.problem, 256);
	lose_sources(engine, result.failed);
	waiting = engine->waiting;
	engine->waiting = 0;
	for (; waiting; waiting &= waiting - 1) {
		uint32_t client = (uint32_t)__builtin_ctzll(waiting);

		r = try_client(engine, client);
		if (r == -EINPROGRESS)
			engine->waiting |= 1ull << client;
		else
			watched(client, r, context);
	}
	return result.status;
}

int watch_begin(struct engine *engine, uint32_t sources, char problem[static 256])
{
	const struct load_order order = { .load = { [OBJECT_PROCESS] = true }, .not_kept_fd = -1 };
	struct load_result result = { .status = -EPROTO };
	int r;

	load_init(&engine->loading, &engine->loaded);
	engine->allowed = engine->sources = sources;
	r = load_begin(&engine->loading, &order, &engine->loaded);
	if (r == 0)
		r = load_take(&engine->loading, true, &engine->loaded, &result);
	if (r < 0)
		return r;
	memcpy(problem, result.problem, 256);
	if (result.has_trampolines && sources & SOURCE_TRAMPOLINE)
		engine->sources &= ~SOURCES_PLAIN; /* all of it is told, and better */
	else
		engine->sources &= ~SOURCE_TRAMPOLINE;
	return result.status;
}

/* Tracepoints alone, which wait for nobody. */
int watch_attach_first(struct engine *engine)
{
	int i;

	for (i = 0; i < PROGRAMS; i++) {
		if (program_rows[i].events[0] != ALWAYS)
			continue;
		engine->loaded.links[i] = bpf_attach(engine->loaded.programs[i]);
		if (engine->loaded.links[i] < 0)
			return engine->loaded.links[i];
	}
	return 0;
}

/* ---- what is needed no more -------------------------------------------------------------------- */

bool engine_can_rest(const struct engine *engine)
{
	int i;

	for (i = 0; i < PROGRAMS; i++)
		if (engine->loaded.links[i] >= 0 && !is_needed(engine, &program_rows[i]))
			return true;
	return false;
}

struct links {
	int n, fds[PROGRAMS];
};

static void *close_links(void *data)
{
	struct links *links = data;
	int i;

	for (i = 0; i < links->n; i++)
		fd_close(links->fds[i]);
	free(links);
	return NULL;
}

void engine_rest(struct engine *engine)
{
	struct links *links = calloc(1, sizeof *links);
	pthread_t thread;
	int i;

	if (!links)
		return; /* they cost a little longer */
	for (i = 0; i < PROGRAMS; i++) {
		if (engine->loaded.links[i] < 0 || is_needed(engine, &program_rows[i]))
			continue;
		links->fds[links->n++] = engine->loaded.links[i];
		engine->loaded.links[i] = -1;
	}
	if (pthread_create(&thread, NULL, close_links, links) == 0)
		pthread_detach(thread);
	else
		close_links(links);
}
