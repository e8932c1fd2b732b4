/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader's side of a BPF ring buffer: a client's, in the library, and the daemon's own.
 */
#ifndef OB_ENDPOINT_LIB_RING_H
#define OB_ENDPOINT_LIB_RING_H

#include <stdbool.h>
#include <stddef.h>
#include "endpoint/record.h"

struct ring {
	int fd, wake_fd;
	uint32_t bytes;
	volatile uint64_t *consumer; /* ours to write */
	const volatile uint64_t *producer;
	const char *data; /* mapped twice, so that a record never wraps */
	volatile struct es_wake_page *wake;
};
#define RING_NONE                       \
	{                               \
		.fd = -1, .wake_fd = -1 \
	}

int ring_map(struct ring *ring, int ring_fd, int wake_fd,
	uint32_t bytes); /* descriptors: taken; @wake_fd: -1 none */
void ring_done(struct ring *ring);
/* The next record, or NULL; it stays until ring_pass(). */
const void *ring_next(const struct ring *ring, size_t *ret_bytes);
void ring_pass(struct ring *ring);
/* Raise the flag: the next record wakes. False: one came meanwhile, go on reading. */
bool ring_sleep(struct ring *ring);

#endif
