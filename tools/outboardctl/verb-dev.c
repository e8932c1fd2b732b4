/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl dev run: a fresh build as an extension, without bundle, signature or staging. The
 * tool starts the program itself, as its own child on its own terminal, so that a log line, a
 * debugger and Ctrl-C work as for any program; outboardd (in developer mode, for root) hands over
 * the sockets that the entitlements named grant, and takes them back when the process ends.
 *
 * Order: fork, so that there is a process to grant something to; ask; send the descriptors to the
 * child, which waits for them; only then exec.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/peer.h"
#include "base/str.h"
#include "base/wire.h"
#include "tools/lib/control.h"
#include "tools/outboardctl/verb.h"

#define NAMES_BYTES 512

/* "NAME" grants true, "NAME=JSON" that value. */
static int take_entitlement(void *context, const char *value)
{
	json_t *entitlements = context;
	const char *equals = strchr(value, '=');
	_cleanup_free_ char *name = equals ? strndup(value, (size_t)(equals - value))
					   : strdup(value);
	json_t *json = equals ? json_loads(equals + 1, JSON_DECODE_ANY, NULL) : json_true();

	if (!name || !*name || !json) {
		json_decref(json);
		return -EINVAL;
	}
	return json_object_set_new(entitlements, name, json) < 0 ? -ENOMEM : 0;
}

/*
 * The child: takes one message with the names as text and the descriptors, which it puts at 3, 4, …
 * They arrive above 3 + WIRE_FDS_MAX, since the tool moved its own there: none is overwritten.
 */
static int child_take(int fd, char names[static NAMES_BYTES])
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} control = { 0 };
	struct iovec data = { .iov_base = names, .iov_len = NAMES_BYTES - 1 };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t bytes = recvmsg(fd, &message, 0);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fds[WIRE_FDS_MAX];
	size_t n;

	if (bytes <= 0 || !header || header->cmsg_type != SCM_RIGHTS)
		return bytes < 0 ? -errno : -EPIPE; /* outboardd refused; the parent has said so */
	names[bytes] = 0;
	n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(header), n * sizeof(int));
	for (size_t i = 0; i < n; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD, 3 + (int)WIRE_FDS_MAX);
		if (fds[i] < 0)
			return -errno;
	}
	for (size_t i = 0; i < n; i++)
		if (dup2(fds[i], 3 + (int)i) < 0)
			return -errno;
	/* Behind the handed ones nothing is inherited: neither the copies nor what we had open. */
	return close_range(3 + (unsigned)n, ~0u, 0) < 0 ? -errno : 0;
}

static void __attribute__((noreturn)) child_run(int fd, char **argv)
{
	char names[NAMES_BYTES] = "";

	if (child_take(fd, names) < 0)
		_exit(VERB_FAILED);
	if (setenv("OUTBOARD_FDS", names, 1) == 0)
		execvp(argv[0], argv);
	fprintf(stderr, "outboardctl dev: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int child_give(int fd, const char *names, const int *fds, size_t n)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * WIRE_FDS_MAX)];
	} control = { 0 };
	struct iovec data = { .iov_base = (char *)names, .iov_len = strlen(names) };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(sizeof(int) * n) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * n);
	return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* a(sh) of the reply to "control=3,endpoint=4" and the descriptors in that order. */
static int read_grants(sd_bus_message *reply, char names[static NAMES_BYTES],
	int fds[static WIRE_FDS_MAX], size_t *ret_n)
{
	const char *name;
	size_t n = 0, bytes = 0;
	int fd, r;

	r = sd_bus_message_enter_container(reply, 'a', "(sh)");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_read(reply, "(sh)", &name, &fd)) > 0) {
		if (n == WIRE_FDS_MAX)
			return -E2BIG;
		bytes += (size_t)snprintf(
			names + bytes, NAMES_BYTES - bytes, "%s%s=%zu", n ? "," : "", name, 3 + n);
		if (bytes >= NAMES_BYTES)
			return -E2BIG;
		fds[n++] = fd;
	}
	*ret_n = n;
	return r < 0 ? r : n == 0 ? -ENODATA : 0;
}

static int grant(const struct verb *verb, sd_bus *bus, const char *identifier,
	const json_t *entitlements, pid_t pid, int child_fd)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_fd_ int pid_fd = process_pidfd(pid);
	_cleanup_free_ char *text = json_dumps(entitlements, JSON_COMPACT | JSON_SORT_KEYS);
	char names[NAMES_BYTES] = "";
	int fds[WIRE_FDS_MAX], r;
	size_t n = 0;

	if (pid_fd < 0 || !text)
		return verb_failed(verb, "%s", pid_fd < 0 ? strerror(-pid_fd) : "out of memory");
	r = control_call(verb, bus, "DevRun", &reply, "ssh", identifier, text, pid_fd);
	if (r != VERB_DONE)
		return r;
	r = read_grants(reply, names, fds, &n);
	if (r >= 0)
		r = child_give(child_fd, names, fds, n);
	return r < 0 ? verb_failed(verb, "cannot hand over the descriptors: %s", strerror(-r))
		     : VERB_DONE;
}

/* Its status is ours, as for env(1) and its kin; a signal as a shell says it. */
static int wait_for(const struct verb *verb, pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return verb_failed(verb, "%s", strerror(errno));
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "outboardctl dev: ended by signal %d (%s)\n", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
		return 128 + WTERMSIG(status);
	}
	return WEXITSTATUS(status);
}

static int dev_run(
	const struct verb *verb, const char *identifier, const json_t *entitlements, char **argv)
{
	_cleanup_control_ sd_bus *bus = NULL;
	int pair[2], r;
	pid_t pid;

	r = control_open(verb, &bus);
	if (r != VERB_DONE)
		return r;
	r = wire_pair(pair);
	if (r < 0)
		return verb_failed(verb, "%s", strerror(-r));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		/* Else it would wait for itself when the parent has nothing to give. */
		fd_close(pair[0]);
		child_run(pair[1], argv);
	}
	fd_close(pair[1]);
	if (pid < 0) {
		fd_close(pair[0]);
		return verb_failed(verb, "%s", strerror(errno));
	}
	r = grant(verb, bus, identifier, entitlements, pid, pair[0]);
	fd_close(pair[0]);
	if (r != VERB_DONE) {
		waitpid(pid, NULL, 0);
		return r;
	}
	/* Ctrl-C is the program's, or its debugger's: the tool goes when that has ended. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	return wait_for(verb, pid);
}

int verb_dev(const struct verb *verb, int argc, char **argv)
{
	_cleanup_json_ json_t *entitlements = json_object();
	const char *identifier = NULL;
	const struct verb_option options[] = {
		{ .name = "--entitlement", .take = take_entitlement, .context = entitlements },
		{ .name = "--identifier", .value = &identifier },
	};
	char name[256];
	int n_words, r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 2, argc, &n_words);
	if (r != 0)
		return r;
	if (!streq(argv[1], "run"))
		return verb_usage(verb, "what is '%s'?", argv[1]);
	snprintf(name, sizeof(name), "dev.%s",
		strrchr(argv[2], '/') ? strrchr(argv[2], '/') + 1 : argv[2]);
	return dev_run(verb, identifier ? identifier : name, entitlements, argv + 2);
}
