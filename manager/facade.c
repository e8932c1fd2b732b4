/* SPDX-License-Identifier: Apache-2.0
 *
 * What the D-Bus server sees of the manager (control.h).
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/log.h"
#include "manager/manager.h"
#include "manager/registry.h"

/* Strings that are made for one answer, and live until the next. */
static char running_version[160], staged_path[4096];

static bool get_developer_mode(void *context)
{
	const struct manager *manager = context;

	return manager->developer_mode;
}

static int list_capabilities(
	void *context, int (*each)(void *, const char *, const char *), void *each_context)
{
	static const struct {
		enum cgroup_controller controller;
		const char *name;
	} limits[] = { { CGROUP_MEMORY, "limit-memory" }, { CGROUP_PIDS, "limit-pids" },
		{ CGROUP_CPU, "limit-cpu" } };
	/* What this version lacks on every machine: a client that reads 0 must not take it for none. */
	static const struct {
		const char *name, *state;
	} lacking[] = {
		{ "endpoint-security-exec-entitlements",
			"not known: es_exec_entitlements() is NULL" },
		{ "network-extension", "not in this version" },
		{ "driver-extension", "not in this version" },
	};
	struct manager *manager = context;
	char text[BROKER_MISSES_BYTES];
	size_t i;
	int r = each(each_context, "endpoint-security", broker_state(manager->broker, text));

	if (r == 0 && broker_misses(manager->broker, text))
		r = each(each_context, "endpoint-security-deadlines", text);

	for (i = 0; r == 0 && i < ARRAY_SIZE(lacking); i++)
		r = each(each_context, lacking[i].name, lacking[i].state);
	for (i = 0; r == 0 && i < ARRAY_SIZE(limits); i++)
		r = each(each_context, limits[i].name,
			manager->has_cgroups &&
					manager->cgroups.controllers & 1u << limits[i].controller
				? "held by its cgroup"
				: "not there: no cgroup controller");
	if (r == 0)
		r = each(each_context, "policy", str_or(policy_problem(manager->policy), "valid"));
	return r;
}

static void show(const struct extension *extension, struct control_extension *ret)
{
	const struct state_row *row = state_get(extension->state);
	bool running = extension->pid > 0 && extension->process != PROCESS_NONE;

	snprintf(running_version, sizeof running_version, "%s/%s", extension->info.short_version,
		extension->info.version);
	*ret = (struct control_extension){
		.id = extension->id,
		.identifier = extension->info.identifier,
		.team = extension->info.team,
		.team_name = extension->info.team_name,
		.version = extension->info.version,
		.short_version = extension->info.short_version,
		.name = extension->info.name,
		.usage = extension->info.usage,
		.digest = extension->info.digest,
		.entitlements = extension->info.entitlements,
		.state = row->name,
		.reason = extension->reason,
		.running_version = running ? running_version : "",
		.last_error = extension->last_error,
		.last_exit = extension->last_exit,
		.approved_by = extension->approved_by,
		.origin_path = extension->origin_path,
		.app_path = extension->app_path,
		.staged_path = staging_path(extension, staged_path),
		.categories = extension->info.categories,
		.pid = running ? (uint32_t)extension->pid : 0,
		.restarts = extension->restarts,
		.since_usec = extension->since_usec,
		.approved_at_usec = extension->approved_at_usec,
		.wanted = extension->wanted,
		.active = extension->slot,
		.enabled = row->group == GROUP_ON,
		.running = running,
		.awaiting_approval = extension->state == STATE_ACTIVATED_WAITING_FOR_USER,
		.uninstalling = row->group == GROUP_REMOVING,
	};
}

static int list_extensions(
	void *context, int (*each)(void *, const struct control_extension *), void *each_context)
{
	struct manager *manager = context;
	const struct extension *extension;
	struct control_extension shown;
	int r = 0;

	for (extension = manager->extensions; r == 0 && extension; extension = extension->next) {
		show(extension, &shown);
		r = each(each_context, &shown);
	}
	return r;
}

static int get_extension(void *context, const char *id, struct control_extension *ret)
{
	const struct extension *extension = extension_of_id(context, id);

	if (!extension)
		return -ENOENT;
	show(extension, ret);
	return 0;
}

static void show_request(const struct request *request, struct control_request *ret)
{
	*ret = (struct control_request){
		.id = request->number,
		.kind = request_kind_name(request->kind),
		.identifier = request->identifier,
		.team = request->team,
		.app_path = request->app_path,
		.state = request_step_name(request->step),
		.extension = request->extension ? request->extension->id : "",
		.uid = request->uid,
		.pid = request->pid,
		.since_usec = request->since_usec,
	};
}

static int list_requests(
	void *context, int (*each)(void *, const struct control_request *), void *each_context)
{
	struct manager *manager = context;
	const struct request *request;
	struct control_request shown;
	int r = 0;

	for (request = manager->requests; r == 0 && request; request = request->next) {
		if (request->kind == REQUEST_OBSERVE)
			continue;
		show_request(request, &shown);
		r = each(each_context, &shown);
	}
	return r;
}

static int get_request(void *context, uint64_t id, struct control_request *ret)
{
	const struct request *request = request_of_number(context, id);

	if (!request || request->kind == REQUEST_OBSERVE)
		return -ENOENT;
	show_request(request, ret);
	return 0;
}

static int list_config(
	void *context, int (*each)(void *, const struct control_value *), void *each_context)
{
	struct manager *manager = context;
	struct control_value value;
	int id, r = 0;

	for (id = 0; r == 0 && id < CONFIG_MAX_; id++) {
		config_describe(manager->config, (enum config_id)id, &value.section, &value.key,
			&value.value, &value.source);
		r = each(each_context, &value);
	}
	return r;
}

static int refuse(
	struct wire_error *error, enum rule_id rule, const char *object, const char *detail)
{
	rule_error(error, rule, object, detail, NULL);
	return 1;
}

static int activate(void *context, uint32_t uid, const char *app_path, const char *identifier,
	uint64_t *ret_request, struct wire_error *error)
{
	struct manager *manager = context;
	_cleanup_free_ char *path = realpath(app_path, NULL);
	struct request *request;
	int r;

	if (!path)
		return refuse(error, RULE_APP_UNREADABLE, app_path, strerror(errno));
	if (!str_ends(path, ".app"))
		return refuse(error, RULE_APP_UNREADABLE, path, "its name does not end in .app");
	if (!identifier[0] || strchr(identifier, '/') || identifier[0] == '.')
		return refuse(error, RULE_REQUEST_IDENTIFIER, identifier[0] ? identifier : path,
			"letters, digits, dots, - and _ are allowed");
	r = request_new(manager, REQUEST_ACTIVATE, ORIGIN_ROOT, identifier, &request);
	if (r < 0)
		return r;
	request->uid = uid;
	*ret_request = request->number;
	r = replace_string(&request->app_path, path);
	if (r < 0) {
		request_abandon(request);
		return r;
	}
	control_request_changed(manager->control, request->number);
	activate_begin(request);
	return 0;
}

static int deactivate(void *context, uint32_t uid, const char *id, uint64_t *ret_request,
	struct wire_error *error)
{
	struct manager *manager = context;
	struct extension *extension = extension_of_id(manager, id);
	struct request *request;
	int r;

	if (!extension)
		return refuse(error, RULE_EXTENSION_NOT_ACTIVE, id, "there is no such copy");
	r = request_new(
		manager, REQUEST_DEACTIVATE, ORIGIN_ROOT, extension->info.identifier, &request);
	if (r < 0)
		return r;
	request->uid = uid;
	*ret_request = request->number;
	if (extension->app_path)
		replace_string(&request->app_path, extension->app_path);
	request->extension = extension;
	control_request_changed(manager->control, request->number);
	remove_begin(request);
	return 0;
}

static int of_copy(void *context, uint32_t uid, const char *id,
	int (*act)(struct extension *, uint32_t, struct wire_error *), struct wire_error *error)
{
	struct extension *extension = extension_of_id(context, id);

	if (!extension)
		return refuse(error, RULE_EXTENSION_NOT_ACTIVE, id, "there is no such copy");
	return act(extension, uid, error);
}

static int approve(void *context, uint32_t uid, const char *id, struct wire_error *error)
{
	return of_copy(context, uid, id, approval_approve, error);
}

static int deny(void *context, uint32_t uid, const char *id, struct wire_error *error)
{
	return of_copy(context, uid, id, approval_deny, error);
}

static int enable(void *context, uint32_t uid, const char *id, struct wire_error *error)
{
	return of_copy(context, uid, id, approval_enable, error);
}

static int disable(void *context, uint32_t uid, const char *id, struct wire_error *error)
{
	return of_copy(context, uid, id, approval_disable, error);
}

static int forget_approvals(
	struct manager *manager, const char *team, const char *identifier, struct wire_error *error)
{
	int r = registry_forget_approvals(manager->registry, team, identifier);

	if (r == 0)
		return 0;
	return refuse(error, r == -ENOSPC ? RULE_REGISTRY_NO_SPACE : RULE_INTERNAL,
		str_or(identifier, "approvals"), strerror(-r));
}

static int uninstall(void *context, uint32_t uid, const char *team, const char *identifier,
	struct wire_error *error)
{
	struct manager *manager = context;
	const char *of = streq(team, "-") ? "" : team;
	int r;

	if (policy_is_non_removable(manager->policy, of, identifier))
		return refuse(error, RULE_POLICY_NON_REMOVABLE, identifier,
			"NonRemovableSystemExtensions");
	r = forget_approvals(manager, of, identifier, error);
	if (r != 0)
		return r;
	if (remove_all(manager, of, identifier, "uninstalled by root") == 0)
		return refuse(error, RULE_EXTENSION_NOT_ACTIVE, identifier, team);
	return 0;
}

static int reset(void *context, uint32_t uid, struct wire_error *error)
{
	struct manager *manager = context;
	struct extension *extension;
	int r;

	for (extension = manager->extensions; extension; extension = extension->next)
		if (policy_is_non_removable(
			    manager->policy, extension->info.team, extension->info.identifier))
			return refuse(error, RULE_POLICY_NON_REMOVABLE, extension->info.identifier,
				"NonRemovableSystemExtensions");
	r = forget_approvals(manager, NULL, NULL, error);
	for (extension = manager->extensions; r == 0 && extension; extension = extension->next)
		remove_one(extension, "reset by root");
	return r;
}

static int gc(void *context, uint32_t uid, uint32_t *ret_removed, struct wire_error *error)
{
	struct manager *manager = context;
	struct extension *extension;

	*ret_removed = 0;
	for (extension = manager->extensions; extension; extension = extension->next) {
		if (state_get(extension->state)->group == GROUP_REMOVING ||
			extension->state <= STATE_VALIDATING_BY_CATEGORY ||
			policy_is_kept_from_ui(manager->policy, extension->info.team,
				extension->info.identifier) ||
			!watch_app_is_gone(extension))
			continue;
		if (remove_one(extension, "its app is gone") == 0)
			(*ret_removed)++;
	}
	staging_remove_strangers(manager);
	return 0;
}

static int set_developer_mode(void *context, uint32_t uid, bool on, struct wire_error *error)
{
	struct manager *manager = context;
	int r = registry_set(manager->registry, "developer_mode", on ? "on" : "off");

	if (r < 0)
		return refuse(error, r == -ENOSPC ? RULE_REGISTRY_NO_SPACE : RULE_INTERNAL,
			"developer mode", strerror(-r));
	manager->developer_mode = on;
	log_event(LOG_DEVELOPER_MODE, on ? "on" : "off", "uid", LOG_NUMBER(uid), NULL);
	/* what was let in unsigned is not let in any more */
	apps_forget();
	broker_settings_changed(manager->broker);
	control_manager_changed(manager->control);
	return 0;
}

static int read_log(
	void *context, const char *source, uint64_t since_usec, uint32_t lines, int *ret_fd)
{
	struct manager *manager = context;

	/* outboardd --log-stderr keeps none */
	return manager->log ? logs_read(manager->log, source, since_usec, lines, ret_fd)
			    : -EOPNOTSUPP;
}

static int read_endpoint(void *context, int *ret_fd, struct wire_error *error)
{
	struct manager *manager = context;
	char why[256];
	int r = broker_report(manager->broker, ret_fd, why);

	return r > 0 ? refuse(error, RULE_ENDPOINT_NOT_RUNNING, "outboard-esd", why) : r;
}

static int dev_run(void *context, const char *identifier, const char *entitlements, int pid_fd,
	struct control_descriptors *ret, struct wire_error *error)
{
	return developer_run(context, identifier, entitlements, pid_fd, ret, error);
}

/* .boot_id is set by main.c, before the server is made */
struct control_manager manager_control = {
	.version = VERSION,
	.get_developer_mode = get_developer_mode,
	.list_capabilities = list_capabilities,
	.list_extensions = list_extensions,
	.get_extension = get_extension,
	.list_requests = list_requests,
	.get_request = get_request,
	.list_config = list_config,
	.activate = activate,
	.deactivate = deactivate,
	.approve = approve,
	.deny = deny,
	.enable = enable,
	.disable = disable,
	.uninstall = uninstall,
	.reset = reset,
	.gc = gc,
	.set_developer_mode = set_developer_mode,
	.read_log = read_log,
	.read_endpoint = read_endpoint,
	.dev_run = dev_run,
};
