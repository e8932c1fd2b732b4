/* SPDX-License-Identifier: Apache-2.0
 *
 * systemextensionsctl developer, reset, uninstall, gc: one call each. None of them needs a reboot
 * or a protection switched off, and each of them needs root.
 */
#include <string.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/systemextensionsctl/verb.h"

/* Words and --json, then the connection. */
static int begin(const struct verb *verb, int argc, char **argv, int min, int max, bool *ret_json,
	sd_bus **ret_bus)
{
	const struct verb_option options[] = { { .name = "--json", .flag = ret_json } };
	int r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), min, max, NULL);

	return r != 0 ? r : control_open(verb, ret_bus);
}

static int say(const struct verb *verb, bool json, const char *text, json_t *document)
{
	int r = VERB_DONE;

	if (json)
		r = print_json(verb, document);
	else
		puts(text);
	json_decref(document);
	return r;
}

static int say_developer(const struct verb *verb, bool json, bool on)
{
	return say(verb, json, on ? "Developer mode is on" : "Developer mode is off",
		json_pack("{s:b}", "developer_mode", (int)on));
}

int verb_developer(const struct verb *verb, int argc, char **argv)
{
	_cleanup_view_ struct control_view view = { 0 };
	_cleanup_control_ sd_bus *bus = NULL;
	bool json = false, on;
	int r;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-' && !streq(argv[i], "on") && !streq(argv[i], "off"))
			return verb_usage(verb, "what is '%s'?", argv[i]);
	r = begin(verb, argc, argv, 0, 1, &json, &bus);
	if (r != VERB_DONE)
		return r;
	if (argv[1]) {
		on = streq(argv[1], "on");
		r = control_call(verb, bus, "SetDeveloperMode", NULL, "b", (int)on);
	} else {
		r = control_view(verb, bus, &view);
		on = r == VERB_DONE && field_true(view.manager, "developer_mode");
	}
	return r == VERB_DONE ? say_developer(verb, json, on) : r;
}

int verb_reset(const struct verb *verb, int argc, char **argv)
{
	_cleanup_control_ sd_bus *bus = NULL;
	bool json = false;
	int r = begin(verb, argc, argv, 0, 0, &json, &bus);

	if (r == VERB_DONE)
		r = control_call(verb, bus, "Reset", NULL, NULL);
	if (r == VERB_DONE)
		r = control_wait_removed(verb, bus, NULL, NULL);
	return r == VERB_DONE
		? say(verb, json, "Successfully reset", json_pack("{s:b}", "reset", 1))
		: r;
}

int verb_uninstall(const struct verb *verb, int argc, char **argv)
{
	_cleanup_control_ sd_bus *bus = NULL;
	const char *team;
	bool json = false;
	int r = begin(verb, argc, argv, 2, 2, &json, &bus);

	if (r != VERB_DONE)
		return r;
	/* '-' is the team of what nobody signed, here as on macOS. */
	team = streq(argv[1], "-") ? "" : argv[1];
	r = control_call(verb, bus, "Uninstall", NULL, "ss", team, argv[2]);
	if (r == VERB_DONE)
		r = control_wait_removed(verb, bus, team, argv[2]);
	if (r != VERB_DONE)
		return r;
	return say(verb, json, "Successfully uninstalled",
		json_pack("{s:s, s:s}", "team", argv[1], "identifier", argv[2]));
}

int verb_gc(const struct verb *verb, int argc, char **argv)
{
	_cleanup_control_ sd_bus *bus = NULL;
	uint32_t removed = 0;
	bool json = false;
	int r = begin(verb, argc, argv, 0, 0, &json, &bus);

	if (r == VERB_DONE)
		r = control_gc(verb, bus, &removed);
	if (r != VERB_DONE)
		return r;
	return say(
		verb, json, "Successfully cleaned up", json_pack("{s:i}", "removed", (int)removed));
}
