/* SPDX-License-Identifier: Apache-2.0
 *
 * in-cgroup NAME COMMAND [ARGUMENT...]
 *
 * Inside a scope: runs a command in a cgroup of its own, as systemd gives one to each service,
 * in every hierarchy. outboardd is started so: what it finds itself in is its to divide, and
 * cgroup v2 hands no controllers to a folder that still holds another process.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/str.h"
#include "test/lib/cgroups.h"

/* The folders of the scope: SCOPE_CGROUP says its name; in v1 it is the parent of our own leaf. */
static int scope_find(struct hierarchies *hierarchies)
{
	const char *scope = getenv("SCOPE_CGROUP");
	int r = scope ? hierarchies_find(hierarchies) : -ENOENT;

	if (r < 0)
		return r;
	STR_PUT(hierarchies->list[0].scope, scope);
	for (size_t i = 1; i < hierarchies->n; i++) {
		struct hierarchy *hierarchy = &hierarchies->list[i];
		char *name = strstr(hierarchy->own, strrchr(scope, '/'));

		if (!name)
			return -ENOENT;
		name[strlen(strrchr(scope, '/'))] = 0;
		STR_PUT(hierarchy->scope, hierarchy->own);
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct hierarchies hierarchies;
	int r;

	if (argc < 3 || strchr(argv[1], '/')) {
		fprintf(stderr, "usage: in-cgroup NAME COMMAND [ARGUMENT...]\n");
		return 2;
	}
	r = scope_find(&hierarchies);
	if (r == 0)
		r = hierarchies_enter(&hierarchies, argv[1], getpid());
	if (r < 0) {
		fprintf(stderr, "in-cgroup: %s: %s\n", argv[1], strerror(-r));
		return 126;
	}
	execvp(argv[2], argv + 2);
	fprintf(stderr, "in-cgroup: %s: %s\n", argv[2], strerror(errno));
	return 127;
}
