/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs of systemextensionsctl, and the list that they share with nobody: its form is Apple's,
 * which other people's scripts take apart, so it is made in one function that a test compares to
 * the byte.
 */
#ifndef OB_TOOLS_SYSTEMEXTENSIONSCTL_VERB_H
#define OB_TOOLS_SYSTEMEXTENSIONSCTL_VERB_H

#include <jansson.h>
#include <stdio.h>
#include "tools/lib/verb.h"

int verb_list(const struct verb *verb, int argc, char **argv);
int verb_developer(const struct verb *verb, int argc, char **argv);
int verb_reset(const struct verb *verb, int argc, char **argv);
int verb_uninstall(const struct verb *verb, int argc, char **argv);
int verb_gc(const struct verb *verb, int argc, char **argv);

/*
 * "endpoint_security" or the whole "com.apple.system_extension.endpoint_security" to the whole;
 * NULL: no category of ours.
 */
const char *list_category(const char *word);

/* @extensions as control_view() has them; @category: the whole name, NULL all. */
void list_print(FILE *out, const json_t *extensions, const char *category);
/* Those of the category, in the order of the list. Yours. */
json_t *list_select(const json_t *extensions, const char *category);

#endif
