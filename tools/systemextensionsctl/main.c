/* SPDX-License-Identifier: Apache-2.0
 *
 * systemextensionsctl: the verbs and the output of macOS's tool of that name, for the scripts and
 * the fingers that know it. Everything else is outboardctl's.
 */
#include "tools/systemextensionsctl/verb.h"

static const struct verb verbs[] = {
	{ "list", "[category] [--json]", "list the system extensions", verb_list },
	{ "developer", "[on | off] [--json]", "show or change developer mode", verb_developer },
	{ "reset", "[--json]", "remove every system extension and all state", verb_reset },
	{ "uninstall", "teamID bundleID [--json]", "remove a system extension", verb_uninstall },
	{ "gc", "[--json]", "remove system extensions whose app is gone", verb_gc },
};

int main(int argc, char **argv)
{
	static const struct tool tool = { "systemextensionsctl", verbs, ARRAY_SIZE(verbs), NULL };

	return verb_main(&tool, argc, argv);
}
