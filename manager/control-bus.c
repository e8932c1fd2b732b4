/* SPDX-License-Identifier: Apache-2.0
 *
 * The D-Bus server's place on the system bus. There may be no bus, it may come later, hang, refuse
 * our name, die and come back; none of that may cost the manager a moment, so nothing here waits:
 * connecting, the name and each look-up of a caller are asynchronous, a bus that is not there yet
 * is watched for by inotify, one that died is tried again after 1, 2, 4, ... 60 seconds.
 */
#include <errno.h>
#include <stdlib.h>
#include "base/log.h"
#include "manager/control-internal.h"

#define RETRY_FIRST_USEC (1ull * 1000 * 1000)
#define RETRY_LAST_USEC (60ull * 1000 * 1000)

struct control_bus {
	struct control *control;
	struct control_link *link;
	sd_event_source *retry_source;
	uint64_t retry_usec;
};

static void bus_retry(struct control_bus *bus)
{
	sd_event_source_set_time_relative(bus->retry_source, bus->retry_usec);
	sd_event_source_set_enabled(bus->retry_source, SD_EVENT_ONESHOT);
	bus->retry_usec *= 2;
	if (bus->retry_usec > RETRY_LAST_USEC)
		bus->retry_usec = RETRY_LAST_USEC;
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct control_bus *bus = userdata;

	control_link_drop(bus->link, NULL);
	return 0;
}

static int on_name(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct control_bus *bus = userdata;
	const sd_bus_error *refused = sd_bus_message_get_error(message);

	if (refused) {
		log_event(LOG_CONTROL_NO_NAME, CONTROL_NAME, "error", refused->message, NULL);
		control_link_drop(bus->link, NULL);
		return 0;
	}
	bus->link->ready = true;
	bus->retry_usec = RETRY_FIRST_USEC;
	return 0;
}

static int bus_start(struct control_bus *bus)
{
	const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
	sd_bus *connection = bus->link->bus;
	int r;

	r = sd_bus_set_address(
		connection, address ? address : "unix:path=/run/dbus/system_bus_socket");
	if (r >= 0)
		r = sd_bus_set_bus_client(connection, 1);
	if (r >= 0)
		r = sd_bus_negotiate_fds(connection, 1);
	if (r >= 0)
		r = sd_bus_set_watch_bind(connection, 1);
	if (r >= 0)
		r = sd_bus_match_signal(connection, NULL, NULL, "/org/freedesktop/DBus/Local",
			"org.freedesktop.DBus.Local", "Disconnected", on_disconnected, bus);
	if (r >= 0)
		r = control_objects_attach(bus->link);
	if (r >= 0)
		r = sd_bus_start(connection);
	if (r >= 0)
		r = sd_bus_attach_event(connection, bus->control->event, CONTROL_PRIORITY);
	if (r >= 0)
		r = sd_bus_request_name_async(connection, NULL, CONTROL_NAME, 0, on_name, bus);
	return r < 0 ? r : 0;
}

static int bus_connect(struct control_bus *bus)
{
	sd_bus *connection;
	int r;

	r = sd_bus_new(&connection);
	if (r < 0)
		return r;
	r = control_link_new(bus->control, connection, (uid_t)-1, &bus->link);
	if (r < 0) {
		sd_bus_unref(connection);
		return r;
	}
	bus->link->is_system_bus = true;
	r = bus_start(bus);
	if (r < 0)
		control_link_drop(bus->link, NULL);
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct control_bus *bus = userdata;

	if (!bus->link && bus_connect(bus) < 0)
		bus_retry(bus);
	return 0;
}

void control_bus_lost(struct control_bus *bus)
{
	if (!bus)
		return;
	bus->link = NULL;
	bus_retry(bus);
}

int control_bus_new(struct control *control, struct control_bus **ret)
{
	struct control_bus *bus = calloc(1, sizeof(*bus));
	int r;

	if (!bus)
		return -ENOMEM;
	*bus = (struct control_bus){ .control = control, .retry_usec = RETRY_FIRST_USEC };
	r = sd_event_add_time_relative(
		control->event, &bus->retry_source, CLOCK_MONOTONIC, 0, 0, on_retry, bus);
	if (r < 0) {
		control_bus_free(bus);
		return r;
	}
	*ret = bus;
	return 0;
}

struct control_bus *control_bus_free(struct control_bus *bus)
{
	if (!bus)
		return NULL;
	sd_event_source_disable_unref(bus->retry_source);
	free(bus);
	return NULL;
}
