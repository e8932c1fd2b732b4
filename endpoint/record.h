/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel program writes into a client's ring, and what program and daemon share: read by
 * the compiler for BPF, by outboard-esd and by libEndpointSecurity. Fixed width throughout; a record
 * says its version, so that an old library that meets a new daemon says so instead of guessing.
 *
 * A record is: the first `fixed_bytes` of struct es_record, as much as its event needs, then
 * ES_BLOBS byte strings one after the other, each with its NUL, whose lengths (NUL included, 0:
 * absent) stand in blob_bytes[].
 */
#ifndef OB_ENDPOINT_RECORD_H
#define OB_ENDPOINT_RECORD_H

#ifdef __bpf__
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define ES_OFFSET(type, member) __builtin_offsetof(type, member)
#else
#include <stddef.h>
#include <stdint.h>
#define ES_OFFSET(type, member) offsetof(type, member)
#endif

#define ES_RECORD_VERSION 3
#define ES_CLIENTS_MAX 64
#define ES_EVENTS_MAX 256
#define ES_BLOB_BYTES 4096u /* each string with its NUL is shorter */

enum es_blob {
	ES_BLOB_EXECUTABLE, /* of the process that acted, before */
	ES_BLOB_SIGNING_ID, /* of the same */
	ES_BLOB_TARGET,	    /* exec, fork, signal: the other executable; else the file */
	ES_BLOB_TARGET_SIGNING_ID,
	ES_BLOB_SECOND,	   /* exec: working directory; create, unlink, rename: the directory */
	ES_BLOB_SCRIPT,	   /* exec */
	ES_BLOB_ARGUMENTS, /* exec: NUL-separated; create, rename: the new name; mount: the source */
	ES_BLOB_ENVIRONMENT, /* exec: NUL-separated; mount: the type of the file system */
	ES_BLOB_DESCRIPTORS, /* exec: struct es_record_descriptor, and a NUL */
	ES_BLOBS,
};

#define ES_DESCRIPTORS_MAX 64 /* of an exec: the lowest ones */
struct es_record_descriptor {
	int32_t fd;
	uint32_t type; /* es_fd_t */
	uint64_t pipe;
};

#define ES_FILE_TRUNCATED 0x1u /* longer than fits */
#define ES_FILE_DELETED 0x2u
#define ES_FILE_UNKNOWN 0x4u	/* the program does not know it */
#define ES_FILE_UNVERIFIED 0x8u /* the path is the caller's word, which another thread can change */
#define ES_FILE_DETACHED 0x10u /* of no mount tree: the path begins at the top of its file system */

/* struct stat(2), of the inode itself; times in ns since 1970 */
struct es_record_file {
	uint64_t inode, size, blocks;
	int64_t access_time, modify_time, change_time;
	uint32_t device, special; /* as the kernel has them: major << 20 | minor */
	uint32_t mode, uid, gid, links, block_bytes, generation;
	uint32_t flags; /* ES_FILE_* */
	uint32_t mount_id;
	uint32_t mount_namespace; /* in which the path is one; 0: none */
	uint32_t reserved;
};

#define ES_IDENTITY_NONE 0u    /* of no file that has one */
#define ES_IDENTITY_PENDING 1u /* not computed yet: nothing is known, which is not "unsigned" */
#define ES_IDENTITY_KNOWN 2u

struct es_record_identity {
	uint32_t state;
	uint32_t codesigning_flags;
	uint32_t is_platform_binary;
	uint32_t reserved;
	uint8_t cdhash_full[32];
	char team_id[16];
};

#define ES_PROCESS_CLIENT 0x1u /* it is a client of Endpoint Security */

struct es_record_process {
	uint32_t token[8]; /* audit_token_t; pid as the broker's pid namespace has it, 0 outside */
	uint32_t parent_token[8];
	int32_t ppid, original_ppid, group_id, session_id;
	uint64_t start_boottime; /* ns */
	struct es_record_file executable;
	struct es_record_identity identity;
	uint32_t mount_namespace;
	uint32_t tty_device; /* of the session's terminal, major << 20 | minor; 0 none */
	uint32_t flags;	     /* ES_PROCESS_* */
	uint32_t reserved;
};

struct es_record {
	uint32_t version;
	uint32_t bytes; /* of the whole */
	uint32_t event_type;
	uint32_t error; /* ES_RECORD_ERROR_* */
	/* of this client, when the record was written: lost before it, of its type and of all */
	uint64_t dropped_of_type, dropped;
	uint64_t time; /* CLOCK_MONOTONIC, ns */
	uint64_t thread_id;
	uint64_t question; /* AUTH: number that the answer names; 0: NOTIFY */
	uint64_t deadline; /* AUTH: CLOCK_MONOTONIC, ns */
	uint32_t fixed_bytes;
	uint16_t blob_bytes[ES_BLOBS];
	int32_t value; /* exit: status; signal: number; open: flags; create: kind of destination */
	uint32_t detail; /* close: ES_CLOSE_*; create: mode; mount: flags */
	uint32_t result; /* NOTIFY after an AUTH: 0 allowed, 1 denied */
	struct es_record_process process;
	struct es_record_file file;   /* exec: the script */
	struct es_record_file second; /* what ES_BLOB_SECOND names */
	/* from here on: exec, fork, signal */
	struct es_record_process target;
	uint32_t argument_bytes, environment_bytes; /* of the program: more than is here, maybe */
	int32_t last_fd;
	uint32_t reserved;
};

#define ES_RECORD_BASE_BYTES ES_OFFSET(struct es_record, file) /* exit */
#define ES_RECORD_FILE_BYTES ES_OFFSET(struct es_record, second)
#define ES_RECORD_FILES_BYTES ES_OFFSET(struct es_record, target)

#define ES_CLOSE_MODIFIED 0x1u
#define ES_CLOSE_WAS_MAPPED_WRITABLE 0x2u

#define ES_RECORD_ERROR_ARGUMENTS 0x1u /* could not be read */
#define ES_RECORD_ERROR_ENVIRONMENT 0x2u
#define ES_RECORD_ERROR_ACTOR 0x4u  /* who acted is one of several: see outboard-esd(8) */
#define ES_RECORD_ERROR_MERGED 0x8u /* at least once: the kernel joins repeats of one act */
#define ES_RECORD_BYTES_MAX (sizeof(struct es_record) + ES_BLOBS * ES_BLOB_BYTES)

/* ---- mutes ------------------------------------------------------------------------------------ */

/* What is muted, with Apple's numbers for the paths: es_mute_path_type_t */
enum es_mute_kind {
	ES_MUTE_PREFIX,
	ES_MUTE_LITERAL,
	ES_MUTE_TARGET_PREFIX,
	ES_MUTE_TARGET_LITERAL,
	ES_MUTE_PROCESS,
	ES_MUTE_KINDS
};

/* es_mute_inversion_type_t */
enum es_inversion { ES_INVERT_PROCESS, ES_INVERT_PATH, ES_INVERT_TARGET, ES_INVERSIONS };

/* Whose path it is */
enum es_mute_role { ES_ROLE_ACTOR, ES_ROLE_TARGET, ES_ROLES };

#define ES_MUTES_MAX 65536 /* of all clients together */

struct es_mute_key {
	uint64_t hash[2]; /* of the path, endpoint/siphash.h; of a process: number and version */
	uint32_t kind;
	uint32_t bytes; /* of the path, without a NUL; of a process 0 */
};

struct es_mute_clients {
	uint64_t all;  /* a bit a client: of whatever event */
	uint64_t some; /* of some events, which are in the other map */
};

struct es_mute_part {
	struct es_mute_key key;
	uint32_t client;
	uint32_t reserved;
};

struct es_mute_events {
	uint64_t events[ES_EVENTS_MAX / 64];
};

struct es_muting {
	/* clients that can mute an event of that type by who acts, and by what it is done to */
	uint64_t actor[ES_EVENTS_MAX], target[ES_EVENTS_MAX];
	uint64_t inverted[ES_INVERSIONS]; /* a bit a client */
	uint64_t generation;		  /* another one after each change; never 0 */
	uint64_t key[2];
	uint64_t capped; /* program: paths with more prefixes than are looked up: told, not muted */
	uint32_t processes; /* how many are muted, of all clients */
	uint32_t slashes
		[ES_ROLES]; /* how many prefixes end in '/': looked up at each one in a path */
	uint32_t reserved;
	uint8_t lengths[ES_ROLES]
		       [ES_BLOB_BYTES / 8]; /* of the others: bit n % 8 of byte n / 8 is n + 1 */
};

/* ---- what program and daemon share ------------------------------------------------------------ */

/* Mapped by the daemon. Written by the daemon, but for what is marked. */
struct es_control {
	uint64_t subscribed[ES_EVENTS_MAX]; /* a bit a client */
	uint32_t scoped;		    /* only what is in scope_cgroups[0] or below */
	uint32_t broker_pid;		    /* its number in there: its own children are not told */
	uint32_t mount_namespace; /* inode number of the broker's: where a path is a path */
	uint32_t pid_namespace;	  /* inode number of the broker's */
	uint32_t pid_level;	  /* program: how deep that one lies */
	uint32_t identity_epoch;  /* of what is in `identities`; never 0 */
	uint64_t no_storage;	  /* program: events without what is known of the task */
	uint64_t no_scratch;	  /* program: events that found no room to be made in */
	struct es_muting muting;
	/* how long each client has to answer, ns: AUTH_EXEC, AUTH_OPEN */
	uint64_t answer_ns[2][ES_CLIENTS_MAX];
	uint64_t scope_cgroup; /* id of scope_cgroups[0] */
	uint64_t exec_numbers; /* program */
	uint64_t unasked;      /* program: execs that nobody could be asked about */
	/* an execve from that number on that nobody could be asked about is killed; 0: it runs */
	uint64_t must_ask_from;
	uint64_t exchanged;  /* program: those that were killed, not being what was allowed */
	uint64_t descending; /* clients of descendants: a bit a client */
	/* what adopt() looks for: who descends from this process, for which client; pid 0: nobody does */
	uint64_t adopt_client;
	uint32_t adopt_pid;
	uint32_t adopted; /* program: how many were found that were not known to */
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
