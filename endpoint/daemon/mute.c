/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client has muted. Its library has the sets and says here what is in them; a message that is
 * not of the protocol ends the connection, one that asks for what cannot be is told so, row by row.
 */
#include <errno.h>
#include <string.h>
#include "endpoint/daemon/esd.h"

/*
 * The process that is meant must live: by its number, and by when it began. The version says that and
 * how often it has begun a program, or only the first: see version_of() in bpf/process.h.
 */
#define EXECS_FACTOR 0x9e3779b1u
#define EXECS_MAX (1u << 20)

static uint32_t inverse(uint32_t odd)
{
	uint32_t x = odd;
	int i;

	for (i = 0; i < 5; i++) /* Newton: each turn doubles the bits that are right */
		x *= 2 - odd * x;
	return x;
}

static bool is_alive(const struct endpoint_muted_process *process)
{
	struct peer peer = PEER_INIT;
	bool alive = false;

	if (process->pid && peer_of_pid(&peer, (pid_t)process->pid) == 0)
		alive = (process->version - (uint32_t)peer.start_time) * inverse(EXECS_FACTOR) <
			EXECS_MAX;
	peer_done(&peer);
	return alive;
}

/* The row at @at and its path, or -EPROTO; how many bytes it takes. */
static int take_row(
	const unsigned char *at, size_t left, struct endpoint_mute *ret, const char **ret_path)
{
	const char *path = (const char *)at + sizeof *ret;
	size_t bytes;

	if (left < sizeof *ret)
		return -EPROTO;
	memcpy(ret, at, sizeof *ret);
	if (ret->kind >= ES_MUTE_KINDS || ret->path_bytes > ES_BLOB_BYTES)
		return -EPROTO;
	bytes = sizeof *ret + ((ret->path_bytes + 7) & ~7ul);
	if (bytes > left || (ret->kind == ES_MUTE_PROCESS) != (ret->path_bytes == 0))
		return -EPROTO;
	if (ret->path_bytes &&
		(path[0] != '/' || strnlen(path, ret->path_bytes) + 1 != ret->path_bytes))
		return -EPROTO;
	*ret_path = path;
	return (int)bytes;
}

static bool is_any(const uint64_t events[static ES_EVENTS_MAX / 64])
{
	return events[0] | events[1] | events[2] | events[3];
}

static int set(struct connection *connection, const struct endpoint_mute *row, const char *path)
{
	const struct endpoint_muted_process process = { row->pid, row->version };
	struct engine_mute mute = {
		.kind = row->kind, .path = path, .pid = (int)row->pid, .version = row->version
	};
	int r;

	memcpy(mute.events, row->events, sizeof mute.events);
	r = engine_mute(connection->esd->engine, (uint32_t)connection->slot, &mute);
	if (r < 0 || row->kind != ES_MUTE_PROCESS || !is_any(row->events) || is_alive(&process))
		return r;
	/* looked at afterwards: whoever lives now takes itself out when it ends */
	memset(mute.events, 0, sizeof mute.events);
	engine_mute(connection->esd->engine, (uint32_t)connection->slot, &mute);
	return -ESRCH;
}

int mute_on_rows(void *context, struct wire_packet *packet)
{
	struct connection *connection = context;
	struct endpoint_muted muted = { 0 };
	struct endpoint_mute row;
	const char *path;
	size_t at;
	int r;

	for (at = 0; at < packet->body_bytes; at += (size_t)r) {
		r = take_row(packet->body + at, packet->body_bytes - at, &row, &path);
		if (r < 0)
			return r;
	}
	for (at = 0; at < packet->body_bytes && muted.status == 0; at += (size_t)r) {
		r = take_row(packet->body + at, packet->body_bytes - at, &row, &path);
		muted.status = set(connection, &row, path);
		muted.n += muted.status == 0;
	}
	return connection_answer(connection, ENDPOINT_MUTED, &muted, sizeof muted);
}

int mute_on_invert(void *context, struct wire_packet *packet)
{
	struct connection *connection = context;
	const struct endpoint_invert *invert = (void *)packet->body;
	const struct wire_status status = { 0 };

	if (invert->inverted >= 1u << ES_INVERSIONS)
		return -EPROTO;
	engine_invert(connection->esd->engine, (uint32_t)connection->slot, invert->inverted);
	return connection_answer(connection, WIRE_STATUS, &status, sizeof status);
}

int mute_on_still(void *context, struct wire_packet *packet)
{
	struct connection *connection = context;
	const struct endpoint_muted_process *processes = (void *)packet->body;
	struct endpoint_still still = { 0 };
	size_t i, n = packet->body_bytes / sizeof *processes;

	if (packet->body_bytes % sizeof *processes)
		return -EPROTO;
	for (i = 0; i < n; i++) {
		struct engine_mute mute = { .kind = ES_MUTE_PROCESS,
			.pid = (int)processes[i].pid,
			.version = processes[i].version };

		if (is_alive(&processes[i]) &&
			engine_is_muted(connection->esd->engine, (uint32_t)connection->slot, &mute))
			still.muted[i / 64] |= 1ull << i % 64;
		else /* gone, or another program: what is left of it goes too */
			engine_mute(connection->esd->engine, (uint32_t)connection->slot, &mute);
	}
	return connection_answer(connection, ENDPOINT_STILL, &still, sizeof still);
}
