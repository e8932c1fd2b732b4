/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bus shows: one table of properties for each kind of object, from which come the answers
 * to Get, the lists of the object manager and (control-changes.c) the signals of change.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/bundle.h"
#include "manager/control-internal.h"

#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONST SD_BUS_VTABLE_PROPERTY_CONST

const struct control_property control_extension_properties[] = {
#define EXTENSION(name, type, shape, member, flag) \
	{ name, SHAPE_##shape, offsetof(struct control_extension, member), (flag) == CONST },
#include "manager/control-properties.def"
#undef EXTENSION
};
const size_t control_extension_n_properties = ARRAY_SIZE(control_extension_properties);
static_assert(ARRAY_SIZE(control_extension_properties) <= CONTROL_PROPERTIES_MAX, "digests");

const struct control_property control_request_properties[] = {
#define REQUEST(name, type, shape, member, flag) \
	{ name, SHAPE_##shape, offsetof(struct control_request, member), (flag) == CONST },
#include "manager/control-properties.def"
#undef REQUEST
};
const size_t control_request_n_properties = ARRAY_SIZE(control_request_properties);
static_assert(ARRAY_SIZE(control_request_properties) <= CONTROL_PROPERTIES_MAX, "digests");

static const struct {
	uint32_t bit;
	const char *name;
} category_names[] = {
	{ BUNDLE_CATEGORY_DRIVER_EXTENSION, "com.apple.system_extension.driver_extension" },
	{ BUNDLE_CATEGORY_ENDPOINT_SECURITY, "com.apple.system_extension.endpoint_security" },
	{ BUNDLE_CATEGORY_NETWORK_EXTENSION, "com.apple.system_extension.network_extension" },
};

int control_path_of_extension(const char *id, char **ret)
{
	return sd_bus_path_encode(CONTROL_EXTENSIONS, id, ret);
}

int control_path_of_request(uint64_t id, char **ret)
{
	return asprintf(ret, CONTROL_REQUESTS "/%" PRIu64, id) < 0 ? -ENOMEM : 0;
}

/* What a property holds, whatever object it stands in. */
const char *control_value_string(const void *object, const struct control_property *property)
{
	return str_or(*(const char *const *)((const char *)object + property->offset), "");
}

uint64_t control_value_number(const void *object, const struct control_property *property)
{
	const char *at = (const char *)object + property->offset;

	switch (property->shape) {
	case SHAPE_BOOL:
		return *(const bool *)at;
	case SHAPE_U32:
	case SHAPE_CATEGORIES:
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static int append_categories(sd_bus_message *reply, uint32_t categories)
{
	int r = sd_bus_message_open_container(reply, 'a', "s");

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(category_names); i++)
		if (categories & category_names[i].bit)
			r = sd_bus_message_append(reply, "s", category_names[i].name);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_path(sd_bus_message *reply, const char *id)
{
	_cleanup_free_ char *path = NULL;
	int r = *id ? control_path_of_extension(id, &path) : 0;

	return r < 0 ? r : sd_bus_message_append(reply, "o", path ? path : "/");
}

static int append_value(
	sd_bus_message *reply, const void *object, const struct control_property *property)
{
	switch (property->shape) {
	case SHAPE_STRING:
		return sd_bus_message_append(reply, "s", control_value_string(object, property));
	case SHAPE_EXTENSION:
		return append_path(reply, control_value_string(object, property));
	case SHAPE_CATEGORIES:
		return append_categories(reply, (uint32_t)control_value_number(object, property));
	case SHAPE_BOOL:
		return sd_bus_message_append(
			reply, "b", (int)control_value_number(object, property));
	case SHAPE_U32:
		return sd_bus_message_append(
			reply, "u", (uint32_t)control_value_number(object, property));
	case SHAPE_U64:
		return sd_bus_message_append(reply, "t", control_value_number(object, property));
	}
	return -EINVAL;
}

static int append_named(sd_bus_message *reply, const void *object, const char *name,
	const struct control_property *properties, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(properties[i].name, name))
			return append_value(reply, object, &properties[i]);
	return -ENOENT;
}

/* Path to id, at the moment of the call: sd-bus keeps nothing of ours between calls. */
static int extension_of_path(
	struct control *control, const char *path, struct control_extension *ret)
{
	_cleanup_free_ char *id = NULL;
	int r = sd_bus_path_decode(path, CONTROL_EXTENSIONS, &id);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	return control->functions->get_extension(control->manager, id, ret);
}

static int request_of_path(struct control *control, const char *path, struct control_request *ret)
{
	const char *digits = path + strlen(CONTROL_REQUESTS "/");
	unsigned long long id;
	char *end;

	if (!str_starts(path, CONTROL_REQUESTS "/") || *digits < '0' || *digits > '9')
		return -ENOENT;
	errno = 0;
	id = strtoull(digits, &end, 10);
	if (errno != 0 || *end != 0)
		return -ENOENT;
	return control->functions->get_request(control->manager, id, ret);
}

static int get_extension_property(sd_bus *bus, const char *path, const char *interface,
	const char *name, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct control_link *link = userdata;
	struct control_extension extension = { 0 };
	int r = extension_of_path(link->control, path, &extension);

	return r < 0 ? r
		     : append_named(reply, &extension, name, control_extension_properties,
			       control_extension_n_properties);
}

static int get_request_property(sd_bus *bus, const char *path, const char *interface,
	const char *name, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	struct control_link *link = userdata;
	struct control_request request = { 0 };
	int r = request_of_path(link->control, path, &request);

	return r < 0 ? r
		     : append_named(reply, &request, name, control_request_properties,
			       control_request_n_properties);
}

static int append_capability(void *context, const char *name, const char *state)
{
	int r = sd_bus_message_append(context, "{ss}", name, state);

	return r < 0 ? r : 0;
}

static int get_manager_property(sd_bus *bus, const char *path, const char *interface,
	const char *name, sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct control *control = ((struct control_link *)userdata)->control;
	const struct control_manager *functions = control->functions;
	int r;

	if (streq(name, "Version"))
		return sd_bus_message_append(reply, "s", functions->version);
	if (streq(name, "BootId"))
		return sd_bus_message_append(reply, "s", functions->boot_id);
	if (streq(name, "DeveloperMode"))
		return sd_bus_message_append(
			reply, "b", (int)functions->get_developer_mode(control->manager));
	r = sd_bus_message_open_container(reply, 'a', "{ss}");
	if (r >= 0)
		r = functions->list_capabilities(control->manager, append_capability, reply);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Anybody may call: control_method() decides, since sd-bus would ask the bus, and wait for it. */
#define METHOD(name, in, in_names, out, out_names) \
	SD_BUS_METHOD_WITH_NAMES(                  \
		name, in, in_names, out, out_names, control_method, SD_BUS_VTABLE_UNPRIVILEGED)
#define NAME(name) SD_BUS_PARAM(name)

static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", get_manager_property, 0, CONST),
	SD_BUS_PROPERTY("BootId", "s", get_manager_property, 0, CONST),
	SD_BUS_PROPERTY("DeveloperMode", "b", get_manager_property, 0, CHANGES),
	SD_BUS_PROPERTY("Capabilities", "a{ss}", get_manager_property, 0, CHANGES),
	METHOD("Activate", "ss", NAME(app_path) NAME(identifier), "o", NAME(request)),
	METHOD("Deactivate", "s", NAME(extension), "o", NAME(request)),
	METHOD("Approve", "s", NAME(extension), "", ),
	METHOD("Deny", "s", NAME(extension), "", ),
	METHOD("Enable", "s", NAME(extension), "", ),
	METHOD("Disable", "s", NAME(extension), "", ),
	METHOD("Uninstall", "ss", NAME(team) NAME(identifier), "", ),
	METHOD("Reset", "", "", "", ),
	METHOD("Gc", "", "", "u", NAME(removed)),
	METHOD("SetDeveloperMode", "b", NAME(on), "", ),
	METHOD("GetConfig", "", "", "a(ssss)", NAME(values)),
	METHOD("GetErrors", "", "", "a(issss)", NAME(rules)),
	METHOD("ReadLog", "stub", NAME(source) NAME(since_usec) NAME(lines) NAME(follow), "ah",
		NAME(streams)),
	METHOD("ReadEndpoint", "", "", "h", NAME(report)),
	METHOD("DevRun", "ssh", NAME(identifier) NAME(entitlements) NAME(pidfd), "a(sh)",
		NAME(descriptors)),
	SD_BUS_SIGNAL_WITH_NAMES("RequestEnded", "oss", NAME(request) NAME(result) NAME(error), 0),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable extension_vtable[] = {
	SD_BUS_VTABLE_START(0),
#define EXTENSION(name, type, shape, member, flag) \
	SD_BUS_PROPERTY(name, type, get_extension_property, 0, flag),
#include "manager/control-properties.def"
#undef EXTENSION
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable request_vtable[] = {
	SD_BUS_VTABLE_START(0),
#define REQUEST(name, type, shape, member, flag) \
	SD_BUS_PROPERTY(name, type, get_request_property, 0, flag),
#include "manager/control-properties.def"
#undef REQUEST
	SD_BUS_VTABLE_END,
};

static int find_extension(sd_bus *bus, const char *path, const char *interface, void *userdata,
	void **ret_found, sd_bus_error *error)
{
	struct control_link *link = userdata;
	struct control_extension extension;

	*ret_found = link;
	return extension_of_path(link->control, path, &extension) >= 0;
}

static int find_request(sd_bus *bus, const char *path, const char *interface, void *userdata,
	void **ret_found, sd_bus_error *error)
{
	struct control_link *link = userdata;
	struct control_request request;

	*ret_found = link;
	return request_of_path(link->control, path, &request) >= 0;
}

/* The paths of all objects, as sd-bus wants them: a vector that ends in NULL. */
struct paths {
	char **paths;
	size_t n;
};

static int paths_add(struct paths *paths, char *path)
{
	char **more = reallocarray(paths->paths, paths->n + 2, sizeof(char *));

	if (!more) {
		free(path);
		return -ENOMEM;
	}
	paths->paths = more;
	more[paths->n++] = path;
	more[paths->n] = NULL;
	return 0;
}

static int add_extension(void *context, const struct control_extension *extension)
{
	char *path;
	int r = control_path_of_extension(extension->id, &path);

	return r < 0 ? r : paths_add(context, path);
}

static int add_request(void *context, const struct control_request *request)
{
	char *path;
	int r = control_path_of_request(request->id, &path);

	return r < 0 ? r : paths_add(context, path);
}

static int enumerate(
	sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes, sd_bus_error *error)
{
	const struct control *control = ((struct control_link *)userdata)->control;
	struct paths paths = { 0 };
	int r;

	r = control->functions->list_extensions(control->manager, add_extension, &paths);
	if (r >= 0)
		r = control->functions->list_requests(control->manager, add_request, &paths);
	if (r < 0) {
		for (size_t i = 0; i < paths.n; i++)
			free(paths.paths[i]);
		free(paths.paths);
		return r;
	}
	*ret_nodes = paths.paths;
	return 1;
}

int control_objects_attach(struct control_link *link)
{
	sd_bus *bus = link->bus;
	int r;

	r = sd_bus_add_object_manager(bus, NULL, CONTROL_PATH);
	if (r >= 0)
		r = sd_bus_add_node_enumerator(bus, NULL, CONTROL_PATH, enumerate, link);
	if (r >= 0)
		r = sd_bus_add_object_vtable(
			bus, NULL, CONTROL_PATH, CONTROL_NAME, manager_vtable, link);
	if (r >= 0)
		r = sd_bus_add_fallback_vtable(bus, NULL, CONTROL_EXTENSIONS, CONTROL_EXTENSION,
			extension_vtable, find_extension, link);
	if (r >= 0)
		r = sd_bus_add_fallback_vtable(bus, NULL, CONTROL_REQUESTS, CONTROL_REQUEST,
			request_vtable, find_request, link);
	return r;
}
