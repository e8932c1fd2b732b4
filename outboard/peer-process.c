/* SPDX-License-Identifier: Apache-2.0
 *
 * The process at the other end of a socket, see peer-process.h.
 *
 * From Linux 6.5 on the kernel hands out a pidfd of it (SO_PEERPIDFD, commit 7b26952a91cf). Before,
 * there is SO_PEERCRED's number alone, which another process may have by now: whoever wants to be
 * taken for a program connects, passes the socket on, ends, and waits until the number is that
 * program's. So the process that is found by the number has to hold the other end itself: the
 * kernel says which socket that is (unix_diag), and /proc which sockets the process has.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/peer.h"
#include "outboard/peer-process.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void peer_process_close(struct peer_process *process)
{
	process->pid_fd = fd_close(process->pid_fd);
}

static bool is_alive(int pid_fd)
{
	struct pollfd poll_fd = { .fd = pid_fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 0;
}

/* ---- By number --------------------------------------------------------------------------------- */

struct answer {
	struct nlmsghdr header;
	struct unix_diag_msg message;
	char attributes[512];
};

static int ask_kernel(int netlink_fd, ino_t inode, struct answer *ret, size_t *ret_bytes)
{
	const struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} question = {
		.header = { .nlmsg_len = sizeof question,
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST },
		.request = { .sdiag_family = AF_UNIX,
			.udiag_states = UINT32_MAX,
			.udiag_ino = (uint32_t)inode,
			.udiag_show = UDIAG_SHOW_PEER,
			.udiag_cookie = { UINT32_MAX, UINT32_MAX } },
	};
	ssize_t n;

	if (send(netlink_fd, &question, sizeof question, 0) < 0)
		return -errno;
	n = recv(netlink_fd, ret, sizeof *ret, 0);
	if (n < 0)
		return -errno;
	*ret_bytes = (size_t)n;
	return 0;
}

/* The socket at the other end, by its inode's number. */
static int find_other_end(int fd, uint32_t *ret)
{
	_cleanup_fd_ int netlink_fd = socket(
		AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	struct answer answer;
	struct rtattr *attribute;
	struct stat status;
	int left, r;
	size_t n = 0;

	if (netlink_fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	r = ask_kernel(netlink_fd, status.st_ino, &answer, &n);
	if (r < 0)
		return r;
	if (!NLMSG_OK(&answer.header, n) || answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return -EOPNOTSUPP;
	left = (int)(answer.header.nlmsg_len - NLMSG_LENGTH(sizeof answer.message));
	for (attribute = (struct rtattr *)(void *)answer.attributes; RTA_OK(attribute, left);
		attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == UNIX_DIAG_PEER &&
			RTA_PAYLOAD(attribute) == sizeof *ret) {
			memcpy(ret, RTA_DATA(attribute), sizeof *ret);
			return 0;
		}
	/* closed at the other end */
	return -ESRCH;
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static int holds(pid_t pid, uint32_t socket_inode)
{
	char path[32], wanted[32], link[32];
	_cleanup_(close_folder) DIR *folder = NULL;
	const struct dirent *entry;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	snprintf(wanted, sizeof wanted, "socket:[%u]", socket_inode);
	folder = opendir(path);
	if (!folder)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((entry = readdir(folder))) {
		n = readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (strcmp(link, wanted) == 0)
			return 0;
	}
	return -ESRCH;
}

static int read_credentials(int fd, struct ucred *ret)
{
	socklen_t bytes = sizeof *ret;
	int domain;
	socklen_t domain_bytes = sizeof domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_bytes) < 0)
		return -errno;
	if (domain != AF_UNIX)
		return -ENOTCONN;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &bytes) < 0)
		return -errno;
	/* not connected; or a process that has no number in this namespace */
	if (ret->pid <= 0)
		return ret->uid == (uid_t)-1 ? -ENOTCONN : -ESRCH;
	return 0;
}

int peer_process_open_by_number(int fd, struct peer_process *ret)
{
	struct peer_process process = { .pid_fd = -1 };
	_cleanup_fd_ int pid_fd = -1;
	uint32_t inode = 0;
	int r = read_credentials(fd, &process.credentials);

	if (r < 0)
		return r;
	pid_fd = process_pidfd(process.credentials.pid);
	if (pid_fd < 0)
		return pid_fd;
	r = find_other_end(fd, &inode);
	if (r == 0)
		r = holds(process.credentials.pid, inode);
	if (r < 0)
		return r;
	if (!is_alive(pid_fd))
		return -ESRCH;
	process.pid_fd = TAKE_FD(pid_fd);
	*ret = process;
	return 0;
}

/* ---- By the kernel's own descriptor -------------------------------------------------------------- */

int peer_process_open(int fd, struct peer_process *ret)
{
	struct peer_process process = { .pid_fd = -1 };
	socklen_t bytes = sizeof process.pid_fd;
	int r = read_credentials(fd, &process.credentials);

	if (r < 0)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &process.pid_fd, &bytes) < 0)
		/* a process that has ended is refused differently from kernel to kernel */
		return errno == ENOPROTOOPT ? peer_process_open_by_number(fd, ret)
			: errno == EINVAL   ? -ESRCH
					    : -errno;
	if (!is_alive(process.pid_fd)) {
		peer_process_close(&process);
		return -ESRCH;
	}
	*ret = process;
	return 0;
}

/* ---- The token ---------------------------------------------------------------------------------- */

static int read_file(pid_t pid, const char *name, char **ret)
{
	char path[48];
	int r;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	r = file_read_at(-1, path, 65536, ret, NULL);
	return r == -ENOENT ? -ESRCH : r;
}

/* A kernel without audit has neither file. */
static unsigned read_number(pid_t pid, const char *name)
{
	_cleanup_free_ char *text = NULL;

	return read_file(pid, name, &text) < 0 ? UINT32_MAX : (unsigned)strtoul(text, NULL, 10);
}

static int read_real_ids(pid_t pid, unsigned *ret_uid, unsigned *ret_gid)
{
	_cleanup_free_ char *text = NULL;
	const char *uid, *gid;
	int r = read_file(pid, "status", &text);

	if (r < 0)
		return r;
	uid = strstr(text, "\nUid:");
	gid = strstr(text, "\nGid:");
	if (!uid || !gid)
		return -EPROTO;
	*ret_uid = (unsigned)strtoul(uid + 5, NULL, 10);
	*ret_gid = (unsigned)strtoul(gid + 5, NULL, 10);
	return 0;
}

int peer_process_token(const struct peer_process *process, audit_token_t *ret)
{
	pid_t pid = process->credentials.pid;
	unsigned ruid, rgid;
	uint64_t start;
	int r = read_real_ids(pid, &ruid, &rgid);

	if (r == 0)
		r = process_start_time(pid, &start);
	if (r < 0)
		return r;
	*ret = (audit_token_t){ { read_number(pid, "loginuid"), process->credentials.uid,
		process->credentials.gid, ruid, rgid, (unsigned)pid, read_number(pid, "sessionid"),
		(unsigned)start } };
	/* what was read by number was this one's if it still lives */
	return is_alive(process->pid_fd) ? 0 : -ESRCH;
}
