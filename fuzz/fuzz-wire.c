/* SPDX-License-Identifier: Apache-2.0
 *
 * A message of an untrusted peer: it arrives whole or not at all, and no row of a protocol sees one
 * that does not fit it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/wire.h"
#include "fuzz/fuzz.h"

struct fixed {
	uint64_t value[3];
};

static int take_fixed(void *context, struct wire_packet *packet)
{
	(void)context;
	if (packet->body_bytes != sizeof(struct fixed) || packet->n_fds != 0)
		abort();
	return 0;
}

static int take_text(void *context, struct wire_packet *packet)
{
	(void)context;
	if (packet->body_bytes < 4 || packet->body_bytes > 4096)
		abort();
	return 0;
}

static const struct wire_row rows[] = {
	WIRE_ROW(WIRE_HELLO, struct wire_hello, 1, NULL),
	WIRE_ROW(16, struct fixed, 2, take_fixed),
	{ .type = 17,
		.flags = WIRE_FLAG_MORE,
		.bytes_min = 4,
		.bytes_max = 4096,
		.phases = 2,
		.handler = take_text,
		.name = "text" },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct wire_packet packet;
	int fds[2];

	if (bytes > WIRE_BYTES_MAX || wire_pair(fds) < 0)
		return 0;
	if (write(fds[0], data, bytes) == (ssize_t)bytes &&
		wire_receive(fds[1], &packet, MSG_DONTWAIT) == 0) {
		if (packet.header.bytes != bytes ||
			packet.body_bytes != bytes - sizeof(struct wire_header) ||
			memcmp(packet.body, data + sizeof(struct wire_header), packet.body_bytes))
			abort();
		wire_dispatch(rows, ARRAY_SIZE(rows), 2, &packet, NULL);
	}
	wire_packet_done(&packet);
	fd_close(fds[0]);
	fd_close(fds[1]);
	return 0;
}
