/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl: the administrator's tool. What it asks and changes goes through the D-Bus interface
 * org.outboard.Manager1 and nothing else; the verbs on bundles need no daemon.
 */
#include "tools/outboardctl/verb.h"

static const struct verb verbs[] = {
#define VERB(name, function, arguments, help) { name, arguments, help, function },
#include "tools/outboardctl/verbs.def"
#undef VERB
};

int main(int argc, char **argv)
{
	static const struct tool outboardctl = { "outboardctl", verbs, ARRAY_SIZE(verbs),
		"status" };

	return verb_main(&outboardctl, argc, argv);
}
