/* SPDX-License-Identifier: Apache-2.0
 *
 * Protocol between libEndpointSecurity and outboard-esd. On an inherited socket the client begins
 * with WIRE_HELLO; on one that it has connected, outboard-esd begins with WIRE_NONCE (base/peer.h).
 * Then NEW, once, and SUBSCRIBE as often as it likes. Messages for the handler do not come this
 * way: they lie in the ring.
 *
 * RESTARTED comes first on a socket that another outboard-esd had before: everything of the old one
 * is gone, and the client begins again with WIRE_HELLO.
 */
#ifndef OB_ENDPOINT_ENDPOINT_WIRE_H
#define OB_ENDPOINT_ENDPOINT_WIRE_H

#include "base/rules.h"
#include "base/wire.h"
#include "endpoint/record.h"

enum {
	/* client to outboard-esd; each is answered with the same id */
	ENDPOINT_NEW = 16, /* struct endpoint_new: by RING, or REFUSED and the end */
	ENDPOINT_SUBSCRIBE =
		17,	     /* struct endpoint_set: exactly these from now on; by WIRE_STATUS, with
			       * WIRE_FLAG_MORE by one before it while programs are loaded */
	ENDPOINT_COUNT = 18, /* no body: by COUNTERS */
	ENDPOINT_MUTE = 24,  /* struct endpoint_mute, each with its path: by MUTED */
	ENDPOINT_INVERT = 25, /* struct endpoint_invert: by WIRE_STATUS */
	ENDPOINT_STILL_MUTED =
		26, /* struct endpoint_muted_process, at most PROCESSES_MAX: by STILL */
	ENDPOINT_DEADLINES = 20, /* struct endpoint_deadlines: by WIRE_STATUS */

	/* outboard-esd to client */
	ENDPOINT_RING = 32,	 /* struct endpoint_ring; descriptors: ring, wake page, answers */
	ENDPOINT_REFUSED = 33,	 /* struct endpoint_refused */
	ENDPOINT_COUNTERS = 34,	 /* struct endpoint_counters */
	ENDPOINT_RESTARTED = 35, /* struct endpoint_restarted, not asked for */
	ENDPOINT_MUTED = 44,	 /* struct endpoint_muted */
	ENDPOINT_STILL = 45,	 /* struct endpoint_still */
};

struct endpoint_new {
	uint32_t ring_bytes; /* power of two, 64 KiB to 64 MiB; 0: 1 MiB */
	uint32_t record_version;
	uint32_t flags; /* ENDPOINT_NEW_* */
	uint32_t reserved;
};
static_assert(sizeof(struct endpoint_new) == 16, "wire");
#define ENDPOINT_NEW_DESCENDANTS 0x1u /* of the caller and its descendants alone */

struct endpoint_set {
	uint64_t events[ES_EVENTS_MAX / 64];
};
static_assert(sizeof(struct endpoint_set) == 32, "wire");

/* es_deadline_miss_mode_t */
enum { ENDPOINT_MISS_KILL, ENDPOINT_MISS_FAIL_OPEN, ENDPOINT_MISS_FAIL_CLOSED };

struct endpoint_deadlines {
	uint32_t miss_mode;	  /* es_deadline_miss_mode_t */
	uint32_t milliseconds[2]; /* AUTH_EXEC, AUTH_OPEN; 1 to 15000 */
	uint32_t reserved;
};
static_assert(sizeof(struct endpoint_deadlines) == 16, "wire");

struct endpoint_ring {
	uint32_t ring_bytes;
	uint32_t record_version;
	uint32_t generation;
	uint32_t sources; /* enum source: what this kernel has, of what is allowed */
	uint64_t can_watch[ES_EVENTS_MAX / 64]; /* what SUBSCRIBE takes */
};
static_assert(sizeof(struct endpoint_ring) == 48, "wire");

struct endpoint_refused {
	uint32_t result; /* es_new_client_result_t */
	uint32_t reserved;
	struct wire_error error;
};

struct endpoint_counters {
	uint64_t dropped, sent, missed;
	uint64_t unmade, unasked, exchanged; /* of all clients: es_control */
};

/*
 * What goes over the socket for answers, which comes with RING: one ENDPOINT_ANSWER, one ENDPOINT_ANSWERED.
 * It is read by the thread of outboard-esd that decides, and carries nothing else, so it has no header.
 */
struct endpoint_answer {
	uint64_t question; /* es_record.question */
	uint32_t kind;	   /* ENDPOINT_ANSWER_* */
	uint32_t value;	   /* 0 allow, 1 deny; or the flags that are allowed */
	uint32_t cache;
	uint32_t reserved;
};
static_assert(sizeof(struct endpoint_answer) == 24, "wire");
enum { ENDPOINT_ANSWER_RESULT, ENDPOINT_ANSWER_FLAGS, ENDPOINT_ANSWER_CLEAR_CACHE };

struct endpoint_answered {
	uint64_t question;
	uint32_t result; /* es_respond_result_t; of CLEAR_CACHE 0 or ENDPOINT_CLEAR_THROTTLED */
	uint32_t reserved;
};
static_assert(sizeof(struct endpoint_answered) == 16, "wire");
#define ENDPOINT_CLEAR_THROTTLED 2u

struct endpoint_restarted {
	uint32_t generation;
	uint32_t reserved;
};

#define ENDPOINT_MUTED_PATHS_MAX 16384	  /* a client */
#define ENDPOINT_MUTED_PROCESSES_MAX 4096 /* a client */

/* Exactly these events of it from now on. A path follows, with its NUL and zeros up to a multiple of 8. */
struct endpoint_mute {
	uint32_t kind;	     /* enum es_mute_kind */
	uint32_t path_bytes; /* with its NUL; of a process 0 */
	uint32_t pid, version;
	uint64_t events[ES_EVENTS_MAX / 64];
};
static_assert(sizeof(struct endpoint_mute) == 48, "wire");

struct endpoint_muted {
	int32_t status; /* 0; -ESRCH, -ENOSPC, -ENOBUFS, -ENOMEM */
	uint32_t n;	/* the first ones, of which this is true: they are muted */
};
static_assert(sizeof(struct endpoint_muted) == 8, "wire");

struct endpoint_invert {
	uint32_t inverted; /* bits: enum es_inversion */
	uint32_t reserved;
};
static_assert(sizeof(struct endpoint_invert) == 8, "wire");

struct endpoint_muted_process {
	uint32_t pid, version;
};
static_assert(sizeof(struct endpoint_muted_process) == 8, "wire");

struct endpoint_still {
	uint64_t muted[ENDPOINT_MUTED_PROCESSES_MAX / 64]; /* bit n: the n-th that was asked for */
};
static_assert(sizeof(struct endpoint_still) == 512, "wire");

#define ENDPOINT_DEADLINE_MS 15000u /* the longest, and what is set if nothing else is */
#define ENDPOINT_RING_BYTES (1u << 20)
#define ENDPOINT_RING_BYTES_MIN (64u << 10)
#define ENDPOINT_RING_BYTES_MAX (64u << 20)
#define ENDPOINT_RING_BYTES_ALL (256ull << 20) /* of all clients together */

#endif
