/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages between processes of ours, see wire.h. This is the first code that bytes of an
 * untrusted peer meet, so it allocates nothing and keeps nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include "base/fd.h"
#include "base/str.h"
#include "base/wire.h"

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
};

int wire_send(int fd, uint16_t type, uint16_t flags, uint64_t id, const void *body,
	size_t body_bytes, const int *fds, size_t n_fds)
{
	struct wire_header header = { .bytes = (uint32_t)(sizeof header + body_bytes),
		.type = type,
		.flags = flags,
		.id = id };
	struct iovec parts[2] = { { &header, sizeof header },
		{ (void *)(uintptr_t)body, body_bytes } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = body_bytes ? 2 : 1 };
	union control control = { 0 };
	ssize_t n;

	if (body_bytes > WIRE_BYTES_MAX - sizeof header || n_fds > WIRE_FDS_MAX)
		return -EMSGSIZE;
	if (n_fds > 0) {
		struct cmsghdr *rights;

		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(rights), fds, sizeof(int) * n_fds);
	}
	do
		n = sendmsg(fd, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == header.bytes ? 0 : -EIO;
}

static int take_control(struct msghdr *message, struct wire_packet *packet)
{
	struct cmsghdr *at;

	for (at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
		size_t bytes = at->cmsg_len - CMSG_LEN(0);

		if (at->cmsg_level != SOL_SOCKET)
			continue;
		if (at->cmsg_type == SCM_RIGHTS) {
			size_t n = bytes / sizeof(int);

			/* cannot be more: the control buffer has no room for it, and MSG_CTRUNC says so */
			if (packet->n_fds + n > WIRE_FDS_MAX)
				return -EPROTO;
			memcpy(packet->fds + packet->n_fds, CMSG_DATA(at), n * sizeof(int));
			packet->n_fds += n;
		} else if (at->cmsg_type == SCM_CREDENTIALS && bytes == sizeof(struct ucred)) {
			memcpy(&packet->sender, CMSG_DATA(at), sizeof(struct ucred));
		}
	}
	return message->msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? -EPROTO : 0;
}

int wire_receive(int fd, struct wire_packet *packet, int flags)
{
	struct iovec parts[2] = { { &packet->header, sizeof packet->header },
		{ packet->body, sizeof packet->body } };
	union control control;
	struct msghdr message = { .msg_iov = parts,
		.msg_iovlen = 2,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes };
	unsigned reset = 0;
	ssize_t n;
	int r;

	wire_packet_done(packet);
	/*
	 * A peer that has closed without reading all that it was sent resets the connection, and that
	 * error comes in front of what it had sent, once (net/unix/af_unix.c: unix_release_sock();
	 * net/core/datagram.c: __skb_try_recv_datagram()).
	 */
	do
		n = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !reset++)));
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	packet->sender = (struct ucred){ 0 };
	r = take_control(&message, packet);
	if (r == 0 && n == 0)
		r = packet->n_fds ? -EPROTO : -EPIPE;
	if (r == 0 &&
		((size_t)n < sizeof packet->header || packet->header.bytes != (size_t)n ||
			packet->header.flags & ~WIRE_FLAG_ALL))
		r = -EPROTO;
	if (r < 0) {
		wire_packet_done(packet);
		return r;
	}
	packet->body_bytes = (size_t)n - sizeof packet->header;
	return 0;
}

void wire_packet_done(struct wire_packet *packet)
{
	while (packet->n_fds > 0)
		fd_close(packet->fds[--packet->n_fds]);
	packet->body_bytes = 0;
}

int wire_take_fd(struct wire_packet *packet, size_t index)
{
	if (index >= packet->n_fds)
		return -1;
	return TAKE_FD(packet->fds[index]);
}

int wire_dispatch(const struct wire_row *rows, size_t n_rows, uint32_t phase,
	struct wire_packet *packet, void *context)
{
	size_t i;

	for (i = 0; i < n_rows; i++) {
		const struct wire_row *row = &rows[i];

		if (row->type != packet->header.type)
			continue;
		if (!(row->phases & phase) || packet->header.flags & ~row->flags ||
			packet->body_bytes < row->bytes_min ||
			packet->body_bytes > row->bytes_max || packet->n_fds < row->fds_min ||
			packet->n_fds > row->fds_max)
			return -EPROTO;
		return row->handler(context, packet);
	}
	return -EPROTO;
}

int wire_pair(int ret_fds[static 2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

/* A socket, and the address for it. */
static int socket_for(const char *path, int flags, struct sockaddr_un *ret)
{
	int fd;

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (STR_PUT(ret->sun_path, path) < 0)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
	return fd < 0 ? -errno : fd;
}

int wire_listen(const char *path, mode_t mode, int backlog)
{
	struct sockaddr_un address;
	_cleanup_fd_ int fd = socket_for(path, SOCK_NONBLOCK, &address);

	if (fd < 0)
		return fd;
	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	/* the mode of the socket itself is taken at bind: nobody gets in before chmod */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	if (chmod(path, mode) < 0 || listen(fd, backlog) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int connect_with(const char *path, int flags)
{
	struct sockaddr_un address;
	_cleanup_fd_ int fd = socket_for(path, flags, &address);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int wire_connect(const char *path)
{
	return connect_with(path, 0);
}

int wire_connect_nonblocking(const char *path)
{
	return connect_with(path, SOCK_NONBLOCK);
}
