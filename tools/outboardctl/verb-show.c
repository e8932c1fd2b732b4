/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl show: everything about an extension, each of its staged copies in turn.
 */
#include <stdio.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/show.h"
#include "tools/outboardctl/verb.h"

enum shape { SHAPE_STRING, SHAPE_NUMBER, SHAPE_YES, SHAPE_TIME, SHAPE_LIST };

static const struct {
	const char *label, *field;
	enum shape shape;
} lines[] = {
	{ "name", "name", SHAPE_STRING },
	{ "id", "id", SHAPE_STRING },
	{ "team", "team", SHAPE_STRING },
	{ "team name", "team_name", SHAPE_STRING },
	{ "short version", "short_version", SHAPE_STRING },
	{ "version", "version", SHAPE_STRING },
	{ "categories", "categories", SHAPE_LIST },
	{ "usage", "usage", SHAPE_STRING },
	{ "digest", "digest", SHAPE_STRING },
	{ "state", "state", SHAPE_STRING },
	{ "since", "since", SHAPE_TIME },
	{ "reason", "reason", SHAPE_STRING },
	{ "wanted", "wanted", SHAPE_YES },
	{ "active", "active", SHAPE_YES },
	{ "enabled", "enabled", SHAPE_YES },
	{ "awaiting approval", "awaiting_approval", SHAPE_YES },
	{ "uninstalling", "uninstalling", SHAPE_YES },
	{ "running", "running", SHAPE_YES },
	{ "running version", "running_version", SHAPE_STRING },
	{ "pid", "pid", SHAPE_NUMBER },
	{ "restarts", "restarts", SHAPE_NUMBER },
	{ "last exit", "last_exit", SHAPE_STRING },
	{ "approved by", "approved_by", SHAPE_STRING },
	{ "approved", "approved_at", SHAPE_TIME },
	{ "app", "app_path", SHAPE_STRING },
	{ "from", "origin_path", SHAPE_STRING },
	{ "staged at", "staged_path", SHAPE_STRING },
};

static void show_list(const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)list, i, item)
		printf("%s%s", i ? ", " : "", PRINT_CLEAN(json_string_value(item)));
	putchar('\n');
}

static void show_line(const json_t *extension, size_t i)
{
	const json_t *value = json_object_get(extension, lines[i].field);
	char text[64];

	if (!value)
		return;
	printf("  %-18s", lines[i].label);
	switch (lines[i].shape) {
	case SHAPE_STRING:
		puts(PRINT_CLEAN(json_string_value(value)));
		break;
	case SHAPE_NUMBER:
		printf("%lld\n", (long long)json_integer_value(value));
		break;
	case SHAPE_YES:
		puts(json_is_true(value) ? "yes" : "no");
		break;
	case SHAPE_TIME:
		puts(print_ago(
			(uint64_t)json_integer_value(value), print_now_usec(), text, sizeof(text)));
		break;
	case SHAPE_LIST:
		show_list(value);
		break;
	}
}

static void show_error(const json_t *error)
{
	if (!json_is_object(error))
		return;
	printf("  %-18s%s\n", "last error", PRINT_CLEAN(field_string(error, "description")));
	printf("  %-18s%s\n", "", PRINT_CLEAN(field_string(error, "recovery")));
	printf("  %-18s%s (error %lld)\n", "rule", PRINT_CLEAN(field_string(error, "rule")),
		field_number(error, "code"));
}

static void show_extension(const json_t *extension)
{
	printf("%s\n", PRINT_CLEAN(field_string(extension, "identifier")));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		show_line(extension, i);
	show_error(json_object_get(extension, "last_error"));
	printf("  may\n");
	show_entitlements(json_object_get(extension, "entitlements"), "  ");
}

/* Every copy of the extension that was found; all of them when the word names no single copy. */
static json_t *copies_of(const struct control_view *view, const json_t *found, const char *word)
{
	json_t *copies = json_array(), *extension;
	size_t i;

	json_array_foreach (view->extensions, i, extension) {
		bool same = streq(field_string(extension, "team"), field_string(found, "team")) &&
			streq(field_string(extension, "identifier"),
				field_string(found, "identifier"));

		if (streq(word, field_string(found, "id")) ? extension == found : same)
			json_array_append(copies, extension);
	}
	return copies;
}

int verb_show(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	_cleanup_view_ struct control_view view = { 0 };
	_cleanup_control_ sd_bus *bus = NULL;
	_cleanup_json_ json_t *copies = NULL;
	json_t *found, *extension;
	size_t i;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 1, 1, NULL);
	if (r == 0)
		r = control_open_view(verb, &bus, &view);
	if (r != VERB_DONE)
		return r;
	found = control_find(verb, &view, argv[1], NULL);
	if (!found)
		return VERB_FAILED;
	copies = copies_of(&view, found, argv[1]);
	if (json)
		return print_json(verb, copies);
	json_array_foreach (copies, i, extension)
		show_extension(extension);
	return VERB_DONE;
}
