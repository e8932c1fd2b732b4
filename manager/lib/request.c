/* SPDX-License-Identifier: Apache-2.0
 *
 * OSSystemExtensionRequest: the object, its callbacks, and the one way in which it ends.
 *
 * A callback is posted with a reference on the request and nothing else; what it tells is read from
 * the request when it runs. So there is nothing to allocate once a request is submitted, and its end
 * always arrives.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/str.h"
#include "manager/lib/lib.h"

static void forget_question(os_system_extension_request_t *request)
{
	request->existing = properties_unref(request->existing);
	request->replacing = properties_unref(request->replacing);
}

static void forget_found(os_system_extension_request_t *request)
{
	while (request->n_found > 0)
		properties_unref(request->found[--request->n_found]);
}

static int request_new(enum request_kind kind, const char *identifier, ob_queue_t *queue,
	os_system_extension_request_t **ret)
{
	os_system_extension_request_t *request;

	if (!identifier || !*identifier || !ret)
		return -EINVAL;
	request = calloc(1, sizeof *request);
	if (!request)
		return -ENOMEM;
	if (STR_PUT(request->identifier, identifier) < 0) {
		free(request);
		return -ENAMETOOLONG;
	}
	atomic_init(&request->n_references, 1);
	request->pid = getpid();
	request->kind = kind;
	request->queue = queue;
	*ret = request;
	return 0;
}

ob_export int os_system_extension_request_new_activation(
	const char *identifier, ob_queue_t *queue, os_system_extension_request_t **ret)
{
	return request_new(REQUEST_ACTIVATE, identifier, queue, ret);
}

ob_export int os_system_extension_request_new_deactivation(
	const char *identifier, ob_queue_t *queue, os_system_extension_request_t **ret)
{
	return request_new(REQUEST_DEACTIVATE, identifier, queue, ret);
}

ob_export int os_system_extension_request_new_properties(
	const char *identifier, ob_queue_t *queue, os_system_extension_request_t **ret)
{
	return request_new(REQUEST_PROPERTIES_OF, identifier, queue, ret);
}

ob_export os_system_extension_request_t *os_system_extension_request_retain(
	os_system_extension_request_t *request)
{
	if (request)
		atomic_fetch_add_explicit(&request->n_references, 1, memory_order_relaxed);
	return request;
}

ob_export os_system_extension_request_t *os_system_extension_request_release(
	os_system_extension_request_t *request)
{
	if (!request ||
		atomic_fetch_sub_explicit(&request->n_references, 1, memory_order_acq_rel) != 1)
		return NULL;
	forget_question(request);
	forget_found(request);
	ob_error_release((ob_error_t *)(uintptr_t)request->error);
	free(request);
	return NULL;
}

ob_export const char *os_system_extension_request_get_identifier(
	const os_system_extension_request_t *request)
{
	return request ? request->identifier : "";
}

ob_export void os_system_extension_request_set_delegate(os_system_extension_request_t *request,
	const os_system_extension_request_delegate_t *delegate, void *context)
{
	os_system_extension_request_delegate_t copy = { 0 };

	if (!request || request->pid != getpid() || manager_claim() < 0)
		return;
	if (delegate)
		memcpy(&copy, delegate,
			delegate->size < sizeof copy ? delegate->size : sizeof copy);
	pthread_mutex_lock(&manager.lock);
	request->delegate = copy;
	request->context = context;
	pthread_mutex_unlock(&manager.lock);
}

/* The delegate of this moment: it may be set anew while a callback runs. */
static os_system_extension_request_delegate_t delegate_of(
	os_system_extension_request_t *request, void **ret_context)
{
	os_system_extension_request_delegate_t delegate;

	pthread_mutex_lock(&manager.lock);
	delegate = request->delegate;
	*ret_context = request->context;
	pthread_mutex_unlock(&manager.lock);
	return delegate;
}

/* ---- Callbacks, on the request's queue -------------------------------------------------------- */

static void run_approval(void *data)
{
	os_system_extension_request_t *request = data;
	void *context;
	os_system_extension_request_delegate_t delegate = delegate_of(request, &context);

	if (delegate.needs_user_approval)
		delegate.needs_user_approval(request, context);
	os_system_extension_request_release(request);
}

/* An answer counts while its question stands: the request is open, outboardd still the same. */
static void answer(os_system_extension_request_t *request, uint32_t question,
	os_system_extension_replacement_action_t action)
{
	pthread_mutex_lock(&manager.lock);
	if (request->state == REQUEST_OPEN && request->question == question) {
		request->action = action == OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_REPLACE;
		request->due |= DUE_ANSWER;
		manager_step();
	}
	pthread_mutex_unlock(&manager.lock);
}

static void run_replacement(void *data)
{
	os_system_extension_request_t *request = data;
	os_system_extension_replacement_action_t
		action = OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_REPLACE;
	void *context;
	os_system_extension_request_delegate_t delegate = delegate_of(request, &context);
	const os_system_extension_properties_t *existing, *replacing;
	uint32_t question;

	pthread_mutex_lock(&manager.lock);
	existing = TAKE(request->existing);
	replacing = TAKE(request->replacing);
	question = request->question;
	pthread_mutex_unlock(&manager.lock);
	if (existing && replacing) {
		if (delegate.action_for_replacing_extension)
			action = delegate.action_for_replacing_extension(
				request, existing, replacing, context);
		answer(request, question, action);
	}
	properties_unref(existing);
	properties_unref(replacing);
	os_system_extension_request_release(request);
}

static void run_end(void *data)
{
	os_system_extension_request_t *request = data;
	void *context;
	os_system_extension_request_delegate_t delegate = delegate_of(request, &context);

	if (!request->error && request->kind == REQUEST_PROPERTIES_OF && delegate.found_properties)
		delegate.found_properties(request, request->found, request->n_found, context);
	/* found_properties may have set another one */
	delegate = delegate_of(request, &context);
	if (request->error && delegate.did_fail_with_error)
		delegate.did_fail_with_error(request, request->error, context);
	else if (!request->error && delegate.did_finish_with_result)
		delegate.did_finish_with_result(request, request->result, context);
	if (request->handler)
		request->handler(
			request, request->result, request->error, request->handler_context);
	manager_reap(TAKE(request->own_queue));
	os_system_extension_request_release(request);
}

static void post(os_system_extension_request_t *request, void (*callback)(void *))
{
	queue_post(request->queue, callback, os_system_extension_request_retain(request));
}

const char *request_kind_name(enum request_kind kind)
{
	static const char *const names[] = {
		[REQUEST_ACTIVATE] = "activation",
		[REQUEST_DEACTIVATE] = "deactivation",
		[REQUEST_PROPERTIES_OF] = "properties",
	};

	return names[kind];
}

/* ---- What happens to a request, under the lock ------------------------------------------------- */

void request_end(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, const ob_error_t *error)
{
	os_system_extension_request_t **at = &manager.requests;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	if (!request->next)
		manager.requests_end = at;
	request->state = REQUEST_ENDED;
	request->due = 0;
	request->result = result;
	request->error = error;
	forget_question(request);
	post(request, run_end);
	/* the list's */
	os_system_extension_request_release(request);
}

void request_fail(os_system_extension_request_t *request, enum rule_id rule, const char *detail)
{
	struct wire_error wire;

	rule_error(&wire, rule, request->identifier, detail, NULL);
	request_end(request, OS_SYSTEM_EXTENSION_REQUEST_COMPLETED, error_of_wire(&wire));
}

void request_tell_approval(os_system_extension_request_t *request)
{
	if (!request->told_approval)
		post(request, run_approval);
	request->told_approval = true;
}

void request_ask_replacement(os_system_extension_request_t *request,
	const os_system_extension_properties_t *existing,
	const os_system_extension_properties_t *replacing)
{
	forget_question(request);
	request->existing = existing;
	request->replacing = replacing;
	request->question++;
	post(request, run_replacement);
}

void request_restart(os_system_extension_request_t *request)
{
	forget_question(request);
	forget_found(request);
	request->question++;
	request->due = DUE_SUBMIT;
	if (request->deadline_ns == 0)
		request->deadline_ns = manager_now() + manager.patience_ns;
}

/* ---- Submit and cancel ------------------------------------------------------------------------- */

static int open_request(os_system_extension_request_t *request,
	void (*handler)(os_system_extension_request_t *, os_system_extension_request_result_t,
		const ob_error_t *, void *),
	void *context)
{
	if (request->state != REQUEST_NEW || request->cancelled)
		return -EALREADY;
	if (!request->queue) {
		int r = ob_queue_new(request->identifier, &request->own_queue);

		if (r < 0)
			return r;
		request->queue = request->own_queue;
	}
	request->handler = handler;
	request->handler_context = context;
	request->state = REQUEST_OPEN;
	request->id = ++manager.last_id;
	request->due = DUE_SUBMIT;
	request->deadline_ns = manager_now() + manager.patience_ns;
	/* in the order of submission, since a later one supersedes an earlier one */
	request->next = NULL;
	*manager.requests_end = os_system_extension_request_retain(request);
	manager.requests_end = &request->next;
	manager_hurry();
	return 0;
}

static int submit(os_system_extension_request_t *request,
	void (*handler)(os_system_extension_request_t *, os_system_extension_request_result_t,
		const ob_error_t *, void *),
	void *context)
{
	int r;

	if (!request)
		return -EINVAL;
	if (request->pid != getpid())
		return -ECHILD;
	r = manager_enter();
	if (r < 0)
		return r;
	r = open_request(request, handler, context);
	if (r == 0)
		manager_step();
	manager_leave();
	return r;
}

ob_export int os_system_extension_manager_submit_request(os_system_extension_request_t *request)
{
	return submit(request, NULL, NULL);
}

ob_export int ob_system_extension_manager_submit_request_f(os_system_extension_request_t *request,
	void *context,
	void (*handler)(os_system_extension_request_t *, os_system_extension_request_result_t,
		const ob_error_t *, void *))
{
	return handler ? submit(request, handler, context) : -EINVAL;
}

ob_export int ob_system_extension_request_cancel(os_system_extension_request_t *request)
{
	int r = 0;

	if (!request)
		return -EINVAL;
	if (request->pid != getpid() || manager_claim() < 0)
		return -ECHILD;
	pthread_mutex_lock(&manager.lock);
	if (request->cancelled || request->state == REQUEST_ENDED) {
		r = -EALREADY;
	} else {
		request->cancelled = true;
		request->due |= request->state == REQUEST_OPEN ? DUE_CANCEL : 0;
		request->deadline_ns = manager_now() + manager.cancel_patience_ns;
		if (request->state == REQUEST_OPEN)
			manager_step();
	}
	pthread_mutex_unlock(&manager.lock);
	return r;
}
