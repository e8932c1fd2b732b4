/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of Endpoint Security that says what it is told: "client" when it has become one, then for
 * each line of its standard input "subscribed", or why not. Ends with its input; 1: it is no client.
 */
#include <stdio.h>
#include <EndpointSecurity/EndpointSecurity.h>

static void say(ob_error_t *error)
{
	printf("failed %d %s %s\n", ob_error_get_code(error), ob_error_get_rule(error),
		ob_error_get_localized_description(error));
	ob_error_release(error);
}

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
}

int main(void)
{
	const es_event_type_t event = ES_EVENT_TYPE_NOTIFY_EXEC;
	es_client_t *client;
	char line[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (es_new_client_f(&client, NULL, on_message) != ES_NEW_CLIENT_RESULT_SUCCESS) {
		say(ob_es_copy_new_client_error());
		return 1;
	}
	printf("client\n");
	while (fgets(line, sizeof line, stdin)) {
		if (es_subscribe(client, &event, 1) == ES_RETURN_SUCCESS)
			printf("subscribed\n");
		else
			say(ob_es_client_copy_last_error(client));
	}
	return es_delete_client(client) != ES_RETURN_SUCCESS;
}
