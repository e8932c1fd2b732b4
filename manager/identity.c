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

static int identify(struct manager *manager, int pid_fd, struct extension_identity *ret)
{
	const struct extension *extension;
	const struct bundle_info *app;
	struct stat executable;
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
	if (extension) {
		fill(ret, &extension->info);
		return 0;
	}
	app = app_of_executable(&executable);
	if (!app)
		return -ENOENT;
	fill(ret, app);
	return 0;
}

static int on_identify(void *context, struct wire_packet *got)
{
	static struct extension_identity identity;
	struct extension *extension = context;
	_cleanup_fd_ int pid_fd = wire_take_fd(got, 0);

	memset(&identity, 0, sizeof identity);
	identity.status = identify(extension->manager, pid_fd, &identity);
	return wire_send(extension->control_fd, EXTENSION_IDENTITY, WIRE_FLAG_REPLY, got->header.id,
		&identity, sizeof identity, NULL, 0);
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
