/* SPDX-License-Identifier: Apache-2.0
 *
 * A message as JSON: the message's own members, and a row for each event. What no table can say, a
 * member whose form another one decides, has a function here.
 *
 * An access control list, `acl`, is null: its type is libacl's here, which no library of ours makes.
 */
#include <string.h>
#include <sys/socket.h>
#include "tools/eslogger/encode.h"
#include "tools/eslogger/fields.h"

/* ---- Members whose form another member decides ------------------------------------------------ */

#define F(type, member) FIELD(type, member)

OWN_SHAPE(authentication_od, es_event_authentication_od_t,
	F(es_event_authentication_od_t, instigator), F(es_event_authentication_od_t, record_type),
	F(es_event_authentication_od_t, record_name), F(es_event_authentication_od_t, node_name),
	OPTIONAL(es_event_authentication_od_t, db_path),
	F(es_event_authentication_od_t, instigator_token));
OWN_SHAPE(authentication_touchid, es_event_authentication_touchid_t,
	F(es_event_authentication_touchid_t, instigator),
	F(es_event_authentication_touchid_t, touchid_mode),
	UID_IF(es_event_authentication_touchid_t, uid),
	F(es_event_authentication_touchid_t, instigator_token));
OWN_SHAPE(authentication_token, es_event_authentication_token_t,
	F(es_event_authentication_token_t, instigator),
	F(es_event_authentication_token_t, pubkey_hash),
	F(es_event_authentication_token_t, token_id),
	OPTIONAL(es_event_authentication_token_t, kerberos_principal),
	F(es_event_authentication_token_t, instigator_token));
OWN_SHAPE(authentication_auto_unlock, es_event_authentication_auto_unlock_t,
	F(es_event_authentication_auto_unlock_t, username),
	F(es_event_authentication_auto_unlock_t, type));

static void put_authentication(struct jsonl *json, const void *structure)
{
	static const struct {
		const char *key;
		const struct shape *shape;
	} types[] = {
		[ES_AUTHENTICATION_TYPE_OD] = { "od", &authentication_od },
		[ES_AUTHENTICATION_TYPE_TOUCHID] = { "touchid", &authentication_touchid },
		[ES_AUTHENTICATION_TYPE_TOKEN] = { "token", &authentication_token },
		[ES_AUTHENTICATION_TYPE_AUTO_UNLOCK] = { "auto_unlock",
			&authentication_auto_unlock },
	};
	const es_event_authentication_t *event = structure;

	jsonl_open(json, '{');
	if (event->type < ARRAY_SIZE(types)) {
		jsonl_key(json, types[event->type].key);
		put_object(json, types[event->type].shape, event->data.od);
	}
	jsonl_close(json, '}');
}

OWN_SHAPE(new_path, es_event_rename_t, NAMED("dir", es_event_rename_t, destination.new_path.dir),
	NAMED("filename", es_event_rename_t, destination.new_path.filename));
OWN_SHAPE(new_path_with_mode, es_event_create_t,
	NAMED("dir", es_event_create_t, destination.new_path.dir),
	NAMED("filename", es_event_create_t, destination.new_path.filename),
	NAMED("mode", es_event_create_t, destination.new_path.mode));

static void put_destination(struct jsonl *json, es_destination_type_t type,
	const es_file_t *existing, const struct shape *shape, const void *structure)
{
	jsonl_open(json, '{');
	if (type == ES_DESTINATION_TYPE_EXISTING_FILE) {
		jsonl_key(json, "existing_file");
		put_object(json, &shape_file, existing);
	} else if (type == ES_DESTINATION_TYPE_NEW_PATH) {
		jsonl_key(json, "new_path");
		put_object(json, shape, structure);
	}
	jsonl_close(json, '}');
}

static void put_rename_destination(struct jsonl *json, const void *structure)
{
	const es_event_rename_t *event = structure;

	put_destination(json, event->destination_type, event->destination.existing_file, &new_path,
		structure);
}

static void put_create_destination(struct jsonl *json, const void *structure)
{
	const es_event_create_t *event = structure;

	put_destination(json, event->destination_type, event->destination.existing_file,
		&new_path_with_mode, structure);
}

static void put_override_file(struct jsonl *json, const void *structure)
{
	static const struct field forms[] = {
		/* cppcheck-suppress nullPointer */
		FIELD(es_event_gatekeeper_user_override_t, file.file_path),
		/* cppcheck-suppress nullPointer */
		FIELD(es_event_gatekeeper_user_override_t, file.file),
	};
	const es_event_gatekeeper_user_override_t *event = structure;

	if (event->file_type < ARRAY_SIZE(forms))
		put_field(json, &forms[event->file_type], structure);
	else
		jsonl_null(json);
}

static void put_override_digest(struct jsonl *json, const void *structure)
{
	const es_event_gatekeeper_user_override_t *event = structure;

	if (event->sha256)
		jsonl_hex(json, *event->sha256, sizeof *event->sha256);
	else
		jsonl_null(json);
}

#define L(name, member) NAMED(name, es_event_bootstrap_look_up_t, target.member)
OWN_SHAPE(look_up_process, es_event_bootstrap_look_up_t, L("target", process.target),
	L("target_token", process.target_token), L("job_label", process.job_label));
OWN_SHAPE(look_up_job, es_event_bootstrap_look_up_t, L("job_label", job.job_label),
	L("lwcr", job.lwcr));

static void put_bootstrap_target(struct jsonl *json, const void *structure)
{
	const es_event_bootstrap_look_up_t *event = structure;
	bool job = event->target_type == ES_BOOTSTRAP_TARGET_TYPE_JOB;

	jsonl_open(json, '{');
	jsonl_key(json, job ? "job" : "process");
	put_object(json, job ? &look_up_job : &look_up_process, structure);
	jsonl_close(json, '}');
}

/* ---- What a program is started with ----------------------------------------------------------- */

static void put_tokens(struct jsonl *json, const es_event_exec_t *event,
	uint32_t (*count)(const es_event_exec_t *event),
	es_string_token_t (*get)(const es_event_exec_t *event, uint32_t index))
{
	uint32_t n = count(event);

	jsonl_open(json, '[');
	for (uint32_t i = 0; i < n; i++) {
		es_string_token_t token = get(event, i);

		jsonl_string(json, token.data, token.data ? token.length : 0);
	}
	jsonl_close(json, ']');
}

static void put_arguments(struct jsonl *json, const void *structure)
{
	put_tokens(json, structure, es_exec_arg_count, es_exec_arg);
}

static void put_environment(struct jsonl *json, const void *structure)
{
	put_tokens(json, structure, es_exec_env_count, es_exec_env);
}

OWN_SHAPE(shape_pipe, es_fd_t, NAMED("pipe_id", es_fd_t, pipe.pipe_id));

static void put_descriptors(struct jsonl *json, const void *structure)
{
	enum { FDTYPE_PIPE = 6 }; /* libproc's PROX_FDTYPE_PIPE */
	uint32_t n = es_exec_fd_count(structure);

	jsonl_open(json, '[');
	for (uint32_t i = 0; i < n; i++) {
		const es_fd_t *fd = es_exec_fd(structure, i);

		if (!fd)
			continue;
		jsonl_open(json, '{');
		jsonl_key(json, "fd");
		jsonl_signed(json, fd->fd);
		jsonl_key(json, "fdtype");
		jsonl_unsigned(json, fd->fdtype);
		if (fd->fdtype == FDTYPE_PIPE) {
			jsonl_key(json, "pipe");
			put_object(json, &shape_pipe, fd);
		}
		jsonl_close(json, '}');
	}
	jsonl_close(json, ']');
}

/* ---- Events ----------------------------------------------------------------------------------- */

#define EVENT(NUMBER, event, ...) static const struct field event##_members[] = { __VA_ARGS__ };
#include "tools/eslogger/events.def"
#undef EVENT

struct event {
	const char *name;
	bool by_pointer;
	struct shape shape;
};

enum { POINTER_CLASS = 5 }; /* of __builtin_classify_type() */

static const struct event events[ES_EVENT_TYPE_LAST] = {
#define EVENT(NUMBER, event_name, ...)                                                     \
	[ES_EVENT_TYPE_NOTIFY_##NUMBER] = { #event_name,                                   \
		__builtin_classify_type(MEMBER(es_events_t, event_name)) == POINTER_CLASS, \
		{ event_name##_members, ARRAY_SIZE(event_name##_members),                  \
			sizeof(es_event_##event_name##_t) } },
#include "tools/eslogger/events.def"
#undef EVENT
};

static const es_event_type_t in_order[] = {
#define EVENT(NUMBER, ...) ES_EVENT_TYPE_NOTIFY_##NUMBER,
#include "tools/eslogger/events.def"
#undef EVENT
};

es_event_type_t event_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(in_order); i++)
		if (strcmp(events[in_order[i]].name, name) == 0)
			return in_order[i];
	return ES_EVENT_TYPE_LAST;
}

const char *event_name(size_t index)
{
	return index < ARRAY_SIZE(in_order) ? events[in_order[index]].name : NULL;
}

/* ---- The message ------------------------------------------------------------------------------ */

static void put_schema_version(struct jsonl *json, const void *structure)
{
	jsonl_unsigned(json, 1);
}

static void put_action(struct jsonl *json, const void *structure)
{
	const es_message_t *message = structure;

	jsonl_open(json, '{');
	jsonl_key(json, "result");
	put_object(json, &shape_result, &message->action.notify);
	jsonl_close(json, '}');
}

static void put_event(struct jsonl *json, const void *structure)
{
	const es_message_t *message = structure;
	const struct event *event = &events[message->event_type];
	const void *where = &message->event;

	jsonl_open(json, '{');
	jsonl_key(json, event->name);
	put_object(json, &event->shape, event->by_pointer ? *(void *const *)where : where);
	jsonl_close(json, '}');
}

#define E(member) FIELD(es_message_t, member)
OWN_SHAPE(shape_message, es_message_t, CUSTOM("schema_version", put_schema_version), E(version),
	E(time), E(mach_time), E(event_type), E(action_type), CUSTOM("action", put_action),
	E(process), E(thread), E(seq_num), E(global_seq_num), CUSTOM("event", put_event));

void encode_message(struct jsonl *json, const es_message_t *message)
{
	if (message->event_type >= ES_EVENT_TYPE_LAST || !events[message->event_type].name)
		return;
	put_object(json, &shape_message, message);
}
