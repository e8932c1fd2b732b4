/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for a request of ours: outboardd answers a call with the request's path at once and
 * tells its end with a signal, which may well come before the answer was read.
 */
#ifndef OB_TOOLS_OUTBOARDCTL_REQUEST_H
#define OB_TOOLS_OUTBOARDCTL_REQUEST_H

#include <jansson.h>
#include "tools/lib/control.h"

struct request_end {
	json_t *ended; /* path to {"result", "error"} of every request that ended since */
	sd_bus_slot *ended_slot, *changed_slot;
	const char *waiting; /* path of the request, once known: its changes are told */
};

/* Before the call, so that no end is missed. */
int request_watch(const struct verb *verb, sd_bus *bus, struct request_end *end);
/* @reply: to a method that answers with a request's path. Prints how it went. */
int request_wait(
	const struct verb *verb, sd_bus *bus, sd_bus_message *reply, struct request_end *end);
void request_end_done(struct request_end *end);

#endif
