/* SPDX-License-Identifier: Apache-2.0
 *
 * The form of every message between processes of ours: SOCK_SEQPACKET, one header, one body of a
 * size that the protocol's table knows, and the descriptors that the table allows. A protocol is
 * one table of rows; wire_dispatch() is the only place that checks a message against it.
 *
 * A message that does not fit is answered by dropping a less trusted peer and by exiting where the
 * peer is the more trusted one; it is never repaired.
 */
#ifndef OB_BASE_WIRE_H
#define OB_BASE_WIRE_H

#include <stdint.h>
#include <sys/socket.h>
#include "base/macros.h"

#define WIRE_PROTOCOL 1	      /* what HELLO carries; a daemon also speaks the one before */
#define WIRE_BYTES_MAX 65536u /* header and body; more goes by memfd */
#define WIRE_FDS_MAX 16u

struct wire_header {
	uint32_t bytes; /* header and body, as received by recvmsg(2): checked */
	uint16_t type;
	uint16_t flags; /* WIRE_FLAG_*; unknown bits are -EPROTO */
	uint64_t id;	/* of the request that this begins, continues or answers; 0 none */
};
static_assert(sizeof(struct wire_header) == 16, "wire");

#define WIRE_FLAG_REPLY 0x0001u /* answers the request with the same id */
#define WIRE_FLAG_MORE 0x0002u	/* another message of the same answer follows */
#define WIRE_FLAG_ALL 0x0003u

/* Types that every protocol has; a protocol's own begin at 16. */
enum {
	WIRE_HELLO = 1,	 /* struct wire_hello, first in each direction */
	WIRE_NONCE = 2,	 /* struct wire_nonce: daemon to client, and back */
	WIRE_STATUS = 3, /* struct wire_status: the plain answer to a request */
};

struct wire_hello {
	uint32_t protocol;
	uint32_t reserved;
	uint64_t features; /* bits that the protocol's header defines */
};
static_assert(sizeof(struct wire_hello) == 16, "wire");

struct wire_nonce {
	uint8_t bytes[16];
};

struct wire_status {
	int32_t status; /* 0 or -errno */
	uint32_t reserved;
};
static_assert(sizeof(struct wire_status) == 8, "wire");

/* A received message. One a connection or one a loop: it is large, so it does not go on a stack. */
struct wire_packet {
	struct wire_header header;
	unsigned char body[WIRE_BYTES_MAX - sizeof(struct wire_header)]
		__attribute__((aligned(16)));
	size_t body_bytes;
	int fds[WIRE_FDS_MAX]; /* owned by the packet; taken with wire_take_fd() */
	size_t n_fds;
	struct ucred
		sender; /* of the one who spoke, when the receiver has SO_PASSCRED; else pid 0 */
};

/*
 * 0, or -errno: -EMSGSIZE too large, -EAGAIN the peer's queue is full and the socket does not
 * block, -EPIPE gone. Descriptors are borrowed.
 */
int wire_send(int fd, uint16_t type, uint16_t flags, uint64_t id, const void *body,
	size_t body_bytes, const int *fds, size_t n_fds);
/* The same in one call for a message of one struct without descriptors. */
#define WIRE_SEND(fd, type, id, body) \
	wire_send((fd), (type), 0, (id), (body), sizeof(*(body)), NULL, 0)

/*
 * Receive one message; what @packet held before is dropped. @flags: MSG_DONTWAIT or 0.
 * 0; -EPIPE the peer has closed; -EAGAIN; -EPROTO what came is no message of ours.
 */
int wire_receive(int fd, struct wire_packet *packet, int flags);
void wire_packet_done(struct wire_packet *packet); /* closes the descriptors that nobody took */
int wire_take_fd(
	struct wire_packet *packet, size_t index); /* the descriptor is yours now; -1 none */

/* One row of a protocol: which message, how large, with how many descriptors, when, and who takes it. */
struct wire_row {
	uint16_t type;
	uint16_t flags;	    /* flags that it may carry */
	uint32_t bytes_min; /* of the body; equal to bytes_max for a fixed struct */
	uint32_t bytes_max;
	uint8_t fds_min, fds_max;
	uint32_t phases; /* bits of the receiver's own: the message is legal in these */
	int (*handler)(void *context, struct wire_packet *packet);
	const char *name; /* for the log line about a bad one */
};
#define WIRE_ROW(type_, struct_, phases_, handler_)                                          \
	{                                                                                    \
		.type = (type_), .bytes_min = sizeof(struct_), .bytes_max = sizeof(struct_), \
		.phases = (phases_), .handler = (handler_), .name = #type_                   \
	}

/* The handler's value, or -EPROTO: unknown type, wrong size, wrong descriptors, wrong phase. */
int wire_dispatch(const struct wire_row *rows, size_t n_rows, uint32_t phase,
	struct wire_packet *packet, void *context);

/* A connected pair, a listener at a path (removed first, mode set), a connection to it: SOCK_SEQPACKET, close-on-exec. */
int wire_pair(int ret_fds[static 2]);
int wire_listen(const char *path, mode_t mode, int backlog);
int wire_connect(const char *path);
/* The same for who must not wait, and the descriptor does not block: -EAGAIN its backlog is full. */
int wire_connect_nonblocking(const char *path);

#endif
