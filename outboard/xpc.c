/* SPDX-License-Identifier: Apache-2.0
 *
 * XPC values: making, reading, comparing, copying. Containers: xpc-array.c, xpc-dictionary.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/macros.h"
#include "outboard/xpc.h"

struct _xpc_type_s {
	const char *name;
};
#define TYPE(name) ob_export const struct _xpc_type_s _xpc_type_##name = { #name }
TYPE(null);
TYPE(bool);
TYPE(int64);
TYPE(uint64);
TYPE(double);
TYPE(date);
TYPE(data);
TYPE(string);
TYPE(uuid);
TYPE(fd);
TYPE(array);
TYPE(dictionary);

static const xpc_type_t types[XPC_KINDS] = {
	[XPC_NULL] = XPC_TYPE_NULL,
	[XPC_BOOL] = XPC_TYPE_BOOL,
	[XPC_INT64] = XPC_TYPE_INT64,
	[XPC_UINT64] = XPC_TYPE_UINT64,
	[XPC_DOUBLE] = XPC_TYPE_DOUBLE,
	[XPC_DATE] = XPC_TYPE_DATE,
	[XPC_DATA] = XPC_TYPE_DATA,
	[XPC_STRING] = XPC_TYPE_STRING,
	[XPC_UUID] = XPC_TYPE_UUID,
	[XPC_FD] = XPC_TYPE_FD,
	[XPC_ARRAY] = XPC_TYPE_ARRAY,
	[XPC_DICTIONARY] = XPC_TYPE_DICTIONARY,
};

ob_export xpc_value_t _xpc_bool_true = { .kind = XPC_BOOL, .boolean = true };
ob_export xpc_value_t _xpc_bool_false = { .kind = XPC_BOOL };
static xpc_value_t null_value = { .kind = XPC_NULL };

xpc_value_t *xpc_value_new(enum xpc_kind kind)
{
	xpc_value_t *value = calloc(1, sizeof *value);

	if (!value)
		return NULL;
	atomic_init(&value->n_references, 1);
	value->kind = kind;
	return value;
}

xpc_value_t *xpc_value_new_text(enum xpc_kind kind, const void *bytes, size_t n_bytes)
{
	xpc_value_t *value = xpc_value_new(kind);

	if (!value)
		return NULL;
	value->bytes = malloc(n_bytes + 1);
	if (!value->bytes) {
		free(value);
		return NULL;
	}
	if (n_bytes > 0)
		memcpy(value->bytes, bytes, n_bytes);
	value->bytes[n_bytes] = '\0';
	value->n_bytes = n_bytes;
	return value;
}

xpc_value_t *xpc_value_of(xpc_object_t object, enum xpc_kind kind)
{
	xpc_value_t *value = object;

	return value && value->kind == kind ? value : NULL;
}

/* ---- Every value ------------------------------------------------------------------------------ */

ob_export xpc_object_t xpc_retain(xpc_object_t object)
{
	xpc_value_t *value = object;

	if (value && atomic_load_explicit(&value->n_references, memory_order_relaxed) > 0)
		atomic_fetch_add_explicit(&value->n_references, 1, memory_order_relaxed);
	return object;
}

ob_export void xpc_release(xpc_object_t object)
{
	xpc_value_t *value = object;

	if (!value || atomic_load_explicit(&value->n_references, memory_order_relaxed) == 0 ||
		atomic_fetch_sub_explicit(&value->n_references, 1, memory_order_acq_rel) != 1)
		return;
	if (value->kind == XPC_DATA || value->kind == XPC_STRING)
		free(value->bytes);
	else if (value->kind == XPC_FD)
		fd_close(value->fd);
	else if (value->kind == XPC_ARRAY)
		xpc_array_clear(value);
	else if (value->kind == XPC_DICTIONARY)
		xpc_dictionary_clear(value);
	free(value);
}

ob_export xpc_type_t xpc_get_type(xpc_object_t object)
{
	return object ? types[((xpc_value_t *)object)->kind] : NULL;
}

ob_export const char *xpc_type_get_name(xpc_type_t type)
{
	return type ? type->name : "";
}

static xpc_object_t copy_array(const xpc_value_t *array)
{
	xpc_value_t *copy = xpc_value_new(XPC_ARRAY);
	int r = copy ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < array->n_values; i++) {
		xpc_object_t value = xpc_copy(array->values[i]);

		r = value ? xpc_array_add(copy, value) : -ENOMEM;
		xpc_release(value);
	}
	if (r == 0)
		return copy;
	xpc_release(copy);
	return NULL;
}

static xpc_object_t copy_dictionary(const xpc_value_t *dictionary)
{
	xpc_value_t *copy = xpc_value_new(XPC_DICTIONARY);
	int r = copy ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < dictionary->n_entries; i++) {
		const struct xpc_entry *entry = &dictionary->entries[i];
		xpc_object_t value = xpc_copy(entry->value);

		r = value ? xpc_dictionary_put(copy, entry->key, value) : -ENOMEM;
		xpc_release(value);
	}
	if (r == 0)
		return copy;
	xpc_release(copy);
	return NULL;
}

/* What never changes is not made twice. */
ob_export xpc_object_t xpc_copy(xpc_object_t object)
{
	if (xpc_value_of(object, XPC_ARRAY))
		return copy_array(object);
	if (xpc_value_of(object, XPC_DICTIONARY))
		return copy_dictionary(object);
	return xpc_retain(object);
}

static bool same_file(const xpc_value_t *a, const xpc_value_t *b)
{
	struct stat a_status, b_status;

	return fstat(a->fd, &a_status) == 0 && fstat(b->fd, &b_status) == 0 &&
		a_status.st_dev == b_status.st_dev && a_status.st_ino == b_status.st_ino;
}

static bool same_arrays(const xpc_value_t *a, const xpc_value_t *b)
{
	if (a->n_values != b->n_values)
		return false;
	for (size_t i = 0; i < a->n_values; i++)
		if (!xpc_equal(a->values[i], b->values[i]))
			return false;
	return true;
}

static bool same_dictionaries(xpc_value_t *a, xpc_value_t *b)
{
	if (a->n_entries != b->n_entries)
		return false;
	for (size_t i = 0; i < a->n_entries; i++) {
		xpc_object_t other = xpc_dictionary_get_value(b, a->entries[i].key);

		if (!other || !xpc_equal(a->entries[i].value, other))
			return false;
	}
	return true;
}

ob_export bool xpc_equal(xpc_object_t object_a, xpc_object_t object_b)
{
	xpc_value_t *a = object_a, *b = object_b;

	if (a == b)
		return true;
	if (!a || !b || a->kind != b->kind)
		return false;
	switch (a->kind) {
	case XPC_BOOL:
		return a->boolean == b->boolean;
	case XPC_INT64:
	case XPC_DATE:
	case XPC_UINT64:
		return a->number == b->number;
	case XPC_DOUBLE:
		return a->real == b->real;
	case XPC_UUID:
		return memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
	case XPC_DATA:
	case XPC_STRING:
		return a->n_bytes == b->n_bytes && memcmp(a->bytes, b->bytes, a->n_bytes) == 0;
	case XPC_FD:
		return same_file(a, b);
	case XPC_ARRAY:
		return same_arrays(a, b);
	case XPC_DICTIONARY:
		return same_dictionaries(a, b);
	default:
		return true;
	}
}

/* FNV-1a: Fowler, Noll and Vo, 64 bits. */
static size_t hash_bytes(size_t hash, const void *bytes, size_t n_bytes)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < n_bytes; i++)
		hash = (hash ^ at[i]) * 0x100000001b3u;
	return hash;
}

static size_t hash_scalar(size_t hash, const xpc_value_t *value)
{
	struct stat status;
	/* 0.0 and -0.0 are equal */
	double real = value->kind == XPC_DOUBLE && value->real != 0 ? value->real : 0;

	switch (value->kind) {
	case XPC_BOOL:
		return hash_bytes(hash, &value->boolean, sizeof value->boolean);
	case XPC_INT64:
	case XPC_DATE:
	case XPC_UINT64:
		return hash_bytes(hash, &value->number, sizeof value->number);
	case XPC_DOUBLE:
		return hash_bytes(hash, &real, sizeof real);
	case XPC_UUID:
		return hash_bytes(hash, value->uuid, sizeof value->uuid);
	case XPC_DATA:
	case XPC_STRING:
		return hash_bytes(hash, value->bytes, value->n_bytes);
	case XPC_FD:
		return fstat(value->fd, &status) == 0
			? hash_bytes(hash, &status.st_ino, sizeof status.st_ino)
			: hash;
	default:
		return hash;
	}
}

ob_export size_t xpc_hash(xpc_object_t object)
{
	const xpc_value_t *value = object;
	size_t hash = 0xcbf29ce484222325u;

	if (!value)
		return 0;
	hash = hash_bytes(hash, &value->kind, sizeof value->kind);
	if (value->kind == XPC_ARRAY)
		for (size_t i = 0; i < value->n_values; i++)
			hash = (hash ^ xpc_hash(value->values[i])) * 0x100000001b3u;
	else if (value->kind == XPC_DICTIONARY)
		/* in whatever order they came */
		for (size_t i = 0; i < value->n_entries; i++)
			hash += value->entries[i].hash * 31 + xpc_hash(value->entries[i].value);
	else
		hash = hash_scalar(hash, value);
	return hash;
}

/* ---- Scalars ---------------------------------------------------------------------------------- */

ob_export xpc_object_t xpc_null_create(void)
{
	return &null_value;
}

ob_export xpc_object_t xpc_bool_create(bool value)
{
	return value ? XPC_BOOL_TRUE : XPC_BOOL_FALSE;
}

ob_export bool xpc_bool_get_value(xpc_object_t xbool)
{
	xpc_value_t *value = xpc_value_of(xbool, XPC_BOOL);

	return value && value->boolean;
}

static xpc_object_t new_number(enum xpc_kind kind, int64_t number)
{
	xpc_value_t *value = xpc_value_new(kind);

	if (value)
		value->number = number;
	return value;
}

static int64_t get_number(xpc_object_t object, enum xpc_kind kind)
{
	xpc_value_t *value = xpc_value_of(object, kind);

	return value ? value->number : 0;
}

ob_export xpc_object_t xpc_int64_create(int64_t value)
{
	return new_number(XPC_INT64, value);
}

ob_export int64_t xpc_int64_get_value(xpc_object_t xint)
{
	return get_number(xint, XPC_INT64);
}

ob_export xpc_object_t xpc_uint64_create(uint64_t value)
{
	return new_number(XPC_UINT64, (int64_t)value);
}

ob_export uint64_t xpc_uint64_get_value(xpc_object_t xuint)
{
	return (uint64_t)get_number(xuint, XPC_UINT64);
}

ob_export xpc_object_t xpc_double_create(double real)
{
	xpc_value_t *value = xpc_value_new(XPC_DOUBLE);

	if (value)
		value->real = real;
	return value;
}

ob_export double xpc_double_get_value(xpc_object_t xdouble)
{
	xpc_value_t *value = xpc_value_of(xdouble, XPC_DOUBLE);

	return value ? value->real : (double)NAN;
}

ob_export xpc_object_t xpc_date_create(int64_t interval)
{
	return new_number(XPC_DATE, interval);
}

ob_export xpc_object_t xpc_date_create_from_current(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return xpc_date_create((int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
}

ob_export int64_t xpc_date_get_value(xpc_object_t xdate)
{
	return get_number(xdate, XPC_DATE);
}

ob_export xpc_object_t xpc_uuid_create(const xpc_uuid_bytes_t uuid)
{
	xpc_value_t *value = xpc_value_new(XPC_UUID);

	if (value)
		memcpy(value->uuid, uuid, sizeof value->uuid);
	return value;
}

ob_export const uint8_t *xpc_uuid_get_bytes(xpc_object_t xuuid)
{
	xpc_value_t *value = xpc_value_of(xuuid, XPC_UUID);

	return value ? value->uuid : NULL;
}

/* ---- Bytes and text --------------------------------------------------------------------------- */

ob_export xpc_object_t xpc_data_create(const void *bytes, size_t length)
{
	return xpc_value_new_text(XPC_DATA, bytes, bytes ? length : 0);
}

ob_export size_t xpc_data_get_length(xpc_object_t xdata)
{
	xpc_value_t *value = xpc_value_of(xdata, XPC_DATA);

	return value ? value->n_bytes : 0;
}

ob_export const void *xpc_data_get_bytes_ptr(xpc_object_t xdata)
{
	xpc_value_t *value = xpc_value_of(xdata, XPC_DATA);

	return value && value->n_bytes > 0 ? value->bytes : NULL;
}

ob_export size_t xpc_data_get_bytes(xpc_object_t xdata, void *buffer, size_t offset, size_t length)
{
	xpc_value_t *value = xpc_value_of(xdata, XPC_DATA);

	if (!value || offset >= value->n_bytes)
		return 0;
	if (length > value->n_bytes - offset)
		length = value->n_bytes - offset;
	memcpy(buffer, value->bytes + offset, length);
	return length;
}

ob_export xpc_object_t xpc_string_create(const char *string)
{
	return string ? xpc_value_new_text(XPC_STRING, string, strlen(string)) : NULL;
}

ob_export xpc_object_t xpc_string_create_with_format(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return NULL;
	}
	return xpc_value_new_text(XPC_STRING, text, (size_t)n);
}

ob_export size_t xpc_string_get_length(xpc_object_t xstring)
{
	xpc_value_t *value = xpc_value_of(xstring, XPC_STRING);

	return value ? value->n_bytes : 0;
}

ob_export const char *xpc_string_get_string_ptr(xpc_object_t xstring)
{
	xpc_value_t *value = xpc_value_of(xstring, XPC_STRING);

	return value ? value->bytes : NULL;
}

ob_export xpc_object_t xpc_fd_create(int fd)
{
	_cleanup_fd_ int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	xpc_value_t *value;

	if (copy < 0)
		return NULL;
	value = xpc_value_new(XPC_FD);
	if (value)
		value->fd = TAKE_FD(copy);
	return value;
}

ob_export int xpc_fd_dup(xpc_object_t xfd)
{
	xpc_value_t *value = xpc_value_of(xfd, XPC_FD);

	if (!value) {
		errno = EINVAL;
		return -1;
	}
	return fcntl(value->fd, F_DUPFD_CLOEXEC, 3);
}
