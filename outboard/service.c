/* SPDX-License-Identifier: Apache-2.0
 *
 * Services, READY, and who is at the other end of a socket. An extension asks outboardd over the
 * socket "control" that it has inherited; the descriptor itself says which extension asks.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <Outboard/service.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "base/wire.h"
#include "manager/extension-wire.h"
#include "outboard/internal.h"
#include "outboard/object.h"
#include "outboard/peer-process.h"

#define ANSWER_MS 5000
#define NAME_BYTES_MAX 255

static struct {
	pthread_mutex_t lock;
	pid_t pid; /* that loaded the library */
	bool ready;
	uint64_t last_id;
} control = { .lock = PTHREAD_MUTEX_INITIALIZER };

__attribute__((constructor)) static void note_process(void)
{
	control.pid = process_id();
}

static int socket_option(int fd, int option, int *ret)
{
	socklen_t bytes = sizeof *ret;

	return getsockopt(fd, SOL_SOCKET, option, ret, &bytes) < 0 ? -errno : 0;
}

static bool is_seqpacket(int fd)
{
	int domain, type;

	return socket_option(fd, SO_DOMAIN, &domain) == 0 && domain == AF_UNIX &&
		socket_option(fd, SO_TYPE, &type) == 0 && type == SOCK_SEQPACKET;
}

/* The inherited socket, borrowed. The variable may be a parent's: its descriptors did not come along. */
static int control_fd(void)
{
	int fd;

	if (control.pid != process_id())
		return -ECHILD;
	fd = fd_inherited("control");
	return fd < 0 || !is_seqpacket(fd) ? -ENOTCONN : fd;
}

ob_export int ob_extension_ready(void)
{
	int fd = control_fd(), r = 0;

	if (fd < 0)
		return fd;
	pthread_mutex_lock(&control.lock);
	if (!control.ready)
		r = wire_send(fd, EXTENSION_READY, 0, 0, NULL, 0, NULL, 0);
	if (r == 0)
		control.ready = true;
	pthread_mutex_unlock(&control.lock);
	return r;
}

/* ---- Services ---------------------------------------------------------------------------------- */

static bool name_ok(const char *name)
{
	return name && *name && strlen(name) <= NAME_BYTES_MAX && !strchr(name, '/') &&
		!strchr(name, ',') && !strchr(name, '=') && strcmp(name, ".") && strcmp(name, "..");
}

static int listener(const char *name)
{
	char key[NAME_BYTES_MAX + sizeof "service:"];
	int listens, fd;

	snprintf(key, sizeof key, "service:%s", name);
	fd = fd_inherited(key);
	if (fd < 0)
		return -ENOENT;
	if (socket_option(fd, SO_ACCEPTCONN, &listens) < 0)
		return -ENOTSOCK;
	return listens && is_seqpacket(fd) ? fd : -EINVAL;
}

ob_export int ob_service_listen(const char *name, int *ret_fd)
{
	_cleanup_fd_ int fd = -1;
	int inherited, r;

	if (!name_ok(name) || !ret_fd)
		return -EINVAL;
	if (control.pid != process_id())
		return -ECHILD;
	inherited = listener(name);
	if (inherited < 0)
		return inherited;
	fd = fcntl(inherited, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return -errno;
	/* a socket of another's, as in a test, has nobody to tell */
	r = ob_extension_ready();
	if (r < 0 && r != -ENOTCONN)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int connect_to(int fd, const struct sockaddr_un *address)
{
	int r;

	do {
		r = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? -errno : 0;
	} while (r == -EINTR);
	return r;
}

ob_export int ob_service_connect(const char *name, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_fd_ int fd = -1, folder_fd = -1;
	char path[PATH_MAX];
	int r;

	if (!name_ok(name) || !ret_fd)
		return -EINVAL;
	folder_fd = open(path_get(PATH_SERVICES, NULL, path), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return -errno;
	/* by the folder's descriptor: a path of ours may be longer than the address holds */
	if (snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder_fd,
		    name) >= (int)sizeof address.sun_path)
		return -EINVAL;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = connect_to(fd, &address);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* ---- Identity ---------------------------------------------------------------------------------- */

ob_export int ob_peer_get_audit_token(int fd, audit_token_t *ret)
{
	struct peer_process process;
	int r;

	if (!ret)
		return -EINVAL;
	r = peer_process_open(fd, &process);
	if (r < 0)
		return r;
	r = peer_process_token(&process, ret);
	peer_process_close(&process);
	return r;
}

static int wait_readable(int fd, uint64_t until_ms)
{
	for (;;) {
		struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
		uint64_t now_ms = clock_ms();
		int n;

		if (now_ms >= until_ms)
			return -ETIMEDOUT;
		n = poll(&poll_fd, 1, (int)(until_ms - now_ms));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* An answer with another id is that to a question whose asker has given up. */
static int receive_answer(int fd, uint64_t id, struct wire_packet *packet)
{
	uint64_t until_ms = clock_ms() + ANSWER_MS;
	int r;

	do {
		r = wait_readable(fd, until_ms);
		if (r == 0)
			r = wire_receive(fd, packet, MSG_DONTWAIT);
	} while (r == -EAGAIN || (r == 0 && packet->header.id != id));
	if (r < 0)
		return r;
	if (packet->header.type != EXTENSION_IDENTITY ||
		packet->body_bytes != sizeof(struct extension_identity))
		return -EPROTO;
	return 0;
}

static int ask(int fd, int pid_fd, struct wire_packet *packet)
{
	uint64_t id;
	int r;

	pthread_mutex_lock(&control.lock);
	id = ++control.last_id;
	r = wire_send(fd, EXTENSION_IDENTIFY, 0, id, NULL, 0, &pid_fd, 1);
	if (r == 0)
		r = receive_answer(fd, id, packet);
	pthread_mutex_unlock(&control.lock);
	return r;
}

static int add_string(xpc_object_t identity, const char *key, const char *value)
{
	xpc_object_t string = xpc_string_create(value);
	size_t before = xpc_dictionary_get_count(identity);

	if (!string)
		return -ENOMEM;
	xpc_dictionary_set_value(identity, key, string);
	xpc_release(string);
	return xpc_dictionary_get_count(identity) > before ? 0 : -ENOMEM;
}

static int add_entitlements(xpc_object_t identity, const char *json)
{
	xpc_object_t entitlements;
	int r = xpc_of_json(json, strlen(json), &entitlements);

	if (r < 0)
		return r == -ENOMEM ? r : -EPROTO;
	if (xpc_get_type(entitlements) == XPC_TYPE_DICTIONARY)
		xpc_dictionary_set_value(identity, "entitlements", entitlements);
	xpc_release(entitlements);
	return xpc_dictionary_get_value(identity, "entitlements") ? 0 : -EPROTO;
}

static int add_bundle(xpc_object_t identity, const struct extension_identity *wire)
{
	int r = add_string(identity, "identifier", wire->identifier);

	if (r == 0)
		r = add_string(identity, "team", wire->team);
	if (r == 0)
		r = add_string(identity, "digest", wire->digest);
	if (r == 0)
		r = add_entitlements(identity, *wire->entitlements ? wire->entitlements : "{}");
	return r;
}

static int make_identity(const struct extension_identity *wire, xpc_object_t *ret)
{
	xpc_object_t identity;
	int r;

	if (!STR_FIELD_OK(wire->identifier) || !STR_FIELD_OK(wire->team) ||
		!STR_FIELD_OK(wire->digest) || !STR_FIELD_OK(wire->entitlements) ||
		!STR_FIELD_OK(wire->path) || wire->status > 0)
		return -EPROTO;
	if (wire->status < 0 && wire->status != -ENOENT)
		return wire->status;
	identity = xpc_dictionary_create_empty();
	if (!identity)
		return -ENOMEM;
	r = add_string(identity, "path", wire->path);
	if (r == 0 && wire->status == 0)
		r = add_bundle(identity, wire);
	if (r == 0)
		*ret = identity;
	else
		xpc_release(identity);
	return r;
}

ob_export int ob_peer_copy_identity(int fd, xpc_object_t *ret)
{
	_cleanup_free_ struct wire_packet *packet = NULL;
	struct peer_process process;
	int asked = control_fd(), r;

	if (!ret)
		return -EINVAL;
	if (asked < 0)
		return asked;
	packet = calloc(1, sizeof *packet);
	if (!packet)
		return -ENOMEM;
	r = peer_process_open(fd, &process);
	if (r < 0)
		return r;
	r = ask(asked, process.pid_fd, packet);
	if (r == 0)
		r = make_identity((const void *)packet->body, ret);
	wire_packet_done(packet);
	peer_process_close(&process);
	return r;
}
