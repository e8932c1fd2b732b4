/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's double behind test-doors.c: what it was told is in memory that the test shares.
 */
#ifndef OB_ENDPOINT_TEST_DOORS_H
#define OB_ENDPOINT_TEST_DOORS_H

#include "endpoint/endpoint-wire.h"
#include "endpoint/record.h"

struct kernel {
	uint64_t watched[ES_CLIENTS_MAX][ES_EVENTS_MAX / 64];
	uint32_t ring_bytes[ES_CLIENTS_MAX];
	uint32_t mutes[ES_CLIENTS_MAX], inverted[ES_CLIENTS_MAX];
	struct endpoint_deadlines deadlines[ES_CLIENTS_MAX];
};
extern struct kernel *kernel;

/* An event whose programs are there when the test says so, in this eventfd: 1 + errno of it. */
#define SLOW 25
extern int loaded_fd;

#endif
