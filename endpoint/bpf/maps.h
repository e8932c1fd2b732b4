/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The maps that all objects here share. Each object declares them; whoever loads makes those of one
 * name one map (engine/load.c). With each: who writes it.
 */
#ifndef OB_ENDPOINT_BPF_MAPS_H
#define OB_ENDPOINT_BPF_MAPS_H

#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include "endpoint/identity.h"
#include "endpoint/record.h"
#include "endpoint/siphash.h"

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
};
/* client number to its ring: the daemon */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, ES_CLIENTS_MAX);
	__type(key, u32);
	__array(values, struct ring);
} rings SEC(".maps");

/* key_size and value_size: libbpf 1.1 cannot size a __type() of an inner map */
struct wake {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4096);
};
/* client number to its page: the client raises `waiting`, the program takes it */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, ES_CLIENTS_MAX);
	__type(key, u32);
	__array(values, struct wake);
} wakes SEC(".maps");

/* the daemon, mapped there */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct es_control);
} control SEC(".maps");

/* the program; the daemon sets a client's to zero before it is one */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ES_CLIENTS_MAX);
	__type(key, u32);
	__type(value, struct es_counters);
} counters SEC(".maps");

/* the cgroup that bounds what is seen: the daemon */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} scope_cgroups SEC(".maps");

/* which program a file is: the daemon; the program marks what it has asked for */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ES_IDENTITIES_MAX);
	__type(key, struct es_identity_key);
	__type(value, struct es_identity);
} identities SEC(".maps");

/* what it asks for: the program, read by the daemon */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, ES_WANTED_RING_BYTES);
} wanted SEC(".maps");

/*
 * What is muted, of all clients, by the hash of its path: the daemon; a process that ends takes its
 * own away. How many there may be is said in engine/mute.c.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ES_MUTES_MAX);
	__type(key, struct es_mute_key);
	__type(value, struct es_mute_clients);
} mutes SEC(".maps");

/* For which events, where not for all: the daemon */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ES_MUTES_MAX);
	__type(key, struct es_mute_part);
	__type(value, struct es_mute_events);
} mute_parts SEC(".maps");

#define VERDICTS 32 /* power of two */
/*
 * Which clients have muted this process, or its executable: of event types that differ by VERDICTS the
 * last one. Written by any thread of the process at any time, in two halves of which each holds the
 * other: what two have written together fits no generation and no event, and counts for nothing.
 */
struct verdict {
	u64 muted, check;
};

#define KNOWN_PATH_BYTES ES_WANTED_PATH_BYTES
#define KNOWN_SIGNING_BYTES ES_SIGNING_ID_BYTES
/* What does not change between two execs of a process, kept with its leading thread. */
struct known {
	struct es_record_file executable;
	struct es_record_identity identity;
	int original_ppid;
	u32 uid, euid, gid, egid; /* when something was last told of it */
	u32 exited;
	u32 path_bytes;	   /* NUL included; above KNOWN_PATH_BYTES it is in long_paths */
	u32 signing_bytes; /* NUL included */
	u32 ours;	   /* the broker has started it, for itself */
	u64 heads,
		family; /* clients of descendants that it is, and that it descends from: a bit each */
	char path[KNOWN_PATH_BYTES];
	char signing_id[KNOWN_SIGNING_BYTES];
	struct verdict verdicts[VERDICTS];
};
/* the program */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct known);
} known SEC(".maps");

struct long_path {
	char text[ES_BLOB_BYTES];
};
/* the program, for the few */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct long_path);
} long_paths SEC(".maps");

/* Built from its end: the string is the last `bytes` of text, NUL included. */
struct path_text {
	char text[2 * ES_BLOB_BYTES]; /* the upper half is room for the verifier's sake */
	u32 bytes;
	u32 flags;
};

/* What mute.h works with: in here, since the stack of a program is small. */
struct mute_work {
	struct siphash at; /* after the whole words before */
	struct es_mute_part part;
	u64 word, ends; /* ends: the highest bit of each byte of word with which a prefix may end */
	u64 found, some;
	u64 actor; /* clients that have muted who acts */
	u64 tree;  /* clients of descendants that are told of who acts */
	u32 actor_known, looked;
};

/* a whole record, all its strings as long as they can be */
#define MADE_BYTES (sizeof(struct es_record) + ES_BLOBS * ES_BLOB_BYTES)
/*
 * Where a record is made. Programs that are attached to functions can be preempted, so a place is
 * taken and given back, and each processor has as many as can be begun on it at once.
 */
struct scratch {
	u32 busy;
	u32 at;	   /* where the next string goes */
	u32 index; /* its own, in the map */
	u32 reserved;
	union {
		struct es_record record;
		char made[MADE_BYTES + ES_BLOB_BYTES];
	};
	struct path_text path;
	struct mute_work mute;
	struct es_record_file
		program; /* an executable that is being looked at: too large for a stack */
};
#define SCRATCHES_PER_CPU 4
/* the program; the loader sets max_entries to SCRATCHES_PER_CPU for each processor */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCHES_PER_CPU);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

#endif
