/* SPDX-License-Identifier: Apache-2.0
 *
 * What is muted, as the kernel programs look it up: rows of clients, the two maps made from them, and
 * the page that says whether it is worth to look. Each client's rows are here too, by hash, so that a
 * client that goes takes its own away, and what it may have is counted.
 */
#ifndef OB_ENDPOINT_ENGINE_MUTE_H
#define OB_ENDPOINT_ENGINE_MUTE_H

#include "endpoint/engine/engine.h"

struct mutes;

/* @muting: in the page that is shared, as long as this lives; descriptors of the maps: borrowed. */
int mutes_new(struct es_muting *muting, int clients_map_fd, int parts_map_fd, struct mutes **ret);
struct mutes *mutes_free(struct mutes *mutes);

/* See engine_mute() and its like in engine.h. */
int mutes_set(struct mutes *mutes, uint32_t client, const struct engine_mute *mute);
void mutes_invert(struct mutes *mutes, uint32_t client, uint32_t inverted);
/* How many of each kind, and what is inverted. */
void mutes_count(const struct mutes *mutes, uint32_t client, uint32_t ret[static ES_MUTE_KINDS],
	uint32_t *ret_inverted);
bool mutes_has(struct mutes *mutes, uint32_t client, const struct engine_mute *mute);
void mutes_drop(struct mutes *mutes, uint32_t client);

#endif
