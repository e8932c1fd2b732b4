/* SPDX-License-Identifier: Apache-2.0
 *
 * Audit tokens, as macOS' libbsm reads them: who a process was when something happened. Same
 * layout, so that a token can be stored and compared as 32 bytes. -lbsm and -loutboard both have it.
 */
#ifndef BSM_LIBBSM_H
#define BSM_LIBBSM_H

#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef AUDIT_TOKEN_T_DEFINED
#define AUDIT_TOKEN_T_DEFINED
/* auid, euid, egid, ruid, rgid, pid, asid, pidversion */
typedef struct {
	unsigned int val[8];
} audit_token_t;
#endif

typedef uid_t au_id_t;	 /* the login uid, /proc/PID/loginuid; AU_DEFAUDITID: none */
typedef pid_t au_asid_t; /* the audit session, /proc/PID/sessionid; -1: none */
#define AU_DEFAUDITID ((uid_t)(-1))

/* The terminal of an audit session. Linux' audit has none: always 0. */
typedef struct au_tid {
	dev_t port;
	uint32_t machine;
} au_tid_t;

/*
 * All: read one field, any thread. Since: 0.1. Source: libbsm, macOS 10.4.
 */

/** audit_token_to_auid() - login uid, kept over su and sudo; AU_DEFAUDITID without a login */
uid_t audit_token_to_auid(audit_token_t token);
/** audit_token_to_euid() - effective uid */
uid_t audit_token_to_euid(audit_token_t token);
/** audit_token_to_egid() - effective gid */
gid_t audit_token_to_egid(audit_token_t token);
/** audit_token_to_ruid() - real uid */
uid_t audit_token_to_ruid(audit_token_t token);
/** audit_token_to_rgid() - real gid */
gid_t audit_token_to_rgid(audit_token_t token);
/** audit_token_to_pid() - process id, in the host's pid namespace where Outboard made the token */
pid_t audit_token_to_pid(audit_token_t token);
/** audit_token_to_asid() - audit session */
au_asid_t audit_token_to_asid(audit_token_t token);
/**
 * audit_token_to_pidversion() - with the pid, one process of this boot, or one of its programs
 *
 * In a message of Endpoint Security it is another one after each exec, as on macOS. In a token of
 * ob_peer_get_audit_token() it is the process's start, the low 32 bits of field 22 of /proc/PID/stat, and
 * stays the same over exec. So a token of the one kind is never equal to one of the other;
 * es_mute_process() takes both.
 */
int audit_token_to_pidversion(audit_token_t token);
/** audit_token_to_au32() - all of them but the version, each where its pointer is not NULL */
void audit_token_to_au32(audit_token_t token, uid_t *auid, uid_t *euid, gid_t *egid, uid_t *ruid,
	gid_t *rgid, pid_t *pid, au_asid_t *asid, au_tid_t *tid);

#ifdef __cplusplus
}
#endif

#endif
