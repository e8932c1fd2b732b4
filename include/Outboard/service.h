/* SPDX-License-Identifier: Apache-2.0
 *
 * The channel between an app and its extension. The name comes from the extension's Info.plist,
 * NSEndpointSecurityMachServiceName or NEMachServiceName; outboardd holds the listening socket from
 * activation on, so callers wait in its backlog while the extension restarts or is upgraded. What
 * goes over it is yours: SOCK_SEQPACKET, message borders kept. See ob_service(3).
 */
#ifndef OUTBOARD_SERVICE_H
#define OUTBOARD_SERVICE_H

#include <bsm/libbsm.h>
#include <xpc/xpc.h>
#include <Outboard/outboard.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ob_service_listen() - the extension's side: its listening socket
 * @name:    as in Info.plist
 * @ret_fd:  yours, close-on-exec, does not block: poll(2), then accept4(2). Closing it leaves
 *           outboardd's own open, so callers wait
 *
 * Tells outboardd that the extension is up, as ob_extension_ready() does.
 *
 * Errors:  -EINVAL; -ENOENT the process has not inherited a service of that name: it is not in
 *          Info.plist, or this is no extension; -ENOTSOCK, -EINVAL what was inherited is no
 *          listening socket; -EMFILE
 * Threads: any
 * Since:   0.1
 * Source:  NSXPCListener(machServiceName:), macOS 10.8
 */
int ob_service_listen(const char *name, int *ret_fd);

/**
 * ob_service_connect() - connect to the service of an extension
 * @name:   as in the extension's Info.plist
 * @ret_fd: a connected SOCK_SEQPACKET, yours, close-on-exec, blocking
 *
 * Returns as soon as the caller stands in the backlog; that the extension has taken the connection
 * is only known from its first message. Waits while the backlog is full.
 *
 * Errors:  -EINVAL a name that is empty, too long, or has a slash; -ENOENT no active extension has
 *          a service of that name; -ECONNREFUSED outboardd does not run; -EACCES; -EMFILE
 * Threads: any
 * Since:   0.1
 * Source:  NSXPCConnection(machServiceName:), macOS 10.8
 */
int ob_service_connect(const char *name, int *ret_fd);

/**
 * ob_peer_get_audit_token() - who is at the other end of a socket
 * @fd:  a connected AF_UNIX socket, borrowed
 * @ret: written on success
 *
 * The process that connected (of a socketpair: that made it), never one that has come by its number
 * since: the kernel's own descriptor of it is asked for (SO_PEERPIDFD, Linux 6.5). On older ones the
 * process of SO_PEERCRED's number is taken only if it holds the other end of the socket itself, by
 * unix_diag and /proc/PID/fd, which the caller has to be allowed to read.
 *
 * Its pidversion is the process's start, which an exec does not change: see libbsm.h.
 *
 * Errors:  -EINVAL; -ENOTSOCK; -ENOTCONN not connected, or not AF_UNIX; -ESRCH that process has
 *          ended, or, on older kernels, does not hold the other end; -EACCES older kernels alone
 * Threads: any
 * Since:   0.1
 */
int ob_peer_get_audit_token(int fd, audit_token_t *ret);

/**
 * ob_peer_copy_identity() - what outboardd knows of the program at the other end
 * @fd:  as above
 * @ret: a dictionary, one reference, yours; xpc_release(). "team", "identifier", "path", "digest":
 *       strings; "entitlements": a dictionary. A program that is not part of an active bundle has
 *       "path" alone, so its "identifier" is NULL: refuse it.
 *
 * Waits for outboardd's answer, at most 5 s. Only an extension has the socket on which to ask.
 *
 * Errors:  as ob_peer_get_audit_token(); -ENOTCONN this process is no extension that outboardd
 *          started; -ETIMEDOUT outboardd did not answer; -EPIPE outboardd is gone; -EPROTO; -ECHILD
 *          in the child of fork(2); -ENOMEM
 * Threads: any; calls wait for each other
 * Since:   0.1
 */
int ob_peer_copy_identity(int fd, xpc_object_t *ret);

/**
 * ob_extension_ready() - tell outboardd that this extension is up
 *
 * Once a process; later calls do nothing and return 0. ob_service_listen(), the first es_subscribe()
 * and the like do it, so that only an extension without all of these has reason to call it. Without
 * it, an extension is up after running 1 s.
 *
 * Errors:  -ENOTCONN this process is no extension that outboardd started; -EPIPE outboardd is gone;
 *          -ECHILD in the child of fork(2)
 * Threads: any
 * Since:   0.1
 */
int ob_extension_ready(void);

#ifdef __cplusplus
}
#endif

#endif
