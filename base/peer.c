/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is at the other end of a socket, see peer.h.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/peer.h"

#define END_MSEC 1000

int process_pidfd(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}

int process_signal(int pid_fd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pid_fd, signal, NULL, 0) < 0 ? -errno : 0;
}

void process_end(pid_t pid)
{
	_cleanup_fd_ int fd = process_pidfd(pid);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	kill(pid, SIGKILL);
	waitpid(pid, NULL, fd >= 0 && poll(&poll_fd, 1, END_MSEC) == 0 ? WNOHANG : 0);
}

int process_start_time(pid_t pid, uint64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	unsigned long long start;
	char path[32];
	const char *at;
	int r, field;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	r = file_read_at(-1, path, 4096, &text, NULL);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	/* the name, field 2, may hold blanks and brackets: count from its last bracket */
	at = strrchr(text, ')');
	for (field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, "%llu", &start) != 1)
		return -EPROTO;
	*ret = start;
	return 0;
}

bool peer_is_alive(const struct peer *peer)
{
	struct pollfd poll_fd = { .fd = peer->pid_fd, .events = POLLIN };

	return peer->pid_fd >= 0 && poll(&poll_fd, 1, 0) == 0;
}

int peer_of_pid(struct peer *peer, pid_t pid)
{
	_cleanup_fd_ int fd = process_pidfd(pid);
	uint64_t start;
	int r;

	if (fd < 0)
		return fd;
	r = process_start_time(pid, &start);
	if (r < 0)
		return r;
	peer_done(peer);
	peer->pid = pid;
	peer->start_time = start;
	peer->pid_fd = TAKE_FD(fd);
	/* what was read by number is the pidfd's only if that one still lived afterwards */
	return peer_is_alive(peer) ? 0 : -ESRCH;
}

int peer_ask(struct peer *peer, int fd)
{
	struct ucred who;
	socklen_t bytes = sizeof who;
	const int on = 1;
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &bytes) < 0)
		return -errno;
	if (who.pid <= 0)
		return -ESRCH;
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
		return -errno;
	r = peer_of_pid(peer, who.pid);
	if (r < 0)
		return r;
	if (getrandom(&peer->nonce, sizeof peer->nonce, 0) != sizeof peer->nonce)
		return -EIO;
	peer->state = PEER_ASKED;
	return WIRE_SEND(fd, WIRE_NONCE, 0, &peer->nonce);
}

int peer_answer(struct peer *peer, const struct wire_packet *packet)
{
	if (peer->state != PEER_ASKED || packet->body_bytes != sizeof peer->nonce ||
		memcmp(packet->body, &peer->nonce, sizeof peer->nonce) != 0)
		return -EPERM;
	if (packet->sender.pid != peer->pid || !peer_is_alive(peer))
		return -EPERM;
	/* who spoke, not who connected: a set-uid program may have done one and not the other */
	peer->uid = packet->sender.uid;
	peer->gid = packet->sender.gid;
	peer->state = PEER_KNOWN;
	return 0;
}

int peer_prove(int fd, struct wire_packet *packet)
{
	int r = wire_receive(fd, packet, 0);

	if (r < 0)
		return r;
	if (packet->header.type != WIRE_NONCE || packet->body_bytes != sizeof(struct wire_nonce))
		return -EPROTO;
	return wire_send(fd, WIRE_NONCE, 0, 0, packet->body, sizeof(struct wire_nonce), NULL, 0);
}

void peer_done(struct peer *peer)
{
	peer->pid_fd = fd_close(peer->pid_fd);
	peer->state = PEER_NEW;
}
