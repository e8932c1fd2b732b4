/* SPDX-License-Identifier: Apache-2.0
 *
 * How outboardctl words what several of its verbs show: versions, states, an extension's line.
 */
#ifndef OB_TOOLS_OUTBOARDCTL_SHOW_H
#define OB_TOOLS_OUTBOARDCTL_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* "1.2/34": CFBundleShortVersionString and CFBundleVersion. */
const char *show_version(const json_t *extension, char *buffer, size_t bytes);
/* "activated enabled": Apple's names as Apple's tool prints them. */
const char *show_state(const char *state, char *buffer, size_t bytes);
/* "1.2/34, pid 567", "no: crashed 5 times" or "no". */
const char *show_running(const json_t *extension, char *buffer, size_t bytes);

void show_extensions(const json_t *extensions); /* a table */

/* What the extension asks for, in words, one line each, with @indent in front. */
void show_entitlements(const json_t *entitlements, const char *indent);

/* Ask on the terminal; false without one, and for everything but "y" and "yes". */
bool show_ask(const char *question);

#endif
