/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection to outboardd and calls over it. See control.h; objects as JSON: view.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"

/* Longer than any answer takes by itself: only ReadLog with "follow" waits, and passes its own. */
#define CALL_TIMEOUT_USEC (60ull * 1000 * 1000)

static int connect_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (STR_PUT(address.sun_path, path) < 0)
		return -ENAMETOOLONG;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int say_not_connected(const struct verb *verb, const char *path, int r)
{
	if (r == -ENOENT || r == -ECONNREFUSED)
		return verb_failed(verb,
			"outboardd is not running (nobody listens on %s)\n"
			"  Start it with 'systemctl start outboardd', or run outboardd as root.",
			path);
	if (r == -EAGAIN)
		return verb_failed(verb, "outboardd does not accept connections on %s", path);
	return verb_failed(verb, "%s: %s", path, strerror(-r));
}

int control_open(const struct verb *verb, sd_bus **ret)
{
	_cleanup_control_ sd_bus *bus = NULL;
	_cleanup_fd_ int fd = -1;
	char buffer[PATH_MAX];
	const char *path = path_get(PATH_CONTROL_SOCKET, NULL, buffer);
	int r;

	fd = connect_socket(path);
	if (fd < 0)
		return say_not_connected(verb, path, fd);
	r = sd_bus_new(&bus);
	if (r >= 0)
		r = sd_bus_set_fd(bus, fd, fd);
	if (r >= 0) {
		TAKE_FD(fd);
		r = sd_bus_negotiate_fds(bus, 1);
	}
	if (r >= 0)
		r = sd_bus_start(bus);
	if (r < 0)
		return say_not_connected(verb, path, r);
	*ret = TAKE(bus);
	return VERB_DONE;
}

static int say_broken(const struct verb *verb, int r)
{
	return verb_failed(verb,
		"the connection to outboardd broke: %s\n"
		"  It may have ended and be starting again; its log says why.",
		strerror(-r));
}

/* Our errors carry a second string: {"code":…,"rule":…,"recovery":…}. */
static int say_error(const struct verb *verb, sd_bus_message *reply)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	const char *text = NULL, *structured = NULL;
	_cleanup_json_ json_t *json = NULL;
	const char *recovery, *rule;

	if (sd_bus_message_has_signature(reply, "ss") &&
		sd_bus_message_read(reply, "ss", &text, &structured) >= 0)
		json = json_loads(structured, 0, NULL);
	recovery = json ? field_string(json, "recovery") : "";
	rule = json ? field_string(json, "rule") : "";
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
		sd_bus_error_has_name(error, SD_BUS_ERROR_DISCONNECTED))
		return say_broken(verb, -ECONNRESET);
	text = PRINT_CLEAN(error->message ? error->message : error->name);
	if (*rule)
		verb_failed(verb, "%s (%s, error %lld)", text, PRINT_CLEAN(rule),
			field_number(json, "code"));
	else
		verb_failed(verb, "%s", text);
	if (*recovery)
		fprintf(stderr, "  %s\n", PRINT_CLEAN(recovery));
	return VERB_FAILED;
}

static int keep_reply(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	sd_bus_message **reply = userdata;

	*reply = sd_bus_message_ref(message);
	return 1;
}

int control_send(const struct verb *verb, sd_bus *bus, sd_bus_message *call, sd_bus_message **ret)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
	int r;

	r = sd_bus_call_async(bus, &slot, call, keep_reply, &reply, CALL_TIMEOUT_USEC);
	while (r >= 0 && !reply) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
		if (r == -EINTR)
			r = 0;
	}
	if (r < 0)
		return say_broken(verb, r);
	if (sd_bus_message_is_method_error(reply, NULL))
		return say_error(verb, reply);
	if (ret)
		*ret = TAKE(reply);
	return VERB_DONE;
}

int control_call(const struct verb *verb, sd_bus *bus, const char *method, sd_bus_message **ret,
	const char *types, ...)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	va_list args;
	int r;

	r = sd_bus_message_new_method_call(bus, &call, NULL, CONTROL_PATH, CONTROL_MANAGER, method);
	if (r >= 0 && types) {
		va_start(args, types);
		r = sd_bus_message_appendv(call, types, args);
		va_end(args);
	}
	if (r < 0)
		return verb_failed(verb, "%s: %s", method, strerror(-r));
	return control_send(verb, bus, call, ret);
}

int control_gc(const struct verb *verb, sd_bus *bus, uint32_t *ret_removed)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	int r = control_call(verb, bus, "Gc", &reply, NULL);

	if (r != VERB_DONE)
		return r;
	r = sd_bus_message_read(reply, "u", ret_removed);
	return r < 0 ? verb_failed(verb, "outboardd's answer cannot be read: %s", strerror(-r))
		     : VERB_DONE;
}
