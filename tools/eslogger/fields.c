/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk over a table of members, and the tables of what events are made of: files, processes,
 * tokens, and the smaller structs.
 */
#include <string.h>
#include "tools/eslogger/fields.h"

/* ---- The walk --------------------------------------------------------------------------------- */

static void put_string(struct jsonl *json, const es_string_token_t *string, bool optional)
{
	bool there = string->data && string->length > 0;

	if (optional && !there)
		jsonl_null(json);
	else
		jsonl_string(json, string->data, there ? string->length : 0);
}

static void put_array(struct jsonl *json, const struct field *field, const char *at, size_t n)
{
	const char *const *first = (const void *)at;

	jsonl_open(json, '[');
	for (size_t i = 0; *first && i < n; i++) {
		if (field->kind == KIND_STRINGS)
			put_string(
				json, (const es_string_token_t *)(const void *)*first + i, false);
		else
			put_object(json, field->shape, *first + i * field->shape->bytes);
	}
	jsonl_close(json, ']');
}

#define AS(type) (*(const type *)(const void *)at)
#define BESIDE(type) (*(const type *)(const void *)((const char *)structure + field->beside))

static void put_number(struct jsonl *json, enum kind kind, const char *at)
{
	switch (kind) {
	case KIND_U16:
		return jsonl_unsigned(json, AS(uint16_t));
	case KIND_I32:
		return jsonl_signed(json, AS(int32_t));
	case KIND_U32:
		return jsonl_unsigned(json, AS(uint32_t));
	case KIND_I64:
		return jsonl_signed(json, AS(int64_t));
	default:
		return jsonl_unsigned(json, AS(uint64_t));
	}
}

static void put_token(struct jsonl *json, const es_token_t *token)
{
	if (token->data && token->size > 0)
		jsonl_hex(json, token->data, token->size);
	else
		jsonl_null(json);
}

static void put_pointer(struct jsonl *json, const struct shape *shape, const void *to)
{
	if (to)
		put_object(json, shape, to);
	else
		jsonl_null(json);
}

void put_field(struct jsonl *json, const struct field *field, const void *structure)
{
	const char *at = (const char *)structure + field->offset;

	switch ((enum kind)field->kind) {
	case KIND_BOOL:
		return jsonl_bool(json, AS(bool));
	case KIND_U16:
	case KIND_I32:
	case KIND_U32:
	case KIND_I64:
	case KIND_U64:
		return put_number(json, field->kind, at);
	case KIND_STRING:
	case KIND_OPTIONAL:
		return put_string(json, &AS(es_string_token_t), field->kind == KIND_OPTIONAL);
	case KIND_CHARACTERS:
		return jsonl_string(json, at, strnlen(at, field->bytes));
	case KIND_HEX:
		return jsonl_hex(json, (const uint8_t *)at, field->bytes);
	case KIND_TOKEN:
		return put_token(json, &AS(es_token_t));
	case KIND_TIMESPEC:
		return jsonl_time(json, AS(struct timespec).tv_sec, AS(struct timespec).tv_nsec, 9);
	case KIND_TIMEVAL:
		return jsonl_time(
			json, AS(struct timeval).tv_sec, AS(struct timeval).tv_usec * 1000, 6);
	case KIND_OBJECT:
		return put_object(json, field->shape, at);
	case KIND_POINTER:
		return put_pointer(json, field->shape, AS(void *const));
	case KIND_IF:
		return BESIDE(bool) ? jsonl_unsigned(json, AS(uint32_t)) : jsonl_null(json);
	case KIND_STRINGS:
	case KIND_OBJECTS:
		return put_array(json, field, at, BESIDE(size_t));
	case KIND_CUSTOM:
		return field->put(json, structure);
	case KIND_ZERO:
		return jsonl_unsigned(json, 0);
	case KIND_EPOCH:
		return jsonl_time(json, 0, 0, 9);
	case KIND_NULL:
		return jsonl_null(json);
	}
}

void put_object(struct jsonl *json, const struct shape *shape, const void *structure)
{
	jsonl_open(json, '{');
	for (size_t i = 0; i < shape->n_fields; i++) {
		jsonl_key(json, shape->fields[i].key);
		put_field(json, &shape->fields[i], structure);
	}
	jsonl_close(json, '}');
}

/* ---- What events are made of ------------------------------------------------------------------ */

SHAPE(shape_token, audit_token_t, NAMED("auid", audit_token_t, val[0]),
	NAMED("euid", audit_token_t, val[1]), NAMED("egid", audit_token_t, val[2]),
	NAMED("ruid", audit_token_t, val[3]), NAMED("rgid", audit_token_t, val[4]),
	NAMED("pid", audit_token_t, val[5]), NAMED("asid", audit_token_t, val[6]),
	NAMED("pidversion", audit_token_t, val[7]));

/* Linux' struct has no flags, no generation and no time of birth. */
SHAPE(shape_stat, struct stat, FIELD(struct stat, st_dev), FIELD(struct stat, st_ino),
	FIELD(struct stat, st_mode), FIELD(struct stat, st_nlink), FIELD(struct stat, st_uid),
	FIELD(struct stat, st_gid), FIELD(struct stat, st_rdev), FIELD(struct stat, st_size),
	FIELD(struct stat, st_blocks), FIELD(struct stat, st_blksize),
	ALWAYS("st_flags", KIND_ZERO), ALWAYS("st_gen", KIND_ZERO),
	NAMED("st_atimespec", struct stat, st_atim), NAMED("st_mtimespec", struct stat, st_mtim),
	NAMED("st_ctimespec", struct stat, st_ctim), ALWAYS("st_birthtimespec", KIND_EPOCH));

SHAPE(shape_file, es_file_t, FIELD(es_file_t, path), FIELD(es_file_t, path_truncated),
	FIELD(es_file_t, stat));

SHAPE(shape_process, es_process_t, FIELD(es_process_t, audit_token),
	FIELD(es_process_t, parent_audit_token), FIELD(es_process_t, responsible_audit_token),
	FIELD(es_process_t, ppid), FIELD(es_process_t, original_ppid),
	FIELD(es_process_t, group_id), FIELD(es_process_t, session_id),
	FIELD(es_process_t, codesigning_flags), FIELD(es_process_t, is_platform_binary),
	FIELD(es_process_t, is_es_client), FIELD(es_process_t, cdhash),
	FIELD(es_process_t, cdhash_full), OPTIONAL(es_process_t, signing_id),
	OPTIONAL(es_process_t, team_id), FIELD(es_process_t, executable), FIELD(es_process_t, tty),
	FIELD(es_process_t, start_time), FIELD(es_process_t, cs_validation_category));

SHAPE(shape_thread, es_thread_t, FIELD(es_thread_t, thread_id));
/* Apple's leaves out the state, too: it is whatever the processor has for registers. */
SHAPE(shape_thread_state, es_thread_state_t, FIELD(es_thread_state_t, flavor),
	ALWAYS("state", KIND_NULL));

static void put_fsid(struct jsonl *json, const void *structure)
{
	const es_statfs_t *statfs = structure;

	jsonl_open(json, '[');
	jsonl_signed(json, statfs->f_fsid.val[0]);
	jsonl_signed(json, statfs->f_fsid.val[1]);
	jsonl_close(json, ']');
}

SHAPE(shape_statfs, es_statfs_t, FIELD(es_statfs_t, f_bsize), FIELD(es_statfs_t, f_iosize),
	FIELD(es_statfs_t, f_blocks), FIELD(es_statfs_t, f_bfree), FIELD(es_statfs_t, f_bavail),
	FIELD(es_statfs_t, f_files), FIELD(es_statfs_t, f_ffree), FIELD(es_statfs_t, f_owner),
	FIELD(es_statfs_t, f_type), FIELD(es_statfs_t, f_flags), FIELD(es_statfs_t, f_fssubtype),
	FIELD(es_statfs_t, f_flags_ext), CUSTOM("f_fsid", put_fsid),
	FIELD(es_statfs_t, f_fstypename), FIELD(es_statfs_t, f_mntonname),
	FIELD(es_statfs_t, f_mntfromname));

#define A(member) FIELD(struct attrlist, member)
SHAPE(shape_attrlist, struct attrlist, A(bitmapcount), A(commonattr), A(volattr), A(dirattr),
	A(fileattr), A(forkattr));

#define I(member) FIELD(es_btm_launch_item_t, member)
SHAPE(shape_launch_item, es_btm_launch_item_t, I(item_type), I(legacy), I(managed), I(uid),
	I(item_url), OPTIONAL(es_btm_launch_item_t, app_url));

#define P(member) FIELD(es_profile_t, member)
SHAPE(shape_profile, es_profile_t, P(identifier), P(uuid), P(install_source), P(organization),
	P(display_name), P(scope));

SHAPE(shape_reject_info, es_sudo_reject_info_t, FIELD(es_sudo_reject_info_t, plugin_name),
	FIELD(es_sudo_reject_info_t, plugin_type), FIELD(es_sudo_reject_info_t, failure_message));

SHAPE(shape_signed_file, es_signed_file_info_t, FIELD(es_signed_file_info_t, cdhash),
	OPTIONAL(es_signed_file_info_t, signing_id), OPTIONAL(es_signed_file_info_t, team_id));

SHAPE(shape_authorization_result, es_authorization_result_t,
	FIELD(es_authorization_result_t, right_name), FIELD(es_authorization_result_t, rule_class),
	FIELD(es_authorization_result_t, granted));

SHAPE(shape_requirement, es_lightweight_code_requirement_t,
	OPTIONAL(es_lightweight_code_requirement_t, team_id),
	OPTIONAL(es_lightweight_code_requirement_t, signing_id));

/* A member of a group is a name or a UUID, as its type says; both are strings here. */
static void put_uuid(struct jsonl *json, const unsigned char *uuid)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[36];
	size_t n = 0;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			text[n++] = '-';
		text[n++] = digits[uuid[i] >> 4];
		text[n++] = digits[uuid[i] & 15];
	}
	jsonl_string(json, text, n);
}

static void put_member(struct jsonl *json, const void *structure)
{
	const es_od_member_id_t *member = structure;

	if (member->member_type == ES_OD_MEMBER_TYPE_USER_NAME)
		put_string(json, &member->member_value.name, false);
	else
		put_uuid(json, member->member_value.uuid);
}

static void put_members(struct jsonl *json, const void *structure)
{
	const es_od_member_id_array_t *members = structure;
	bool named = members->member_type == ES_OD_MEMBER_TYPE_USER_NAME;

	jsonl_open(json, '[');
	for (size_t i = 0; members->member_array.names && i < members->member_count; i++) {
		if (named)
			put_string(json, &members->member_array.names[i], false);
		else
			put_uuid(json, members->member_array.uuids[i]);
	}
	jsonl_close(json, ']');
}

SHAPE(shape_member, es_od_member_id_t, FIELD(es_od_member_id_t, member_type),
	CUSTOM("member_value", put_member));
SHAPE(shape_members, es_od_member_id_array_t, FIELD(es_od_member_id_array_t, member_type),
	FIELD(es_od_member_id_array_t, member_count), CUSTOM("member_array", put_members));

/* What an action of the past had for an answer. */
static void put_result(struct jsonl *json, const void *structure)
{
	const es_result_t *result = structure;

	jsonl_open(json, '{');
	jsonl_key(json, result->result_type == ES_RESULT_TYPE_FLAGS ? "flags" : "auth");
	jsonl_unsigned(json,
		result->result_type == ES_RESULT_TYPE_FLAGS ? result->result.flags
							    : result->result.auth);
	jsonl_close(json, '}');
}

SHAPE(shape_result, es_result_t, FIELD(es_result_t, result_type), CUSTOM("result", put_result));
