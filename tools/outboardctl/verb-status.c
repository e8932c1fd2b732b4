/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl status: one screen that says what is installed, what runs beside what is wanted, and
 * what waits for somebody. What no arguments mean.
 */
#include <stdio.h>
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/outboardctl/show.h"
#include "tools/outboardctl/verb.h"

static size_t count_true(const json_t *list, const char *field)
{
	size_t n = 0, i;
	json_t *object;

	json_array_foreach ((json_t *)list, i, object)
		n += field_true(object, field);
	return n;
}

/* Wanted and not running is what an administrator looks for first. */
static size_t count_missing(const json_t *extensions)
{
	size_t n = 0, i;
	json_t *extension;

	json_array_foreach ((json_t *)extensions, i, extension)
		n += field_true(extension, "wanted") && !field_true(extension, "running");
	return n;
}

static void status_head(const struct control_view *view)
{
	const json_t *capabilities = json_object_get(view->manager, "capabilities");
	const char *name;
	json_t *value;

	printf("outboardd %s, developer mode %s\n", field_string(view->manager, "version"),
		field_true(view->manager, "developer_mode") ? "ON" : "off");
	json_object_foreach ((json_t *)capabilities, name, value)
		printf("%s: %s\n", PRINT_CLEAN(name), PRINT_CLEAN(json_string_value(value)));
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static void status_counts(const struct control_view *view)
{
	size_t n = json_array_size(view->extensions), n_open = json_array_size(view->requests);

	printf("%zu extension%s: %zu running, %zu wanted but not running, %zu waiting for approval; %zu open request%s\n",
		n, plural(n), count_true(view->extensions, "running"),
		count_missing(view->extensions), count_true(view->extensions, "awaiting_approval"),
		n_open, plural(n_open));
}

static void status_waiting(const struct control_view *view)
{
	json_t *extension;
	size_t i;

	json_array_foreach (view->extensions, i, extension)
		if (field_true(extension, "awaiting_approval"))
			printf("%s waits for you: outboardctl approve %s\n",
				PRINT_CLEAN(field_string(extension, "name")),
				field_string(extension, "identifier"));
}

static int status_json(const struct verb *verb, const struct control_view *view)
{
	_cleanup_json_ json_t *document = json_pack("{s:O, s:O, s:O}", "manager", view->manager,
		"extensions", view->extensions, "requests", view->requests);

	return print_json(verb, document);
}

int verb_status(const struct verb *verb, int argc, char **argv)
{
	bool json = false;
	const struct verb_option options[] = { { .name = "--json", .flag = &json } };
	_cleanup_view_ struct control_view view = { 0 };
	_cleanup_control_ sd_bus *bus = NULL;
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 0, 0, NULL);
	if (r == 0)
		r = control_open_view(verb, &bus, &view);
	if (r != VERB_DONE)
		return r;
	if (json)
		return status_json(verb, &view);
	status_head(&view);
	status_counts(&view);
	if (json_array_size(view.extensions) > 0) {
		putchar('\n');
		show_extensions(view.extensions);
	}
	status_waiting(&view);
	return VERB_DONE;
}
