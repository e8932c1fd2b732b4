/* SPDX-License-Identifier: Apache-2.0
 *
 * How a struct of the API becomes a JSON object: a table of its members. The compiler says what a
 * member's type is, so that no row can disagree with the header.
 */
#ifndef OB_TOOLS_ESLOGGER_FIELDS_H
#define OB_TOOLS_ESLOGGER_FIELDS_H

#include <sys/time.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include "base/macros.h"
#include "tools/eslogger/jsonl.h"

enum kind {
	KIND_BOOL,
	KIND_U16,
	KIND_I32,
	KIND_U32,
	KIND_I64,
	KIND_U64,
	KIND_STRING,	 /* es_string_token_t; an absent one is "" */
	KIND_OPTIONAL,	 /* the same; an absent one is null */
	KIND_CHARACTERS, /* char[], as far as its NUL */
	KIND_HEX,	 /* uint8_t[] */
	KIND_TOKEN,	 /* es_token_t, in hex; null when empty */
	KIND_TIMESPEC,
	KIND_TIMEVAL,
	KIND_OBJECT,  /* by value */
	KIND_POINTER, /* to one; NULL is null */
	KIND_IF,      /* a uint32_t that counts where the bool at `beside` is true; else null */
	KIND_STRINGS, /* a pointer to as many as the size_t at `beside` says */
	KIND_OBJECTS,
	KIND_CUSTOM, /* `put` knows */
	KIND_ZERO,   /* what Linux does not have, and macOS' readers expect */
	KIND_EPOCH,
	KIND_NULL,
};

struct field {
	const char *key;
	uint16_t offset, beside, bytes;
	uint8_t kind;
	const struct shape *shape; /* of the object or objects */
	/* Handed the struct that the field is in. */
	void (*put)(struct jsonl *json, const void *structure);
};

struct shape {
	const struct field *fields;
	size_t n_fields;
	size_t bytes; /* of one in an array */
};

void put_object(struct jsonl *json, const struct shape *shape, const void *structure);
void put_field(struct jsonl *json, const struct field *field, const void *structure);

extern const struct shape shape_token, shape_stat, shape_file, shape_process, shape_thread,
	shape_thread_state, shape_statfs, shape_attrlist, shape_launch_item, shape_profile,
	shape_reject_info, shape_signed_file, shape_authorization_result, shape_member,
	shape_members, shape_requirement, shape_result;

/* clang-format off: it has no form for _Generic */
#define SHAPE_OF(x)                                                    \
	_Generic((x), audit_token_t                                    \
		 : &shape_token, struct stat                           \
		 : &shape_stat, struct attrlist                        \
		 : &shape_attrlist, es_authorization_result_t *        \
		 : &shape_authorization_result, audit_token_t *        \
		 : &shape_token, es_file_t *                           \
		 : &shape_file, es_process_t *                         \
		 : &shape_process, es_thread_t *                       \
		 : &shape_thread, es_thread_state_t *                  \
		 : &shape_thread_state, es_statfs_t *                  \
		 : &shape_statfs, es_btm_launch_item_t *               \
		 : &shape_launch_item, es_profile_t *                  \
		 : &shape_profile, es_sudo_reject_info_t *             \
		 : &shape_reject_info, es_signed_file_info_t *         \
		 : &shape_signed_file, es_od_member_id_t *             \
		 : &shape_member, es_od_member_id_array_t *            \
		 : &shape_members, es_lightweight_code_requirement_t * \
		 : &shape_requirement, default                         \
		 : (const struct shape *)NULL)

/* A type that is not here does not compile. */
#define KIND_OF(x) \
	_Generic((x), \
	bool: KIND_BOOL, \
	unsigned short: KIND_U16, \
	int: KIND_I32, \
	unsigned: KIND_U32, \
	long: KIND_I64, \
	unsigned long: KIND_U64, \
	char *: KIND_CHARACTERS, \
	unsigned char *: KIND_HEX, \
	es_string_token_t: KIND_STRING, \
	es_token_t: KIND_TOKEN, \
	struct timespec: KIND_TIMESPEC, \
	struct timeval: KIND_TIMEVAL, \
	audit_token_t: KIND_OBJECT, \
	struct stat: KIND_OBJECT, \
	struct attrlist: KIND_OBJECT, \
	audit_token_t *: KIND_POINTER, \
	es_file_t *: KIND_POINTER, \
	es_process_t *: KIND_POINTER, \
	es_thread_t *: KIND_POINTER, \
	es_thread_state_t *: KIND_POINTER, \
	es_statfs_t *: KIND_POINTER, \
	es_btm_launch_item_t *: KIND_POINTER, \
	es_profile_t *: KIND_POINTER, \
	es_sudo_reject_info_t *: KIND_POINTER, \
	es_signed_file_info_t *: KIND_POINTER, \
	es_od_member_id_t *: KIND_POINTER, \
	es_od_member_id_array_t *: KIND_POINTER, \
	es_lightweight_code_requirement_t *: KIND_POINTER)
/* clang-format on */

#define MEMBER(type, member) (((type *)0)->member)
#define NAMED(name, type, member)                                                            \
	{                                                                                    \
		.key = name, .offset = offsetof(type, member),                               \
		.bytes = sizeof MEMBER(type, member), .kind = KIND_OF(MEMBER(type, member)), \
		.shape = SHAPE_OF(MEMBER(type, member)),                                     \
	}
#define FIELD(type, member) NAMED(#member, type, member)
#define OPTIONAL(type, member)                                                          \
	{                                                                               \
		.key = #member, .offset = offsetof(type, member), .kind = KIND_OPTIONAL \
	}
/* `has_uid` and `uid.uid` of the API are `uid` here */
#define UID_IF(type, member)                                            \
	{                                                               \
		.key = #member, .offset = offsetof(type, member.uid),   \
		.beside = offsetof(type, has_##member), .kind = KIND_IF \
	}
#define STRINGS(type, count, member)                                                               \
	{                                                                                          \
		.key = #member, .offset = offsetof(type, member), .beside = offsetof(type, count), \
		.kind = KIND_STRINGS                                                               \
	}
#define OBJECTS(type, count, member)                                                               \
	{                                                                                          \
		.key = #member, .offset = offsetof(type, member), .beside = offsetof(type, count), \
		.kind = KIND_OBJECTS, .shape = SHAPE_OF(MEMBER(type, member))                      \
	}
#define CUSTOM(name, function)                                    \
	{                                                         \
		.key = name, .kind = KIND_CUSTOM, .put = function \
	}
#define ALWAYS(name, what)                \
	{                                 \
		.key = name, .kind = what \
	}

/* A shape that all may name, and one of a single file. */
#define SHAPE(name, type, ...)                                       \
	static const struct field name##_fields[] = { __VA_ARGS__ }; \
	const struct shape name = { name##_fields, ARRAY_SIZE(name##_fields), sizeof(type) }
#define OWN_SHAPE(name, type, ...)                                   \
	static const struct field name##_fields[] = { __VA_ARGS__ }; \
	static const struct shape name = { name##_fields, ARRAY_SIZE(name##_fields), sizeof(type) }

#endif
