/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl list: every staged copy on a line, with what runs beside what is wanted.
 */
#include <stdio.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/show.h"
#include "tools/outboardctl/verb.h"

int verb_list(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	_cleanup_view_ struct control_view view = { 0 };
	_cleanup_control_ sd_bus *bus = NULL;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 0, NULL);
	if (r == 0)
		r = control_open_view(verb, &bus, &view);
	if (r != VERB_DONE)
		return r;
	if (json)
		return print_json(verb, view.extensions);
	if (json_array_size(view.extensions) == 0)
		puts("no extensions");
	else
		show_extensions(view.extensions);
	return VERB_DONE;
}
