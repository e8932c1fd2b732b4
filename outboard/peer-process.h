/* SPDX-License-Identifier: Apache-2.0
 *
 * The process at the other end of a socket, by its pidfd.
 */
#ifndef OB_OUTBOARD_PEER_PROCESS_H
#define OB_OUTBOARD_PEER_PROCESS_H

#include <stdint.h>
#include <sys/socket.h>
#include <bsm/libbsm.h>

struct peer_process {
	int pid_fd;
	struct ucred credentials; /* as it connected */
};

/* -ENOTSOCK; -ENOTCONN; -ESRCH gone, or not to be told from another one of its number; -EACCES. */
int peer_process_open(int fd, struct peer_process *ret);
void peer_process_close(struct peer_process *process);
/* -ESRCH: it went while it was looked at. */
int peer_process_token(const struct peer_process *process, audit_token_t *ret);

/* Of a kernel without SO_PEERPIDFD; also for the test of it, on kernels that have it. */
int peer_process_open_by_number(int fd, struct peer_process *ret);

uint64_t clock_ms(void);

#endif
