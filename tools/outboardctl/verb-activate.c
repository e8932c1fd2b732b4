/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl activate: what an app does with OSSystemExtensionRequest, done by root for an app
 * that need not run: packages and configuration management activate with it.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/outboardctl/request.h"
#include "tools/outboardctl/verb.h"

/* "org.example.agent.systemextension" to its identifier; false: no extension's folder. */
static bool identifier_of(const char *folder, char ret[static NAME_MAX + 1])
{
	static const char *const suffixes[] = { ".systemextension", ".dext" };

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		if (!str_ends(folder, suffixes[i]))
			continue;
		snprintf(ret, NAME_MAX + 1, "%.*s", (int)(strlen(folder) - strlen(suffixes[i])),
			folder);
		return true;
	}
	return false;
}

static void dir_closep(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* The app's only extension. Without one, or with several, the administrator has to say which. */
static int only_extension(const struct verb *verb, const char *app, char ret[static NAME_MAX + 1])
{
	_cleanup_free_ char *path = NULL;
	_cleanup_(dir_closep) DIR *dir = NULL;
	size_t n = 0;
	struct dirent *entry;

	if (asprintf(&path, "%s/Contents/Library/SystemExtensions", app) < 0)
		return verb_failed(verb, "out of memory");
	dir = opendir(path);
	if (!dir)
		return verb_failed(verb, "%s: %s", path, strerror(errno));
	while ((entry = readdir(dir))) {
		char name[NAME_MAX + 1];

		if (!identifier_of(entry->d_name, name))
			continue;
		if (n++ > 0)
			return verb_failed(verb, "%s has several extensions (%s, %s); say which",
				app, ret, name);
		memcpy(ret, name, sizeof(name));
	}
	return n == 0 ? verb_failed(verb, "%s: no extension inside", path) : VERB_DONE;
}

int verb_activate(const struct verb *verb, int argc, char **argv)
{
	bool wait = false;
	const struct verb_option options[] = { { .name = "--wait", .flag = &wait } };
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_control_ sd_bus *bus = NULL;
	struct request_end end = { 0 };
	char app[PATH_MAX], identifier[NAME_MAX + 1];
	int n_words, r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 1, 2, &n_words);
	if (r != 0)
		return r;
	if (!realpath(argv[1], app))
		return verb_failed(verb, "%s: %s", argv[1], strerror(errno));
	r = n_words > 1 ? VERB_DONE : only_extension(verb, app, identifier);
	if (r == VERB_DONE)
		r = control_open(verb, &bus);
	if (r == VERB_DONE)
		r = request_watch(verb, bus, &end);
	if (r == VERB_DONE)
		r = control_call(verb, bus, "Activate", &reply, "ss", app,
			n_words > 1 ? argv[2] : identifier);
	if (r == VERB_DONE && wait)
		r = request_wait(verb, bus, reply, &end);
	request_end_done(&end);
	return r;
}
