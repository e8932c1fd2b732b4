/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardd's objects as JSON: any D-Bus value becomes the JSON value of the same meaning, so that
 * a property that outboardd adds is in every --json without a line here.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"

/* Twice what outboardd gives a process to end by itself, and more. */
#define REMOVAL_USEC (60ull * 1000 * 1000)

/* "RunningVersion" to "running_version", "OriginPath" to "origin_path". */
static void snake_case(const char *name, char *ret, size_t bytes)
{
	size_t n = 0;

	for (size_t i = 0; name[i] && n + 2 < bytes; i++) {
		if (isupper((unsigned char)name[i]) && i > 0)
			ret[n++] = '_';
		ret[n++] = (char)tolower((unsigned char)name[i]);
	}
	ret[n] = 0;
}

static json_t *read_value(sd_bus_message *message);

static json_t *read_basic(sd_bus_message *message, char type)
{
	union {
		uint8_t y;
		int b;
		int16_t n;
		uint16_t q;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
		double d;
		const char *s;
	} value = { 0 };

	if (sd_bus_message_read_basic(message, type, &value) < 0)
		return NULL;
	switch (type) {
	case 'y':
		return json_integer(value.y);
	case 'b':
		return json_boolean(value.b);
	case 'n':
		return json_integer(value.n);
	case 'q':
		return json_integer(value.q);
	case 'i':
		return json_integer(value.i);
	case 'u':
		return json_integer(value.u);
	case 'x':
		return json_integer(value.x);
	case 't':
		return json_integer((json_int_t)value.t);
	case 'd':
		return json_real(value.d);
	case 's':
	case 'o':
	case 'g':
		return json_string(value.s);
	default:
		return NULL; /* a descriptor is no value */
	}
}

static json_t *read_dictionary(sd_bus_message *message, const char *contents)
{
	_cleanup_json_ json_t *object = json_object();

	if (sd_bus_message_enter_container(message, 'a', contents) < 0)
		return NULL;
	while (sd_bus_message_enter_container(message, 'e', NULL) > 0) {
		const char *key;
		json_t *value;

		if (sd_bus_message_read(message, "s", &key) < 0)
			return NULL;
		value = read_value(message);
		if (json_object_set_new(object, key, value) < 0)
			return NULL;
		sd_bus_message_exit_container(message);
	}
	sd_bus_message_exit_container(message);
	return TAKE(object);
}

/* Arrays and structs are both lists. */
static json_t *read_list(sd_bus_message *message, char type, const char *contents)
{
	_cleanup_json_ json_t *list = json_array();

	if (sd_bus_message_enter_container(message, type, contents) < 0)
		return NULL;
	while (sd_bus_message_at_end(message, false) == 0)
		if (json_array_append_new(list, read_value(message)) < 0)
			return NULL;
	sd_bus_message_exit_container(message);
	return TAKE(list);
}

static json_t *read_value(sd_bus_message *message)
{
	const char *contents;
	json_t *value;
	char type;

	if (sd_bus_message_peek_type(message, &type, &contents) <= 0)
		return NULL;
	if (type == 'v') {
		if (sd_bus_message_enter_container(message, 'v', contents) < 0)
			return NULL;
		value = read_value(message);
		sd_bus_message_exit_container(message);
		return value;
	}
	if (type == 'a' && contents[0] == '{' && contents[1] == 's')
		return read_dictionary(message, contents);
	if (type == 'a' || type == 'r')
		return read_list(message, type, contents);
	return read_basic(message, type);
}

/* Properties whose string is a JSON document are shown as that document. */
static json_t *open_document(const char *name, json_t *value)
{
	static const char *const names[] = { "entitlements", "last_error" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		json_t *document;

		if (!streq(name, names[i]) || !json_is_string(value))
			continue;
		document = json_string_length(value) == 0
			? json_null()
			: json_loads(json_string_value(value), 0, NULL);
		if (document) {
			json_decref(value);
			return document;
		}
	}
	return value;
}

json_t *control_properties(sd_bus_message *message)
{
	_cleanup_json_ json_t *raw = NULL, *object = json_object();
	const char *key;
	json_t *value;

	raw = read_dictionary(message, "{sv}");
	if (!raw)
		return NULL;
	json_object_foreach (raw, key, value) {
		char name[128];

		snake_case(key, name, sizeof(name));
		if (json_object_set_new(object, name, open_document(name, json_incref(value))) < 0)
			return NULL;
	}
	return TAKE(object);
}

const char *field_string(const json_t *object, const char *name)
{
	return str_or(json_string_value(json_object_get(object, name)), "");
}

long long field_number(const json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

bool field_true(const json_t *object, const char *name)
{
	return json_is_true(json_object_get(object, name));
}

/* One object of GetManagedObjects: path, then a{sa{sv}}. Interfaces that are not ours are skipped. */
static int read_object(sd_bus_message *message, struct control_view *view)
{
	const char *path, *interface;

	if (sd_bus_message_read(message, "o", &path) < 0 ||
		sd_bus_message_enter_container(message, 'a', "{sa{sv}}") < 0)
		return -EBADMSG;
	while (sd_bus_message_enter_container(message, 'e', "sa{sv}") > 0) {
		json_t *object = NULL;

		if (sd_bus_message_read(message, "s", &interface) < 0)
			return -EBADMSG;
		object = control_properties(message);
		if (!object)
			return -EBADMSG;
		json_object_set_new(object, "path", json_string(path));
		if (streq(interface, CONTROL_EXTENSION))
			json_array_append(view->extensions, object);
		else if (streq(interface, CONTROL_REQUEST))
			json_array_append(view->requests, object);
		json_decref(object);
		sd_bus_message_exit_container(message);
	}
	return sd_bus_message_exit_container(message);
}

static int compare_extensions(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	static const char *const keys[] = { "team", "identifier" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		int order = strcmp(field_string(x, keys[i]), field_string(y, keys[i]));

		if (order)
			return order;
	}
	if (field_number(x, "since") != field_number(y, "since"))
		return field_number(x, "since") < field_number(y, "since") ? -1 : 1;
	return strcmp(field_string(x, "path"), field_string(y, "path"));
}

static int compare_requests(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;

	return strcmp(field_string(x, "path"), field_string(y, "path"));
}

static int sort_list(json_t **list, int (*compare)(const void *, const void *))
{
	size_t n = json_array_size(*list);
	_cleanup_json_ json_t *sorted = json_array();
	json_t **items = calloc(n + 1, sizeof(json_t *));

	if (!items || !sorted) {
		free(items);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		items[i] = json_array_get(*list, i);
	qsort(items, n, sizeof(json_t *), compare);
	for (size_t i = 0; i < n; i++)
		json_array_append(sorted, items[i]);
	free(items);
	json_decref(*list);
	*list = TAKE(sorted);
	return 0;
}

static int read_objects(sd_bus_message *reply, struct control_view *view)
{
	int r;

	if (sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}") < 0)
		return -EBADMSG;
	while (sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0) {
		r = read_object(reply, view);
		if (r < 0)
			return r;
		sd_bus_message_exit_container(reply);
	}
	r = sort_list(&view->extensions, compare_extensions);
	return r < 0 ? r : sort_list(&view->requests, compare_requests);
}

static int get_all(const struct verb *verb, sd_bus *bus, sd_bus_message **ret)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	int r;

	r = sd_bus_message_new_method_call(
		bus, &call, NULL, CONTROL_PATH, "org.freedesktop.DBus.Properties", "GetAll");
	if (r >= 0)
		r = sd_bus_message_append(call, "s", CONTROL_MANAGER);
	if (r < 0)
		return verb_failed(verb, "%s", strerror(-r));
	return control_send(verb, bus, call, ret);
}

static int get_objects(const struct verb *verb, sd_bus *bus, sd_bus_message **ret)
{
	_cleanup_message_ sd_bus_message *call = NULL;
	int r;

	r = sd_bus_message_new_method_call(bus, &call, NULL, CONTROL_PATH,
		"org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
	if (r < 0)
		return verb_failed(verb, "%s", strerror(-r));
	return control_send(verb, bus, call, ret);
}

int control_view(const struct verb *verb, sd_bus *bus, struct control_view *ret)
{
	_cleanup_message_ sd_bus_message *manager = NULL, *objects = NULL;
	_cleanup_view_ struct control_view view = { .extensions = json_array(),
		.requests = json_array() };
	int r;

	r = get_all(verb, bus, &manager);
	if (r == VERB_DONE)
		r = get_objects(verb, bus, &objects);
	if (r != VERB_DONE)
		return r;
	view.manager = control_properties(manager);
	if (!view.manager || !view.extensions || !view.requests || read_objects(objects, &view) < 0)
		return verb_failed(verb, "outboardd's answer cannot be read");
	*ret = view;
	view = (struct control_view){ 0 };
	return VERB_DONE;
}

int control_open_view(const struct verb *verb, sd_bus **ret_bus, struct control_view *ret)
{
	int r = control_open(verb, ret_bus);

	return r == VERB_DONE ? control_view(verb, *ret_bus, ret) : r;
}

void control_view_done(struct control_view *view)
{
	json_decref(view->manager);
	json_decref(view->extensions);
	json_decref(view->requests);
	*view = (struct control_view){ 0 };
}

static bool is_meant(const json_t *extension, const char *word)
{
	const char *slash = strchr(word, '/');
	const char *team = field_string(extension, "team");
	const char *identifier = field_string(extension, "identifier");

	if (streq(word, field_string(extension, "id")) || streq(word, identifier))
		return true;
	if (!slash || !streq(slash + 1, identifier))
		return false;
	/* "-/org.example.agent" is an unsigned one, as for systemextensionsctl. */
	if (*team == 0)
		team = "-";
	return strlen(team) == (size_t)(slash - word) &&
		strncmp(team, word, (size_t)(slash - word)) == 0;
}

static int rank(const json_t *extension, const char *prefer)
{
	return (prefer && field_true(extension, prefer) ? 2 : 0) +
		(field_true(extension, "active") ? 1 : 0);
}

json_t *control_find(const struct verb *verb, const struct control_view *view, const char *word,
	const char *prefer)
{
	json_t *found = NULL, *extension;
	size_t i;

	json_array_foreach (view->extensions, i, extension) {
		if (!is_meant(extension, word))
			continue;
		if (found && !streq(field_string(found, "team"), field_string(extension, "team"))) {
			verb_failed(verb,
				"'%s' is an extension of team %s and of team %s; say %s/%s", word,
				field_string(found, "team"), field_string(extension, "team"),
				field_string(extension, "team"),
				field_string(extension, "identifier"));
			return NULL;
		}
		/* Sorted by time, so the later of two equals is the newer one. */
		if (!found || rank(extension, prefer) >= rank(found, prefer))
			found = extension;
	}
	if (!found)
		verb_failed(
			verb, "there is no extension '%s'; 'outboardctl list' shows them", word);
	return found;
}

static int count_signal(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	(*(size_t *)userdata)++;
	return 0;
}

/* 1: one has come; 0: the time is over. */
static int wait_for_signal(sd_bus *bus, const size_t *n_signals, size_t seen, uint64_t end_usec)
{
	while (*n_signals == seen) {
		uint64_t now = print_now_usec();
		int r = sd_bus_process(bus, NULL);

		if (r == 0 && now >= end_usec)
			return 0;
		if (r == 0)
			r = sd_bus_wait(bus, end_usec - now);
		if (r < 0 && r != -EINTR)
			return r;
	}
	return 1;
}

static const json_t *still_there(
	const struct control_view *view, const char *team, const char *identifier)
{
	json_t *extension;
	size_t i;

	json_array_foreach (view->extensions, i, extension)
		if (!identifier ||
			(streq(field_string(extension, "team"), team) &&
				streq(field_string(extension, "identifier"), identifier)))
			return extension;
	return NULL;
}

int control_wait_removed(
	const struct verb *verb, sd_bus *bus, const char *team, const char *identifier)
{
	_cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
	uint64_t end_usec = print_now_usec() + REMOVAL_USEC;
	size_t n_signals = 0;
	int r;

	r = sd_bus_match_signal(bus, &slot, NULL, NULL, "org.freedesktop.DBus.ObjectManager",
		"InterfacesRemoved", count_signal, &n_signals);
	while (r >= 0) {
		_cleanup_view_ struct control_view view = { 0 };
		size_t seen = n_signals;
		const json_t *extension;

		r = control_view(verb, bus, &view);
		if (r != VERB_DONE)
			return r;
		extension = still_there(&view, team, identifier);
		if (!extension)
			return VERB_DONE;
		r = wait_for_signal(bus, &n_signals, seen, end_usec);
		if (r == 0)
			return verb_failed(verb, "%s is still there: its state is '%s'",
				field_string(extension, "identifier"),
				field_string(extension, "state"));
	}
	return verb_failed(verb, "the connection to outboardd broke: %s", strerror(-r));
}
