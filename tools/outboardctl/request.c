/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for a request. See request.h.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/request.h"
#include "tools/outboardctl/show.h"

static int on_ended(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct request_end *end = userdata;
	const char *path, *result, *text;

	if (sd_bus_message_read(message, "oss", &path, &result, &text) < 0)
		return 0;
	json_object_set_new(
		end->ended, path, json_pack("{s:s, s:s}", "result", result, "error", text));
	return 0;
}

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct request_end *end = userdata;
	_cleanup_json_ json_t *changed = NULL;
	const char *interface, *state;
	char buffer[64];

	if (!end->waiting || !streq(str_or(sd_bus_message_get_path(message), ""), end->waiting) ||
		sd_bus_message_read(message, "s", &interface) < 0)
		return 0;
	changed = control_properties(message);
	state = changed ? field_string(changed, "state") : "";
	if (*state)
		fprintf(stderr, "%s\n", show_state(state, buffer, sizeof(buffer)));
	return 0;
}

int request_watch(const struct verb *verb, sd_bus *bus, struct request_end *end)
{
	int r;

	end->ended = json_object();
	r = sd_bus_match_signal(bus, &end->ended_slot, NULL, CONTROL_PATH, CONTROL_MANAGER,
		"RequestEnded", on_ended, end);
	if (r >= 0)
		r = sd_bus_match_signal(bus, &end->changed_slot, NULL, NULL,
			"org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed, end);
	return r < 0 ? verb_failed(verb, "%s", strerror(-r)) : VERB_DONE;
}

static int say_end(const struct verb *verb, const json_t *end)
{
	const char *result = field_string(end, "result");
	_cleanup_json_ json_t *error = NULL;

	if (!streq(result, "failed")) {
		printf("%s\n",
			streq(result, "completed") ? "completed" : "will complete after reboot");
		return VERB_DONE;
	}
	error = json_loads(field_string(end, "error"), 0, NULL);
	verb_failed(verb, "%s (%s, error %lld)", PRINT_CLEAN(field_string(error, "description")),
		PRINT_CLEAN(field_string(error, "rule")), field_number(error, "code"));
	fprintf(stderr, "  %s\n", PRINT_CLEAN(field_string(error, "recovery")));
	return VERB_FAILED;
}

int request_wait(
	const struct verb *verb, sd_bus *bus, sd_bus_message *reply, struct request_end *end)
{
	const json_t *ended;
	int r;

	r = sd_bus_message_read(reply, "o", &end->waiting);
	while (r >= 0) {
		ended = json_object_get(end->ended, end->waiting);
		if (ended)
			return say_end(verb, ended);
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
		if (r == -EINTR)
			r = 0;
	}
	return verb_failed(verb, "the connection to outboardd broke: %s", strerror(-r));
}

void request_end_done(struct request_end *end)
{
	sd_bus_slot_unref(end->ended_slot);
	sd_bus_slot_unref(end->changed_slot);
	json_decref(end->ended);
	*end = (struct request_end){ 0 };
}
