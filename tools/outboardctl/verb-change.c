/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl deactivate, deny, enable, disable, uninstall: one extension, one method. They differ
 * in a row of a table.
 */
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/outboardctl/request.h"
#include "tools/outboardctl/verb.h"

struct change {
	const char *verb, *method;
	const char *prefer; /* which of several copies is meant */
	bool by_name;	    /* the method takes team and identifier, not a copy */
	bool request;	    /* and answers with a request, which --wait waits for */
};

static const struct change changes[] = {
	{ "deactivate", "Deactivate", "active", .request = true },
	{ "deny", "Deny", "awaiting_approval" },
	{ "enable", "Enable", "active" },
	{ "disable", "Disable", "active" },
	{ "uninstall", "Uninstall", "active", .by_name = true },
};

static int call_request(const struct verb *verb, sd_bus *bus, const struct change *change,
	const char *id, bool wait)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct request_end end = { 0 };
	int r;

	r = request_watch(verb, bus, &end);
	if (r == VERB_DONE)
		r = control_call(verb, bus, change->method, &reply, "s", id);
	if (r == VERB_DONE && wait)
		r = request_wait(verb, bus, reply, &end);
	request_end_done(&end);
	return r;
}

/* Done when it is gone. */
static int call_by_name(
	const struct verb *verb, sd_bus *bus, const struct change *change, const json_t *extension)
{
	const char *team = field_string(extension, "team");
	const char *identifier = field_string(extension, "identifier");
	int r = control_call(verb, bus, change->method, NULL, "ss", team, identifier);

	return r == VERB_DONE ? control_wait_removed(verb, bus, team, identifier) : r;
}

int verb_change(const struct verb *verb, int argc, char **argv)
{
	bool wait = false;
	const struct verb_option options[] = { { .name = "--wait", .flag = &wait } };
	_cleanup_view_ struct control_view view = { 0 };
	_cleanup_control_ sd_bus *bus = NULL;
	const struct change *change = changes;
	const json_t *extension;
	int r;

	while (!streq(change->verb, verb->name))
		change++;
	r = verb_parse(verb, argc, argv, options, change->request ? 1 : 0, 1, 1, NULL);
	if (r == 0)
		r = control_open_view(verb, &bus, &view);
	if (r != VERB_DONE)
		return r;
	extension = control_find(verb, &view, argv[1], change->prefer);
	if (!extension)
		return VERB_FAILED;
	if (change->by_name)
		return call_by_name(verb, bus, change, extension);
	if (change->request)
		return call_request(verb, bus, change, field_string(extension, "id"), wait);
	return control_call(verb, bus, change->method, NULL, "s", field_string(extension, "id"));
}
