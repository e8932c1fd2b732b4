/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel program writes into a client's ring, and what program and daemon share: read by
 * the compiler for BPF, by outboard-esd and by libEndpointSecurity. Fixed width throughout; a record
 * says its version, so that an old library that meets a new daemon says so instead of guessing.
 *
 * A record is: struct es_record, then `n_blobs` byte strings one after the other, each with its NUL,
 * whose lengths (NUL included, 0: absent) stand in blob_bytes[].
 */
#ifndef OB_ENDPOINT_RECORD_H
#define OB_ENDPOINT_RECORD_H

#ifdef __bpf__
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef int int32_t;
typedef unsigned long long uint64_t;
#else
#include <stdint.h>
#endif

#define ES_RECORD_VERSION 2
#define ES_CLIENTS_MAX 64
#define ES_EVENTS_MAX 256
#define ES_BLOB_BYTES 4096u /* each string with its NUL is shorter */

enum es_blob {
	ES_BLOB_EXECUTABLE, /* of the process that acted, before */
	ES_BLOB_TARGET,	    /* exec: the new executable */
	ES_BLOB_CWD,
	ES_BLOB_ARGUMENTS, /* NUL-separated */
	ES_BLOB_ENVIRONMENT,
	ES_BLOBS,
};

#define ES_FILE_TRUNCATED 0x1u /* longer than fits */
#define ES_FILE_DELETED 0x2u
#define ES_FILE_UNKNOWN 0x4u /* the program does not know it */

struct es_record_file {
	uint64_t inode;
	uint64_t size;
	uint32_t device; /* as the kernel has it: major << 20 | minor */
	uint32_t mode, uid, gid;
	uint32_t flags;
	uint32_t mount_id;
};

struct es_record_process {
	uint32_t token[8]; /* audit_token_t; pid as the broker's pid namespace has it, 0 outside */
	int32_t ppid, original_ppid, group_id, session_id;
	uint64_t start_boottime; /* ns */
	uint32_t parent_token[8];
	struct es_record_file executable;
	uint32_t mount_namespace;
	uint32_t reserved;
};

struct es_record {
	uint32_t version;
	uint32_t bytes; /* of the whole */
	uint32_t event_type;
	uint32_t error; /* ES_RECORD_ERROR_* */
	/* of this client, when the record got its place: lost before it, of its type and of all */
	uint64_t dropped_of_type, dropped;
	uint64_t time; /* CLOCK_MONOTONIC, ns */
	uint64_t thread_id;
	struct es_record_process process, target; /* target: exec, fork */
	int32_t exit_status;
	uint32_t argument_bytes,
		environment_bytes; /* of the program itself: more than is here, maybe */
	struct es_record_file cwd;
	uint32_t blob_bytes[ES_BLOBS];
	uint32_t reserved;
};

#define ES_RECORD_ERROR_ARGUMENTS 0x1u /* could not be read */
#define ES_RECORD_ERROR_ENVIRONMENT 0x2u
#define ES_RECORD_BYTES_MAX (sizeof(struct es_record) + ES_BLOBS * ES_BLOB_BYTES)

/* One page that daemon and program share. Written by the daemon, but for what is marked. */
struct es_control {
	uint64_t subscribed[ES_EVENTS_MAX]; /* a bit a client */
	uint32_t scoped;		    /* only what is in scope_cgroups[0] or below */
	uint32_t pid_namespace;		    /* inode number of the broker's */
	uint64_t no_storage;		    /* program: events without what is known of the task */
};

/* Of each client, written by the program. */
struct es_counters {
	uint64_t sent;
	uint64_t dropped;
	uint64_t last_wake; /* ns: at most one forced wake-up in 20 us */
	uint64_t dropped_of_type[ES_EVENTS_MAX];
};

/* A page of each client, which it maps: it raises the flag before it sleeps. */
struct es_wake_page {
	uint32_t waiting;
	uint8_t reserved[4092];
};

#endif
