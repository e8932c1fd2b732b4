/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that is asked about programs and looks at nothing that its calls return. It allows all of
 * them, by the right call; but for those named "wrong" by the wrong one. Where it cannot be a client it prints
 * the rule and exits with the result. "one": it ends when it has become a client; "many": when it cannot
 * become another one; "null": it says where to nobody.
 */
#include <stdio.h>
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

int main(int argc, char **argv)
{
	const es_event_type_t events[] = { ES_EVENT_TYPE_AUTH_EXEC, ES_EVENT_TYPE_NOTIFY_EXEC };
	const char *how = argc > 1 ? argv[1] : "";
	es_new_client_result_t result;
	es_client_t *client;

	do
		result = es_new_client_f(
			strcmp(how, "null") == 0 ? NULL : &client, NULL, on_message);
	while (result == ES_NEW_CLIENT_RESULT_SUCCESS && strcmp(how, "many") == 0);
	if (result != ES_NEW_CLIENT_RESULT_SUCCESS) {
		puts(ob_error_get_rule(ob_es_copy_new_client_error()));
		return (int)result;
	}
	if (strcmp(how, "one") == 0)
		return 0;
	es_set_deadline_max_milliseconds(client, events, 1, DEADLINE_MS);
	es_mute_path(client, "/nothing/of/this/name", ES_MUTE_PATH_TYPE_LITERAL);
	es_subscribe(client, events, 2);
	for (;;)
		pause();
}
