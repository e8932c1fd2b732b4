/* SPDX-License-Identifier: Apache-2.0
 *
 * What asking needs between outboard-esd and its kernel programs (bpf/ask.bpf.c): of a thread that waits
 * in fanotify, who it is and what it is about to do, and what was decided about an execve, which the
 * program that then runs is compared with.
 */
#ifndef OB_ENDPOINT_ASK_H
#define OB_ENDPOINT_ASK_H

#include "endpoint/record.h"

/* One execve, from its system call's entry to its end; by thread, as the first pid namespace numbers it. */
struct es_exec {
	uint64_t number;			   /* counts all of them */
	uint64_t filename, arguments, environment; /* addresses in the caller's memory */
	uint32_t compat;  /* of a 32-bit program: its addresses are that long */
	uint32_t verdict; /* ES_VERDICT_* */
	/* what was allowed; what runs has to be just that */
	uint64_t inode;
	uint32_t device;
	uint32_t argument_bytes;    /* how many of them were seen; */
	uint32_t environment_bytes; /* 0: not compared */
	uint32_t from_the_end;	    /* of a script they stand behind what its first line says */
	uint64_t argument_hash, environment_hash;
};
#define ES_VERDICT_NONE 0u    /* nobody has been asked yet */
#define ES_VERDICT_ALLOWED 1u /* somebody was */
#define ES_VERDICT_PASSED 2u  /* nobody had to be */
#define ES_VERDICT_DENIED 3u

/* es_asking.value: the program finds out, the daemon has to, nobody can */
#define ES_VALUE_ASK (-1)
#define ES_VALUE_BEHIND_POINTER (-2)
#define ES_VALUE_UNKNOWN 1 /* FREAD */

/* FNV-1a over words of eight bytes, the last one filled up with zeros: the same in program and daemon. */
#define ES_HASH_BEGIN 14695981039346656037ull
#define ES_HASH_FACTOR 1099511628211ull

/* An answer that is remembered: for whom, and for what. */
struct es_verdict_key {
	uint64_t actor_inode, file_inode;
	int64_t actor_changed, file_changed;
	uint64_t file_size;
	uint32_t actor_device, file_device;
	uint32_t event;
	uint32_t generation; /* of all: raised, they are forgotten */
};
struct es_verdict {
	uint32_t denied;
	uint32_t flags; /* AUTH_OPEN: those that are allowed */
};
#define ES_VERDICTS_MAX 16384

/* One page and more that program and daemon share: a question to the program, and its answer. */
struct es_asking {
	/* daemon */
	uint64_t clients; /* who is to be told; 0: nobody, only look */
	uint64_t question;
	uint32_t event;
	uint32_t result;	    /* NOTIFY of what was denied */
	int32_t file_fd, script_fd; /* descriptors of the daemon; -1 */
	int32_t look_fd;	    /* of it, only where it lies is asked */
	int32_t value;
	uint32_t use_cache;
	uint32_t generation;
	uint32_t argument_whole, environment_whole; /* bytes that there are */
	uint32_t argument_bytes, environment_bytes; /* that are here, NUL included */
	/* program */
	uint32_t found; /* the thread is there, and in scope */
	uint32_t in_exec;
	uint32_t traced;
	uint32_t cached;
	uint32_t file_is_written; /* somebody has it open for writing, or mapped so */
	uint32_t look_device;
	uint64_t look_magic; /* of its file system: linux/magic.h */
	uint32_t unmade;     /* there was no room to make the question in */
	struct es_verdict verdict;
	struct es_exec exec;
	uint64_t told;	  /* who has it in the ring */
	uint64_t dropped; /* who should have */
	uint64_t call_arguments[4];
	uint32_t call; /* the system call that it is in */
	uint32_t compat;
	uint32_t pid;	 /* as the broker numbers it */
	uint32_t thread; /* as the first namespace does */
	struct es_verdict_key key;
	/* daemon */
	char arguments[ES_BLOB_BYTES], environment[ES_BLOB_BYTES];
};

#endif
