/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl reset: back to a machine without extensions, approvals and records.
 */
#include <unistd.h>
#include "tools/lib/control.h"
#include "tools/outboardctl/show.h"
#include "tools/outboardctl/verb.h"

int verb_reset(const struct verb *verb, int argc, char **argv)
{
	bool yes = false;
	const struct verb_option options[] = { { .name = "--yes", .flag = &yes } };
	_cleanup_control_ sd_bus *bus = NULL;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 0, NULL);
	if (r == 0)
		r = control_open(verb, &bus);
	if (r != VERB_DONE)
		return r;
	if (!yes && !isatty(STDIN_FILENO))
		return verb_failed(verb, "nobody can be asked here: --yes resets without asking");
	if (!yes && !show_ask("Stop and remove every extension, and forget every approval?"))
		return verb_failed(verb, "nothing was changed");
	r = control_call(verb, bus, "Reset", NULL, NULL);
	return r == VERB_DONE ? control_wait_removed(verb, bus, NULL, NULL) : r;
}
