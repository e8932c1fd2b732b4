/* SPDX-License-Identifier: Apache-2.0
 *
 * The first bytes of a file that somebody wants to run, where they are not in memory already: a disk
 * may be slow, and a server may never answer. So they are read by processes that have nothing but the
 * file: one that is stuck in the kernel, where no signal reaches it, holds nobody but itself, while a
 * thread of ours would keep fanotify's group open. Each reads one file at a time, and one file system has
 * few of them; the others wait for them, each until the deadline that the clients have.
 *
 * Fail mode: what was not read in time gets the mode of the clients that could not be asked.
 */
#include <errno.h>
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/wire.h"
#include "endpoint/engine/ask-internal.h"

#define READER_SOCKET_FD 3

/* ---- a reader: between fork(2) and its end, system calls alone ---------------------------------- */

union fd_space {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr header; /* aligns it */
};

static int take_file(int socket_fd)
{
	union fd_space space;
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &space,
		.msg_controllen = sizeof space };
	const struct cmsghdr *header;
	int fd;

	if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(header), sizeof fd);
	return fd;
}

static int give_file(int socket_fd, int fd)
{
	union fd_space space = { .bytes = "" };
	struct iovec data = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &space,
		.msg_controllen = sizeof space };

	space.header = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)
	};
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof fd);
	return sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static void __attribute__((noreturn)) read_heads(int socket_fd)
{
	char text[HEAD_BYTES + 1]; /* one more, so that nothing is not the end */
	ssize_t bytes;
	int fd;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || dup2(socket_fd, READER_SOCKET_FD) < 0 ||
		close_range(READER_SOCKET_FD + 1, ~0u, 0) < 0)
		_exit(1);
	prctl(PR_SET_NAME, "head-reader");
	while ((fd = take_file(READER_SOCKET_FD)) >= 0) {
		bytes = pread(fd, text, HEAD_BYTES, 0);
		if (send(READER_SOCKET_FD, text, bytes < 0 ? 1 : (size_t)bytes + 1, MSG_NOSIGNAL) <
			0)
			_exit(1);
		close(fd);
	}
	_exit(0);
}

/* ---- the readers ------------------------------------------------------------------------------- */

void heads_init(struct heads *heads)
{
	size_t i;

	for (i = 0; i < HEADS_MAX; i++)
		heads->waiting[i].fd = -1;
	for (i = 0; i < READERS_MAX; i++)
		heads->readers[i].fd = heads->readers[i].head = -1;
}

/* Nobody waits for its end: one that is stuck may have none. */
static void end_reader(struct reader *reader)
{
	if (reader->pid <= 0)
		return;
	reader->fd = fd_close(reader->fd);
	reader->head = -1;
	kill(reader->pid, SIGKILL);
	if (waitpid(reader->pid, NULL, WNOHANG) == reader->pid)
		reader->pid = 0;
}

static int start_reader(struct ask *ask, uint32_t at)
{
	struct reader *reader = &ask->heads.readers[at];
	int pair[2];
	pid_t pid;

	if (wire_pair(pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		read_heads(pair[1]);
	close(pair[1]);
	if (pid < 0 || ask_watch_fd(ask, pair[0], FROM_READER + at) < 0) {
		close(pair[0]);
		if (pid > 0)
			kill(pid, SIGKILL);
		return -EAGAIN;
	}
	*reader = (struct reader){ .pid = pid, .fd = pair[0], .head = -1 };
	return 0;
}

/* One that has nothing to do; else one that does not exist yet. */
static struct reader *free_reader(struct ask *ask)
{
	struct reader *readers = ask->heads.readers;
	uint32_t i;

	for (i = 0; i < READERS_MAX; i++)
		if (readers[i].fd >= 0 && readers[i].head < 0)
			return &readers[i];
	for (i = 0; i < READERS_MAX; i++) {
		if (readers[i].fd >= 0)
			continue;
		end_reader(&readers[i]);
		if (readers[i].pid == 0 && start_reader(ask, i) == 0)
			return &readers[i];
	}
	return NULL;
}

/* ---- what waits -------------------------------------------------------------------------------- */

static uint32_t readers_of(const struct heads *heads, uint32_t device)
{
	uint32_t i, n = 0;

	for (i = 0; i < READERS_MAX; i++) {
		const struct reader *reader = &heads->readers[i];

		n += reader->pid && (reader->fd < 0 || reader->head >= 0) &&
			reader->device == device;
	}
	return n;
}

static struct waiting_head *next_unread(struct heads *heads)
{
	struct waiting_head *first = NULL;
	size_t i;

	for (i = 0; i < HEADS_MAX && heads->n_waiting; i++) {
		struct waiting_head *one = &heads->waiting[i];

		if (one->fd >= 0 && !one->is_read && (!first || one->deadline < first->deadline) &&
			readers_of(heads, one->device) < READERS_EACH)
			first = one;
	}
	return first;
}

static void go_on(struct ask *ask)
{
	struct waiting_head *next;
	struct reader *reader;
	uint32_t i;

	for (i = 0; i < READERS_MAX; i++)
		if (ask->heads.readers[i].fd < 0)
			end_reader(&ask->heads.readers[i]); /* it may have ended since */
	while ((next = next_unread(&ask->heads)) && (reader = free_reader(ask))) {
		if (give_file(reader->fd, next->fd) < 0) {
			end_reader(reader);
			return;
		}
		next->is_read = true;
		reader->head = (int)(next - ask->heads.waiting);
		reader->device = next->device;
	}
}

int heads_put(struct ask *ask, int fd, uint32_t thread, uint32_t device, uint64_t deadline)
{
	struct heads *heads = &ask->heads;
	size_t i;

	for (i = 0; i < HEADS_MAX; i++) {
		if (heads->waiting[i].fd >= 0)
			continue;
		heads->waiting[i] = (struct waiting_head){
			.fd = fd, .thread = thread, .device = device, .deadline = deadline
		};
		heads->n_waiting++;
		go_on(ask);
		return 0;
	}
	return -ENOSPC;
}

/* Its descriptor is whoever's now who called. */
static int take(struct heads *heads, struct waiting_head *head)
{
	int fd = head->fd;

	head->fd = -1;
	heads->n_waiting--;
	return fd;
}

void heads_on_reader(struct ask *ask, uint32_t at)
{
	struct reader *reader = &ask->heads.readers[at];
	_Alignas(Elf64_Ehdr) char text[HEAD_BYTES + 1];
	ssize_t bytes = recv(reader->fd, text, sizeof text, MSG_DONTWAIT);
	int which = reader->head, fd;
	uint32_t thread;
	struct head head;

	if (reader->fd < 0 || (bytes < 0 && errno == EAGAIN))
		return;
	reader->head = -1;
	if (bytes <= 0)
		end_reader(reader);
	if (which >= 0) {
		thread = ask->heads.waiting[which].thread;
		fd = take(&ask->heads, &ask->heads.waiting[which]);
		if (bytes > 0) {
			head_set(&head, text, bytes - 1);
			ask_exec_with_head(ask, fd, thread, &head);
		} else {
			ask_overflow(ask, fd, EVENT_EXEC);
		}
	}
	go_on(ask);
}

uint64_t heads_expire(struct ask *ask, uint64_t now)
{
	struct heads *heads = &ask->heads;
	uint64_t next = UINT64_MAX;
	int i, k;

	for (i = 0; i < (int)HEADS_MAX && heads->n_waiting; i++) {
		struct waiting_head *head = &heads->waiting[i];

		if (head->fd < 0)
			continue;
		if (head->deadline > now) {
			next = head->deadline < next ? head->deadline : next;
			continue;
		}
		for (k = 0; k < (int)READERS_MAX; k++)
			if (heads->readers[k].head == i)
				end_reader(&heads->readers[k]);
		ask_overflow(ask, take(heads, head), EVENT_EXEC);
	}
	if (heads->n_waiting)
		go_on(ask); /* a reader that was stuck may have ended since */
	return next;
}

void heads_done(struct heads *heads)
{
	size_t i;

	for (i = 0; i < HEADS_MAX; i++)
		heads->waiting[i].fd = fd_close(heads->waiting[i].fd);
	for (i = 0; i < READERS_MAX; i++)
		end_reader(&heads->readers[i]);
}
