/* SPDX-License-Identifier: Apache-2.0
 *
 * The extensions in an app, by the names of their folders: no two may have one identifier. A system
 * extension and a driver of one identifier need not stand side by side among the sorted files
 * ("a.dext", "a.b.systemextension", "a.systemextension"), so the names are sorted by themselves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"
#include "bundle/worker/worker.h"

/* "ID.dext" of "Contents/Library/SystemExtensions/ID.dext/...": its bytes; 0: it is in none. */
static size_t name_bytes(const char *path, const char **ret_name)
{
	static const char folder[] = LAYOUT_EXTENSIONS "/";
	size_t bytes;

	if (!str_starts(path, folder))
		return 0;
	path += sizeof folder - 1;
	bytes = strcspn(path, "/");
	*ret_name = path;
	return path[bytes] == '/' ? bytes : 0;
}

static bool is_last(const struct nested *nested, const char *name, size_t bytes)
{
	const struct nested_name *last = nested->n ? &nested->names[nested->n - 1] : NULL;

	return last && last->bytes == bytes && memcmp(last->name, name, bytes) == 0;
}

int nested_add(struct nested *nested, const char *path)
{
	const char *name = NULL;
	size_t bytes = name_bytes(path, &name);
	char text[BUNDLE_NAME_BYTES];
	const struct layout *layout;

	/* a folder's files come one after another: most are of the one that is there */
	if (bytes == 0 || bytes >= sizeof text || is_last(nested, name, bytes))
		return 0;
	memcpy(text, name, bytes);
	text[bytes] = '\0';
	layout = layout_of(text);
	if (!layout || layout->kind == BUNDLE_APP)
		return 0;
	if ((nested->n & (nested->n - 1)) == 0) {
		struct nested_name *grown = reallocarray(
			nested->names, nested->n ? 2 * nested->n : 1, sizeof *grown);

		if (!grown)
			return -ENOMEM;
		nested->names = grown;
	}
	nested->names[nested->n++] = (struct nested_name){ .name = name,
		.bytes = bytes,
		.identifier_bytes = layout_identifier_bytes(layout, text) };
	return 0;
}

static int by_identifier(const void *a, const void *b)
{
	const struct nested_name *one = a, *other = b;
	size_t shorter = one->identifier_bytes < other->identifier_bytes ? one->identifier_bytes
									 : other->identifier_bytes;
	int order = memcmp(one->name, other->name, shorter);

	if (order != 0)
		return order;
	return (one->identifier_bytes > other->identifier_bytes) -
		(one->identifier_bytes < other->identifier_bytes);
}

const struct nested_name *nested_twice(struct nested *nested)
{
	size_t i;

	if (nested->n > 1)
		qsort(nested->names, nested->n, sizeof *nested->names, by_identifier);
	for (i = 1; i < nested->n; i++)
		if (by_identifier(&nested->names[i - 1], &nested->names[i]) == 0)
			return &nested->names[i];
	return NULL;
}

void nested_done(struct nested *nested)
{
	free(nested->names);
	*nested = (struct nested){ 0 };
}
