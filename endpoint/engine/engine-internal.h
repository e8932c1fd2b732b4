/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the engine know of each other.
 */
#ifndef OB_ENDPOINT_ENGINE_ENGINE_INTERNAL_H
#define OB_ENDPOINT_ENGINE_ENGINE_INTERNAL_H

#include "endpoint/engine/engine.h"
#include "endpoint/engine/load.h"

struct engine {
	uint32_t sources, allowed; /* that there are; that the configuration allows */
	struct loaded loaded;
	struct loading loading;
	struct es_control *control;
	struct mutes *mutes;
	struct ask *ask;
	bool fail_closed;
	uint32_t ring_bytes[ES_CLIENTS_MAX];
	uint64_t all_bytes;
	/* what each client wants to be told of; it is once the programs for it are attached */
	uint64_t wanted[ES_CLIENTS_MAX][ES_EVENTS_MAX / 64];
	uint64_t waiting; /* clients whose programs are being loaded, as bits */
};

/* watch.c */
int watch_begin(struct engine *engine, uint32_t sources, char problem[static 256]);
int watch_attach_first(struct engine *engine);
void watch_forget(struct engine *engine, uint32_t client);

#endif
