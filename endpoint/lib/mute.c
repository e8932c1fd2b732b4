/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls about muting. The sets are here (mute-set.c) and each change is told to outboard-esd, which
 * the kernel programs go by; one that is replaced is told everything again. A change that it refuses is
 * none, and the error says why.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "endpoint/lib/lib.h"

/* ---- to outboard-esd -------------------------------------------------------------------------- */

/* Rows on their way: as many as fit into one message. */
struct letter {
	unsigned char *bytes;
	size_t n;
};
#define LETTER_BYTES (WIRE_BYTES_MAX - sizeof(struct wire_header))

static int send_letter(es_client_t *client, struct letter *letter)
{
	const struct endpoint_muted *muted = (const void *)client->packet.body;
	int r;

	if (letter->n == 0)
		return 0;
	r = connection_ask(
		client, ENDPOINT_MUTE, letter->bytes, letter->n, ENDPOINT_MUTED, sizeof *muted);
	letter->n = 0;
	if (r == 0)
		r = muted->status;
	wire_packet_done(&client->packet);
	return r;
}

static int put_row(es_client_t *client, struct letter *letter, const struct mute_row *row,
	const struct es_mute_events *events)
{
	struct endpoint_mute head = { .kind = row->kind,
		.path_bytes = row->path ? (uint32_t)strlen(row->path) + 1 : 0,
		.pid = row->path ? 0 : row->token.val[5],
		.version = row->path ? 0 : row->token.val[7] };
	size_t path_bytes = (head.path_bytes + 7) & ~7ul;
	int r = 0;

	memcpy(head.events, events->events, sizeof head.events);
	if (letter->n + sizeof head + path_bytes > LETTER_BYTES)
		r = send_letter(client, letter);
	memcpy(letter->bytes + letter->n, &head, sizeof head);
	letter->n += sizeof head;
	memset(letter->bytes + letter->n, 0, path_bytes);
	if (row->path)
		memcpy(letter->bytes + letter->n, row->path, head.path_bytes);
	letter->n += path_bytes;
	return r;
}

static int send_row(
	es_client_t *client, const struct mute_row *row, const struct es_mute_events *events)
{
	unsigned char bytes[sizeof(struct endpoint_mute) + ES_BLOB_BYTES + 8];
	struct letter letter = { .bytes = bytes };
	int r = put_row(client, &letter, row, events);

	return r < 0 ? r : send_letter(client, &letter);
}

static int send_inverted(es_client_t *client, uint32_t inverted)
{
	const struct endpoint_invert invert = { .inverted = inverted };
	int r = connection_ask(client, ENDPOINT_INVERT, &invert, sizeof invert, WIRE_STATUS,
		sizeof(struct wire_status));

	if (r == 0)
		r = ((const struct wire_status *)(void *)client->packet.body)->status;
	wire_packet_done(&client->packet);
	return r;
}

/* A process that has ended meanwhile is none that the new one could be told of: it goes. */
static int send_processes(es_client_t *client)
{
	struct mute_set *set = &client->mutes;
	size_t i = 0;
	int r;

	while (i < set->n) {
		if (set->rows[i].kind != ES_MUTE_PROCESS) {
			i++;
			continue;
		}
		r = send_row(client, &set->rows[i], &set->rows[i].events);
		if (r == -ESRCH)
			mute_set_remove(set, &set->rows[i]);
		else if (r < 0)
			return r;
		else
			i++;
	}
	return 0;
}

int mute_send_all(es_client_t *client)
{
	struct mute_set *set = &client->mutes;
	struct letter letter = { .bytes = malloc(LETTER_BYTES) };
	size_t i;
	int r = letter.bytes ? 0 : -ENOMEM;

	for (i = 0; i < set->n && r == 0; i++)
		if (set->rows[i].kind != ES_MUTE_PROCESS)
			r = put_row(client, &letter, &set->rows[i], &set->rows[i].events);
	if (r == 0)
		r = send_letter(client, &letter);
	free(letter.bytes);
	if (r == 0)
		r = send_processes(client);
	if (r == 0 && set->inverted)
		r = send_inverted(client, set->inverted);
	return r;
}

/* What has ended is taken out of the set. */
static int refresh_processes(es_client_t *client)
{
	const struct endpoint_still *still = (const void *)client->packet.body;
	struct endpoint_muted_process *asked;
	struct mute_set *set = &client->mutes;
	size_t i, n = 0, kept = 0;
	int r;

	asked = calloc(ENDPOINT_MUTED_PROCESSES_MAX, sizeof *asked);
	if (!asked)
		return -ENOMEM;
	for (i = 0; i < set->n && n < ENDPOINT_MUTED_PROCESSES_MAX; i++)
		if (set->rows[i].kind == ES_MUTE_PROCESS)
			asked[n++] = (struct endpoint_muted_process){ set->rows[i].token.val[5],
				set->rows[i].token.val[7] };
	r = n == 0 ? 0
		   : connection_ask(client, ENDPOINT_STILL_MUTED, asked, n * sizeof *asked,
			     ENDPOINT_STILL, sizeof *still);
	/* processes are the last rows, and in the order in which they were asked for */
	for (i = 0; r == 0 && i < n; i++) {
		if (still->muted[i / 64] & 1ull << i % 64)
			kept++;
		else
			mute_set_remove(set, &set->rows[set->n - (n - i)]);
	}
	wire_packet_done(&client->packet);
	free(asked);
	return r;
}

/* ---- changes ---------------------------------------------------------------------------------- */

static const struct {
	int error;
	enum rule_id rule;
	const char *detail;
} refusals[] = {
	{ -ESRCH, RULE_ENDPOINT_MUTE_PROCESS, "it has ended, or was started again" },
	{ -ENOSPC, RULE_ENDPOINT_MUTE_LIMIT, "a client may have 16384 paths and 4096 processes" },
	{ -ENOBUFS, RULE_ENDPOINT_MUTE_LIMIT, "all clients together may have 65536" },
};

/* It is being replaced: what is wanted is sent when it is back. */
static bool is_away(es_client_t *client, int r)
{
	if (r == -ESTALE)
		connection_restarted(client);
	else if (r == -EPIPE)
		connection_lost(client);
	return r == -ESTALE || r == -EPIPE || r == -ENOTCONN;
}

static es_return_t fail(es_client_t *client, int r, const char *what)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++)
		if (refusals[i].error == r)
			return client_fail(client, refusals[i].rule, what, refusals[i].detail);
	return client_fail(client, RULE_ENDPOINT_UNREACHABLE, "the client", strerrordesc_np(-r));
}

/* Exactly @events of @row from now on: said, and then so. */
static es_return_t put(
	es_client_t *client, struct mute_row *row, const struct es_mute_events *events)
{
	char what[64] = "the process";
	int r = send_row(client, row, events);

	if (r == -ENOSPC && row->kind == ES_MUTE_PROCESS) {
		struct mute_row same = *row;

		/* of those that it has some may have ended; the rows move */
		if (refresh_processes(client) == 0)
			r = send_row(client, &same, events);
		row = mute_set_find(&client->mutes, same.kind, NULL, &same.token);
		if (!row)
			return fail(client, -ESRCH, what);
	}
	if (r == 0 || is_away(client, r)) {
		row->events = *events;
		r = 0;
	}
	if (r < 0)
		fail(client, r, row->path ? row->path : what);
	if (mute_events_none(&row->events))
		mute_set_remove(&client->mutes, row);
	return r < 0 ? ES_RETURN_ERROR : ES_RETURN_SUCCESS;
}

static es_return_t mute(es_client_t *client, uint32_t kind, const char *path,
	const audit_token_t *token, const struct es_mute_events *events)
{
	struct es_mute_events all;
	struct mute_row *row;
	size_t i;

	if (mute_events_none(events))
		return ES_RETURN_SUCCESS;
	if (mute_set_add(&client->mutes, kind, path, token, &row) < 0)
		return fail(client, -ENOMEM, "");
	for (i = 0; i < ARRAY_SIZE(all.events); i++)
		all.events[i] = row->events.events[i] | events->events[i];
	return put(client, row, &all);
}

static es_return_t unmute(es_client_t *client, uint32_t kind, const char *path,
	const audit_token_t *token, const struct es_mute_events *events)
{
	struct mute_row *row = mute_set_find(&client->mutes, kind, path, token);
	struct es_mute_events rest;
	size_t i;

	if (!row)
		return ES_RETURN_SUCCESS;
	for (i = 0; i < ARRAY_SIZE(rest.events); i++)
		rest.events[i] = row->events.events[i] & ~events->events[i];
	return put(client, row, &rest);
}

typedef es_return_t (*change_t)(es_client_t *client, uint32_t kind, const char *path,
	const audit_token_t *token, const struct es_mute_events *events);

static bool lock(es_client_t *client)
{
	if (!client || client->pid != getpid())
		return false;
	pthread_mutex_lock(&client->lock);
	return true;
}

/* @events NULL: all. */
static es_return_t change_process(es_client_t *client, change_t change, const audit_token_t *token,
	const es_event_type_t *list, size_t n, bool all)
{
	struct es_mute_events events;
	es_return_t result;

	if (!token || (!list && n) || !lock(client))
		return ES_RETURN_ERROR;
	if (all)
		mute_events_all(&events, ES_MUTE_PROCESS);
	else
		mute_events_of(&events, ES_MUTE_PROCESS, list, n);
	result = change(client, ES_MUTE_PROCESS, NULL, token, &events);
	pthread_mutex_unlock(&client->lock);
	return result;
}

static es_return_t check_path(es_client_t *client, const char *path, uint32_t kind,
	const struct es_mute_events *events, size_t n)
{
	if (path[0] != '/' || strlen(path) >= ES_BLOB_BYTES)
		return client_fail(client, RULE_ENDPOINT_MUTE_PATH,
			path[0] ? path : "the empty path",
			path[0] == '/' ? "no path is longer than 4095 bytes"
				       : "every path begins with a slash");
	if (kind >= ES_MUTE_TARGET_PREFIX && n && mute_events_none(events))
		return client_fail(client, RULE_ENDPOINT_MUTE_TARGET, path,
			"none of these events is done to something that has a path");
	return ES_RETURN_SUCCESS;
}

static es_return_t change_path(es_client_t *client, change_t change, const char *path,
	es_mute_path_type_t type, const es_event_type_t *list, size_t n, bool all)
{
	struct es_mute_events events;
	es_return_t result;
	uint32_t kind = (uint32_t)type; /* the same numbers */

	if (!path || kind > ES_MUTE_TARGET_LITERAL || (!list && n) || !lock(client))
		return ES_RETURN_ERROR;
	if (all)
		mute_events_all(&events, kind);
	else
		mute_events_of(&events, kind, list, n);
	result = check_path(client, path, kind, &events, n);
	if (result == ES_RETURN_SUCCESS)
		result = change(client, kind, path, NULL, &events);
	pthread_mutex_unlock(&client->lock);
	return result;
}

/* ---- processes -------------------------------------------------------------------------------- */

ob_export es_return_t es_mute_process(es_client_t *client, const audit_token_t *audit_token)
{
	return change_process(client, mute, audit_token, NULL, 0, true);
}

ob_export es_return_t es_mute_process_events(es_client_t *client, const audit_token_t *audit_token,
	const es_event_type_t *events, size_t event_count)
{
	return change_process(client, mute, audit_token, events, event_count, false);
}

ob_export es_return_t es_unmute_process(es_client_t *client, const audit_token_t *audit_token)
{
	return change_process(client, unmute, audit_token, NULL, 0, true);
}

ob_export es_return_t es_unmute_process_events(es_client_t *client,
	const audit_token_t *audit_token, const es_event_type_t *events, size_t event_count)
{
	return change_process(client, unmute, audit_token, events, event_count, false);
}

ob_export es_return_t es_muted_processes_events(
	es_client_t *client, es_muted_processes_t **muted_processes)
{
	int r;

	if (!muted_processes || !lock(client))
		return ES_RETURN_ERROR;
	r = refresh_processes(client);
	if (is_away(client, r))
		r = 0; /* the last that is known */
	if (r == 0)
		r = mute_set_copy_processes(&client->mutes, muted_processes);
	if (r < 0)
		fail(client, r, "");
	pthread_mutex_unlock(&client->lock);
	return r < 0 ? ES_RETURN_ERROR : ES_RETURN_SUCCESS;
}

ob_export void es_release_muted_processes(es_muted_processes_t *muted_processes)
{
	free(muted_processes);
}

ob_export es_return_t es_muted_processes(
	es_client_t *client, size_t *count, audit_token_t **audit_tokens)
{
	es_muted_processes_t *list = NULL;
	audit_token_t *tokens = NULL;
	es_return_t result;
	size_t i;

	if (!count || !audit_tokens)
		return ES_RETURN_ERROR;
	result = es_muted_processes_events(client, &list);
	if (result != ES_RETURN_SUCCESS || !list)
		return ES_RETURN_ERROR;
	if (list->count)
		tokens = calloc(list->count, sizeof *tokens);
	for (i = 0; tokens && i < list->count; i++)
		tokens[i] = list->processes[i].audit_token;
	if (tokens || list->count == 0) {
		*count = list->count;
		*audit_tokens = tokens;
	} else {
		result = ES_RETURN_ERROR;
	}
	es_release_muted_processes(list);
	return result;
}

/* ---- paths ------------------------------------------------------------------------------------ */

ob_export es_return_t es_mute_path(es_client_t *client, const char *path, es_mute_path_type_t type)
{
	return change_path(client, mute, path, type, NULL, 0, true);
}

ob_export es_return_t es_mute_path_events(es_client_t *client, const char *path,
	es_mute_path_type_t type, const es_event_type_t *events, size_t event_count)
{
	return change_path(client, mute, path, type, events, event_count, false);
}

ob_export es_return_t es_mute_path_prefix(es_client_t *client, const char *path)
{
	return es_mute_path(client, path, ES_MUTE_PATH_TYPE_PREFIX);
}

ob_export es_return_t es_mute_path_literal(es_client_t *client, const char *path)
{
	return es_mute_path(client, path, ES_MUTE_PATH_TYPE_LITERAL);
}

ob_export es_return_t es_unmute_path(
	es_client_t *client, const char *path, es_mute_path_type_t type)
{
	return change_path(client, unmute, path, type, NULL, 0, true);
}

ob_export es_return_t es_unmute_path_events(es_client_t *client, const char *path,
	es_mute_path_type_t type, const es_event_type_t *events, size_t event_count)
{
	return change_path(client, unmute, path, type, events, event_count, false);
}

static es_return_t unmute_all(es_client_t *client, uint32_t first, uint32_t last)
{
	static const struct es_mute_events none;
	struct letter letter = { 0 };
	struct mute_set *set;
	size_t i;
	int r = 0;

	if (!lock(client))
		return ES_RETURN_ERROR;
	set = &client->mutes;
	letter.bytes = malloc(LETTER_BYTES);
	if (!letter.bytes)
		r = -ENOMEM;
	for (i = 0; i < set->n && r == 0; i++)
		if (set->rows[i].kind >= first && set->rows[i].kind <= last)
			r = put_row(client, &letter, &set->rows[i], &none);
	if (r == 0)
		r = send_letter(client, &letter);
	free(letter.bytes);
	if (is_away(client, r))
		r = 0;
	if (r < 0)
		fail(client, r, "");
	for (i = set->n; r == 0 && i > 0; i--)
		if (set->rows[i - 1].kind >= first && set->rows[i - 1].kind <= last)
			mute_set_remove(set, &set->rows[i - 1]);
	pthread_mutex_unlock(&client->lock);
	return r < 0 ? ES_RETURN_ERROR : ES_RETURN_SUCCESS;
}

ob_export es_return_t es_unmute_all_paths(es_client_t *client)
{
	return unmute_all(client, ES_MUTE_PREFIX, ES_MUTE_LITERAL);
}

ob_export es_return_t es_unmute_all_target_paths(es_client_t *client)
{
	return unmute_all(client, ES_MUTE_TARGET_PREFIX, ES_MUTE_TARGET_LITERAL);
}

ob_export es_return_t es_muted_paths_events(es_client_t *client, es_muted_paths_t **muted_paths)
{
	int r;

	if (!muted_paths || !lock(client))
		return ES_RETURN_ERROR;
	r = mute_set_copy_paths(&client->mutes, muted_paths);
	if (r < 0)
		fail(client, r, "");
	pthread_mutex_unlock(&client->lock);
	return r < 0 ? ES_RETURN_ERROR : ES_RETURN_SUCCESS;
}

ob_export void es_release_muted_paths(es_muted_paths_t *muted_paths)
{
	free(muted_paths);
}

/* ---- inversion -------------------------------------------------------------------------------- */

ob_export es_return_t es_invert_muting(es_client_t *client, es_mute_inversion_type_t type)
{
	uint32_t inverted;
	int r;

	if ((uint32_t)type >= ES_INVERSIONS || !lock(client))
		return ES_RETURN_ERROR;
	inverted = client->mutes.inverted ^ 1u << (uint32_t)type;
	r = send_inverted(client, inverted);
	if (is_away(client, r))
		r = 0;
	if (r == 0)
		client->mutes.inverted = inverted;
	else
		fail(client, r, "");
	pthread_mutex_unlock(&client->lock);
	return r < 0 ? ES_RETURN_ERROR : ES_RETURN_SUCCESS;
}

ob_export es_mute_inverted_return_t es_muting_inverted(
	es_client_t *client, es_mute_inversion_type_t type)
{
	bool inverted;

	if ((uint32_t)type >= ES_INVERSIONS || !lock(client))
		return ES_MUTE_INVERTED_ERROR;
	inverted = client->mutes.inverted & 1u << (uint32_t)type;
	pthread_mutex_unlock(&client->lock);
	return inverted ? ES_MUTE_INVERTED : ES_MUTE_NOT_INVERTED;
}
