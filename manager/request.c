/* SPDX-License-Identifier: Apache-2.0
 *
 * A request, from whoever it comes: how it is known, how it ends, and what is left when nobody
 * waits for it any more. It ends exactly once.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/manager.h"

static const char *const step_names[STEP_MAX_] = {
	[STEP_QUEUED] = "queued",
	[STEP_APP] = "verifying-app",
	[STEP_STAGING] = "staging",
	[STEP_VALIDATING] = "validating",
	[STEP_REPLACEMENT] = "replacement",
	[STEP_APPROVAL] = "approval",
	[STEP_STARTING] = "starting",
	[STEP_STOPPING] = "stopping",
};

const char *request_step_name(enum request_step step)
{
	return step < STEP_MAX_ ? step_names[step] : "";
}

const char *request_kind_name(uint32_t kind)
{
	static const char *const names[] = { "", "activate", "deactivate", "properties" };

	return kind < ARRAY_SIZE(names) ? names[kind] : "";
}

int request_new(struct manager *manager, uint32_t kind, enum request_origin origin,
	const char *identifier, struct request **ret)
{
	struct request *request = calloc(1, sizeof *request);
	struct request **end = &manager->requests;

	if (!request)
		return -ENOMEM;
	request->manager = manager;
	request->kind = kind;
	request->origin = origin;
	request->number = ++manager->last_request;
	request->since_usec = now_real_usec();
	request->app_fd = request->source_fd = request->copy_fd = -1;
	STR_PUT(request->identifier, identifier);
	while (*end)
		end = &(*end)->next;
	*end = request;
	*ret = request;
	return 0;
}

struct request *request_of_number(struct manager *manager, uint64_t number)
{
	struct request *request = manager->requests;

	while (request && request->number != number)
		request = request->next;
	return request;
}

/* The bus shows what somebody has asked for. */
static bool is_shown(const struct request *request)
{
	return request->kind < REQUEST_OBSERVE;
}

static void tell_ended(struct request *request, const char *result, const struct wire_error *error)
{
	if (is_shown(request))
		control_request_ended(request->manager->control, request->number, result, error);
}

static void stop_work(struct request *request)
{
	request->job_source = sd_event_source_disable_unref(request->job_source);
	request->job_timer = sd_event_source_disable_unref(request->job_timer);
	request->job = bundle_job_free(request->job);
	staging_cancel(request);
	request->app_fd = fd_close(request->app_fd);
	request->source_fd = fd_close(request->source_fd);
}

static void request_free(struct request *request)
{
	struct request **at;

	for (at = &request->manager->requests; *at; at = &(*at)->next) {
		if (*at != request)
			continue;
		*at = request->next;
		break;
	}
	stop_work(request);
	/* there may be a place for one that is queued */
	sd_event_source_set_enabled(request->manager->later, SD_EVENT_ONESHOT);
	if (request->question)
		identity_answer(request);
	if (request->origin == ORIGIN_RECOVERY)
		recover_ended(request->manager);
	free(request->app_path);
	free(request);
}

void request_step(struct request *request, enum request_step step)
{
	request->step = step;
	if (step > STEP_VALIDATING)
		sd_event_source_set_enabled(request->manager->later, SD_EVENT_ONESHOT);
	if (is_shown(request))
		control_request_changed(request->manager->control, request->number);
}

void request_attach(struct request *request, struct extension *extension)
{
	request->extension = extension;
	control_request_changed(request->manager->control, request->number);
}

/* What a request had begun for itself alone goes with it. */
static void drop_own_copy(struct request *request, const struct wire_error *error)
{
	struct extension *own = request->owns ? request->extension : NULL;
	const char *reason = error ? error->rule : "nobody waits for it any more";

	request->owns = false;
	request->extension = NULL;
	if (own)
		extension_discard(own, reason, error);
}

void request_finish(struct request *request, uint32_t result)
{
	const struct request_finished finished = { .result = result,
		.n_properties = request->n_properties };

	if (request->client && request->kind == REQUEST_OBSERVE)
		client_observe(request->client, request->client_id, true, 0);
	else if (request->client)
		client_send(request->client, REQUEST_FINISHED, WIRE_FLAG_REPLY, request->client_id,
			&finished, sizeof finished);
	tell_ended(request, result ? "will-complete-after-reboot" : "completed", NULL);
	if (request->client)
		client_request_gone(request);
	request_free(request);
}

/* An update that nobody asked for: the version that runs says why it was not taken. */
static void tell_of_failed_update(struct request *request, const struct wire_error *error)
{
	struct extension *extension;

	for (extension = request->manager->extensions; extension; extension = extension->next) {
		if (!extension->slot || !extension->app_path || !request->app_path ||
			!streq(extension->info.identifier, request->identifier) ||
			!streq(extension->app_path, request->app_path))
			continue;
		extension_set_error(extension, error);
		control_extension_changed(extension->manager->control, extension->id);
		watch_check_again(extension);
	}
}

void request_fail(struct request *request, const struct wire_error *error)
{
	if (is_shown(request))
		log_event(LOG_REQUEST_FAILED, request->identifier, "kind",
			request_kind_name(request->kind), "rule", error->rule, "text",
			error->description, "uid", LOG_NUMBER(request->uid), NULL);
	stop_work(request);
	drop_own_copy(request, error);
	if (request->origin == ORIGIN_UPDATE)
		tell_of_failed_update(request, error);
	if (request->client && request->kind == REQUEST_OBSERVE)
		client_observe(request->client, request->client_id, false, -EACCES);
	else if (request->client)
		client_send(request->client, REQUEST_FAILED, WIRE_FLAG_REPLY, request->client_id,
			error, sizeof *error);
	tell_ended(request, "failed", error);
	if (request->client)
		client_request_gone(request);
	request_free(request);
}

void request_fail_rule(
	struct request *request, enum rule_id rule, const char *object, const char *detail)
{
	struct wire_error error;

	rule_error(&error, rule, object, detail, NULL);
	request_fail(request, &error);
}

void request_refuse_errno(struct request *request, int r, const char *what)
{
	char detail[256];

	snprintf(detail, sizeof detail, "%s: %s", what, strerror(-r));
	request_fail_rule(request, r == -ENOSPC ? RULE_REGISTRY_NO_SPACE : RULE_INTERNAL,
		request->identifier, detail);
}

void request_abandon(struct request *request)
{
	struct wire_error error;

	rule_error(&error, RULE_REQUEST_CANCELED, request->identifier, "nobody waits for it", NULL);
	stop_work(request);
	drop_own_copy(request, NULL);
	tell_ended(request, "failed", &error);
	request_free(request);
}

/* Ends each request of that copy; @error NULL: it finishes with @result. */
static void end_all(struct extension *extension, uint32_t result, const struct wire_error *error)
{
	struct request *request = extension->manager->requests, *next;

	for (; request; request = next) {
		next = request->next;
		if (request->extension != extension)
			continue;
		/* the copy itself is its caller's business */
		request->owns = false;
		request->extension = NULL;
		if (error)
			request_fail(request, error);
		else
			request_finish(request, result);
	}
}

void requests_finish(struct extension *extension, uint32_t result)
{
	end_all(extension, result, NULL);
}

void requests_fail(struct extension *extension, const struct wire_error *error)
{
	if (error)
		end_all(extension, 0, error);
}

void requests_need_approval(struct extension *extension)
{
	struct request *request;

	for (request = extension->manager->requests; request; request = request->next) {
		if (request->extension != extension || request->step == STEP_APPROVAL)
			continue;
		request->owns = false;
		request_step(request, STEP_APPROVAL);
		if (request->client)
			client_send(request->client, REQUEST_NEEDS_APPROVAL, WIRE_FLAG_REPLY,
				request->client_id, NULL, 0);
	}
}

static bool is_last(const struct extension *extension)
{
	const struct extension *other;

	for (other = extension->manager->extensions; other; other = other->next)
		if (other != extension && extension_same(other, extension))
			return false;
	return true;
}

/* That copy is gone: what asked for its removal is done, what wanted it has failed. */
void requests_removed(struct extension *extension)
{
	struct request *request = extension->manager->requests, *next;
	struct wire_error error;

	rule_error(&error, RULE_STATE_REMOVED, extension->info.identifier, extension->reason, NULL);
	for (; request; request = next) {
		next = request->next;
		if (request->kind == REQUEST_DEACTIVATE) {
			if (streq(request->team, extension->info.team) &&
				streq(request->identifier, extension->info.identifier) &&
				request->step == STEP_STOPPING && is_last(extension))
				request_finish(request, 0);
		} else if (request->extension == extension) {
			request->owns = false;
			request->extension = NULL;
			request_fail(request, &error);
		}
	}
}
