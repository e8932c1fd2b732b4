/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl monitor: every change of every object, as the signals tell it. --json prints one
 * document a line.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/verb.h"

struct monitor {
	bool json;
	json_t *names; /* path to identifier, for the lines of later changes */
};

static void monitor_print(
	const struct monitor *monitor, const char *path, const char *event, const json_t *values)
{
	const char *name, *called = json_string_value(json_object_get(monitor->names, path));
	json_t *value;

	if (monitor->json) {
		_cleanup_json_ json_t *document = json_pack(
			"{s:s, s:s, s:O}", "event", event, "path", path, "values", values);

		json_dumpf(document, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		return;
	}
	printf("%s %s\n", event, PRINT_CLEAN(called ? called : path));
	json_object_foreach ((json_t *)values, name, value) {
		char *text = json_is_string(value)
			? strdup(json_string_value(value))
			: json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

		printf("  %s: %s\n", name, PRINT_CLEAN(text));
		free(text);
	}
	fflush(stdout);
}

static void monitor_name(struct monitor *monitor, const char *path, const json_t *values)
{
	const char *identifier = field_string(values, "identifier");

	if (*identifier)
		json_object_set_new(monitor->names, path, json_string(identifier));
}

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_json_ json_t *values = NULL;
	const char *interface;

	if (sd_bus_message_read(message, "s", &interface) < 0)
		return 0;
	values = control_properties(message);
	if (values && json_object_size(values) > 0)
		monitor_print(userdata, sd_bus_message_get_path(message), "changed", values);
	return 0;
}

static int on_added(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct monitor *monitor = userdata;
	const char *path, *interface;

	if (sd_bus_message_read(message, "o", &path) < 0 ||
		sd_bus_message_enter_container(message, 'a', "{sa{sv}}") < 0)
		return 0;
	while (sd_bus_message_enter_container(message, 'e', "sa{sv}") > 0) {
		_cleanup_json_ json_t *values = NULL;

		if (sd_bus_message_read(message, "s", &interface) < 0)
			return 0;
		values = control_properties(message);
		if (values && str_starts(interface, "org.outboard.")) {
			monitor_name(monitor, path, values);
			monitor_print(monitor, path, "added", values);
		}
		sd_bus_message_exit_container(message);
	}
	return 0;
}

static int on_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct monitor *monitor = userdata;
	_cleanup_json_ json_t *nothing = json_object();
	const char *path;

	if (sd_bus_message_read(message, "o", &path) < 0)
		return 0;
	monitor_print(monitor, path, "removed", nothing);
	json_object_del(monitor->names, path);
	return 0;
}

static int on_ended(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_json_ json_t *values = NULL;
	const char *path, *result, *text;

	if (sd_bus_message_read(message, "oss", &path, &result, &text) < 0)
		return 0;
	values = json_pack("{s:s, s:o}", "result", result, "error",
		*text ? json_loads(text, 0, NULL) : json_null());
	if (values)
		monitor_print(userdata, path, "ended", values);
	return 0;
}

static int monitor_match(sd_bus *bus, struct monitor *monitor)
{
	static const struct {
		const char *interface, *member;
		sd_bus_message_handler_t handler;
	} signals[] = {
		{ "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed },
		{ "org.freedesktop.DBus.ObjectManager", "InterfacesAdded", on_added },
		{ "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved", on_removed },
		{ CONTROL_MANAGER, "RequestEnded", on_ended },
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		int r = sd_bus_match_signal(bus, NULL, NULL, NULL, signals[i].interface,
			signals[i].member, signals[i].handler, monitor);

		if (r < 0)
			return r;
	}
	return 0;
}

static int monitor_run(const struct verb *verb, sd_bus *bus)
{
	int r = 0;

	while (r >= 0) {
		if (ferror(stdout))
			return VERB_FAILED;
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
		if (r == -EINTR)
			r = 0;
	}
	return verb_failed(verb, "outboardd has closed the connection");
}

int verb_monitor(const struct verb *verb, int argc, char **argv)
{
	struct monitor monitor = { 0 };
	const struct verb_option options[] = { { .name = "--json", .flag = &monitor.json } };
	_cleanup_view_ struct control_view view = { 0 };
	_cleanup_control_ sd_bus *bus = NULL;
	json_t *extension;
	size_t i;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 0, NULL);
	if (r == 0)
		r = control_open(verb, &bus);
	if (r != VERB_DONE)
		return r;
	monitor.names = json_object();
	r = monitor_match(bus, &monitor);
	if (r < 0)
		r = verb_failed(verb, "%s", strerror(-r));
	else
		r = control_view(verb, bus, &view);
	if (r == VERB_DONE) {
		json_array_foreach (view.extensions, i, extension)
			monitor_name(&monitor, field_string(extension, "path"), extension);
		r = monitor_run(verb, bus);
	}
	json_decref(monitor.names);
	return r;
}
