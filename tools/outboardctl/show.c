/* SPDX-License-Identifier: Apache-2.0
 *
 * The wording that outboardctl's verbs share. See show.h.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/show.h"

const char *show_version(const json_t *extension, char *buffer, size_t bytes)
{
	snprintf(buffer, bytes, "%s/%s", field_string(extension, "short_version"),
		field_string(extension, "version"));
	return buffer;
}

const char *show_state(const char *state, char *buffer, size_t bytes)
{
	snprintf(buffer, bytes, "%s", state);
	for (char *c = buffer; *c; c++)
		if (*c == '_')
			*c = ' ';
	return buffer;
}

const char *show_running(const json_t *extension, char *buffer, size_t bytes)
{
	const char *reason = field_string(extension, "reason");

	if (field_true(extension, "running"))
		snprintf(buffer, bytes, "%s, pid %lld", field_string(extension, "running_version"),
			field_number(extension, "pid"));
	else if (field_true(extension, "wanted") && *reason)
		snprintf(buffer, bytes, "no: %s", reason);
	else
		snprintf(buffer, bytes, "no");
	return buffer;
}

void show_extensions(const json_t *extensions)
{
	static const char *const titles[] = { "EXTENSION", "TEAM", "VERSION", "STATE", "SINCE",
		"RUNNING" };
	_cleanup_(print_table_freep) struct print_table *table = print_table_new(
		ARRAY_SIZE(titles), titles);
	uint64_t now = print_now_usec();
	json_t *extension;
	size_t i;

	if (!table)
		return;
	json_array_foreach ((json_t *)extensions, i, extension) {
		char version[160], state[64], since[64], running[256];
		const char *cells[] = {
			field_string(extension, "identifier"),
			field_string(extension, "team"),
			show_version(extension, version, sizeof(version)),
			show_state(field_string(extension, "state"), state, sizeof(state)),
			print_ago((uint64_t)field_number(extension, "since"), now, since,
				sizeof(since)),
			show_running(extension, running, sizeof(running)),
		};

		print_table_add(table, cells);
	}
	print_table_show(table);
}

/* What each entitlement lets its holder do, as one would say it to the owner of the machine. */
static const struct {
	const char *name, *words;
} entitlement_words[] = {
	{ "com.apple.developer.endpoint-security.client",
		"see every program, file and process event of this machine, and allow or deny them" },
	{ "com.apple.developer.networking.networkextension",
		"see and change this machine's network traffic" },
	{ "com.apple.developer.driverkit", "drive devices of this machine" },
	{ "com.apple.developer.driverkit.transport.pci", "drive PCI devices" },
	{ "com.apple.developer.driverkit.transport.usb", "drive USB devices" },
	{ "com.apple.developer.driverkit.transport.hid", "drive keyboards, mice and other input" },
	{ "com.apple.developer.driverkit.allow-any-userclient-access",
		"let any program talk to its driver" },
	{ "com.apple.developer.driverkit.userclient-access", "talk to these drivers" },
	{ "com.apple.developer.system-extension.install", "install system extensions" },
	{ "com.apple.developer.system-extension.redistributable",
		"be shipped inside the apps of other teams" },
	{ "com.apple.security.application-groups", "share data with the apps of these groups" },
	{ "org.outboard.file-system.write", "change files below these paths, as root" },
};

static const char *words_of(const char *entitlement)
{
	for (size_t i = 0; i < ARRAY_SIZE(entitlement_words); i++)
		if (streq(entitlement, entitlement_words[i].name))
			return entitlement_words[i].words;
	return NULL;
}

static void show_details(const json_t *value, const char *indent)
{
	json_t *item;
	size_t i;

	if (json_is_string(value))
		printf("%s      %s\n", indent, PRINT_CLEAN(json_string_value(value)));
	json_array_foreach ((json_t *)value, i, item) {
		char *text = json_is_string(item) ? NULL : json_dumps(item, JSON_COMPACT);

		printf("%s      %s\n", indent, PRINT_CLEAN(text ? text : json_string_value(item)));
		free(text);
	}
	if (json_is_object(value)) {
		char *text = json_dumps(value, JSON_COMPACT);

		printf("%s      %s\n", indent, PRINT_CLEAN(text));
		free(text);
	}
}

void show_entitlements(const json_t *entitlements, const char *indent)
{
	const char *name;
	json_t *value;
	size_t n = 0;

	json_object_foreach ((json_t *)entitlements, name, value) {
		const char *words = words_of(name);

		if (json_is_false(value))
			continue;
		n++;
		if (words)
			printf("%s  - %s\n", indent, words);
		else
			printf("%s  - %s\n", indent, PRINT_CLEAN(name));
		show_details(value, indent);
	}
	if (n == 0)
		printf("%s  - nothing beyond running in the background\n", indent);
}

bool show_ask(const char *question)
{
	char answer[16];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	fflush(stdout);
	fprintf(stderr, "%s [y/N] ", question);
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return streq(answer, "y\n") || streq(answer, "yes\n");
}
