/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardd-manager: the registry, the states, requests, policy, approval and supervision. Started
 * by outboardd, from which it gets every descriptor that outlives it; it may be killed at any
 * moment, and the next one goes on where the registry says.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/log.h"
#include "manager/manager.h"
#include "manager/registry.h"

/* ---- Setting up ------------------------------------------------------------------------------- */

static int fail(const char *what, int r)
{
	log_failure(LOG_MANAGER_CANNOT_START, what, r, NULL);
	return r;
}

static const char *const how_texts[] = {
	[REGISTRY_OPENED] = "opened",
	[REGISTRY_CREATED] = "created",
	[REGISTRY_MOVED_ASIDE] = "moved aside",
};

static int open_registry(struct manager *manager)
{
	enum registry_how how;
	char path[PATH_MAX], text[16] = "";
	int version = 0, r;

	path_get(PATH_STATE, "registry.db", path);
	r = registry_open(path, &manager->registry, &how, &version);
	if (r == -EPROTONOSUPPORT)
		log_event(LOG_REGISTRY_NEWER, path, "version", LOG_NUMBER(version), "known",
			LOG_NUMBER(REGISTRY_VERSION), NULL);
	if (r < 0)
		return fail(path, r);
	if (how == REGISTRY_MOVED_ASIDE) {
		/* written, so that a manager that is killed meanwhile is followed by one that goes on */
		r = registry_set(manager->registry, "recovering", "yes");
		if (r < 0)
			return fail(path, r);
	}
	manager->registry_was_lost = registry_get(manager->registry, "recovering", text,
					     sizeof text) == 0 &&
		streq(text, "yes");
	log_event(how == REGISTRY_MOVED_ASIDE ? LOG_REGISTRY_LOST : LOG_REGISTRY_OPENED, path,
		"how", how_texts[how], NULL);
	manager->developer_mode = registry_get(manager->registry, "developer_mode", text,
					  sizeof text) == 0 &&
		streq(text, "on");
	return 0;
}

static int read_boot_id(struct manager *manager)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	int r = file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 128, &text, &bytes);

	if (r < 0)
		return fail("boot_id", r);
	text[strcspn(text, "\n")] = '\0';
	return STR_PUT(manager->boot_id, text);
}

static int load_config(struct manager *manager)
{
	char problem[1024];
	int r = config_load(&manager->config, problem);

	if (r < 0)
		log_event(LOG_CONFIG_BAD, problem, NULL);
	return r;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *context)
{
	struct manager *manager = context;

	manager->ending = true;
	return sd_event_exit(manager->event, 0);
}

static int add_sources(struct manager *manager)
{
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	r = sd_event_add_signal(manager->event, NULL, SIGTERM, on_signal, manager);
	if (r >= 0)
		r = sd_event_add_signal(manager->event, NULL, SIGINT, on_signal, manager);
	if (r >= 0)
		r = schedule_new(manager);
	return r < 0 ? r : 0;
}

static int serve(struct manager *manager)
{
	int control_fd = children_stored(manager->children, "listen:control");
	int listen_fd = children_stored(manager->children, "listen:manager");
	int r;

	if (control_fd < 0 || listen_fd < 0)
		return fail("listeners", -ENOENT);
	manager_control.boot_id = manager->boot_id;
	r = control_new(&manager_control, manager, manager->event, control_fd,
		config_bool(manager->config, CONFIG_SYSTEM_BUS), &manager->control);
	if (r < 0)
		return fail("control", r);
	r = reconcile(manager);
	if (r < 0)
		return fail("reconcile", r);
	return clients_listen(manager, listen_fd);
}

static void on_line(void *context, const char *source, const char *line, size_t bytes)
{
	struct manager *manager = context;

	if (manager->control)
		control_log_line(manager->control, source, line, bytes);
}

/* outboardd --log-stderr keeps no log: lines go where its own go. */
static int open_log(struct manager *manager)
{
	int fd = children_stored(manager->children, "log:daemon"), r;

	if (fd < 0)
		return 0;
	r = logs_new(manager->event, manager->config, on_line, manager, &manager->log);
	if (r == 0)
		r = logs_add(manager->log, "outboard", fcntl(fd, F_DUPFD_CLOEXEC, 3));
	return r < 0 ? fail("log", r) : 0;
}

static int set_up(struct manager *manager)
{
	int r = load_config(manager);

	if (r == 0)
		r = read_boot_id(manager);
	if (r < 0)
		return r;
	r = sd_event_new(&manager->event);
	if (r >= 0)
		r = add_sources(manager);
	if (r < 0)
		return fail("event loop", r);
	r = children_new(manager->event, fd_inherited("parent"), supervise_ended, manager,
		&manager->children);
	if (r < 0)
		return fail("parent", r);
	r = open_log(manager);
	if (r < 0)
		return r;
	manager->has_cgroups = cgroup_open(&manager->cgroups) == 0;
	r = open_registry(manager);
	if (r == 0)
		r = broker_new(manager, &manager->broker);
	if (r < 0)
		return r;
	policy_reload(manager);
	return manager->policy ? serve(manager) : -ENOMEM;
}

static void tear_down(struct manager *manager)
{
	clients_free(manager);
	while (manager->requests)
		request_abandon(manager->requests);
	developer_free(manager);
	manager->watch = watch_free(manager->watch);
	manager->control = control_free(manager->control);
	while (manager->extensions)
		extension_free(manager->extensions);
	broker_free(manager->broker);
	logs_free(manager->log);
	children_free(manager->children);
	policy_free(manager->policy);
	registry_free(manager->registry);
	config_free(manager->config);
	apps_forget();
	sd_event_source_disable_unref(manager->timer);
	sd_event_source_disable_unref(manager->later);
	sd_event_unref(manager->event);
}

int main(void)
{
	static struct manager manager;
	int r;

	log_set_name("outboardd-manager");
	umask(022);
	if (fd_inherited("parent") < 0) {
		fprintf(stderr, "outboardd-manager is started by outboardd\n");
		return 2;
	}
	r = set_up(&manager);
	if (r == 0) {
		log_event(LOG_STARTED, NULL, NULL);
		r = sd_event_loop(manager.event);
	}
	manager.ending = true;
	/* what waits for approval stays; the rows say where everything stands */
	tear_down(&manager);
	return r < 0 ? 1 : r;
}
