/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers: es_respond_auth_result() and its like, the cache, deadlines. An answer goes straight to the
 * thread of outboard-esd that decides, over a socket of its own, and its result is waited for: whoever
 * is told SUCCESS has decided.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "endpoint/lib/lib.h"

static const struct {
	es_respond_result_t result;
	const char *why;
} reasons[] = {
	{ ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT,
		"it is no message of this client, or the result is no value of the enum" },
	{ ES_RESPOND_RESULT_ERR_INTERNAL, "outboard-esd does not answer, or has been replaced" },
	{ ES_RESPOND_RESULT_NOT_FOUND,
		"nobody waits for this answer any more: its deadline is over, or outboard-esd was replaced" },
	{ ES_RESPOND_RESULT_ERR_DUPLICATE_RESPONSE, "it has been answered already" },
	{ ES_RESPOND_RESULT_ERR_EVENT_TYPE,
		"AUTH_OPEN is answered by es_respond_flags_result(), every other AUTH event by es_respond_auth_result(), and a NOTIFY by nothing" },
};

static es_respond_result_t explain(
	es_client_t *client, es_respond_result_t result, const char *call)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (reasons[i].result != result)
			continue;
		pthread_mutex_lock(&client->lock);
		client_fail(client, RULE_ENDPOINT_ANSWER, call, reasons[i].why);
		pthread_mutex_unlock(&client->lock);
	}
	return result;
}

/* 0 or -errno. */
static int exchange(
	es_client_t *client, const struct endpoint_answer *answer, struct endpoint_answered *ret)
{
	ssize_t bytes;
	int r = 0;

	pthread_mutex_lock(&client->answer_lock);
	if (client->answer_fd < 0)
		r = -ENOTCONN;
	else if (send(client->answer_fd, answer, sizeof *answer, MSG_NOSIGNAL) != sizeof *answer)
		r = -errno;
	while (r == 0) {
		bytes = recv(client->answer_fd, ret, sizeof *ret, 0);
		if (bytes < 0 && errno == EINTR)
			continue;
		r = bytes == sizeof *ret ? 0 : -EPIPE;
		/* the answer to one before that came too late for it */
		if (r < 0 || ret->question == answer->question)
			break;
	}
	pthread_mutex_unlock(&client->answer_lock);
	return r;
}

static es_respond_result_t what_is_wrong(
	const es_message_t *message, const struct endpoint_answer *answer)
{
	bool flags = answer->kind == ENDPOINT_ANSWER_FLAGS;

	if (flags != (message->event_type == ES_EVENT_TYPE_AUTH_OPEN))
		return ES_RESPOND_RESULT_ERR_EVENT_TYPE;
	if (!flags && answer->value > ES_AUTH_RESULT_DENY)
		return ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT;
	return ES_RESPOND_RESULT_SUCCESS;
}

static es_respond_result_t respond(es_client_t *client, const es_message_t *message, uint32_t kind,
	uint32_t value, bool cache, const char *call)
{
	struct box *box = message ? box_of(message) : NULL;
	struct endpoint_answer answer = { .kind = kind, .value = value, .cache = cache };
	struct endpoint_answered answered;
	es_respond_result_t wrong;
	unsigned none = 0;

	if (!client || client->pid != getpid())
		return ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT;
	if (!box || box->client != client)
		return explain(client, ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT, call);
	if (message->action_type != ES_ACTION_TYPE_AUTH)
		return explain(client, ES_RESPOND_RESULT_ERR_EVENT_TYPE, call);
	answer.question = box->record->question;
	wrong = what_is_wrong(message, &answer);
	if (wrong != ES_RESPOND_RESULT_SUCCESS) {
		/* whoever does not look misses the deadline: outboard-esd says then what was wrong */
		exchange(client, &answer, &answered);
		return explain(client, wrong, call);
	}
	if (!atomic_compare_exchange_strong(&box->answered, &none, 1))
		return explain(client, ES_RESPOND_RESULT_ERR_DUPLICATE_RESPONSE, call);
	if (exchange(client, &answer, &answered) < 0)
		return explain(client, ES_RESPOND_RESULT_ERR_INTERNAL, call);
	return explain(client, (es_respond_result_t)answered.result, call);
}

ob_export es_respond_result_t es_respond_auth_result(
	es_client_t *client, const es_message_t *message, es_auth_result_t result, bool cache)
{
	return respond(client, message, ENDPOINT_ANSWER_RESULT, (uint32_t)result, cache,
		"es_respond_auth_result()");
}

ob_export es_respond_result_t es_respond_flags_result(
	es_client_t *client, const es_message_t *message, uint32_t authorized_flags, bool cache)
{
	return respond(client, message, ENDPOINT_ANSWER_FLAGS, authorized_flags, cache,
		"es_respond_flags_result()");
}

ob_export es_clear_cache_result_t es_clear_cache(es_client_t *client)
{
	const struct endpoint_answer clear = { .kind = ENDPOINT_ANSWER_CLEAR_CACHE };
	struct endpoint_answered answered = { 0 };

	if (!client || client->pid != getpid() || exchange(client, &clear, &answered) < 0)
		return ES_CLEAR_CACHE_RESULT_ERR_INTERNAL;
	return answered.result == ENDPOINT_CLEAR_THROTTLED ? ES_CLEAR_CACHE_RESULT_ERR_THROTTLE
							   : ES_CLEAR_CACHE_RESULT_SUCCESS;
}

/* ---- deadlines -------------------------------------------------------------------------------- */

static es_return_t put_deadlines(es_client_t *client, const struct endpoint_deadlines *deadlines)
{
	int r = connection_deadlines(client, deadlines);

	/* being replaced: they are sent with the rest when it is back */
	if (r == -ESTALE)
		connection_restarted(client);
	else if (r == -EPIPE)
		connection_lost(client);
	else if (r < 0 && r != -ENOTCONN)
		return client_fail(
			client, RULE_ENDPOINT_UNREACHABLE, "the client", strerrordesc_np(-r));
	client->deadlines = *deadlines;
	return ES_RETURN_SUCCESS;
}

ob_export es_return_t es_set_deadline_miss_mode(es_client_t *client, es_deadline_miss_mode_t mode)
{
	struct endpoint_deadlines deadlines;
	es_return_t result;

	if (!client || client->pid != getpid() ||
		(unsigned)mode > ES_DEADLINE_MISS_MODE_FAIL_CLOSED)
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	deadlines = client->deadlines;
	deadlines.miss_mode = (uint32_t)mode;
	result = put_deadlines(client, &deadlines);
	pthread_mutex_unlock(&client->lock);
	return result;
}

ob_export es_return_t es_get_deadline_miss_mode(es_client_t *client, es_deadline_miss_mode_t *mode)
{
	if (!client || client->pid != getpid() || !mode)
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	*mode = (es_deadline_miss_mode_t)client->deadlines.miss_mode;
	pthread_mutex_unlock(&client->lock);
	return ES_RETURN_SUCCESS;
}

static bool has_deadline(es_event_type_t event)
{
	return event == ES_EVENT_TYPE_AUTH_EXEC || event == ES_EVENT_TYPE_AUTH_OPEN;
}

/* Lock held. */
static es_return_t check_deadlines(es_client_t *client, const char *call,
	const es_event_type_t *events, uint32_t event_count, uint32_t milliseconds, uint32_t least)
{
	uint32_t i;

	if (milliseconds < least || milliseconds > ENDPOINT_DEADLINE_MS)
		return client_fail(
			client, RULE_ENDPOINT_CALL, call, "a deadline is 1 to 15000 milliseconds");
	for (i = 0; i < event_count; i++)
		if (!has_deadline(events[i]))
			return client_fail(client, RULE_ENDPOINT_CALL, call,
				"only AUTH_EXEC and AUTH_OPEN are asked in this version");
	return ES_RETURN_SUCCESS;
}

ob_export es_return_t es_set_deadline_max_milliseconds(es_client_t *client,
	const es_event_type_t *events, uint32_t event_count, uint32_t milliseconds)
{
	struct endpoint_deadlines deadlines;
	es_return_t result;
	uint32_t i;

	if (!client || client->pid != getpid() || (!events && event_count))
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	result = check_deadlines(
		client, "es_set_deadline_max_milliseconds()", events, event_count, milliseconds, 1);
	deadlines = client->deadlines;
	for (i = 0; i < event_count && result == ES_RETURN_SUCCESS; i++)
		deadlines.milliseconds[events[i]] = milliseconds;
	if (result == ES_RETURN_SUCCESS)
		result = put_deadlines(client, &deadlines);
	for (i = 0; i < event_count && result == ES_RETURN_SUCCESS; i++)
		if (client->shortest_ms[events[i]] > milliseconds)
			client->shortest_ms[events[i]] = milliseconds;
	pthread_mutex_unlock(&client->lock);
	return result;
}

ob_export es_return_t es_get_deadline_max_milliseconds(
	es_client_t *client, es_event_type_t event, uint32_t *milliseconds)
{
	if (!client || client->pid != getpid() || !milliseconds || !has_deadline(event))
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	*milliseconds = client->deadlines.milliseconds[event];
	pthread_mutex_unlock(&client->lock);
	return ES_RETURN_SUCCESS;
}

/* Lock held. */
static es_return_t check_kind(es_client_t *client, const char *call)
{
	if (client->kind == CLIENT_OF_DESCENDANTS)
		return ES_RETURN_SUCCESS;
	return client_fail(client, RULE_ENDPOINT_CALL, call,
		"only a client of descendants has a shortest deadline");
}

ob_export es_return_t es_set_deadline_min_milliseconds(es_client_t *client,
	const es_event_type_t *events, uint32_t event_count, uint32_t milliseconds)
{
	static const char call[] = "es_set_deadline_min_milliseconds()";
	struct endpoint_deadlines deadlines;
	es_return_t result;
	uint32_t i;

	if (!client || client->pid != getpid() || (!events && event_count))
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	result = check_kind(client, call);
	if (result == ES_RETURN_SUCCESS)
		result = check_deadlines(client, call, events, event_count, milliseconds, 0);
	deadlines = client->deadlines;
	for (i = 0; i < event_count && result == ES_RETURN_SUCCESS; i++)
		if (deadlines.milliseconds[events[i]] < milliseconds)
			deadlines.milliseconds[events[i]] = milliseconds;
	if (result == ES_RETURN_SUCCESS)
		result = put_deadlines(client, &deadlines);
	for (i = 0; i < event_count && result == ES_RETURN_SUCCESS; i++)
		client->shortest_ms[events[i]] = milliseconds;
	pthread_mutex_unlock(&client->lock);
	return result;
}

ob_export es_return_t es_get_deadline_min_milliseconds(
	es_client_t *client, es_event_type_t event, uint32_t *milliseconds)
{
	es_return_t result;

	if (!client || client->pid != getpid() || !milliseconds || !has_deadline(event))
		return ES_RETURN_ERROR;
	pthread_mutex_lock(&client->lock);
	result = check_kind(client, "es_get_deadline_min_milliseconds()");
	if (result == ES_RETURN_SUCCESS)
		*milliseconds = client->shortest_ms[event];
	pthread_mutex_unlock(&client->lock);
	return result;
}
