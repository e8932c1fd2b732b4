/* SPDX-License-Identifier: Apache-2.0
 *
 * The sources of events behind one face. Which source an event comes from is found out on this
 * kernel, not assumed: gate, trampolines, plain, in this order, as far as each is built. What has
 * no source says why, and es_subscribe() fails with that sentence.
 */
#ifndef OB_ENDPOINT_ENGINE_ENGINE_H
#define OB_ENDPOINT_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include "endpoint/record.h"

struct engine;

/*
 * Load and attach, in a child that hands its descriptors over and ends, so that what loading needs
 * does not stay in this process. @scope_fd: cgroup v2 folder, borrowed; -1 the whole machine.
 * @problem: what failed, for the log.
 */
int engine_new(int scope_fd, struct engine **ret, char problem[static 256]);
struct engine *engine_free(struct engine *engine);

/* A ring and a page for client number @client; replaces what is there. Descriptors: yours. */
int engine_add_client(struct engine *engine, uint32_t client, uint32_t ring_bytes, int *ret_ring_fd,
	int *ret_wake_fd);
void engine_drop_client(struct engine *engine, uint32_t client);
void engine_watch(
	struct engine *engine, uint32_t client, const uint64_t events[static ES_EVENTS_MAX / 64]);
int engine_count(struct engine *engine, uint32_t client, uint64_t *ret_dropped, uint64_t *ret_sent);

/* ---- capabilities.c: what can be watched, in daemon and library alike ----------------------- */

struct capability {
	uint32_t event;
	const char *source; /* "plain: tp_btf/sched_process_exec" */
};
/* NULL: no source in this version; capability_reason() says why. */
const struct capability *capability_of(uint32_t event);
const char *capability_reason(uint32_t event);
const char *capability_name(uint32_t event); /* "NOTIFY_EXEC"; NULL: not an event */

#endif
