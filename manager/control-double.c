/* SPDX-License-Identifier: Apache-2.0
 *
 * Test only: see control-double.h.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/str.h"
#include "base/wire.h"
#include "bundle/bundle.h"
#include "manager/broker-wire.h"
#include "manager/control-double.h"
#include "manager/control.h"

static struct control *control;
static bool developer_mode;
static struct control_request request = { .kind = "activate",
	.identifier = "org.example.agent",
	.team = "EXAMPLETM1",
	.app_path = "/opt/Example.app",
	.since_usec = 1 };
static bool has_request;
static char reason[32];

static struct control_extension extensions[] = {
	{ .id = DOUBLE_AGENT,
		.identifier = "org.example.agent",
		.team = "EXAMPLETM1",
		.team_name = "Example Ltd.",
		.version = "34",
		.short_version = "1.2",
		.name = "Example Agent",
		.usage = "Watches programs for the example.",
		.digest = "aa",
		.entitlements =
			"{\"com.apple.developer.endpoint-security.client\":true,\"org.example.other\":[\"one\"]}",
		.state = "activated_waiting_for_user",
		.origin_path = "/opt/Example.app/x",
		.app_path = "/opt/Example.app",
		.staged_path = "/var/lib/outboard/extensions/1",
		.categories = BUNDLE_CATEGORY_ENDPOINT_SECURITY,
		.since_usec = 1700000000000000,
		.active = true,
		.awaiting_approval = true },
	{ .id = DOUBLE_FILTER,
		.identifier = "org.example.filter",
		.team = "EXAMPLETM1",
		.team_name = "Example Ltd.",
		.version = "7",
		.short_version = "2.0",
		.name = "Example\tFilter",
		.usage = "Filters.",
		.digest = "bb",
		.entitlements = "{}",
		.state = "activated_enabled",
		.running_version = "2.0/7",
		.last_exit = "signal 9 (Killed)",
		.last_error =
			"{\"code\":1,\"rule\":\"internal.error\",\"description\":\"d\",\"recovery\":\"r\"}",
		.origin_path = "/opt/Filter.app/x",
		.app_path = "/opt/Filter.app",
		.categories = BUNDLE_CATEGORY_ENDPOINT_SECURITY | BUNDLE_CATEGORY_NETWORK_EXTENSION,
		.pid = 4242,
		.restarts = 3,
		.since_usec = 1700000000000000,
		.approved_by = "root",
		.approved_at_usec = 1700000000000000,
		.wanted = true,
		.active = true,
		.enabled = true,
		.running = true },
};

static struct control_extension *find(const char *id)
{
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
		if (extensions[i].id && streq(extensions[i].id, id))
			return &extensions[i];
	return NULL;
}

static bool get_developer_mode(void *manager)
{
	return developer_mode;
}

static int list_capabilities(
	void *manager, int (*each)(void *, const char *, const char *), void *context)
{
	return each(context, "endpoint-security", "up, 1 client");
}

static int list_extensions(
	void *manager, int (*each)(void *, const struct control_extension *), void *context)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(extensions); i++)
		if (extensions[i].id)
			r = each(context, &extensions[i]);
	return r;
}

static int get_extension(void *manager, const char *id, struct control_extension *ret)
{
	const struct control_extension *extension = find(id);

	if (!extension)
		return -ENOENT;
	*ret = *extension;
	return 0;
}

static int list_requests(
	void *manager, int (*each)(void *, const struct control_request *), void *context)
{
	return has_request ? each(context, &request) : 0;
}

static int get_request(void *manager, uint64_t id, struct control_request *ret)
{
	if (!has_request || id != request.id)
		return -ENOENT;
	*ret = request;
	return 0;
}

static int list_config(
	void *manager, int (*each)(void *, const struct control_value *), void *context)
{
	const struct control_value values[] = {
		{ "control", "system-bus", "yes", "default" },
		{ "endpoint", "sources", "plain", "/etc/outboard/outboard.conf:3" },
	};
	int r = each(context, &values[0]);

	return r < 0 ? r : each(context, &values[1]);
}

static int begin_request(uint64_t *ret, bool waits)
{
	request.id++;
	request.state = "validating";
	has_request = true;
	control_request_changed(control, request.id);
	request.state = "staging";
	request.extension = DOUBLE_AGENT;
	control_request_changed(control, request.id);
	*ret = request.id;
	if (waits)
		return 0;
	control_request_ended(control, request.id, "completed", NULL);
	has_request = false;
	return 0;
}

static int activate(void *manager, uint32_t uid, const char *app_path, const char *identifier,
	uint64_t *ret_request, struct wire_error *error)
{
	if (streq(app_path, "/opt/Refused.app")) {
		rule_error(error, RULE_INTERNAL, app_path, "the double \"refuses\" it", NULL);
		return 1;
	}
	return begin_request(ret_request, streq(app_path, "/opt/Waiting.app"));
}

static int deactivate(void *manager, uint32_t uid, const char *id, uint64_t *ret_request,
	struct wire_error *error)
{
	return find(id) ? begin_request(ret_request, false) : -ENOENT;
}

static int approve(void *manager, uint32_t uid, const char *id, struct wire_error *error)
{
	struct control_extension *extension = find(id);

	if (!extension)
		return -ENOENT;
	extension->state = "activated_enabled";
	extension->awaiting_approval = false;
	extension->enabled = true;
	extension->approved_by = "root";
	control_extension_changed(control, id);
	/* Nothing has changed since: nobody must hear of it. */
	control_extension_changed(control, id);
	return 0;
}

/* Each call is one change, so that a test can make any number of signals. */
static int deny(void *manager, uint32_t uid, const char *id, struct wire_error *error)
{
	struct control_extension *extension = find(id);
	static unsigned n;

	if (!extension)
		return -ENOENT;
	snprintf(reason, sizeof(reason), "denied %u", n++);
	extension->reason = reason;
	control_extension_changed(control, id);
	return 0;
}

static int set_enabled(const char *id, bool enabled)
{
	struct control_extension *extension = find(id);

	if (!extension)
		return -ENOENT;
	extension->enabled = enabled;
	extension->state = enabled ? "activated_enabled" : "activated_disabled";
	control_extension_changed(control, id);
	return 0;
}

static int enable(void *manager, uint32_t uid, const char *id, struct wire_error *error)
{
	return set_enabled(id, true);
}

static int disable(void *manager, uint32_t uid, const char *id, struct wire_error *error)
{
	return set_enabled(id, false);
}

static int uninstall(void *manager, uint32_t uid, const char *team, const char *identifier,
	struct wire_error *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		if (!extensions[i].id || !streq(extensions[i].team, team) ||
			!streq(extensions[i].identifier, identifier))
			continue;
		control_extension_removed(control, extensions[i].id);
		extensions[i].id = NULL;
		return 0;
	}
	rule_error(error, RULE_INTERNAL, identifier, "there is none", NULL);
	return 1;
}

static int reset(void *manager, uint32_t uid, struct wire_error *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
		if (extensions[i].id)
			uninstall(
				manager, uid, extensions[i].team, extensions[i].identifier, error);
	return 0;
}

static int gc(void *manager, uint32_t uid, uint32_t *ret_removed, struct wire_error *error)
{
	*ret_removed = 1;
	return 0;
}

static int set_developer_mode(void *manager, uint32_t uid, bool on, struct wire_error *error)
{
	static const char line[] = "{\"t\":1700000001.5,\"from\":\"outboardd\",\"text\":\"mode\"}";

	developer_mode = on;
	control_manager_changed(control);
	control_log_line(control, "outboardd", line, strlen(line));
	return 0;
}

static int read_log(
	void *manager, const char *source, uint64_t since_usec, uint32_t lines, int *ret_fd)
{
	static const char text[] =
		"{\"t\":1700000000.5,\"from\":\"outboardd\",\"level\":\"info\",\"id\":\"STARTED\",\"text\":\"started\",\"pid\":\"1\"}\n"
		"not JSON \033[31m\n";
	int fd = memfd_new_sealed("log", text, strlen(text));

	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

/* The broker's part, too. */
static int read_endpoint(void *manager, int *ret_fd, struct wire_error *error)
{
	static const char text[] = DOUBLE_REPORT;
	_cleanup_fd_ int theirs = -1, report = memfd_new_sealed("report", text, strlen(text));
	int pair[2];

	if (!developer_mode) {
		rule_error(error, RULE_ENDPOINT_NOT_RUNNING, "outboard-esd",
			"not running: no client", NULL);
		return 1;
	}
	if (wire_pair(pair) < 0)
		return -errno;
	theirs = pair[1];
	wire_send(theirs, BROKER_REPORTED, 0, 0, NULL, 0, &report, 1);
	*ret_fd = pair[0];
	return 0;
}

static int dev_run(void *manager, const char *identifier, const char *entitlements, int pid_fd,
	struct control_descriptors *ret, struct wire_error *error)
{
	if (!developer_mode) {
		rule_error(error, RULE_INTERNAL, identifier, "developer mode is off", NULL);
		return 1;
	}
	STR_PUT(ret->names[0], "control");
	ret->fds[0] = memfd_new_sealed("control", entitlements, strlen(entitlements));
	ret->n = 1;
	STR_PUT(ret->names[1], "endpoint");
	ret->fds[1] = memfd_new_sealed("endpoint", identifier, strlen(identifier));
	ret->n = 2;
	return 0;
}

static const struct control_manager functions = {
	.version = "0.1.0",
	.boot_id = "boot",
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

static bool address_of(const char *root, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return (size_t)snprintf(ret->sun_path, sizeof(ret->sun_path),
		       "%s/run/outboard/control.sock", root) < sizeof(ret->sun_path);
}

static int listen_at(const char *root)
{
	struct sockaddr_un address;
	char folder[PATH_MAX];
	int fd;

	snprintf(folder, sizeof(folder), "%s/run/outboard", root);
	if (mkdir_path(folder, 0755) < 0)
		return -errno;
	if (!address_of(root, &address))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(fd, 64) < 0 || chmod(address.sun_path, 0666) < 0)
		return -errno;
	return fd;
}

/* Ends as outboardd does, by freeing everything: a leak is then seen under a sanitizer. */
static int serve(int listen_fd, bool system_bus)
{
	sd_event *event = NULL;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = sd_event_new(&event);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = control_new(&functions, NULL, event, listen_fd, system_bus, &control);
	if (r >= 0)
		r = sd_event_loop(event);
	control = control_free(control);
	sd_event_unref(event);
	fd_close(listen_fd);
	return r < 0;
}

pid_t double_start(const char *root, bool system_bus)
{
	int fd = listen_at(root);
	sigset_t mask, before;
	pid_t pid;

	if (fd < 0)
		return fd;
	fflush(NULL);
	/* Blocked before there is a child: double_stop() may come before it has said a word. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigprocmask(SIG_BLOCK, &mask, &before);
	pid = fork();
	if (pid == 0)
		exit(serve(fd, system_bus));
	sigprocmask(SIG_SETMASK, &before, NULL);
	fd_close(fd);
	return pid < 0 ? -errno : pid;
}

bool double_stop(pid_t pid, const char *root)
{
	char command[PATH_MAX];
	int status;

	kill(pid, SIGTERM);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return false;
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command) == 0;
}

int double_connect_raw(const char *root)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
		(!address_of(root, &address) ||
			connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0))
		fd = fd_close(fd);
	return fd;
}

sd_bus *double_connect(const char *root)
{
	int fd = double_connect_raw(root);
	sd_bus *bus = NULL;

	if (fd < 0 || sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 ||
		sd_bus_negotiate_fds(bus, 1) < 0 || sd_bus_start(bus) < 0)
		return sd_bus_unref(bus);
	return bus;
}
