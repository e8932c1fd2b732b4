/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of macOS' API for what this version does not do: descendants.
 * Each fails with its documented result, and says why. None ever looks as if it had worked: a client
 * that believes that it has denied something is worse off than one that knows.
 */
#include <string.h>
#include <unistd.h>
#include "endpoint/lib/lib.h"

#define NO_DEADLINES \
	"only a client of descendants has a shortest deadline, and this version has none"
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

/* ---- deadlines -------------------------------------------------------------------------------- */

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

/* ---- descendants ------------------------------------------------------------------------------ */

ob_export es_new_client_result_t es_new_descendants_client_f(
	es_client_t **ret, void *context, ob_es_handler_function_t handler)
{
	struct wire_error error;

	rule_error(&error, RULE_ENDPOINT_CALL, "es_new_descendants_client()", NO_DESCENDANTS, NULL);
	return client_fail_new(NULL, ES_NEW_CLIENT_RESULT_ERR_INTERNAL, &error);
}

/* Declared with a block where the compiler has them: to this one a block is a pointer. */
es_new_client_result_t es_new_descendants_client(es_client_t **ret, void *block);
ob_export es_new_client_result_t es_new_descendants_client(es_client_t **ret, void *block)
{
	return es_new_descendants_client_f(ret, NULL, NULL);
}
