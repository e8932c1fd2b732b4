/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict on a bundle for a request: on its app, where it lies, and on the staged copy of its
 * extension. Both are begun, waited for and refused alike; what follows is who has asked's. A disk that
 * does not answer is waited for as long as a state may last that validates.
 */
#include <stdio.h>
#include "base/str.h"
#include "manager/manager.h"

static int on_late(sd_event_source *source, uint64_t usec, void *context)
{
	struct request *request = context;
	char detail[64];

	snprintf(detail, sizeof detail, "no verdict within %u seconds",
		state_get(STATE_VALIDATING)->deadline_sec);
	request_fail_rule(request, RULE_BUNDLE_TIMEOUT,
		request->extension ? request->extension->origin_path : request->app_path, detail);
	return 0;
}

int judge_begin(struct request *request, int fd, const char *name, const char *path,
	sd_event_io_handler_t on_verdict)
{
	struct manager *manager = request->manager;
	int r = bundle_job_new(
		fd, name, path, manager->developer_mode ? BUNDLE_ALLOW_UNSIGNED : 0, &request->job);

	if (r == 0)
		r = sd_event_add_io(manager->event, &request->job_source,
			bundle_job_get_fd(request->job), EPOLLIN, on_verdict, request);
	if (r >= 0)
		r = sd_event_add_time_relative(manager->event, &request->job_timer, CLOCK_MONOTONIC,
			state_get(STATE_VALIDATING)->deadline_sec * 1000000ull, 1000000, on_late,
			request);
	return r < 0 ? r : 0;
}

const struct bundle_info *judge_end(struct request *request, const char *problem)
{
	static struct bundle_info info;
	static struct wire_error error;
	int verdict = 0, r = bundle_job_process(request->job, &verdict, &info, &error);

	if (r == -EAGAIN)
		return NULL;
	request->job_source = sd_event_source_disable_unref(request->job_source);
	request->job_timer = sd_event_source_disable_unref(request->job_timer);
	request->job = bundle_job_free(request->job);
	if (r == 0)
		r = verdict;
	if (r < 0)
		request_refuse_errno(request, r, problem);
	else if (r > 0)
		request_fail(request, &error);
	return r == 0 ? &info : NULL;
}
