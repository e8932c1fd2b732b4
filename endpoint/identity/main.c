/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-identity-worker: which content a program has, and which package says so. Started by
 * outboard-esd when a program is seen that it does not know; it ends when it was not asked for ten
 * seconds. Two processes, since a file must be opened by somebody who may, and read by somebody who
 * may nothing:
 *
 * the opener, below, is root with three capabilities. It finds the file that the kernel program has
 * seen and opens it, and the databases of packages; it parses nothing. What is on a file system that
 * does not answer (FUSE, a server) can hold it for ever, so it is not outboard-esd itself.
 *
 * the hasher (hasher.c) reads what was opened.
 *
 * outboard-identity-worker [FOLDER [MSEC]]: the database of dpkg, /var/lib/dpkg, and how long it
 * waits to be asked; others are for tests.
 */
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "endpoint/identity/hasher.h"

#define IDLE_MSEC 10000
#define DPKG_FOLDER "/var/lib/dpkg"

struct opener {
	int hasher_fd;
	struct database database;
	int idle_msec;
	struct wire_packet packet;
};

static struct opener opener;

/* To find any file, look at any process, and leave times of access alone. */
static int narrow(void)
{
	const uint32_t kept = 1u << CAP_DAC_READ_SEARCH | 1u << CAP_SYS_PTRACE | 1u << CAP_FOWNER;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capget, &head, data) < 0)
		return -errno;
	data[0].effective &= kept;
	data[1].effective = 0;
	data[0].permitted = data[0].effective;
	data[1].permitted = 0;
	data[0].inheritable = data[1].inheritable = 0;
	if (syscall(SYS_capset, &head, data) < 0)
		return -errno;
	/* it was lost with the capabilities, and outboard-esd with it, maybe */
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0;
}

static int start_hasher(void)
{
	int pair[2], r = wire_pair(pair);
	pid_t pid;

	if (r < 0)
		return r;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		fd_close(pair[0]);
		fd_close(IDENTITY_SOCKET_FD);
		hasher_run(pair[1]);
	}
	fd_close(pair[1]);
	opener.hasher_fd = pair[0];
	return 0;
}

/* ---- a question ------------------------------------------------------------------------------- */

static int refuse(const struct es_identity_key *key, int status)
{
	const struct identity_answer answer = { .status = status, .key = *key };

	return WIRE_SEND(IDENTITY_SOCKET_FD, IDENTITY_ANSWER, 0, &answer);
}

/* @fd: taken; @key: that it must have still, or NULL. What is returned ends the worker: the file's own troubles are answered. */
static int ask_hasher(int fd_, const struct es_identity_key *key)
{
	static struct identity_hash hash;
	_cleanup_fd_ int fd = fd_;
	int r = file_describe(fd, &hash);

	if (r == 0 && key && memcmp(&hash.key, key, sizeof *key) != 0)
		r = -ESTALE;
	if (r < 0)
		return refuse(key ? key : &hash.key, r);
	r = database_refresh(&opener.database, opener.hasher_fd, &opener.packet);
	if (r == 0)
		r = wire_send(opener.hasher_fd, IDENTITY_HASH, 0, 0, &hash, sizeof hash, &fd, 1);
	if (r == 0)
		r = wire_receive(opener.hasher_fd, &opener.packet, 0);
	if (r < 0)
		return r == -EPIPE ? -EIO : r; /* not outboard-esd that has gone, but the hasher */
	if (opener.packet.header.type != IDENTITY_ANSWER ||
		opener.packet.body_bytes != sizeof(struct identity_answer))
		return -EPROTO;
	return wire_send(IDENTITY_SOCKET_FD, IDENTITY_ANSWER, 0, 0, opener.packet.body,
		opener.packet.body_bytes, NULL, 0);
}

static int on_wanted(void *context, struct wire_packet *packet)
{
	const struct es_wanted wanted = *(const struct es_wanted *)(void *)packet->body;
	int fd;

	if (!STR_FIELD_OK(wanted.path))
		return -EPROTO;
	fd = file_open_wanted(&wanted);
	return fd < 0 ? refuse(&wanted.key, fd) : ask_hasher(fd, &wanted.key);
}

static int on_file(void *context, struct wire_packet *packet)
{
	return ask_hasher(wire_take_fd(packet, 0), NULL);
}

static const struct wire_row rows[] = {
	WIRE_ROW(IDENTITY_WANTED, struct es_wanted, 1, on_wanted),
	{ .type = IDENTITY_FILE,
		.fds_min = 1,
		.fds_max = 1,
		.phases = 1,
		.handler = on_file,
		.name = "IDENTITY_FILE" },
};

static int serve(void)
{
	struct pollfd esd = { .fd = IDENTITY_SOCKET_FD, .events = POLLIN };
	int timeout = opener.idle_msec, r = 0;

	while (r == 0) {
		int n = poll(&esd, 1, timeout);

		if (n == 0) {
			/* said once: then it is closed, or something is asked that was on its way */
			r = wire_send(IDENTITY_SOCKET_FD, IDENTITY_IDLE, 0, 0, NULL, 0, NULL, 0);
			timeout = -1;
			continue;
		}
		timeout = opener.idle_msec;
		r = wire_receive(IDENTITY_SOCKET_FD, &opener.packet, 0);
		if (r == 0)
			r = wire_dispatch(rows, ARRAY_SIZE(rows), 1, &opener.packet, NULL);
		wire_packet_done(&opener.packet);
	}
	return r;
}

int main(int argc, char **argv)
{
	int r;

	log_set_name("outboard-identity-worker");
	opener.database.folder = argc > 1 ? argv[1] : DPKG_FOLDER;
	opener.idle_msec = argc > 2 ? atoi(argv[2]) : IDLE_MSEC;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	r = start_hasher();
	if (r == 0)
		r = narrow();
	if (r == 0)
		database_tell_missing();
	if (r == 0)
		r = serve();
	if (r == -EPIPE)
		return 0;
	log_failure(LOG_IDENTITY_FAILED, "outboard-identity-worker", r, NULL);
	return 1;
}
