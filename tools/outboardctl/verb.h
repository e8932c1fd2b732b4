/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs of outboardctl: one row in verbs.def and one file verb-NAME.c each. A verb returns
 * VERB_DONE, VERB_FAILED or VERB_USAGE, and takes its words with verb_parse().
 */
#ifndef OB_TOOLS_OUTBOARDCTL_VERB_H
#define OB_TOOLS_OUTBOARDCTL_VERB_H

#include "tools/lib/verb.h"

#define VERB(name, function, arguments, help) \
	int function(const struct verb *verb, int argc, char **argv);
#include "tools/outboardctl/verbs.def"
#undef VERB

#endif
