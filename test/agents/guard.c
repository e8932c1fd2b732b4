/* SPDX-License-Identifier: Apache-2.0
 *
 * A client of Endpoint Security that is asked before a program runs, and says so: "guards" once it is
 * subscribed, then "asked" for each program. It allows all, but answers nothing while its standard
 * input has said "silent" last and not "answer". Ends with its input.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <EndpointSecurity/EndpointSecurity.h>

static atomic_bool silent;

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	printf("asked\n");
	if (!silent)
		es_respond_auth_result(client, message, ES_AUTH_RESULT_ALLOW, false);
}

int main(void)
{
	const es_event_type_t event = ES_EVENT_TYPE_AUTH_EXEC;
	es_client_t *client;
	char line[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (es_new_client_f(&client, NULL, on_message) != ES_NEW_CLIENT_RESULT_SUCCESS ||
		es_subscribe(client, &event, 1) != ES_RETURN_SUCCESS)
		return 1;
	printf("guards\n");
	while (fgets(line, sizeof line, stdin)) {
		silent = strcmp(line, "silent\n") == 0;
		printf("%s", line);
	}
	return es_delete_client(client) != ES_RETURN_SUCCESS;
}
