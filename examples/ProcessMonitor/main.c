/* SPDX-License-Identifier: Apache-2.0
 *
 * ProcessMonitor, the app: asks that the extension inside it be active, says how that goes, and
 * then talks to it. The program is an ordinary user's; what needs rights is in agent/.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <Outboard/service.h>
#include <SystemExtensions/SystemExtensions.h>

#define AGENT "org.example.ProcessMonitor.agent"
#define SERVICE AGENT ".service" /* NSEndpointSecurityMachServiceName in its Info.plist */
static int status = 1;		 /* of the program */

/* One line there, one line back. A copy that is being replaced hangs up; its successor answers. */
static int ask(const char *question)
{
	const struct timeval patience = { .tv_sec = 10 }; /* with one that does not start */
	char answer[256];
	int fd, tries;

	for (tries = 0; tries < 2 && ob_service_connect(SERVICE, &fd) == 0; tries++) {
		ssize_t n = send(fd, question, strlen(question), MSG_NOSIGNAL);

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		if (n > 0)
			n = recv(fd, answer, sizeof answer, 0);
		close(fd);
		if (n > 0)
			return printf("%.*s\n", (int)n, answer) < 0;
	}
	fprintf(stderr, "%s does not answer\n", SERVICE);
	return 1;
}

/* OSSystemExtensionRequestDelegate */
static os_system_extension_replacement_action_t replacing(os_system_extension_request_t *request,
	const os_system_extension_properties_t *existing,
	const os_system_extension_properties_t *extension, void *context)
{
	printf("%s: replacing %s by %s\n", os_system_extension_request_get_identifier(request),
		os_system_extension_properties_get_bundle_short_version(existing),
		os_system_extension_properties_get_bundle_short_version(extension));
	return OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_REPLACE;
}

static void needs_approval(os_system_extension_request_t *request, void *context)
{
	printf("%s requires user approval\n", os_system_extension_request_get_identifier(request));
}

static void finished(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, void *context)
{
	printf("%s: %s\n", os_system_extension_request_get_identifier(request),
		result == OS_SYSTEM_EXTENSION_REQUEST_COMPLETED ? "done" : "done after a reboot");
	status = context ? ask(context) : 0;
	ob_queue_stop(ob_queue_main());
}

static void failed(os_system_extension_request_t *request, const ob_error_t *error, void *context)
{
	fprintf(stderr, "error %d, %s: %s\n", ob_error_get_code(error), ob_error_get_rule(error),
		ob_error_get_localized_description(error));
	ob_queue_stop(ob_queue_main());
}

static const os_system_extension_request_delegate_t delegate = {
	.size = sizeof delegate,
	.action_for_replacing_extension = replacing,
	.needs_user_approval = needs_approval,
	.did_finish_with_result = finished,
	.did_fail_with_error = failed,
};

/* What it can be asked for: a request, and what the extension is asked when that has finished. */
static const struct {
	const char *name;
	int (*make)(const char *, ob_queue_t *, os_system_extension_request_t **);
	const char *question;
} verbs[] = {
	{ "activate", os_system_extension_request_new_activation, "status" },
	{ "deactivate", os_system_extension_request_new_deactivation, NULL },
	{ "status", NULL, "status" },
	{ "reload", NULL, "reload" },
};

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "activate";
	os_system_extension_request_t *request;
	size_t i = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (i < sizeof verbs / sizeof *verbs && strcmp(verbs[i].name, verb) != 0)
		i++;
	if (i == sizeof verbs / sizeof *verbs) {
		fprintf(stderr, "usage: ProcessMonitor [activate|deactivate|status|reload]\n");
		return 2;
	}
	if (!verbs[i].make)
		return ask(verbs[i].question);
	if (verbs[i].make(AGENT, ob_queue_main(), &request) < 0)
		return 1;
	os_system_extension_request_set_delegate(request, &delegate, (void *)verbs[i].question);
	if (os_system_extension_manager_submit_request(request) == 0)
		ob_queue_run(ob_queue_main());
	os_system_extension_request_release(request);
	return status;
}
