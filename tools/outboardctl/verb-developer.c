/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl developer: shows or changes developer mode.
 */
#include <stdio.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/verb.h"

static int developer_show(const struct verb *verb, sd_bus *bus, bool json)
{
	_cleanup_view_ struct control_view view = { 0 };
	_cleanup_json_ json_t *document = NULL;
	int r = control_view(verb, bus, &view);

	if (r != VERB_DONE)
		return r;
	if (json) {
		document = json_pack(
			"{s:b}", "developer_mode", field_true(view.manager, "developer_mode"));
		return print_json(verb, document);
	}
	printf("developer mode is %s\n", field_true(view.manager, "developer_mode") ? "on" : "off");
	return VERB_DONE;
}

int verb_developer(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	_cleanup_control_ sd_bus *bus = NULL;
	int n_words, r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 1, &n_words);
	if (r != 0)
		return r;
	if (n_words > 0 && !streq(argv[1], "on") && !streq(argv[1], "off"))
		return verb_usage(verb, "what is '%s'?", argv[1]);
	r = control_open(verb, &bus);
	if (r != VERB_DONE)
		return r;
	if (n_words == 0)
		return developer_show(verb, bus, json);
	return control_call(verb, bus, "SetDeveloperMode", NULL, "b", (int)streq(argv[1], "on"));
}
