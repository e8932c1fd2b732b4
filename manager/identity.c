/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension's control socket (extension-wire.h): it says that it is up, and asks who a process
 * is that has called it. The socket is its identity; what it sends is not trusted.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/extension-wire.h"
#include "manager/manager.h"

static struct wire_packet packet;

static int on_ready(void *context, struct wire_packet *got)
{
	supervise_ready(context);
	return 0;
}

/* A pidfd's number, from fdinfo (pidfd_open(2)); -ESRCH when the process is gone. */
int pid_of_pidfd(int pid_fd, pid_t *ret)
{
	_cleanup_free_ char *text = NULL;
	const char *at;
	char path[64];
	size_t bytes;
	int r;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pid_fd);
	r = file_read_at(AT_FDCWD, path, 4096, &text, &bytes);
	if (r < 0)
		return r;
	at = strstr(text, "\nPid:");
	if (!at)
		return -EBADF;
	*ret = (pid_t)strtol(at + strlen("\nPid:"), NULL, 10);
	return *ret > 0 ? 0 : -ESRCH;
}

static struct extension *extension_of_executable(
	struct manager *manager, const struct stat *executable)
{
	struct extension *extension;

	for (extension = manager->extensions; extension; extension = extension->next)
		if (extension->exec_inode == executable->st_ino &&
			extension->exec_device == executable->st_dev &&
			extension->exec_bytes == (uint64_t)executable->st_size)
			return extension;
	return NULL;
}

static void fill(struct extension_identity *ret, const struct bundle_info *info)
{
	ret->entitlement_bits = info->entitlement_bits;
	STR_PUT(ret->identifier, info->identifier);
	STR_PUT(ret->team, info->team);
	STR_PUT(ret->digest, info->digest);
	STR_PUT(ret->entitlements, info->entitlements);
}

/* A question whose answer takes the verification of an app. */
struct question {
	uint64_t child, id;
	int pid_fd;
};

#define QUESTIONS_MAX 8

/* 0; -ESRCH; -ENOENT: from no bundle; -EAGAIN: from the app at @ret_app, which is not verified yet. */
static int identify(struct manager *manager, int pid_fd, struct extension_identity *ret,
	char ret_app[static 4096])
{
	const struct extension *extension;
	const struct bundle_info *app;
	struct stat executable, by_path;
	char link[64];
	ssize_t n;
	pid_t pid;
	int r = pid_of_pidfd(pid_fd, &pid);

	if (r < 0)
		return r;
	snprintf(link, sizeof link, "/proc/%d/exe", pid);
	n = readlink(link, ret->path, sizeof ret->path - 1);
	if (n < 0 || stat(link, &executable) < 0)
		return -ESRCH;
	/* what was read is of that process only if it lives still */
	if (process_signal(pid_fd, 0) < 0)
		return -ESRCH;
	extension = extension_of_executable(manager, &executable);
	app = app_of_executable(&executable);
	if (extension || app) {
		fill(ret, extension ? &extension->info : app);
		return 0;
	}
	/* the path counts only where this process sees the same file there */
	if (stat(ret->path, &by_path) < 0 || by_path.st_ino != executable.st_ino ||
		by_path.st_dev != executable.st_dev)
		return -ENOENT;
	return bundle_app_of_executable(ret->path, ret_app) < 0 ? -ENOENT : -EAGAIN;
}

static int answer(struct extension *extension, uint64_t id, const struct extension_identity *ret)
{
	return wire_send(extension->control_fd, EXTENSION_IDENTITY, WIRE_FLAG_REPLY, id, ret,
		sizeof *ret, NULL, 0);
}

static unsigned count_questions(const struct extension *extension)
{
	const struct request *request;
	unsigned n = 0;

	for (request = extension->manager->requests; request; request = request->next)
		n += request->question && request->question->child == extension->child;
	return n;
}

void identity_answer(struct request *request)
{
	static struct extension_identity identity;
	struct question *question = TAKE(request->question);
	struct extension *extension = extension_of_child(request->manager, question->child);
	char app[4096];

	if (!extension)
		extension = developer_of_child(question->child);
	memset(&identity, 0, sizeof identity);
	if (extension && extension->control_fd >= 0) {
		identity.status = identify(request->manager, question->pid_fd, &identity, app);
		/* what could not be verified is from no bundle */
		if (identity.status == -EAGAIN)
			identity.status = -ENOENT;
		answer(extension, question->id, &identity);
	}
	fd_close(question->pid_fd);
	free(question);
}

static int verify_first(struct extension *extension, uint64_t id, int pid_fd, const char *app)
{
	struct question *question = calloc(1, sizeof *question);
	struct request *request;
	int r = question ? request_new(extension->manager, REQUEST_IDENTIFY, ORIGIN_APP,
				   extension->info.identifier, &request)
			 : -ENOMEM;

	if (r < 0) {
		free(question);
		return r;
	}
	*question = (struct question){ extension->child, id, fcntl(pid_fd, F_DUPFD_CLOEXEC, 3) };
	request->question = question;
	/* both end in identity_answer() */
	if (activate_open_app(request, app) == 0)
		app_verify(request);
	return 0;
}

static int on_identify(void *context, struct wire_packet *got)
{
	static struct extension_identity identity;
	struct extension *extension = context;
	_cleanup_fd_ int pid_fd = wire_take_fd(got, 0);
	uint64_t id = got->header.id;
	char app[4096];

	memset(&identity, 0, sizeof identity);
	identity.status = identify(extension->manager, pid_fd, &identity, app);
	if (identity.status == -EAGAIN) {
		if (count_questions(extension) < QUESTIONS_MAX &&
			verify_first(extension, id, pid_fd, app) == 0)
			return 0;
		identity.status = -ENOENT;
	}
	return answer(extension, id, &identity);
}

static const struct wire_row rows[] = {
	{ .type = EXTENSION_READY, .phases = 1, .handler = on_ready, .name = "READY" },
	{ .type = EXTENSION_IDENTIFY,
		.fds_min = 1,
		.fds_max = 1,
		.phases = 1,
		.handler = on_identify,
		.name = "IDENTIFY" },
};

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct extension *extension = context;
	int r = wire_receive(fd, &packet, MSG_DONTWAIT);

	if (r == -EAGAIN)
		return 0;
	if (r == 0)
		r = wire_dispatch(rows, ARRAY_SIZE(rows), 1, &packet, extension);
	wire_packet_done(&packet);
	if (r == 0)
		return 0;
	/* it goes on without us; its next process gets a new socket */
	if (r != -EPIPE)
		log_failure(LOG_PEER_BAD_MESSAGE, extension->info.identifier, r, NULL);
	sd_event_source_set_enabled(source, SD_EVENT_OFF);
	return 0;
}

int control_socket_watch(struct extension *extension)
{
	int r = sd_event_add_io(extension->manager->event, &extension->control_source,
		extension->control_fd, EPOLLIN, on_readable, extension);

	return r < 0 ? r : 0;
}
