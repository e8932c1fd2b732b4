/* SPDX-License-Identifier: Apache-2.0
 *
 * What has changed, told to every connection. What was told last is kept as one number a property,
 * so that the manager says only "this one has changed", as often as it likes, and
 * PropertiesChanged names what really has.
 */
#include <errno.h>
#include <stdlib.h>
#include "base/fd.h"
#include "base/str.h"
#include "manager/control-internal.h"

/* What was last told of an object. */
struct control_shown {
	struct control_shown *next;
	char *path;
	uint64_t digests[CONTROL_PROPERTIES_MAX];
};

static bool is_text(const struct control_property *property)
{
	return property->shape == SHAPE_STRING || property->shape == SHAPE_EXTENSION;
}

/* FNV-1a: two values with one digest would hide one signal, not a state. */
static uint64_t value_digest(const void *object, const struct control_property *property)
{
	uint64_t digest = 0xcbf29ce484222325ull;

	if (!is_text(property))
		return control_value_number(object, property);
	for (const char *c = control_value_string(object, property); *c; c++)
		digest = (digest ^ (unsigned char)*c) * 0x100000001b3ull;
	return digest;
}

static struct control_shown **shown_find(struct control *control, const char *path)
{
	struct control_shown **at = &control->shown;

	while (*at && !streq((*at)->path, path))
		at = &(*at)->next;
	return at;
}

static void shown_drop(struct control_shown **at)
{
	struct control_shown *shown = *at;

	*at = shown->next;
	free(shown->path);
	free(shown);
}

void control_shown_free(struct control *control)
{
	while (control->shown)
		shown_drop(&control->shown);
}

/* NULL: out of memory; the next change is then told as a new object, which it is not to a reader. */
static struct control_shown *shown_add(struct control *control, const char *path)
{
	struct control_shown *shown = calloc(1, sizeof(*shown));

	if (!shown)
		return NULL;
	shown->path = strdup(path);
	if (!shown->path) {
		free(shown);
		return NULL;
	}
	shown->next = control->shown;
	control->shown = shown;
	return shown;
}

typedef int (*emit_t)(sd_bus *bus, const char *path);

/* A failure to send is the connection's: it ends by itself. */
static void emit_all(struct control *control, emit_t emit, const char *path)
{
	for (struct control_link *link = control->links; link; link = link->next)
		if (link->ready && !link->dying)
			emit(link->bus, path);
	control_links_check(control);
}

static void emit_changed(
	struct control *control, const char *path, const char *interface, const char **names)
{
	for (struct control_link *link = control->links; link; link = link->next)
		if (link->ready && !link->dying)
			sd_bus_emit_properties_changed_strv(
				link->bus, path, interface, (char **)names);
	control_links_check(control);
}

static void object_changed(struct control *control, const char *path, const char *interface,
	const void *object, const struct control_property *properties, size_t n)
{
	struct control_shown *shown = *shown_find(control, path);
	const char *names[CONTROL_PROPERTIES_MAX + 1];
	bool is_new = !shown;
	size_t n_names = 0;

	if (is_new)
		shown = shown_add(control, path);
	if (!shown)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t digest = value_digest(object, &properties[i]);

		if (digest != shown->digests[i] && !properties[i].is_constant)
			names[n_names++] = properties[i].name;
		shown->digests[i] = digest;
	}
	names[n_names] = NULL;
	if (is_new)
		emit_all(control, sd_bus_emit_object_added, path);
	else if (n_names > 0)
		emit_changed(control, path, interface, names);
}

void control_extension_changed(struct control *control, const char *id)
{
	struct control_extension extension = { 0 };
	_cleanup_free_ char *path = NULL;

	if (control_path_of_extension(id, &path) < 0 ||
		control->functions->get_extension(control->manager, id, &extension) < 0)
		return;
	object_changed(control, path, CONTROL_EXTENSION, &extension, control_extension_properties,
		control_extension_n_properties);
}

static void object_removed(struct control *control, const char *path)
{
	struct control_shown **shown = shown_find(control, path);

	emit_all(control, sd_bus_emit_object_removed, path);
	if (*shown)
		shown_drop(shown);
}

void control_extension_removed(struct control *control, const char *id)
{
	_cleanup_free_ char *path = NULL;

	if (control_path_of_extension(id, &path) >= 0)
		object_removed(control, path);
}

void control_request_changed(struct control *control, uint64_t id)
{
	struct control_request request = { 0 };
	_cleanup_free_ char *path = NULL;

	if (control_path_of_request(id, &path) < 0 ||
		control->functions->get_request(control->manager, id, &request) < 0)
		return;
	object_changed(control, path, CONTROL_REQUEST, &request, control_request_properties,
		control_request_n_properties);
}

void control_request_ended(
	struct control *control, uint64_t id, const char *result, const struct wire_error *error)
{
	_cleanup_free_ char *path = NULL, *text = NULL;

	if (control_path_of_request(id, &path) < 0)
		return;
	if (error)
		text = control_error_json(error);
	for (struct control_link *link = control->links; link; link = link->next)
		if (link->ready && !link->dying)
			sd_bus_emit_signal(link->bus, CONTROL_PATH, CONTROL_NAME, "RequestEnded",
				"oss", path, result, str_or(text, ""));
	object_removed(control, path);
}

void control_manager_changed(struct control *control)
{
	static const char *names[] = { "DeveloperMode", "Capabilities", NULL };

	emit_changed(control, CONTROL_PATH, CONTROL_NAME, names);
}

/* What is there already when the server starts is known, not new. */
static int prime_extension(void *context, const struct control_extension *extension)
{
	control_extension_changed(context, extension->id);
	return 0;
}

static int prime_request(void *context, const struct control_request *request)
{
	control_request_changed(context, request->id);
	return 0;
}

int control_changes_begin(struct control *control)
{
	int r = control->functions->list_extensions(control->manager, prime_extension, control);

	return r < 0 ? r
		     : control->functions->list_requests(control->manager, prime_request, control);
}
