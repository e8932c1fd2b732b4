/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of macOS' API for what this version does not do: answers, muting, deadlines, descendants.
 * Each fails with its documented result, and says why. None ever looks as if it had worked: a client
 * that believes that it has muted something, or has denied it, is worse off than one that knows.
 */
#include <string.h>
#include <unistd.h>
#include "endpoint/lib/lib.h"

#define NO_ANSWERS "this version reports what has happened, and waits for no answer"
#define NO_MUTING "this version has no muting: what is not subscribed does not come, all else does"
#define NO_DEADLINES "this version asks nothing, so that nothing has a deadline"
#define NO_MARKER "this version cannot mark a place among the messages"
#define NO_DESCENDANTS "this version has no clients of one tree of processes"

static es_return_t not_here(es_client_t *client, const char *call, const char *why)
{
	if (!client || client->pid != getpid())
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	client_fail(client, RULE_ENDPOINT_CALL, call, why);
	pthread_mutex_unlock(&client->lock);
	return ES_RETURN_ERROR;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static es_respond_result_t no_answer(
	es_client_t *client, const es_message_t *message, const char *call)
{
	not_here(client, call, NO_ANSWERS);
	if (!client || !message)
		return ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT;
	return message->action_type == ES_ACTION_TYPE_NOTIFY ? ES_RESPOND_RESULT_ERR_EVENT_TYPE
							     : ES_RESPOND_RESULT_NOT_FOUND;
}

ob_export es_respond_result_t es_respond_auth_result(
	es_client_t *client, const es_message_t *message, es_auth_result_t result, bool cache)
{
	return no_answer(client, message, "es_respond_auth_result()");
}

ob_export es_respond_result_t es_respond_flags_result(
	es_client_t *client, const es_message_t *message, uint32_t authorized_flags, bool cache)
{
	return no_answer(client, message, "es_respond_flags_result()");
}

ob_export es_clear_cache_result_t es_clear_cache(es_client_t *client)
{
	not_here(client, "es_clear_cache()", NO_ANSWERS);
	return ES_CLEAR_CACHE_RESULT_ERR_INTERNAL;
}

/* ---- muting ----------------------------------------------------------------------------------- */

ob_export es_return_t es_mute_process(es_client_t *client, const audit_token_t *audit_token)
{
	return not_here(client, "es_mute_process()", NO_MUTING);
}

ob_export es_return_t es_mute_process_events(es_client_t *client, const audit_token_t *audit_token,
	const es_event_type_t *events, size_t event_count)
{
	return not_here(client, "es_mute_process_events()", NO_MUTING);
}

ob_export es_return_t es_unmute_process(es_client_t *client, const audit_token_t *audit_token)
{
	return not_here(client, "es_unmute_process()", NO_MUTING);
}

ob_export es_return_t es_unmute_process_events(es_client_t *client,
	const audit_token_t *audit_token, const es_event_type_t *events, size_t event_count)
{
	return not_here(client, "es_unmute_process_events()", NO_MUTING);
}

ob_export es_return_t es_muted_processes(
	es_client_t *client, size_t *count, audit_token_t **audit_tokens)
{
	return not_here(client, "es_muted_processes()", NO_MUTING);
}

ob_export es_return_t es_muted_processes_events(
	es_client_t *client, es_muted_processes_t **muted_processes)
{
	return not_here(client, "es_muted_processes_events()", NO_MUTING);
}

ob_export void es_release_muted_processes(es_muted_processes_t *muted_processes)
{
	/* there never was one */
}

ob_export es_return_t es_mute_path(es_client_t *client, const char *path, es_mute_path_type_t type)
{
	return not_here(client, "es_mute_path()", NO_MUTING);
}

ob_export es_return_t es_mute_path_events(es_client_t *client, const char *path,
	es_mute_path_type_t type, const es_event_type_t *events, size_t event_count)
{
	return not_here(client, "es_mute_path_events()", NO_MUTING);
}

ob_export es_return_t es_mute_path_prefix(es_client_t *client, const char *path)
{
	return not_here(client, "es_mute_path_prefix()", NO_MUTING);
}

ob_export es_return_t es_mute_path_literal(es_client_t *client, const char *path)
{
	return not_here(client, "es_mute_path_literal()", NO_MUTING);
}

ob_export es_return_t es_unmute_path(
	es_client_t *client, const char *path, es_mute_path_type_t type)
{
	return not_here(client, "es_unmute_path()", NO_MUTING);
}

ob_export es_return_t es_unmute_path_events(es_client_t *client, const char *path,
	es_mute_path_type_t type, const es_event_type_t *events, size_t event_count)
{
	return not_here(client, "es_unmute_path_events()", NO_MUTING);
}

ob_export es_return_t es_unmute_all_paths(es_client_t *client)
{
	return not_here(client, "es_unmute_all_paths()", NO_MUTING);
}

ob_export es_return_t es_unmute_all_target_paths(es_client_t *client)
{
	return not_here(client, "es_unmute_all_target_paths()", NO_MUTING);
}

ob_export es_return_t es_muted_paths_events(es_client_t *client, es_muted_paths_t **muted_paths)
{
	return not_here(client, "es_muted_paths_events()", NO_MUTING);
}

ob_export void es_release_muted_paths(es_muted_paths_t *muted_paths)
{
	/* there never was one */
}

ob_export es_return_t es_invert_muting(es_client_t *client, es_mute_inversion_type_t type)
{
	return not_here(client, "es_invert_muting()", NO_MUTING);
}

ob_export es_mute_inverted_return_t es_muting_inverted(
	es_client_t *client, es_mute_inversion_type_t type)
{
	not_here(client, "es_muting_inverted()", NO_MUTING);
	return ES_MUTE_INVERTED_ERROR;
}

/* ---- deadlines -------------------------------------------------------------------------------- */

ob_export es_return_t es_set_deadline_miss_mode(es_client_t *client, es_deadline_miss_mode_t mode)
{
	return not_here(client, "es_set_deadline_miss_mode()", NO_DEADLINES);
}

ob_export es_return_t es_get_deadline_miss_mode(es_client_t *client, es_deadline_miss_mode_t *mode)
{
	return not_here(client, "es_get_deadline_miss_mode()", NO_DEADLINES);
}

ob_export es_return_t es_set_deadline_max_milliseconds(es_client_t *client,
	const es_event_type_t *events, uint32_t event_count, uint32_t milliseconds)
{
	return not_here(client, "es_set_deadline_max_milliseconds()", NO_DEADLINES);
}

ob_export es_return_t es_get_deadline_max_milliseconds(
	es_client_t *client, es_event_type_t event, uint32_t *milliseconds)
{
	return not_here(client, "es_get_deadline_max_milliseconds()", NO_DEADLINES);
}

ob_export es_return_t es_set_deadline_min_milliseconds(es_client_t *client,
	const es_event_type_t *events, uint32_t event_count, uint32_t milliseconds)
{
	return not_here(client, "es_set_deadline_min_milliseconds()", NO_DEADLINES);
}

ob_export es_return_t es_get_deadline_min_milliseconds(
	es_client_t *client, es_event_type_t event, uint32_t *milliseconds)
{
	return not_here(client, "es_get_deadline_min_milliseconds()", NO_DEADLINES);
}

/* ---- the end of the queue, and descendants ----------------------------------------------------- */

ob_export es_return_t es_sync_client_f(
	es_client_t *client, void *context, void (*function)(void *context))
{
	return not_here(client, "es_sync_client()", NO_MARKER);
}

ob_export es_new_client_result_t es_new_descendants_client_f(
	es_client_t **ret, void *context, ob_es_handler_function_t handler)
{
	struct wire_error error;

	rule_error(&error, RULE_ENDPOINT_CALL, "es_new_descendants_client()", NO_DESCENDANTS, NULL);
	return client_fail_new(NULL, ES_NEW_CLIENT_RESULT_ERR_INTERNAL, &error);
}

/* Declared with blocks where the compiler has them: to this one a block is a pointer. */
es_return_t es_sync_client(es_client_t *client, void *block);
ob_export es_return_t es_sync_client(es_client_t *client, void *block)
{
	return es_sync_client_f(client, NULL, NULL);
}

es_new_client_result_t es_new_descendants_client(es_client_t **ret, void *block);
ob_export es_new_client_result_t es_new_descendants_client(es_client_t **ret, void *block)
{
	return es_new_descendants_client_f(ret, NULL, NULL);
}
