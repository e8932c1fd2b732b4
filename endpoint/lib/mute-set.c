/* SPDX-License-Identifier: Apache-2.0
 *
 * See mute-set.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "endpoint/engine/engine.h"
#include "endpoint/lib/mute-set.h"

/* pid and version: what else is in a token may change. */
static int compare(
	const struct mute_row *row, uint32_t kind, const char *path, const audit_token_t *token)
{
	if (row->kind != kind)
		return row->kind < kind ? -1 : 1;
	if (row->path || !token)
		return strcmp(row->path ? row->path : "", path ? path : "");
	if (row->token.val[5] != token->val[5])
		return row->token.val[5] < token->val[5] ? -1 : 1;
	if (row->token.val[7] != token->val[7])
		return row->token.val[7] < token->val[7] ? -1 : 1;
	return 0;
}

/* Where it is, or would be. */
static size_t place(const struct mute_set *set, uint32_t kind, const char *path,
	const audit_token_t *token, bool *ret_there)
{
	size_t low = 0, high = set->n;

	*ret_there = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare(&set->rows[middle], kind, path, token);

		if (order == 0) {
			*ret_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct mute_row *mute_set_find(
	const struct mute_set *set, uint32_t kind, const char *path, const audit_token_t *token)
{
	bool there;
	size_t at = place(set, kind, path, token, &there);

	return there ? &set->rows[at] : NULL;
}

int mute_set_add(struct mute_set *set, uint32_t kind, const char *path, const audit_token_t *token,
	struct mute_row **ret)
{
	struct mute_row row = { .kind = kind };
	bool there;
	size_t at = place(set, kind, path, token, &there);

	if (there) {
		*ret = &set->rows[at];
		return 0;
	}
	if (set->n == set->size) {
		size_t size = set->size ? set->size * 2 : 16;
		struct mute_row *rows = reallocarray(set->rows, size, sizeof *rows);

		if (!rows)
			return -ENOMEM;
		set->rows = rows;
		set->size = size;
	}
	if (path) {
		row.path = strdup(path);
		if (!row.path)
			return -ENOMEM;
	} else if (token) {
		row.token = *token;
	}
	memmove(&set->rows[at + 1], &set->rows[at], (set->n - at) * sizeof *set->rows);
	set->rows[at] = row;
	set->n++;
	*ret = &set->rows[at];
	return 0;
}

void mute_set_remove(struct mute_set *set, struct mute_row *row)
{
	size_t at = (size_t)(row - set->rows);

	free(row->path);
	memmove(row, row + 1, (set->n - at - 1) * sizeof *row);
	set->n--;
}

void mute_set_done(struct mute_set *set)
{
	size_t i;

	for (i = 0; i < set->n; i++)
		free(set->rows[i].path);
	free(set->rows);
	*set = (struct mute_set){ 0 };
}

/* ---- events ----------------------------------------------------------------------------------- */

static bool is_possible(uint32_t kind, uint32_t event)
{
	if (event >= ES_EVENT_TYPE_LAST)
		return false;
	return (kind != ES_MUTE_TARGET_PREFIX && kind != ES_MUTE_TARGET_LITERAL) ||
		capability_has_target(event);
}

void mute_events_all(struct es_mute_events *ret, uint32_t kind)
{
	uint32_t i;

	*ret = (struct es_mute_events){ 0 };
	for (i = 0; i < ES_EVENT_TYPE_LAST; i++)
		if (is_possible(kind, i))
			ret->events[i / 64] |= 1ull << i % 64;
}

void mute_events_of(
	struct es_mute_events *ret, uint32_t kind, const es_event_type_t *events, size_t n)
{
	size_t i;

	*ret = (struct es_mute_events){ 0 };
	for (i = 0; i < n; i++) {
		uint32_t event = (uint32_t)events[i];

		if (is_possible(kind, event))
			ret->events[event / 64] |= 1ull << event % 64;
	}
}

bool mute_events_none(const struct es_mute_events *events)
{
	static const struct es_mute_events none;

	return memcmp(events, &none, sizeof none) == 0;
}

/* ---- what every client begins with ------------------------------------------------------------ */

/*
 * Who must never wait for an answer, since all others wait for him. Only AUTH events: all is told. What
 * starts other people's programs is asked about these: its children hold nobody but themselves.
 */
static const struct {
	const char *path;
	bool starts_others;
} defaults[] = {
	{ "/usr/lib/outboard/outboard-bundle-worker", false },
	{ "/usr/lib/outboard/outboard-esd", false },
	{ "/usr/lib/outboard/outboard-identity-worker", false },
	{ "/usr/lib/outboard/outboard-launch", true },
	{ "/usr/lib/outboard/outboardd", true },
	{ "/usr/sbin/outboardd", true },
	{ "/usr/bin/dbus-broker", false },
	{ "/usr/bin/dbus-broker-launch", true },
	{ "/usr/bin/dbus-daemon", true },
	{ "/usr/lib/systemd/systemd", true },
	{ "/usr/lib/systemd/systemd-journald", false },
	{ "/usr/lib/systemd/systemd-logind", false },
	{ "/usr/bin/udevadm", true }, /* systemd-udevd is a link to it */
	{ "/usr/lib/systemd/systemd-udevd", true },
};

int mute_set_fill(struct mute_set *set)
{
	struct mute_row *row;
	size_t i;
	uint32_t event;
	int r;

	for (i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
		r = mute_set_add(set, ES_MUTE_LITERAL, defaults[i].path, NULL, &row);
		if (r < 0)
			return r;
		for (event = 0; event < ES_EVENT_TYPE_LAST; event++)
			if (capability_asks(event) &&
				!(defaults[i].starts_others && event == ES_EVENT_TYPE_AUTH_EXEC))
				row->events.events[event / 64] |= 1ull << event % 64;
	}
	return 0;
}

/* ---- lists ------------------------------------------------------------------------------------ */

/* The counts of what a list has to hold, of rows of processes or of paths. */
struct sizes {
	size_t rows, events, bytes;
};

static struct sizes measure(const struct mute_set *set, bool processes)
{
	struct sizes sizes = { 0 };
	size_t i, k;

	for (i = 0; i < set->n; i++) {
		const struct mute_row *row = &set->rows[i];

		if ((row->kind == ES_MUTE_PROCESS) != processes)
			continue;
		sizes.rows++;
		for (k = 0; k < ES_EVENTS_MAX / 64; k++)
			sizes.events += (size_t)__builtin_popcountll(row->events.events[k]);
		sizes.bytes += row->path ? strlen(row->path) + 1 : 0;
	}
	return sizes;
}

/* Puts them at *@at, which moves behind them; how many. */
static size_t put_events(const struct es_mute_events *events, es_event_type_t **at)
{
	const es_event_type_t *first = *at;
	uint32_t i;

	for (i = 0; i < ES_EVENT_TYPE_LAST; i++)
		if (events->events[i / 64] & 1ull << i % 64)
			*(*at)++ = (es_event_type_t)i;
	return (size_t)(*at - first);
}

int mute_set_copy_paths(const struct mute_set *set, es_muted_paths_t **ret)
{
	struct sizes sizes = measure(set, false);
	es_muted_paths_t *list = malloc(sizeof *list + sizes.rows * sizeof(es_muted_path_t) +
		sizes.events * sizeof(es_event_type_t) + sizes.bytes);
	es_muted_path_t *path;
	es_event_type_t *event;
	char *text;
	size_t i;

	if (!list)
		return -ENOMEM;
	path = (es_muted_path_t *)(void *)(list + 1);
	event = (es_event_type_t *)(void *)(path + sizes.rows);
	text = (char *)(event + sizes.events);
	*list = (es_muted_paths_t){ .count = sizes.rows, .paths = path };
	for (i = 0; i < set->n; i++) {
		const struct mute_row *row = &set->rows[i];
		size_t bytes;

		if (row->kind == ES_MUTE_PROCESS)
			continue;
		bytes = strlen(row->path) + 1;
		memcpy(text, row->path, bytes);
		*path = (es_muted_path_t){ .type = (es_mute_path_type_t)row->kind,
			.events = event,
			.path = { bytes - 1, text } };
		path->event_count = put_events(&row->events, &event);
		path++;
		text += bytes;
	}
	*ret = list;
	return 0;
}

int mute_set_copy_processes(const struct mute_set *set, es_muted_processes_t **ret)
{
	struct sizes sizes = measure(set, true);
	es_muted_processes_t *list = malloc(sizeof *list + sizes.rows * sizeof(es_muted_process_t) +
		sizes.events * sizeof(es_event_type_t));
	es_muted_process_t *process;
	es_event_type_t *event;
	size_t i;

	if (!list)
		return -ENOMEM;
	process = (es_muted_process_t *)(void *)(list + 1);
	event = (es_event_type_t *)(void *)(process + sizes.rows);
	*list = (es_muted_processes_t){ .count = sizes.rows, .processes = process };
	for (i = 0; i < set->n; i++) {
		const struct mute_row *row = &set->rows[i];

		if (row->kind != ES_MUTE_PROCESS)
			continue;
		*process = (es_muted_process_t){ .audit_token = row->token, .events = event };
		process->event_count = put_events(&row->events, &event);
		process++;
	}
	*ret = list;
	return 0;
}
