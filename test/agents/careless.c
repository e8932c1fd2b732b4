/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that is asked about programs and looks at nothing that its calls return. It allows all of
 * them, by the right call; but for those named "wrong" by the wrong one.
 */
#include <string.h>
#include <unistd.h>
#include <EndpointSecurity/EndpointSecurity.h>

#define DEADLINE_MS 400 /* test-endpoint.sh */

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	const char *path = message->event.exec.target->executable->path.data;
	const char *name = strrchr(path, '/');

	if (message->action_type != ES_ACTION_TYPE_AUTH)
		return;
	if (name && strcmp(name, "/wrong") == 0)
		es_respond_flags_result(client, message, UINT32_MAX, false);
	else
		es_respond_auth_result(client, message, ES_AUTH_RESULT_ALLOW, false);
}

int main(void)
{
	const es_event_type_t events[] = { ES_EVENT_TYPE_AUTH_EXEC, ES_EVENT_TYPE_NOTIFY_EXEC };
	es_client_t *client;

	if (es_new_client_f(&client, NULL, on_message) != ES_NEW_CLIENT_RESULT_SUCCESS)
		return 1;
	es_set_deadline_max_milliseconds(client, events, 1, DEADLINE_MS);
	es_mute_path(client, "/nothing/of/this/name", ES_MUTE_PATH_TYPE_LITERAL);
	es_subscribe(client, events, 2);
	for (;;)
		pause();
}
