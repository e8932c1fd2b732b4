/* SPDX-License-Identifier: Apache-2.0
 *
 * The app of the tests: makes one request and prints a line for each callback, so that a test reads
 * what an app is told. app KIND IDENTIFIER [cancel|replace] [SECONDS]; ends after SECONDS at the
 * latest, with a request still open, as an app does that its user closes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <SystemExtensions/SystemExtensions.h>

static int status = 3; /* still open */
static os_system_extension_replacement_action_t
	action = OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_REPLACE;

static void print_properties(const char *what, const os_system_extension_properties_t *p)
{
	const char *running = "-";
	pid_t pid = 0;

	ob_system_extension_properties_get_running(p, &pid, &running);
	printf("%s %s %s/%s %s enabled=%d awaiting=%d uninstalling=%d running=%s pid=%d\n", what,
		os_system_extension_properties_get_bundle_identifier(p),
		os_system_extension_properties_get_bundle_short_version(p),
		os_system_extension_properties_get_bundle_version(p),
		ob_system_extension_properties_get_state(p),
		os_system_extension_properties_is_enabled(p),
		os_system_extension_properties_is_awaiting_user_approval(p),
		os_system_extension_properties_is_uninstalling(p), running, (int)pid);
}

static os_system_extension_replacement_action_t replacing(os_system_extension_request_t *request,
	const os_system_extension_properties_t *existing,
	const os_system_extension_properties_t *extension, void *context)
{
	print_properties("existing", existing);
	print_properties("extension", extension);
	return action;
}

static void needs_approval(os_system_extension_request_t *request, void *context)
{
	printf("needs-approval\n");
}

static void finished(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, void *context)
{
	printf("finished %d\n", (int)result);
	status = 0;
	ob_queue_stop(ob_queue_main());
}

static void failed(os_system_extension_request_t *request, const ob_error_t *error, void *context)
{
	printf("failed %d %s %s\n", ob_error_get_code(error), ob_error_get_rule(error),
		ob_error_get_localized_description(error));
	printf("advice %s\n", ob_error_get_recovery_suggestion(error));
	status = 1;
	ob_queue_stop(ob_queue_main());
}

static void found(os_system_extension_request_t *request,
	const os_system_extension_properties_t *const *properties, size_t n, void *context)
{
	size_t i;

	for (i = 0; i < n; i++)
		print_properties("found", properties[i]);
}

static const os_system_extension_request_delegate_t delegate = {
	.size = sizeof delegate,
	.action_for_replacing_extension = replacing,
	.needs_user_approval = needs_approval,
	.did_finish_with_result = finished,
	.did_fail_with_error = failed,
	.found_properties = found,
};

static const struct {
	const char *name;
	int (*make)(const char *, ob_queue_t *, os_system_extension_request_t **);
} kinds[] = {
	{ "activate", os_system_extension_request_new_activation },
	{ "deactivate", os_system_extension_request_new_deactivation },
	{ "properties", os_system_extension_request_new_properties },
};

int main(int argc, char **argv)
{
	os_system_extension_request_t *request;
	size_t i;
	int r = -1;

	if (argc < 3)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 3 && strcmp(argv[3], "cancel") == 0)
		action = OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_CANCEL;
	if (argc > 4)
		alarm((unsigned)atoi(argv[4]));
	for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(argv[1], kinds[i].name) == 0)
			r = kinds[i].make(argv[2], ob_queue_main(), &request);
	if (r < 0)
		return 2;
	os_system_extension_request_set_delegate(request, &delegate, NULL);
	r = os_system_extension_manager_submit_request(request);
	os_system_extension_request_release(request);
	if (r < 0)
		return 2;
	ob_queue_run(ob_queue_main());
	return status;
}
