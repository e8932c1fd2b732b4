/* SPDX-License-Identifier: Apache-2.0
 *
 * What is said on the connection: each message of outboardd's and what becomes of it, and what
 * outboardd is yet to be told. Under the manager's lock, never waiting.
 */
#include <errno.h>
#include <string.h>
#include "base/str.h"
#include "manager/lib/lib.h"

/* ---- What outboardd says ---------------------------------------------------------------------- */

static os_system_extension_request_t *request_of(const struct wire_packet *packet)
{
	os_system_extension_request_t *request = manager.requests;

	while (request && request->id != packet->header.id)
		request = request->next;
	/* not ours any more: cancelled here while this was on its way */
	if (!request)
		return NULL;
	if (!request->cancelled)
		request->deadline_ns = 0;
	manager.pause_ms = PAUSE_MIN_MS;
	return request;
}

static int take_hello(void *context, struct wire_packet *packet)
{
	struct wire_hello hello;

	memcpy(&hello, packet->body, sizeof hello);
	if (hello.protocol == 0)
		return -EPROTO;
	manager.phase = PHASE_PROVING;
	return 0;
}

static int take_nonce(void *context, struct wire_packet *packet)
{
	int r = wire_send(manager.fd, WIRE_NONCE, 0, 0, packet->body, packet->body_bytes, NULL, 0);

	if (r == 0)
		manager.phase = PHASE_READY;
	return r;
}

static int take_status(void *context, struct wire_packet *packet)
{
	struct wire_status status;

	memcpy(&status, packet->body, sizeof status);
	if (packet->header.id != manager.observe_id || !manager.observe_id || status.status > 0)
		return -EPROTO;
	manager.observe_id = 0;
	manager.observing = status.status == 0 && manager.observe_on;
	manager.observe_refused = status.status < 0;
	if (manager.observe_on)
		observations_settle(status.status);
	return 0;
}

static int take_needs_approval(void *context, struct wire_packet *packet)
{
	os_system_extension_request_t *request = request_of(packet);

	if (request)
		request_tell_approval(request);
	return 0;
}

static int take_replace(void *context, struct wire_packet *packet)
{
	const struct request_replace *wire = (const void *)packet->body;
	const os_system_extension_properties_t *existing, *replacing;
	os_system_extension_request_t *request = request_of(packet);
	int r;

	if (!request)
		return 0;
	if (request->kind != REQUEST_ACTIVATE)
		return -EPROTO;
	r = properties_new(&wire->existing, &existing);
	if (r < 0)
		return r;
	r = properties_new(&wire->extension, &replacing);
	if (r < 0) {
		properties_unref(existing);
		return r;
	}
	request_ask_replacement(request, existing, replacing);
	return 0;
}

static int take_properties(void *context, struct wire_packet *packet)
{
	os_system_extension_request_t *request = request_of(packet);
	int r;

	if (!request)
		return 0;
	if (request->kind != REQUEST_PROPERTIES_OF || request->n_found == FOUND_MAX)
		return -EPROTO;
	r = properties_new((const void *)packet->body, &request->found[request->n_found]);
	if (r == 0)
		request->n_found++;
	return r;
}

static int take_finished(void *context, struct wire_packet *packet)
{
	os_system_extension_request_t *request = request_of(packet);
	struct request_finished finished;

	if (!request)
		return 0;
	memcpy(&finished, packet->body, sizeof finished);
	if (finished.n_properties != request->n_found)
		return -EPROTO;
	request_end(request, (os_system_extension_request_result_t)finished.result, NULL);
	return 0;
}

static int take_failed(void *context, struct wire_packet *packet)
{
	os_system_extension_request_t *request = request_of(packet);
	const struct wire_error *wire = (const void *)packet->body;

	if (!request)
		return 0;
	if (!STR_FIELD_OK(wire->domain) || !STR_FIELD_OK(wire->stage) ||
		!STR_FIELD_OK(wire->rule) || !STR_FIELD_OK(wire->description) ||
		!STR_FIELD_OK(wire->recovery) || !STR_FIELD_OK(wire->evidence))
		return -EPROTO;
	request_end(request, OS_SYSTEM_EXTENSION_REQUEST_COMPLETED, error_of_wire(wire));
	return 0;
}

static int take_event(void *context, struct wire_packet *packet)
{
	const struct request_workspace_event *wire = (const void *)packet->body;
	const os_system_extension_info_t *info;
	int r = info_new(wire, &info);

	if (r < 0)
		return r;
	observations_tell((enum workspace_event)wire->event, info);
	info_unref(info);
	return 0;
}

#define ROW(type_, bytes_, phases_, handler_)                                                     \
	{                                                                                         \
		.type = (type_), .flags = WIRE_FLAG_ALL, .bytes_min = (bytes_),                   \
		.bytes_max = (bytes_), .phases = (phases_), .handler = (handler_), .name = #type_ \
	}

static const struct wire_row rows[] = {
	ROW(WIRE_HELLO, sizeof(struct wire_hello), PHASE_GREETING, take_hello),
	ROW(WIRE_NONCE, sizeof(struct wire_nonce), PHASE_PROVING, take_nonce),
	ROW(WIRE_STATUS, sizeof(struct wire_status), PHASE_READY, take_status),
	ROW(REQUEST_NEEDS_APPROVAL, 0, PHASE_READY, take_needs_approval),
	ROW(REQUEST_REPLACE, sizeof(struct request_replace), PHASE_READY, take_replace),
	ROW(REQUEST_PROPERTIES, sizeof(struct wire_properties), PHASE_READY, take_properties),
	ROW(REQUEST_FINISHED, sizeof(struct request_finished), PHASE_READY, take_finished),
	ROW(REQUEST_FAILED, sizeof(struct wire_error), PHASE_READY, take_failed),
	ROW(WORKSPACE_EVENT, sizeof(struct request_workspace_event), PHASE_READY, take_event),
};

int exchange_receive(void)
{
	int r;

	do {
		r = wire_receive(manager.fd, &manager.packet, MSG_DONTWAIT);
		if (r == 0)
			r = wire_dispatch(
				rows, ARRAY_SIZE(rows), manager.phase, &manager.packet, NULL);
	} while (r == 0);
	return r;
}

/* ---- What outboardd is told ------------------------------------------------------------------- */

static int send_submit(os_system_extension_request_t *request)
{
	struct request_submit submit = { .kind = request->kind, .again = request->submitted };
	int r;

	STR_PUT(submit.identifier, request->identifier);
	r = WIRE_SEND(manager.fd, REQUEST_SUBMIT, request->id, &submit);
	if (r == 0)
		request->submitted = true;
	return r;
}

static int send_answer(os_system_extension_request_t *request)
{
	const struct request_replace_answer answer = { .action = request->action };

	return WIRE_SEND(manager.fd, REQUEST_REPLACE_ANSWER, request->id, &answer);
}

static int send_cancel(os_system_extension_request_t *request)
{
	return wire_send(manager.fd, REQUEST_CANCEL, 0, request->id, NULL, 0, NULL, 0);
}

static const struct {
	unsigned due;
	int (*send)(os_system_extension_request_t *request);
} senders[] = {
	{ DUE_SUBMIT, send_submit },
	{ DUE_ANSWER, send_answer },
	{ DUE_CANCEL, send_cancel },
};

static int send_due(os_system_extension_request_t *request)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(senders); i++) {
		int r;

		if (!(request->due & senders[i].due))
			continue;
		r = senders[i].send(request);
		if (r < 0)
			return r;
		request->due &= ~senders[i].due;
	}
	return 0;
}

static int send_observe(void)
{
	const struct request_observe observe = { .on = manager.observations != NULL };
	int r;

	if (manager.observe_id || manager.observe_refused || manager.observing == !!observe.on)
		return 0;
	r = WIRE_SEND(manager.fd, WORKSPACE_OBSERVE, manager.last_id + 1, &observe);
	if (r == 0) {
		manager.observe_id = ++manager.last_id;
		manager.observe_on = observe.on;
	}
	return r;
}

int exchange_flush(void)
{
	os_system_extension_request_t *request;
	int r = send_observe();

	for (request = manager.requests; request && r == 0; request = request->next)
		r = request->due ? send_due(request) : 0;
	return r;
}
