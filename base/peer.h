/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is at the other end of a socket: a process, not a name.
 *
 * SO_PEERCRED says who connected; the descriptor may have been passed on, and the number may be
 * another process's by now. So the daemon opens a pidfd for that number, sends a nonce, and takes
 * it back with SCM_CREDENTIALS of the same number while the pidfd still lives: the one who spoke
 * after the pidfd was opened is its owner. Works on every kernel from 5.3.
 */
#ifndef OB_BASE_PEER_H
#define OB_BASE_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/wire.h"

enum peer_state { PEER_NEW, PEER_ASKED, PEER_KNOWN };

struct peer {
	enum peer_state state;
	int pid_fd; /* ours; -1 */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	uint64_t
		start_time; /* field 22 of /proc/PID/stat: with the pid it names one process of this boot */
	struct wire_nonce nonce;
};
#define PEER_INIT            \
	{                    \
		.pid_fd = -1 \
	}

/* Daemon: sends WIRE_NONCE on @fd, whose SO_PASSCRED it switches on. 0 or -errno; -ESRCH: already gone. */
int peer_ask(struct peer *peer, int fd);
/* Daemon: the WIRE_NONCE that came back. 0: PEER_KNOWN. -EPERM: it was not the one who connected. */
int peer_answer(struct peer *peer, const struct wire_packet *packet);
/* Client: waits for WIRE_NONCE on a fresh connection and sends it back. @packet is scratch. */
int peer_prove(int fd, struct wire_packet *packet);

/* The same knowledge about a child of ours or a process found in /proc: opens the pidfd first. */
int peer_of_pid(struct peer *peer, pid_t pid);
bool peer_is_alive(const struct peer *peer);
void peer_done(struct peer *peer);

/* Start time of a process as in /proc/PID/stat; -ESRCH. */
int process_start_time(pid_t pid, uint64_t *ret);

/* For what libc 2.36 does not wrap in every build. */
int process_pidfd(pid_t pid);
int process_signal(int pid_fd, int signal);

/*
 * Kills a child and takes its end. One that waits in the kernel for a disk, where SIGKILL does not
 * reach it, is waited for one second; then it is left to end when it can.
 */
void process_end(pid_t pid);

#endif
