/* SPDX-License-Identifier: Apache-2.0
 *
 * The app of the tests that makes many requests: one activation for each line of its standard input
 * that is an identifier; "cancel IDENTIFIER" takes one back. It prints a line for each callback, which
 * begins with the identifier, and ends when its input has ended and all its requests have.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <SystemExtensions/SystemExtensions.h>

#define REQUESTS_MAX 64

static os_system_extension_request_t *requests[REQUESTS_MAX];
static size_t n_requests, n_open;

static const char *name_of(const os_system_extension_request_t *request)
{
	return os_system_extension_request_get_identifier(request);
}

static os_system_extension_replacement_action_t replacing(os_system_extension_request_t *request,
	const os_system_extension_properties_t *existing,
	const os_system_extension_properties_t *extension, void *context)
{
	return OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_REPLACE;
}

static void needs_approval(os_system_extension_request_t *request, void *context)
{
	printf("%s needs-approval\n", name_of(request));
}

static void finished(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, void *context)
{
	printf("%s finished %d\n", name_of(request), (int)result);
	n_open--;
}

static void failed(os_system_extension_request_t *request, const ob_error_t *error, void *context)
{
	printf("%s failed %d %s %s\n", name_of(request), ob_error_get_code(error),
		ob_error_get_rule(error), ob_error_get_localized_description(error));
	n_open--;
}

static const os_system_extension_request_delegate_t delegate = {
	.size = sizeof delegate,
	.action_for_replacing_extension = replacing,
	.needs_user_approval = needs_approval,
	.did_finish_with_result = finished,
	.did_fail_with_error = failed,
};

static int ask(const char *identifier)
{
	os_system_extension_request_t **request = &requests[n_requests];

	if (n_requests == REQUESTS_MAX ||
		os_system_extension_request_new_activation(identifier, ob_queue_main(), request) <
			0)
		return -1;
	n_requests++;
	n_open++;
	os_system_extension_request_set_delegate(*request, &delegate, NULL);
	return os_system_extension_manager_submit_request(*request);
}

static int take_back(const char *identifier)
{
	size_t i = n_requests;

	while (i-- > 0)
		if (strcmp(name_of(requests[i]), identifier) == 0)
			return ob_system_extension_request_cancel(requests[i]);
	return -1;
}

/* 1: a line was taken; 0: the input has ended. */
static int take_line(void)
{
	static char *line;
	static size_t size;
	ssize_t n = getline(&line, &size, stdin);

	if (n <= 0)
		return 0;
	line[strcspn(line, "\n")] = '\0';
	return (strncmp(line, "cancel ", 7) == 0 ? take_back(line + 7) : ask(line)) < 0 ? -1 : 1;
}

int main(void)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = ob_queue_get_fd(ob_queue_main()), .events = POLLIN } };
	int r = 1;

	setvbuf(stdin, NULL, _IONBF, 0); /* what poll(2) says is all that there is */
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (r >= 0 && (fds[0].fd >= 0 || n_open > 0)) {
		if (poll(fds, 2, -1) < 0)
			return 2;
		if (fds[1].revents)
			r = ob_queue_dispatch(ob_queue_main());
		if (r >= 0 && fds[0].revents)
			r = take_line();
		if (fds[0].revents && r == 0)
			fds[0].fd = -1;
	}
	while (n_requests > 0)
		os_system_extension_request_release(requests[--n_requests]);
	return r < 0 ? 2 : 0;
}
