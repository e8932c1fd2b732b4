/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl gc: outboardd notices a removed app by itself; this is for what it could not see.
 */
#include <stdio.h>
#include <string.h>
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/verb.h"

int verb_gc(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	_cleanup_control_ sd_bus *bus = NULL;
	_cleanup_json_ json_t *document = NULL;
	uint32_t removed = 0;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 0, NULL);
	if (r == 0)
		r = control_open(verb, &bus);
	if (r == VERB_DONE)
		r = control_gc(verb, bus, &removed);
	if (r != VERB_DONE)
		return r;
	if (json) {
		document = json_pack("{s:i}", "removed", (int)removed);
		return print_json(verb, document);
	}
	printf("%u removed\n", removed);
	return VERB_DONE;
}
