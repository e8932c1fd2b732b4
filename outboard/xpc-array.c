/* SPDX-License-Identifier: Apache-2.0
 *
 * XPC arrays.
 */
#include <errno.h>
#include <stdlib.h>
#include "base/macros.h"
#include "outboard/internal.h"
#include "outboard/xpc.h"

bool xpc_array_apply(xpc_object_t xarray, void *applier);

int xpc_array_add(xpc_value_t *array, xpc_object_t value)
{
	if (!value || value == array)
		return -EINVAL;
	if (array->n_values == array->room) {
		size_t room = array->room ? array->room * 2 : 8;
		void *values = reallocarray(array->values, room, sizeof *array->values);

		if (!values)
			return -ENOMEM;
		array->values = values;
		array->room = room;
	}
	array->values[array->n_values++] = xpc_retain(value);
	return 0;
}

void xpc_array_clear(xpc_value_t *array)
{
	while (array->n_values > 0)
		xpc_release(array->values[--array->n_values]);
	free(array->values);
}

ob_export xpc_object_t xpc_array_create(const xpc_object_t *objects, size_t count)
{
	xpc_value_t *array = xpc_value_new(XPC_ARRAY);
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		r = xpc_array_add(array, objects[i]);
	if (r == 0)
		return array;
	xpc_release(array);
	return NULL;
}

ob_export xpc_object_t xpc_array_create_empty(void)
{
	return xpc_value_new(XPC_ARRAY);
}

ob_export size_t xpc_array_get_count(xpc_object_t xarray)
{
	xpc_value_t *array = xpc_value_of(xarray, XPC_ARRAY);

	return array ? array->n_values : 0;
}

ob_export xpc_object_t xpc_array_get_value(xpc_object_t xarray, size_t index)
{
	xpc_value_t *array = xpc_value_of(xarray, XPC_ARRAY);

	return array && index < array->n_values ? array->values[index] : NULL;
}

ob_export void xpc_array_set_value(xpc_object_t xarray, size_t index, xpc_object_t value)
{
	xpc_value_t *array = xpc_value_of(xarray, XPC_ARRAY);
	xpc_object_t before;

	if (!array || !value || value == array)
		return;
	if (index == XPC_ARRAY_APPEND) {
		xpc_array_add(array, value);
	} else if (index < array->n_values) {
		before = array->values[index];
		array->values[index] = xpc_retain(value);
		xpc_release(before);
	}
}

ob_export void xpc_array_append_value(xpc_object_t xarray, xpc_object_t value)
{
	xpc_array_set_value(xarray, XPC_ARRAY_APPEND, value);
}

ob_export bool xpc_array_apply_f(xpc_object_t xarray, void *context,
	bool (*applier)(size_t index, xpc_object_t value, void *context))
{
	xpc_value_t *array = xpc_value_of(xarray, XPC_ARRAY);

	for (size_t i = 0; array && i < array->n_values; i++)
		if (!applier(i, array->values[i], context))
			return false;
	return true;
}

static bool apply_block(size_t index, xpc_object_t value, void *block)
{
	return BLOCK_INVOKE(block, bool (*)(void *, size_t, xpc_object_t))(block, index, value);
}

ob_export bool xpc_array_apply(xpc_object_t xarray, void *applier)
{
	return xpc_array_apply_f(xarray, applier, apply_block);
}

#define ACCESS(verb) xpc_array_##verb
#define PLACE size_t index
#define AT index
#include "outboard/xpc-accessors.h"
