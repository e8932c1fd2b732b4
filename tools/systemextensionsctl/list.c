/* SPDX-License-Identifier: Apache-2.0
 *
 * The list as macOS prints it. Source: what systemextensionsctl of macOS 10.15 to 15 prints: the
 * count, then each category with its rows, columns divided by tabs, an asterisk or nothing for
 * enabled and active, the short version before the version, spaces in the state.
 */
#include "base/str.h"
#include "tools/lib/control.h"
#include "tools/lib/print.h"
#include "tools/systemextensionsctl/verb.h"

#define PREFIX "com.apple.system_extension."

static const char *const categories[] = {
	PREFIX "driver_extension",
	PREFIX "endpoint_security",
	PREFIX "network_extension",
};

const char *list_category(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(categories); i++)
		if (streq(word, categories[i]) || streq(word, categories[i] + strlen(PREFIX)))
			return categories[i];
	return NULL;
}

static bool is_of(const json_t *extension, const char *category)
{
	const json_t *list = json_object_get(extension, "categories");
	json_t *item;
	size_t i;

	if (!category)
		return true;
	json_array_foreach ((json_t *)list, i, item)
		if (streq(str_or(json_string_value(item), ""), category))
			return true;
	return false;
}

json_t *list_select(const json_t *extensions, const char *category)
{
	json_t *selected = json_array(), *extension;
	size_t i;

	json_array_foreach ((json_t *)extensions, i, extension)
		if (is_of(extension, category))
			json_array_append(selected, extension);
	return selected;
}

static void print_row(FILE *out, const json_t *extension)
{
	char state[64];

	/* A tab inside a name would be one more column: PRINT_CLEAN takes it out. */
	print_clean(field_string(extension, "state"), state, sizeof(state));
	for (char *c = state; *c; c++)
		if (*c == '_')
			*c = ' ';
	fprintf(out, "%s\t%s\t%s\t%s (%s/%s)\t%s\t[%s]\n",
		field_true(extension, "enabled") ? "*" : "",
		field_true(extension, "active") ? "*" : "",
		PRINT_CLEAN(field_string(extension, "team")),
		PRINT_CLEAN(field_string(extension, "identifier")),
		PRINT_CLEAN(field_string(extension, "short_version")),
		PRINT_CLEAN(field_string(extension, "version")),
		PRINT_CLEAN(field_string(extension, "name")), state);
}

static void print_category(FILE *out, const json_t *extensions, const char *category)
{
	_cleanup_json_ json_t *selected = list_select(extensions, category);
	json_t *extension;
	size_t i;

	if (json_array_size(selected) == 0)
		return;
	fprintf(out, "--- %s\n", category);
	fputs("enabled\tactive\tteamID\tbundleID (version)\tname\t[state]\n", out);
	json_array_foreach (selected, i, extension)
		print_row(out, extension);
}

void list_print(FILE *out, const json_t *extensions, const char *category)
{
	_cleanup_json_ json_t *selected = list_select(extensions, category);

	fprintf(out, "%zu extension(s)\n", json_array_size(selected));
	for (size_t i = 0; i < ARRAY_SIZE(categories); i++)
		if (!category || streq(category, categories[i]))
			print_category(out, extensions, categories[i]);
}
