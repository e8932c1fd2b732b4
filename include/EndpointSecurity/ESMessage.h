/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client is told: message, process, file, and what belongs to each event. A message is valid
 * in its handler only; es_retain_message() keeps it longer. Fields are Apple's, in Apple's order.
 *
 * The events here are those that this version can watch. A field that Linux or this version cannot
 * fill says so beside it, and never holds a guess.
 */
#ifndef ENDPOINT_SECURITY_ES_MESSAGE_H
#define ENDPOINT_SECURITY_ES_MESSAGE_H

#include <EndpointSecurity/ESTypes.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * path: in the mount namespace of the file, from the top of its mount tree, never from a process'
 * root; up to 4095 bytes. path_truncated: it is longer than that.
 * stat: st_dev, st_ino, st_mode, st_uid, st_gid, st_size; the other fields are 0.
 */
typedef struct {
	es_string_token_t path;
	bool path_truncated;
	struct stat stat;
} es_file_t;

typedef struct {
	uint64_t thread_id;
} es_thread_t;

typedef int es_cs_validation_category_t;

typedef struct {
	audit_token_t audit_token; /* pid: as outboardd's pid namespace has it */
	pid_t ppid;
	pid_t original_ppid; /* at fork: kept when the parent ends */
	pid_t group_id;
	pid_t session_id;
	uint32_t codesigning_flags; /* 0: not known in this version */
	bool is_platform_binary;    /* false: not known in this version */
	bool is_es_client;
	es_cdhash_t cdhash; /* zeros: not known in this version */
	es_string_token_t signing_id;
	es_string_token_t team_id;
	es_file_t *executable;
	es_file_t *tty;		   /* NULL */
	struct timeval start_time; /* of the process, not of the program: kept over exec */
	audit_token_t responsible_audit_token; /* the parent's */
	audit_token_t parent_audit_token;
	es_cs_validation_category_t cs_validation_category; /* 0 */
	uint8_t reserved[16];
	es_token_t cdhash_full; /* empty: not known in this version */
} es_process_t;

/* target: after the program was exchanged; message.process: before it. Arguments: es_exec_arg(). */
typedef struct {
	es_process_t *target;
	es_string_token_t dyld_exec_path; /* empty */
	union {
		uint8_t reserved[64];
		struct {
			es_file_t *script; /* NULL */
			es_file_t *cwd;
			int last_fd; /* -1: not known in this version */
			int image_cputype;
			int image_cpusubtype;
		};
	};
} es_event_exec_t;

typedef struct {
	es_process_t *child;
	uint8_t reserved[64];
} es_event_fork_t;

typedef struct {
	int stat; /* as wait(2) has it */
	uint8_t reserved[64];
} es_event_exit_t;

typedef union {
	es_event_exec_t exec;
	es_event_fork_t fork;
	es_event_exit_t exit;
	uint8_t reserved[256];
} es_events_t;

#define ES_MESSAGE_VERSION 11

typedef struct {
	uint32_t version; /* ES_MESSAGE_VERSION of who made it */
	struct timespec time;
	uint64_t mach_time; /* mach_absolute_time() of the event: CLOCK_MONOTONIC, nanoseconds */
	uint64_t deadline;  /* of an AUTH event */
	es_process_t *process;
	uint64_t seq_num; /* of this client and event type: a jump by n + 1 is n messages lost */
	es_action_type_t action_type;
	union {
		es_event_id_t auth;
		es_result_t notify;
	} action;
	es_event_type_t event_type;
	es_events_t event;
	es_thread_t *thread;
	uint64_t global_seq_num; /* of this client, over all types */
	uint64_t opaque[4];
} es_message_t;

/**
 * es_exec_arg_count(), es_exec_env_count() - how many arguments or variables the program was given
 * @event: of a message, borrowed
 *
 * Those that are in the message: of more than 4096 bytes of either, the first, whole ones.
 *
 * Threads: any
 * Since:   0.1
 * Source:  es_exec_arg_count, macOS 10.15
 */
uint32_t es_exec_arg_count(const es_event_exec_t *event);
uint32_t es_exec_env_count(const es_event_exec_t *event);

/**
 * es_exec_arg(), es_exec_env() - one of them
 * @index: below the count; beyond it the token is empty
 *
 * The token, as long as its message.
 */
es_string_token_t es_exec_arg(const es_event_exec_t *event, uint32_t index);
es_string_token_t es_exec_env(const es_event_exec_t *event, uint32_t index);

#ifdef __cplusplus
}
#endif

#endif
