/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl approve: the one place where a person decides, so it says in plain words who asks and
 * for what before it takes a yes. What is approved is the copy that was shown, by its id: another
 * one that arrives meanwhile has to be shown too.
 */
#include <stdio.h>
#include <unistd.h>
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/show.h"
#include "tools/outboardctl/verb.h"

static void say_what(const json_t *extension)
{
	const char *team = field_string(extension, "team");
	char version[160];

	printf("%s, version %s\n", PRINT_CLEAN(field_string(extension, "name")),
		PRINT_CLEAN(show_version(extension, version, sizeof(version))));
	printf("  identifier  %s\n", PRINT_CLEAN(field_string(extension, "identifier")));
	if (*team)
		printf("  signed by   %s (team %s)\n",
			PRINT_CLEAN(field_string(extension, "team_name")), PRINT_CLEAN(team));
	else
		printf("  signed by   NOBODY: it is accepted in developer mode only\n");
	printf("  from        %s\n", PRINT_CLEAN(field_string(extension, "origin_path")));
	printf("  it says     %s\n", PRINT_CLEAN(field_string(extension, "usage")));
	printf("  it asks to\n");
	show_entitlements(json_object_get(extension, "entitlements"), "  ");
}

int verb_approve(const struct verb *verb, int argc, char **argv)
{
	bool yes = false;
	const struct verb_option options[] = { { .name = "--yes", .flag = &yes } };
	_cleanup_view_ struct control_view view = { 0 };
	_cleanup_control_ sd_bus *bus = NULL;
	const json_t *extension;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 1, 1, NULL);
	if (r == 0)
		r = control_open_view(verb, &bus, &view);
	if (r != VERB_DONE)
		return r;
	extension = control_find(verb, &view, argv[1], "awaiting_approval");
	if (!extension)
		return VERB_FAILED;
	say_what(extension);
	if (!field_true(extension, "awaiting_approval") && !yes)
		return verb_failed(verb, "it does not wait for approval: its state is '%s'",
			field_string(extension, "state"));
	if (!yes && !isatty(STDIN_FILENO))
		return verb_failed(verb, "nobody can be asked here: --yes approves without asking");
	if (!yes && !show_ask("Allow this?"))
		return verb_failed(verb, "not approved; it goes on waiting");
	return control_call(verb, bus, "Approve", NULL, "s", field_string(extension, "id"));
}
