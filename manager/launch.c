/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting an extension: what it is to become (launch/spec.h), its cgroup, its descriptors.
 *
 * Each socket pair of it has three holders: the extension, the manager or broker at the other end,
 * and the parent, which keeps the other end over a restart of those. The extension also holds the
 * other ends of its own sockets ("control-peer", "endpoint-peer"), which give it nothing but a way
 * to talk to itself: from there they are taken back when the parent, too, was killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/launch/spec.h"
#include "manager/log.h"
#include "manager/logging.h"
#include "manager/manager.h"
#include "manager/registry.h"

#define NAMES_MAX 8
#define CHILD_FD_FIRST 3 /* parent/spawn.c: the descriptors in their order from here on */
#define WRITE_ENTITLEMENT "org.outboard.file-system.write"

/* What an extension inherits, in its order: also how an orphan's are found again. */
struct plan {
	char names[1024];
	int fds[NAMES_MAX + 1]; /* [0] output */
	size_t n;
};

static void plan_add(struct plan *plan, const char *name, int fd)
{
	size_t used = strlen(plan->names);

	snprintf(plan->names + used, sizeof plan->names - used, "%s%s", used ? "," : "", name);
	plan->fds[++plan->n] = fd;
}

const char *launch_cgroup(const struct extension *extension, char buffer[static 64])
{
	snprintf(buffer, 64, "extension-%s", extension->id);
	return buffer;
}

static const char *stored_name(const char *what, uint64_t child, char buffer[static 64])
{
	snprintf(buffer, 64, "%s:%" PRIu64, what, child);
	return buffer;
}

static bool has_endpoint(const struct extension *extension)
{
	return extension->info.entitlement_bits & ENTITLEMENT_ENDPOINT_SECURITY_CLIENT;
}

static const struct {
	uint32_t entitlement;
	uint64_t capabilities;
} rights[] = {
	{ ENTITLEMENT_ENDPOINT_SECURITY_CLIENT,
		1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_KILL | 1ull << CAP_SYS_PTRACE },
	{ ENTITLEMENT_NETWORK_EXTENSION, 1ull << CAP_NET_RAW | 1ull << CAP_NET_BIND_SERVICE },
};

static void add_write_paths(const struct extension *extension, struct launch_spec *spec)
{
	json_t *root = json_loads(extension->info.entitlements, 0, NULL), *item;
	size_t i;

	json_array_foreach (json_object_get(root, WRITE_ENTITLEMENT), i, item) {
		const char *path = json_string_value(item);

		if (!path || path[0] != '/' || strstr(path, "/../") ||
			spec->n_write_paths == LAUNCH_PATHS_MAX)
			continue;
		if (STR_PUT(spec->write_paths[spec->n_write_paths], path) == 0)
			spec->n_write_paths++;
	}
	json_decref(root);
}

/* A root or a build tree below /tmp would vanish under the private one: its top folder stays seen. */
static void keep_below_tmp(struct launch_spec *spec, const char *path)
{
	char top[LAUNCH_PATH_BYTES];
	size_t bytes;
	uint32_t i;

	if (!path || !str_starts(path, "/tmp/"))
		return;
	bytes = strlen("/tmp/") + strcspn(path + strlen("/tmp/"), "/");
	snprintf(top, sizeof top, "%.*s", (int)bytes, path);
	for (i = 0; i < spec->n_keep_paths; i++)
		if (streq(spec->keep_paths[i], top))
			return;
	if (spec->n_keep_paths < LAUNCH_PATHS_MAX)
		STR_PUT(spec->keep_paths[i], top), spec->n_keep_paths = i + 1;
}

static int fill_spec(const struct extension *extension, struct launch_spec *spec)
{
	const struct manager *manager = extension->manager;
	char path[4096], tail[512], name[64];
	size_t i;
	int r;

	*spec = (struct launch_spec){ .version = LAUNCH_SPEC_VERSION,
		.open_files = config_number(manager->config, CONFIG_LIMIT_FILES) };
	for (i = 0; i < ARRAY_SIZE(rights); i++)
		if (extension->info.entitlement_bits & rights[i].entitlement)
			spec->capabilities |= rights[i].capabilities;
	STR_PUT(spec->identifier, extension->info.identifier);
	r = STR_PUT(spec->bundle, staging_path(extension, path));
	if (r == 0 &&
		snprintf(spec->executable, sizeof spec->executable, "%s/%s", spec->bundle,
			extension->info.executable) >= (int)sizeof spec->executable)
		r = -ENAMETOOLONG;
	if (r == 0)
		r = STR_PUT(spec->hidden, path_get(PATH_STATE, NULL, path));
	snprintf(tail, sizeof tail, "state/%s/%s",
		extension->info.team[0] ? extension->info.team : "unsigned",
		extension->info.identifier);
	if (r == 0)
		r = STR_PUT(spec->state_folder, path_get(PATH_STATE, tail, path));
	if (r < 0)
		return r;
	add_write_paths(extension, spec);
	keep_below_tmp(spec, getenv("OUTBOARD_ROOT"));
	keep_below_tmp(spec, getenv("OUTBOARD_LIBEXEC"));
	if (manager->has_cgroups)
		spec->n_groups = (uint32_t)cgroup_procs_files(
			&manager->cgroups, launch_cgroup(extension, name), spec->cgroup_procs);
	return 0;
}

static int make_cgroup(const struct extension *extension)
{
	const struct manager *manager = extension->manager;
	const struct cgroup_limits limits = {
		.memory_bytes = config_number(manager->config, CONFIG_LIMIT_MEMORY),
		.pids = (uint32_t)config_number(manager->config, CONFIG_LIMIT_PIDS),
		.cpu_percent = (uint32_t)config_number(manager->config, CONFIG_LIMIT_CPU),
	};
	char name[64];

	return manager->has_cgroups
		? cgroup_make(&manager->cgroups, launch_cgroup(extension, name), &limits)
		: 0;
}

/* A pair whose first end is stored with the parent under "@what:CHILD". Both ends are the caller's. */
static int make_pair(struct extension *extension, const char *what, int ret[static 2])
{
	char name[64];
	int r = wire_pair(ret);

	if (r < 0)
		return r;
	r = children_store(
		extension->manager->children, stored_name(what, extension->child, name), ret[0]);
	if (r < 0) {
		ret[0] = fd_close(ret[0]);
		ret[1] = fd_close(ret[1]);
	}
	return r;
}

static void add_services(const struct extension *extension, struct plan *plan)
{
	char name[BUNDLE_IDENTIFIER_BYTES + 16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(extension->info.service); i++) {
		int fd;

		if (!extension->info.service[i][0] ||
			(i == 1 && streq(extension->info.service[0], extension->info.service[1])))
			continue;
		snprintf(name, sizeof name, "service:%s", extension->info.service[i]);
		fd = children_stored(extension->manager->children, name);
		if (fd >= 0)
			plan_add(plan, name, fd);
	}
}

struct search {
	const struct extension *extension;
	struct parent_child found;
};

static int is_in_cgroup(void *context, const struct parent_child *child)
{
	struct search *search = context;
	char name[64];

	if (child->program != PARENT_PROGRAM_LAUNCH || child->code != 0 ||
		!cgroup_has_pid(&search->extension->manager->cgroups,
			launch_cgroup(search->extension, name), child->pid))
		return 0;
	search->found = *child;
	return 1;
}

bool launch_find(struct extension *extension)
{
	struct manager *manager = extension->manager;
	struct search search = { .extension = extension };

	if (!manager->has_cgroups || children_each(manager->children, is_in_cgroup, &search) <= 0)
		return false;
	extension->child = search.found.child;
	extension->pid = search.found.pid;
	extension->start_time = search.found.start_time;
	return true;
}

static int write_number(struct extension *extension)
{
	struct registry *registry = extension->manager->registry;
	int r = registry_begin(registry);

	if (r < 0)
		return r;
	r = registry_next_child(registry, &extension->child);
	if (r == 0)
		r = registry_put(registry, extension);
	if (r == 0)
		return registry_commit(registry);
	registry_rollback(registry);
	return r;
}

/*
 * The number goes into the registry before there is a process of that number. What was allowed to
 * run is started on a full disk, too: then it has a number that the counter does not reach, and is
 * found by its cgroup.
 */
static int number(struct extension *extension)
{
	int r;

	extension->pid = 0;
	extension->start_time = 0;
	r = write_number(extension);
	if (r != -ENOSPC || extension->state != STATE_ACTIVATED_ENABLED)
		return r;
	log_failure(LOG_REGISTRY_WRITE, extension->info.identifier, r, NULL);
	extension->child = now_real_usec();
	return 0;
}

static int spawn(struct extension *extension, struct plan *plan)
{
	int r = children_spawn(extension->manager->children, extension->child,
		PARENT_PROGRAM_LAUNCH, 0, plan->names, plan->fds, plan->n + 1, &extension->pid,
		&extension->start_time);

	if (r < 0)
		return r;
	/* if this cannot be written it is found by its number, as long as the parent lives */
	extension_write(extension);
	return 0;
}

/*
 * Its output: a pipe whose reading end the parent keeps, so that what is said while there is no
 * manager is read by the next one.
 */
static int open_output(struct extension *extension, int *ret_fd)
{
	struct manager *manager = extension->manager;
	_cleanup_fd_ int read_fd = -1, write_fd = -1;
	char name[64];
	int fds[2], r;

	if (!manager->log)
		return logging_daemon_fd(manager->children, ret_fd);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	read_fd = fds[0];
	write_fd = fds[1];
	r = children_store(manager->children, stored_name("log", extension->child, name), read_fd);
	if (r == 0)
		r = logs_add(manager->log, extension->info.identifier, TAKE_FD(read_fd));
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(write_fd);
	return 0;
}

int launch_extension(struct extension *extension)
{
	static struct launch_spec spec;
	struct manager *manager = extension->manager;
	_cleanup_fd_ int spec_fd = -1, output_fd = -1, control_fd = -1, endpoint_fd = -1;
	int pair[2] = { -1, -1 }, broker_fd = -1, r;
	struct plan plan = { 0 };

	r = number(extension);
	if (r == 0)
		r = fill_spec(extension, &spec);
	if (r == 0)
		r = make_cgroup(extension);
	if (r == 0)
		r = open_output(extension, &output_fd);
	if (r == 0)
		r = spec_fd = memfd_new_sealed("spec", &spec, sizeof spec);
	if (r >= 0)
		r = make_pair(extension, "control-end", pair);
	if (r < 0)
		return r;
	extension->control_fd = pair[0];
	control_fd = pair[1];
	plan.fds[0] = output_fd;
	plan_add(&plan, "spec", spec_fd);
	plan_add(&plan, "control", control_fd);
	plan_add(&plan, "control-peer", extension->control_fd);
	if (has_endpoint(extension)) {
		r = make_pair(extension, "broker-end", pair);
		if (r < 0)
			return r;
		broker_fd = pair[0];
		endpoint_fd = pair[1];
		plan_add(&plan, "endpoint", endpoint_fd);
		plan_add(&plan, "endpoint-peer", broker_fd);
	}
	add_services(extension, &plan);
	r = spawn(extension, &plan);
	if (r < 0) {
		fd_close(broker_fd);
		return r;
	}
	if (broker_fd >= 0)
		broker_add_client(manager->broker, extension->child, extension->pid,
			&extension->info, broker_fd);
	return control_socket_watch(extension);
}

/* One of the ends that the parent stores; if it is a new parent, from the extension itself. */
static int find_end(struct extension *extension, const char *what, int place)
{
	struct children *children = extension->manager->children;
	char name[64];
	int fd = children_stored(children, stored_name(what, extension->child, name));

	if (fd >= 0)
		return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	fd = children_get_fd(children, extension->child, CHILD_FD_FIRST + place);
	if (fd >= 0)
		children_store(children, name, fd);
	return fd;
}

/* Listeners are shared, so a new parent gets them from the one that was started with them. */
static void find_services(struct extension *extension, int place)
{
	struct children *children = extension->manager->children;
	struct plan plan = { 0 };
	char name[BUNDLE_IDENTIFIER_BYTES + 16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(extension->info.service); i++) {
		_cleanup_fd_ int fd = -1;

		if (!extension->info.service[i][0] ||
			(i == 1 && streq(extension->info.service[0], extension->info.service[1])))
			continue;
		snprintf(name, sizeof name, "service:%s", extension->info.service[i]);
		if (children_stored(children, name) >= 0)
			continue;
		fd = children_get_fd(
			children, extension->child, CHILD_FD_FIRST + place + (int)plan.n);
		if (fd >= 0)
			children_store(children, name, fd);
		plan_add(&plan, name, -1);
	}
}

/*
 * Where its output is read. The extension has the writing end alone; a pipe can be opened again by that,
 * and whatever else it has put there is none.
 */
static int find_output(struct extension *extension)
{
	struct children *children = extension->manager->children;
	char name[64], path[64];
	struct stat stat;
	int fd = children_stored(children, stored_name("log", extension->child, name));
	_cleanup_fd_ int write_fd = -1;

	if (fd >= 0)
		return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	write_fd = children_get_fd(children, extension->child, STDERR_FILENO);
	if (write_fd < 0 || fstat(write_fd, &stat) < 0 || !S_ISFIFO(stat.st_mode))
		return -ENOENT;
	snprintf(path, sizeof path, "/proc/self/fd/%d", write_fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		children_store(children, name, fd);
	return fd;
}

void launch_attach(struct extension *extension)
{
	struct manager *manager = extension->manager;
	int place = 3, broker_fd, log_fd;

	/* a new outboardd: its cgroup has been without limits (cgroup_release()) */
	make_cgroup(extension);
	log_fd = manager->log ? find_output(extension) : -1;
	if (log_fd >= 0)
		logs_add(manager->log, extension->info.identifier, log_fd);

	extension->control_fd = find_end(extension, "control-end", 2);
	if (extension->control_fd >= 0)
		control_socket_watch(extension);
	if (has_endpoint(extension)) {
		broker_fd = find_end(extension, "broker-end", 4);
		place = 5;
		if (broker_fd >= 0)
			broker_add_client(manager->broker, extension->child, extension->pid,
				&extension->info, broker_fd);
	}
	find_services(extension, place);
}

void launch_detach(struct extension *extension)
{
	struct manager *manager = extension->manager;
	char name[64];

	extension->control_source = sd_event_source_disable_unref(extension->control_source);
	extension->control_fd = fd_close(extension->control_fd);
	if (extension->child == 0)
		return;
	broker_drop_client(manager->broker, extension->child);
	children_unstore(manager->children, stored_name("control-end", extension->child, name));
	children_unstore(manager->children, stored_name("broker-end", extension->child, name));
	children_unstore(manager->children, stored_name("log", extension->child, name));
	if (manager->log)
		logs_drain(manager->log, extension->info.identifier);
	if (manager->has_cgroups)
		cgroup_remove(&manager->cgroups, launch_cgroup(extension, name));
}
