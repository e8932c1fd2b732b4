/* SPDX-License-Identifier: Apache-2.0
 *
 * macOS' XPC values: what configurations, entitlements and properties are made of. Values only;
 * connections are Outboard's own (Outboard/service.h). See xpc(3).
 *
 * Ownership: xpc_*_create() and xpc_copy() give one reference, yours; a container takes one of its
 * own; what a container is asked for is borrowed and lives as long as the container holds it.
 * Errors: a create call gives NULL without memory; a get call on a value of another type, an absent
 * key or an index out of bounds gives 0, false or NULL; a set call on one is without effect.
 * Threads: values other than arrays and dictionaries never change and may be used from any thread;
 * an array or dictionary is for one thread at a time while it is changed.
 * Since: 0.1. Source: xpc/xpc.h, macOS 10.7.
 */
#ifndef XPC_XPC_H
#define XPC_XPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void *xpc_object_t;
typedef const struct _xpc_type_s *xpc_type_t;
typedef unsigned char xpc_uuid_bytes_t[16]; /* ours: uuid_t without libuuid's header */

extern const struct _xpc_type_s _xpc_type_null, _xpc_type_bool, _xpc_type_int64, _xpc_type_uint64,
	_xpc_type_double, _xpc_type_date, _xpc_type_data, _xpc_type_string, _xpc_type_uuid,
	_xpc_type_fd, _xpc_type_array, _xpc_type_dictionary;
#define XPC_TYPE_NULL (&_xpc_type_null)
#define XPC_TYPE_BOOL (&_xpc_type_bool)
#define XPC_TYPE_INT64 (&_xpc_type_int64)
#define XPC_TYPE_UINT64 (&_xpc_type_uint64)
#define XPC_TYPE_DOUBLE (&_xpc_type_double)
#define XPC_TYPE_DATE (&_xpc_type_date)
#define XPC_TYPE_DATA (&_xpc_type_data)
#define XPC_TYPE_STRING (&_xpc_type_string)
#define XPC_TYPE_UUID (&_xpc_type_uuid)
#define XPC_TYPE_FD (&_xpc_type_fd)
#define XPC_TYPE_ARRAY (&_xpc_type_array)
#define XPC_TYPE_DICTIONARY (&_xpc_type_dictionary)

/* Constant values: retain and release are without effect on them. */
struct _xpc_bool_s;
extern struct _xpc_bool_s _xpc_bool_true, _xpc_bool_false;
#define XPC_BOOL_TRUE ((xpc_object_t)&_xpc_bool_true)
#define XPC_BOOL_FALSE ((xpc_object_t)&_xpc_bool_false)

/* ---- Every value ------------------------------------------------------------------------------ */

/** xpc_retain() - one more reference; NULL is fine; the value back */
xpc_object_t xpc_retain(xpc_object_t object);
/** xpc_release() - give one reference back; NULL is fine */
void xpc_release(xpc_object_t object);
/** xpc_get_type() - one of XPC_TYPE_*; NULL for NULL */
xpc_type_t xpc_get_type(xpc_object_t object);
/** xpc_type_get_name() - "bool", "dictionary", ...; a constant */
const char *xpc_type_get_name(xpc_type_t type);
/** xpc_copy() - the value anew, containers with all that is in them; NULL without memory */
xpc_object_t xpc_copy(xpc_object_t object);
/** xpc_equal() - same type and same contents, in depth; descriptors: the same open file */
bool xpc_equal(xpc_object_t a, xpc_object_t b);
/** xpc_hash() - equal values have equal hashes */
size_t xpc_hash(xpc_object_t object);
/** xpc_copy_description() - for people and logs, not for programs; free(3) it */
char *xpc_copy_description(xpc_object_t object);

/* ---- Scalars ---------------------------------------------------------------------------------- */

/** xpc_null_create() - the null value */
xpc_object_t xpc_null_create(void);
/** xpc_bool_create() - XPC_BOOL_TRUE or XPC_BOOL_FALSE */
xpc_object_t xpc_bool_create(bool value);
/** xpc_bool_get_value() - what it holds */
bool xpc_bool_get_value(xpc_object_t xbool);
/** xpc_int64_create() - a signed number */
xpc_object_t xpc_int64_create(int64_t value);
/** xpc_int64_get_value() - what it holds */
int64_t xpc_int64_get_value(xpc_object_t xint);
/** xpc_uint64_create() - an unsigned number */
xpc_object_t xpc_uint64_create(uint64_t value);
/** xpc_uint64_get_value() - what it holds */
uint64_t xpc_uint64_get_value(xpc_object_t xuint);
/** xpc_double_create() - a floating point number */
xpc_object_t xpc_double_create(double value);
/** xpc_double_get_value() - what it holds; NAN for another type */
double xpc_double_get_value(xpc_object_t xdouble);
/** xpc_date_create() - nanoseconds since 1970 */
xpc_object_t xpc_date_create(int64_t interval);
/** xpc_date_create_from_current() - now */
xpc_object_t xpc_date_create_from_current(void);
/** xpc_date_get_value() - nanoseconds since 1970 */
int64_t xpc_date_get_value(xpc_object_t xdate);
/** xpc_uuid_create() - 16 bytes, copied */
xpc_object_t xpc_uuid_create(const xpc_uuid_bytes_t uuid);
/** xpc_uuid_get_bytes() - its 16 bytes, borrowed */
const uint8_t *xpc_uuid_get_bytes(xpc_object_t xuuid);

/* ---- Bytes and text --------------------------------------------------------------------------- */

/** xpc_data_create() - @length bytes, copied; @bytes may be NULL for none */
xpc_object_t xpc_data_create(const void *bytes, size_t length);
/** xpc_data_get_length() - how many */
size_t xpc_data_get_length(xpc_object_t xdata);
/** xpc_data_get_bytes_ptr() - borrowed; NULL when there are none */
const void *xpc_data_get_bytes_ptr(xpc_object_t xdata);
/** xpc_data_get_bytes() - copy at most @length bytes from @offset on; how many it were */
size_t xpc_data_get_bytes(xpc_object_t xdata, void *buffer, size_t offset, size_t length);
/** xpc_string_create() - copied */
xpc_object_t xpc_string_create(const char *string);
/** xpc_string_create_with_format() - as printf(3) */
xpc_object_t xpc_string_create_with_format(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
/** xpc_string_get_length() - bytes, without the NUL */
size_t xpc_string_get_length(xpc_object_t xstring);
/** xpc_string_get_string_ptr() - borrowed */
const char *xpc_string_get_string_ptr(xpc_object_t xstring);
/** xpc_fd_create() - a duplicate of @fd; NULL when it is none */
xpc_object_t xpc_fd_create(int fd);
/** xpc_fd_dup() - a duplicate, yours, close-on-exec; -1 with errno */
int xpc_fd_dup(xpc_object_t xfd);

/* ---- Arrays ----------------------------------------------------------------------------------- */

#define XPC_ARRAY_APPEND ((size_t)(-1))

/** xpc_array_create() - of @count values, each retained; NULL, 0 for an empty one */
xpc_object_t xpc_array_create(const xpc_object_t *objects, size_t count);
/** xpc_array_create_empty() - without values */
xpc_object_t xpc_array_create_empty(void);
/** xpc_array_get_count() - how many values */
size_t xpc_array_get_count(xpc_object_t xarray);
/** xpc_array_get_value() - borrowed */
xpc_object_t xpc_array_get_value(xpc_object_t xarray, size_t index);
/** xpc_array_set_value() - replace one; XPC_ARRAY_APPEND appends */
void xpc_array_set_value(xpc_object_t xarray, size_t index, xpc_object_t value);
/** xpc_array_append_value() - one more at the end */
void xpc_array_append_value(xpc_object_t xarray, xpc_object_t value);
/** xpc_array_apply_f() - each value in order until @applier returns false; false if one did */
bool xpc_array_apply_f(xpc_object_t xarray, void *context,
	bool (*applier)(size_t index, xpc_object_t value, void *context));
#ifdef __BLOCKS__
typedef bool (^xpc_array_applier_t)(size_t index, xpc_object_t value);
/** xpc_array_apply() - the same with a block */
bool xpc_array_apply(xpc_object_t xarray, xpc_array_applier_t applier);
#endif

/*
 * The same with the value made, or read, on the way.
 */

/** xpc_array_set_bool() - xpc_array_set_value() with a bool */
void xpc_array_set_bool(xpc_object_t xarray, size_t index, bool value);
/** xpc_array_set_int64() - with a signed number */
void xpc_array_set_int64(xpc_object_t xarray, size_t index, int64_t value);
/** xpc_array_set_uint64() - with an unsigned number */
void xpc_array_set_uint64(xpc_object_t xarray, size_t index, uint64_t value);
/** xpc_array_set_double() - with a floating point number */
void xpc_array_set_double(xpc_object_t xarray, size_t index, double value);
/** xpc_array_set_date() - with a date */
void xpc_array_set_date(xpc_object_t xarray, size_t index, int64_t value);
/** xpc_array_set_data() - with bytes, copied */
void xpc_array_set_data(xpc_object_t xarray, size_t index, const void *bytes, size_t length);
/** xpc_array_set_string() - with text, copied */
void xpc_array_set_string(xpc_object_t xarray, size_t index, const char *string);
/** xpc_array_set_uuid() - with a uuid, copied */
void xpc_array_set_uuid(xpc_object_t xarray, size_t index, const xpc_uuid_bytes_t uuid);
/** xpc_array_set_fd() - with a duplicate of a descriptor */
void xpc_array_set_fd(xpc_object_t xarray, size_t index, int fd);
/** xpc_array_get_bool() - the bool at an index */
bool xpc_array_get_bool(xpc_object_t xarray, size_t index);
/** xpc_array_get_int64() - the signed number */
int64_t xpc_array_get_int64(xpc_object_t xarray, size_t index);
/** xpc_array_get_uint64() - the unsigned number */
uint64_t xpc_array_get_uint64(xpc_object_t xarray, size_t index);
/** xpc_array_get_double() - the floating point number */
double xpc_array_get_double(xpc_object_t xarray, size_t index);
/** xpc_array_get_date() - the date */
int64_t xpc_array_get_date(xpc_object_t xarray, size_t index);
/** xpc_array_get_data() - the bytes, borrowed; @ret_length may be NULL */
const void *xpc_array_get_data(xpc_object_t xarray, size_t index, size_t *ret_length);
/** xpc_array_get_string() - the text, borrowed */
const char *xpc_array_get_string(xpc_object_t xarray, size_t index);
/** xpc_array_get_uuid() - the uuid, borrowed */
const uint8_t *xpc_array_get_uuid(xpc_object_t xarray, size_t index);
/** xpc_array_dup_fd() - a duplicate of the descriptor, yours; -1 */
int xpc_array_dup_fd(xpc_object_t xarray, size_t index);
/** xpc_array_get_array() - the array, borrowed */
xpc_object_t xpc_array_get_array(xpc_object_t xarray, size_t index);
/** xpc_array_get_dictionary() - the dictionary, borrowed */
xpc_object_t xpc_array_get_dictionary(xpc_object_t xarray, size_t index);

/* ---- Dictionaries ------------------------------------------------------------------------------ */

/** xpc_dictionary_create() - @count keys, copied, and values, retained; NULL, NULL, 0 for an empty one */
xpc_object_t xpc_dictionary_create(
	const char *const *keys, const xpc_object_t *values, size_t count);
/** xpc_dictionary_create_empty() - without keys */
xpc_object_t xpc_dictionary_create_empty(void);
/** xpc_dictionary_get_count() - how many keys */
size_t xpc_dictionary_get_count(xpc_object_t xdict);
/** xpc_dictionary_get_value() - borrowed; NULL: no such key */
xpc_object_t xpc_dictionary_get_value(xpc_object_t xdict, const char *key);
/** xpc_dictionary_set_value() - add or replace; NULL removes the key */
void xpc_dictionary_set_value(xpc_object_t xdict, const char *key, xpc_object_t value);
/** xpc_dictionary_apply_f() - each key and value, in the order in which they came, until @applier returns false */
bool xpc_dictionary_apply_f(xpc_object_t xdict, void *context,
	bool (*applier)(const char *key, xpc_object_t value, void *context));
#ifdef __BLOCKS__
typedef bool (^xpc_dictionary_applier_t)(const char *key, xpc_object_t value);
/** xpc_dictionary_apply() - the same with a block; the dictionary may not be changed meanwhile */
bool xpc_dictionary_apply(xpc_object_t xdict, xpc_dictionary_applier_t applier);
#endif

/** xpc_dictionary_set_bool() - xpc_dictionary_set_value() with a bool */
void xpc_dictionary_set_bool(xpc_object_t xdict, const char *key, bool value);
/** xpc_dictionary_set_int64() - with a signed number */
void xpc_dictionary_set_int64(xpc_object_t xdict, const char *key, int64_t value);
/** xpc_dictionary_set_uint64() - with an unsigned number */
void xpc_dictionary_set_uint64(xpc_object_t xdict, const char *key, uint64_t value);
/** xpc_dictionary_set_double() - with a floating point number */
void xpc_dictionary_set_double(xpc_object_t xdict, const char *key, double value);
/** xpc_dictionary_set_date() - with a date */
void xpc_dictionary_set_date(xpc_object_t xdict, const char *key, int64_t value);
/** xpc_dictionary_set_data() - with bytes, copied */
void xpc_dictionary_set_data(xpc_object_t xdict, const char *key, const void *bytes, size_t length);
/** xpc_dictionary_set_string() - with text, copied */
void xpc_dictionary_set_string(xpc_object_t xdict, const char *key, const char *string);
/** xpc_dictionary_set_uuid() - with a uuid, copied */
void xpc_dictionary_set_uuid(xpc_object_t xdict, const char *key, const xpc_uuid_bytes_t uuid);
/** xpc_dictionary_set_fd() - with a duplicate of a descriptor */
void xpc_dictionary_set_fd(xpc_object_t xdict, const char *key, int fd);
/** xpc_dictionary_get_bool() - the bool at a key */
bool xpc_dictionary_get_bool(xpc_object_t xdict, const char *key);
/** xpc_dictionary_get_int64() - the signed number */
int64_t xpc_dictionary_get_int64(xpc_object_t xdict, const char *key);
/** xpc_dictionary_get_uint64() - the unsigned number */
uint64_t xpc_dictionary_get_uint64(xpc_object_t xdict, const char *key);
/** xpc_dictionary_get_double() - the floating point number */
double xpc_dictionary_get_double(xpc_object_t xdict, const char *key);
/** xpc_dictionary_get_date() - the date */
int64_t xpc_dictionary_get_date(xpc_object_t xdict, const char *key);
/** xpc_dictionary_get_data() - the bytes, borrowed; @ret_length may be NULL */
const void *xpc_dictionary_get_data(xpc_object_t xdict, const char *key, size_t *ret_length);
/** xpc_dictionary_get_string() - the text, borrowed */
const char *xpc_dictionary_get_string(xpc_object_t xdict, const char *key);
/** xpc_dictionary_get_uuid() - the uuid, borrowed */
const uint8_t *xpc_dictionary_get_uuid(xpc_object_t xdict, const char *key);
/** xpc_dictionary_dup_fd() - a duplicate of the descriptor, yours; -1 */
int xpc_dictionary_dup_fd(xpc_object_t xdict, const char *key);
/** xpc_dictionary_get_array() - the array, borrowed */
xpc_object_t xpc_dictionary_get_array(xpc_object_t xdict, const char *key);
/** xpc_dictionary_get_dictionary() - the dictionary, borrowed */
xpc_object_t xpc_dictionary_get_dictionary(xpc_object_t xdict, const char *key);

#ifdef __cplusplus
}
#endif

#endif
