/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a value of <xpc/xpc.h>.
 */
#ifndef OB_OUTBOARD_XPC_H
#define OB_OUTBOARD_XPC_H

#include <stdatomic.h>
#include <xpc/xpc.h>

enum xpc_kind {
	XPC_NULL,
	XPC_BOOL,
	XPC_INT64,
	XPC_UINT64,
	XPC_DOUBLE,
	XPC_DATE,
	XPC_DATA,
	XPC_STRING,
	XPC_UUID,
	XPC_FD,
	XPC_ARRAY,
	XPC_DICTIONARY,
	XPC_KINDS
};

struct xpc_entry {
	char *key;
	size_t hash;
	xpc_object_t value;
};

struct _xpc_bool_s {
	atomic_uint n_references; /* 0: constant */
	enum xpc_kind kind;
	union {
		bool boolean;
		int64_t number; /* int64, date */
		uint64_t unsigned_number;
		double real;
		int fd;
		uint8_t uuid[16];
		struct {
			char *bytes; /* a NUL follows */
			size_t n_bytes;
		};
		struct {
			xpc_object_t *values;
			size_t n_values, room;
		};
		struct {
			struct xpc_entry *entries; /* in the order in which they came */
			size_t n_entries, entries_room;
			uint32_t *index;   /* open addressing: place + 1 in entries; 0 none */
			size_t index_room; /* a power of two, 0 none */
		};
	};
};
/* The two constant bools have Apple's type in the header; it is that of all values. */
typedef struct _xpc_bool_s xpc_value_t;

/* NULL: no memory */
xpc_value_t *xpc_value_new(enum xpc_kind kind);
xpc_value_t *xpc_value_new_text(enum xpc_kind kind, const void *bytes, size_t n_bytes);
/* The value if it is of that kind, else NULL. */
xpc_value_t *xpc_value_of(xpc_object_t object, enum xpc_kind kind);

/* For callers that have to tell. -ENOMEM, -EINVAL; the container takes a reference of its own. */
int xpc_array_add(xpc_value_t *array, xpc_object_t value);
int xpc_dictionary_put(xpc_value_t *dictionary, const char *key, xpc_object_t value);
void xpc_array_clear(xpc_value_t *array);
void xpc_dictionary_clear(xpc_value_t *dictionary);

#endif
