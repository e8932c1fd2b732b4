/* SPDX-License-Identifier: Apache-2.0
 *
 * What kernel program and outboard-esd share about the identity of a program: the key and the value
 * of the map in which the program looks a new executable up, and what it writes into the ring
 * `wanted` for one that is not in there. Read by the compiler for BPF as well.
 */
#ifndef OB_ENDPOINT_IDENTITY_H
#define OB_ENDPOINT_IDENTITY_H

#include "endpoint/record.h"

#define ES_SIGNING_ID_BYTES 128
#define ES_IDENTITIES_MAX 16384
#define ES_WANTED_PATH_BYTES 512
#define ES_WANTED_RING_BYTES (1u << 16)

/* Another content has another key: each write changes the time, and nobody can set it. */
struct es_identity_key {
	uint64_t inode;
	uint64_t ctime_ns;
	uint64_t size;
	uint32_t device; /* as the kernel has it: major << 20 | minor */
	uint32_t reserved;
};

struct es_identity {
	struct es_record_identity is; /* PENDING: somebody has asked for it already */
	/* counts while it is that of struct es_control; 0 always: of a bundle */
	uint32_t epoch;
	uint32_t signing_bytes; /* NUL included; 0 none */
	char signing_id[ES_SIGNING_ID_BYTES];
};

/* The file that a process has begun to run: how to find it is a hint, the key decides. */
struct es_wanted {
	struct es_identity_key key;
	uint32_t pid; /* as the broker's pid namespace has it; 0 not in there */
	uint32_t path_bytes;
	char path[ES_WANTED_PATH_BYTES];
};

/* xnu, cs_blobs.h */
#define ES_CS_VALID 0x1u
#define ES_CS_ADHOC 0x2u
#define ES_CS_PLATFORM_BINARY 0x4000000u
#define ES_CS_SIGNED 0x20000000u

#endif
