/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two processes of a scope share: the owner, outside, which makes and removes it, and
 * the first process inside, which dresses the namespaces, runs the command and counts what the
 * command left behind.
 */
#ifndef OB_TEST_LIB_SCOPE_H
#define OB_TEST_LIB_SCOPE_H

#include <stdbool.h>

#define SCOPE_LEFT_BEHIND 125 /* exit code */
#define SCOPE_ROOT "/tmp/outboard"

struct scope {
	bool keep;
	bool users;
	char **command;
};

/* The first process of the scope: never returns; exits with the command's code, or 125. */
_Noreturn void scope_inside(const struct scope *scope);

/* Before the command: mounts, host name, loopback, users. -errno after a line that says what. */
int scope_dress(const struct scope *scope);

/* After it: a line on stderr for each mount and each file of /run that was not there; how many. */
int scope_count_left(void);

#endif
