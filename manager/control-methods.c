/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be asked of org.outboard.Manager1. One row a method says who may and what runs. On the
 * private socket the caller is the socket's peer, as the kernel named it when it connected; on the
 * system bus the bus is asked, without waiting for it, and the call is kept until it has answered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/control-internal.h"

#define LOG_LINES_MAX 10000u

struct call {
	struct control *control;
	uid_t uid;
	sd_bus_message *message;
	sd_bus_error *error;
};

/* What the manager's functions return, as a reply. */
static int refuse(struct call *call, int r, const struct wire_error *refused)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_free_ char *text = NULL;

	if (r < 0)
		return sd_bus_error_set_errno(call->error, r);
	text = control_error_json(refused);
	if (!text)
		return -ENOMEM;
	r = sd_bus_message_new_method_errorf(
		call->message, &reply, "org.outboard.Error.Refused", "%s", refused->description);
	if (r >= 0)
		r = sd_bus_message_append(reply, "s", text);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int answer(struct call *call, int r, const struct wire_error *refused)
{
	return r == 0 ? sd_bus_reply_method_return(call->message, NULL) : refuse(call, r, refused);
}

static int answer_request(
	struct call *call, int r, uint64_t request, const struct wire_error *refused)
{
	_cleanup_free_ char *path = NULL;

	if (r != 0)
		return refuse(call, r, refused);
	r = control_path_of_request(request, &path);
	return r < 0 ? r : sd_bus_reply_method_return(call->message, "o", path);
}

static int call_activate(struct call *call)
{
	struct wire_error refused;
	const char *app_path, *identifier;
	uint64_t request = 0;
	int r = sd_bus_message_read(call->message, "ss", &app_path, &identifier);

	if (r < 0)
		return r;
	r = call->control->functions->activate(
		call->control->manager, call->uid, app_path, identifier, &request, &refused);
	return answer_request(call, r, request, &refused);
}

static int call_deactivate(struct call *call)
{
	struct wire_error refused;
	uint64_t request = 0;
	const char *id;
	int r = sd_bus_message_read(call->message, "s", &id);

	if (r < 0)
		return r;
	r = call->control->functions->deactivate(
		call->control->manager, call->uid, id, &request, &refused);
	return answer_request(call, r, request, &refused);
}

typedef int (*change_t)(void *manager, uint32_t uid, const char *id, struct wire_error *error);

static int call_change(struct call *call, change_t change)
{
	struct wire_error refused;
	const char *id;
	int r = sd_bus_message_read(call->message, "s", &id);

	return r < 0
		? r
		: answer(call, change(call->control->manager, call->uid, id, &refused), &refused);
}

static int call_approve(struct call *call)
{
	return call_change(call, call->control->functions->approve);
}

static int call_deny(struct call *call)
{
	return call_change(call, call->control->functions->deny);
}

static int call_enable(struct call *call)
{
	return call_change(call, call->control->functions->enable);
}

static int call_disable(struct call *call)
{
	return call_change(call, call->control->functions->disable);
}

static int call_uninstall(struct call *call)
{
	struct wire_error refused;
	const char *team, *identifier;
	int r = sd_bus_message_read(call->message, "ss", &team, &identifier);

	if (r < 0)
		return r;
	r = call->control->functions->uninstall(
		call->control->manager, call->uid, team, identifier, &refused);
	return answer(call, r, &refused);
}

static int call_reset(struct call *call)
{
	struct wire_error refused;

	return answer(call,
		call->control->functions->reset(call->control->manager, call->uid, &refused),
		&refused);
}

static int call_gc(struct call *call)
{
	struct wire_error refused;
	uint32_t removed = 0;
	int r = call->control->functions->gc(call->control->manager, call->uid, &removed, &refused);

	return r != 0 ? refuse(call, r, &refused)
		      : sd_bus_reply_method_return(call->message, "u", removed);
}

static int call_set_developer_mode(struct call *call)
{
	struct wire_error refused;
	int on, r = sd_bus_message_read(call->message, "b", &on);

	if (r < 0)
		return r;
	r = call->control->functions->set_developer_mode(
		call->control->manager, call->uid, on, &refused);
	return answer(call, r, &refused);
}

static int append_value(void *context, const struct control_value *value)
{
	int r = sd_bus_message_append(
		context, "(ssss)", value->section, value->key, value->value, value->source);

	return r < 0 ? r : 0;
}

static int call_get_config(struct call *call)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(call->message, &reply);

	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(ssss)");
	if (r >= 0)
		r = call->control->functions->list_config(
			call->control->manager, append_value, reply);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int call_get_errors(struct call *call)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r = sd_bus_message_new_method_return(call->message, &reply);

	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(issss)");
	for (int id = 0; r >= 0 && id < RULE_MAX_; id++) {
		const struct rule *rule = rule_get((enum rule_id)id);

		r = sd_bus_message_append(reply, "(issss)", (int)rule->code, rule->stage,
			rule->rule, rule->sentence, rule->recovery);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* First what there is, then, for who follows, a pipe of what comes: opened first, so nothing is missed. */
static int call_read_log(struct call *call)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	_cleanup_fd_ int stored_fd = -1, live_fd = -1;
	const char *source;
	uint64_t since_usec;
	uint32_t lines;
	int follow, r;

	r = sd_bus_message_read(call->message, "stub", &source, &since_usec, &lines, &follow);
	if (r < 0)
		return r;
	if (lines > LOG_LINES_MAX)
		return sd_bus_error_setf(call->error, SD_BUS_ERROR_INVALID_ARGS,
			"at most %u lines can be asked for", LOG_LINES_MAX);
	if (follow)
		r = control_log_follow(call->control, source, &live_fd);
	if (r >= 0)
		r = call->control->functions->read_log(
			call->control->manager, source, since_usec, lines, &stored_fd);
	if (r >= 0)
		r = sd_bus_message_new_method_return(call->message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "h");
	if (r >= 0)
		r = sd_bus_message_append(reply, "h", stored_fd);
	if (r >= 0 && follow)
		r = sd_bus_message_append(reply, "h", live_fd);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int call_read_endpoint(struct call *call)
{
	struct wire_error refused;
	_cleanup_fd_ int fd = -1;
	int r = call->control->functions->read_endpoint(call->control->manager, &fd, &refused);

	return r != 0 ? refuse(call, r, &refused)
		      : sd_bus_reply_method_return(call->message, "h", fd);
}

static void descriptors_done(struct control_descriptors *descriptors)
{
	for (size_t i = 0; i < descriptors->n; i++)
		fd_close(descriptors->fds[i]);
}

static int call_dev_run(struct call *call)
{
	_cleanup_(descriptors_done) struct control_descriptors descriptors = { 0 };
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct wire_error refused;
	const char *identifier, *entitlements;
	int pid_fd, r;

	r = sd_bus_message_read(call->message, "ssh", &identifier, &entitlements, &pid_fd);
	if (r < 0)
		return r;
	r = call->control->functions->dev_run(
		call->control->manager, identifier, entitlements, pid_fd, &descriptors, &refused);
	if (r != 0)
		return refuse(call, r, &refused);
	r = sd_bus_message_new_method_return(call->message, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "(sh)");
	for (size_t i = 0; r >= 0 && i < descriptors.n; i++)
		r = sd_bus_message_append(reply, "(sh)", descriptors.names[i], descriptors.fds[i]);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

struct method {
	const char *name;
	bool anybody;
	int (*run)(struct call *call);
};

static const struct method methods[] = {
	{ "Activate", false, call_activate },
	{ "Deactivate", false, call_deactivate },
	{ "Approve", false, call_approve },
	{ "Deny", false, call_deny },
	{ "Enable", false, call_enable },
	{ "Disable", false, call_disable },
	{ "Uninstall", false, call_uninstall },
	{ "Reset", false, call_reset },
	{ "Gc", false, call_gc },
	{ "SetDeveloperMode", false, call_set_developer_mode },
	{ "GetConfig", true, call_get_config },
	{ "GetErrors", true, call_get_errors },
	{ "ReadLog", false, call_read_log },
	{ "ReadEndpoint", false, call_read_endpoint },
	{ "DevRun", false, call_dev_run },
};

static int run_as(struct control *control, uid_t uid, sd_bus_message *message,
	const struct method *method, sd_bus_error *error)
{
	struct call call = { control, uid, message, error };

	if (uid != 0 && !method->anybody)
		return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
			"%s is for root only; this is user %u", method->name, (unsigned)uid);
	return method->run(&call);
}

/* A call over the system bus that waits for the bus to say whose it is. */
struct asked {
	struct control *control;
	sd_bus_message *message;
	const struct method *method;
};

static void asked_free(void *userdata)
{
	struct asked *asked = userdata;

	asked->control->n_calls--;
	sd_bus_message_unref(asked->message);
	free(asked);
}

static int on_caller(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
	struct asked *asked = userdata;
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	uint32_t uid;
	int r;

	if (sd_bus_message_is_method_error(reply, NULL) ||
		sd_bus_message_read(reply, "u", &uid) < 0)
		r = sd_bus_error_set(
			&error, SD_BUS_ERROR_ACCESS_DENIED, "the bus does not say who calls");
	else
		r = run_as(asked->control, uid, asked->message, asked->method, &error);
	if (r < 0)
		sd_bus_reply_method_errno(asked->message, r, &error);
	return 0;
}

static int ask_caller(struct control_link *link, sd_bus_message *message,
	const struct method *method, sd_bus_error *error)
{
	_cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
	struct asked *asked;
	int r;

	if (link->control->n_calls >= CONTROL_CALLS_MAX)
		return sd_bus_error_set(
			error, SD_BUS_ERROR_LIMITS_EXCEEDED, "too many calls are waiting");
	asked = calloc(1, sizeof(*asked));
	if (!asked)
		return -ENOMEM;
	*asked = (struct asked){ link->control, sd_bus_message_ref(message), method };
	link->control->n_calls++;
	r = sd_bus_call_method_async(link->bus, &slot, "org.freedesktop.DBus",
		"/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixUser", on_caller,
		asked, "s", sd_bus_message_get_sender(message));
	if (r < 0) {
		asked_free(asked);
		return r;
	}
	sd_bus_slot_set_destroy_callback(slot, asked_free);
	sd_bus_slot_set_floating(slot, 1);
	return 1;
}

int control_method(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct control_link *link = userdata;
	const struct method *method = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (sd_bus_message_is_method_call(message, CONTROL_NAME, methods[i].name))
			method = &methods[i];
	if (!method)
		return -ENOENT; /* the vtable has it and the table does not: a test compares them */
	if (link->is_system_bus)
		return ask_caller(link, message, method, error);
	return run_as(link->control, link->uid, message, method, error);
}

char *control_error_json(const struct wire_error *error)
{
	char stage[2 * sizeof(error->stage)], rule[2 * sizeof(error->rule)];
	char domain[2 * sizeof(error->domain)], description[2 * sizeof(error->description)];
	char recovery[2 * sizeof(error->recovery)], *text;
	int n;

	n = asprintf(&text,
		"{\"code\":%d,\"domain\":\"%s\",\"stage\":\"%s\",\"rule\":\"%s\",\"description\":\"%s\",\"recovery\":\"%s\",\"evidence\":%s}",
		error->code, log_escape(error->domain, domain, sizeof(domain)),
		log_escape(error->stage, stage, sizeof(stage)),
		log_escape(error->rule, rule, sizeof(rule)),
		log_escape(error->description, description, sizeof(description)),
		log_escape(error->recovery, recovery, sizeof(recovery)),
		*error->evidence ? error->evidence : "{}");
	return n < 0 ? NULL : text;
}
