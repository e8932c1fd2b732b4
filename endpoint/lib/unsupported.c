/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of macOS' API for what this version does not do: answers, deadlines, descendants.
 * Each fails with its documented result, and says why. None ever looks as if it had worked: a client
 * that believes that it has denied something is worse off than one that knows.
 */
#include <string.h>
#include <unistd.h>
#include "endpoint/lib/lib.h"

#define NO_ANSWERS "this version reports what has happened, and waits for no answer"
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
