/* SPDX-License-Identifier: Apache-2.0
 *
 * What every message is made of: files, processes, threads. A field that Linux or this version cannot
 * fill says so beside it, and never holds a guess.
 */
#ifndef ENDPOINT_SECURITY_ES_MESSAGE_CORE_H
#define ENDPOINT_SECURITY_ES_MESSAGE_CORE_H

#include <EndpointSecurity/ESTypes.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * path: in the mount namespace of the file, from the top of its mount tree, never from a process'
 * root; up to 4095 bytes. path_truncated: it is longer than that.
 * stat: of the inode itself, at the moment of the act. A file system that makes up its own answer to
 * stat(2), as overlayfs does for st_dev, can say something else there.
 */
typedef struct {
	es_string_token_t path;
	bool path_truncated;
	struct stat stat;
} es_file_t;

typedef struct {
	uint64_t thread_id;
} es_thread_t;

typedef struct {
	int flavor;
	es_token_t state;
} es_thread_state_t;

/* An open descriptor of a program that starts. */
typedef struct {
	int32_t fd;
	uint32_t fdtype; /* macOS' PROX_FDTYPE_*: 1 file, 2 socket, 5 event queue, 6 pipe */
	union {
		struct {
			uint64_t pipe_id; /* the same at both ends */
		} pipe;
	};
} es_fd_t;

typedef struct {
	audit_token_t audit_token; /* pid: as outboardd's pid namespace has it */
	pid_t ppid;
	pid_t original_ppid; /* at fork: kept when the parent ends */
	pid_t group_id;
	pid_t session_id;
	uint32_t codesigning_flags; /* CS_*, EndpointSecurity(7); 0: not known yet */
	bool is_platform_binary;    /* of a package of this system, unchanged, root's alone */
	bool is_es_client;
	es_cdhash_t cdhash;	      /* the first bytes of cdhash_full; zeros: not known yet */
	es_string_token_t signing_id; /* a bundle's identifier, "deb:coreutils", or empty */
	es_string_token_t team_id;    /* a bundle's, or empty */
	es_file_t *executable;
	es_file_t *tty;		   /* of the session; NULL none; stat: its device number only */
	struct timeval start_time; /* of the process, not of the program: kept over exec */
	audit_token_t responsible_audit_token; /* the parent's */
	audit_token_t parent_audit_token;
	es_cs_validation_category_t cs_validation_category; /* 0 */
	uint8_t reserved[16];
	es_token_t cdhash_full; /* SHA-256 of the executable; empty: not known yet */
} es_process_t;

#ifdef __cplusplus
}
#endif

#endif
