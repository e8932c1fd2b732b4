/* SPDX-License-Identifier: Apache-2.0
 *
 * systemextensionsctl list [category]: Apple's list, or the same extensions as JSON.
 */
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/systemextensionsctl/verb.h"

int verb_list(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	_cleanup_view_ struct control_view view = { 0 };
	_cleanup_control_ sd_bus *bus = NULL;
	_cleanup_json_ json_t *selected = NULL;
	const char *category = NULL;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 1, NULL);
	if (r != 0)
		return r;
	if (argv[1]) {
		category = list_category(argv[1]);
		if (!category)
			return verb_usage(verb, "'%s' is not a category", argv[1]);
	}
	r = control_open_view(verb, &bus, &view);
	if (r != VERB_DONE)
		return r;
	if (!json) {
		list_print(stdout, view.extensions, category);
		return VERB_DONE;
	}
	selected = list_select(view.extensions, category);
	return print_json(verb, selected);
}
