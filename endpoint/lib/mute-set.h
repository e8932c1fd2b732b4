/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client has muted: tuples of what, and which event, as macOS has them; kept as one row for each
 * what, with the set of its events. Nothing is expanded: only the same type and path, or the same
 * process, is the same.
 */
#ifndef OB_ENDPOINT_LIB_MUTE_SET_H
#define OB_ENDPOINT_LIB_MUTE_SET_H

#include <EndpointSecurity/EndpointSecurity.h>
#include "endpoint/endpoint-wire.h"

struct mute_row {
	uint32_t kind; /* enum es_mute_kind */
	audit_token_t token;
	struct es_mute_events events;
	char *path; /* NULL: a process */
};

struct mute_set {
	struct mute_row *rows; /* sorted */
	size_t n, size;
	uint32_t inverted; /* bits: enum es_inversion */
};

/* The row of the same, or NULL. @token: of a process, where @path is NULL. */
struct mute_row *mute_set_find(
	const struct mute_set *set, uint32_t kind, const char *path, const audit_token_t *token);
/* A row without events, if there is none; -ENOMEM. */
int mute_set_add(struct mute_set *set, uint32_t kind, const char *path, const audit_token_t *token,
	struct mute_row **ret);
void mute_set_remove(struct mute_set *set, struct mute_row *row);
void mute_set_done(struct mute_set *set);
/* What every client begins with. */
int mute_set_fill(struct mute_set *set);

/* All events that there are; for a target only those that have one. */
void mute_events_all(struct es_mute_events *ret, uint32_t kind);
/* Those of a list: what is no event is left out, and for a target what has none. */
void mute_events_of(
	struct es_mute_events *ret, uint32_t kind, const es_event_type_t *events, size_t n);
bool mute_events_none(const struct es_mute_events *events);

/* One piece of memory each, and the array of macOS over it; -ENOMEM. */
int mute_set_copy_paths(const struct mute_set *set, es_muted_paths_t **ret);
int mute_set_copy_processes(const struct mute_set *set, es_muted_processes_t **ret);

#endif
