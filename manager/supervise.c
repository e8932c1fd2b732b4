/* SPDX-License-Identifier: Apache-2.0
 *
 * The process of an extension: started, up, ended, started again, stopped. Its death is seen through
 * its pidfd (children.c); it has ended when nothing is left in its cgroup.
 *
 * Of two copies of one extension at most one has a process: an upgrade waits here until the old one
 * is gone, with everything that it had forked.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/launch/spec.h"
#include "manager/manager.h"

#define UP_USEC (1 * 1000000ull) /* up after running so long, when it does not say so */
#define TERM_USEC (5 * 1000000ull)
#define BACKOFF_USEC 100000ull
#define SHORTAGE_USEC (5 * 1000000ull)
#define BACKOFF_MAX_USEC (30 * 1000000ull)

static void set_timer(struct extension *extension, uint64_t wait_usec)
{
	extension->timer_usec = wait_usec ? now_usec() + wait_usec : 0;
	manager_arm(extension->manager);
}

static bool has_process(const struct extension *extension)
{
	return extension->process != PROCESS_NONE;
}

static const struct extension *find_running_twin(const struct extension *extension)
{
	const struct extension *other;

	for (other = extension->manager->extensions; other; other = other->next)
		if (other != extension && extension_same(other, extension) && has_process(other))
			return other;
	return NULL;
}

void supervise_forget_deaths(struct extension *extension)
{
	extension->n_deaths = extension->quick_deaths = 0;
	extension->window_usec = 0;
}

/* ---- Up --------------------------------------------------------------------------------------- */

/* The copies whose place this one has taken are not needed any more. */
static size_t add_replaced(struct extension *extension, struct transition *transitions, size_t max)
{
	struct extension *other;
	size_t n = 0;

	for (other = extension->manager->extensions; other && n < max; other = other->next)
		if (other != extension && extension_same(other, extension) &&
			other->state == STATE_TERMINATING_FOR_UPGRADE_VIA_DELEGATE)
			transitions[n++] = (struct transition){ other,
				STATE_TERMINATING_FOR_UNINSTALL, "replaced by a newer version" };
	return n;
}

void supervise_ready(struct extension *extension)
{
	struct transition transitions[4];
	char reason[REASON_BYTES];
	size_t n, i;

	if (extension->process != PROCESS_STARTING)
		return;
	extension->process = PROCESS_UP;
	set_timer(extension, 0);
	if (extension->state == STATE_ACTIVATED_ENABLING) {
		n = add_replaced(extension, transitions, 3);
		/* why it was started stays: that it was rolled back, that a registry was lost */
		STR_PUT(reason, extension->reason);
		transitions[n++] = (struct transition){ extension, STATE_ACTIVATED_ENABLED,
			reason };
		if (transition_all(extension->manager, transitions, n) < 0) {
			/* tried again when the state's deadline comes */
			extension->process = PROCESS_STARTING;
			set_timer(extension, UP_USEC);
			return;
		}
		for (i = 0; i + 1 < n; i++)
			supervise_stop(transitions[i].extension);
	}
	control_extension_changed(extension->manager->control, extension->id);
	broker_entitle(extension->manager->broker, extension, true);
	requests_finish(extension, 0);
	watch_renew(extension->manager->watch);
}

/* ---- Failed ----------------------------------------------------------------------------------- */

struct extension *supervise_find_parked(const struct extension *extension)
{
	struct extension *other, *best = NULL;

	for (other = extension->manager->extensions; other; other = other->next)
		if (other != extension && extension_same(other, extension) &&
			other->state == STATE_TERMINATING_FOR_UPGRADE_VIA_DELEGATE &&
			(!best || other->since_usec > best->since_usec))
			best = other;
	return best;
}

/* The new version does not come up: the old one comes back. Its listeners were never closed. */
static int roll_back(
	struct extension *extension, struct extension *old, const struct wire_error *error)
{
	struct transition both[2];
	char reason[REASON_BYTES];
	int r;

	snprintf(reason, sizeof reason, "rolled back: version %.60s %.120s",
		extension->info.short_version,
		extension->reason[0] ? extension->reason : error->rule);
	both[0] = (struct transition){ extension, STATE_TERMINATING_FOR_UNINSTALL,
		"did not come up" };
	both[1] = (struct transition){ old, STATE_ACTIVATED_ENABLING, reason };
	extension_set_error(old, error);
	/* it lies in the app still, and is not tried again unless the app asks */
	STR_PUT(old->refused_digest, extension->info.digest);
	r = transition_all(extension->manager, both, 2);
	if (r < 0)
		return r;
	log_event(LOG_EXTENSION_ROLLED_BACK, extension->info.identifier, "version",
		extension->info.short_version, "because", error->description, NULL);
	requests_fail(extension, error);
	supervise_stop(extension);
	supervise_start(old);
	return 0;
}

static void quarantine(struct extension *extension, const struct wire_error *error)
{
	char reason[REASON_BYTES];

	snprintf(reason, sizeof reason, "crash loop: %u deaths, the last one %.100s",
		extension->n_deaths, extension->last_exit);
	log_event(LOG_EXTENSION_QUARANTINED, extension->info.identifier, "because", reason, NULL);
	extension_set_error(extension, error);
	set_timer(extension, 0);
	broker_entitle(extension->manager->broker, extension, false);
	transition_to(extension, STATE_ACTIVATED_DISABLED, reason);
	requests_fail(extension, error);
}

static bool is_crash_loop(struct extension *extension)
{
	const struct config *config = extension->manager->config;
	uint64_t window = config_number(config, CONFIG_CRASH_WINDOW) * 1000000, now = now_usec();
	unsigned limit = (unsigned)config_number(config, CONFIG_CRASH_LIMIT);

	if (extension->window_usec == 0 || now - extension->window_usec > window) {
		extension->window_usec = now;
		extension->n_deaths = 0;
	}
	return ++extension->n_deaths >= limit;
}

static uint64_t next_wait(struct extension *extension)
{
	uint64_t window = config_number(extension->manager->config, CONFIG_CRASH_WINDOW) * 1000000;
	uint64_t wait;

	if (now_usec() - extension->started_usec > window)
		extension->quick_deaths = 0;
	if (extension->quick_deaths++ == 0)
		return 0;
	wait = BACKOFF_USEC << (extension->quick_deaths < 10 ? extension->quick_deaths - 2 : 8);
	return wait < BACKOFF_MAX_USEC ? wait : BACKOFF_MAX_USEC;
}

/* It has died, or could not be started, while it was wanted. */
static void failed(struct extension *extension)
{
	struct extension *old = supervise_find_parked(extension);
	struct wire_error error;
	uint64_t wait;

	rule_error(&error, RULE_SUPERVISE_NOT_UP, extension->info.identifier, extension->last_exit,
		NULL);
	if (extension->state == STATE_ACTIVATED_ENABLING && old &&
		roll_back(extension, old, &error) == 0)
		return;
	if (is_crash_loop(extension)) {
		rule_error(&error, RULE_SUPERVISE_CRASH_LOOP, extension->info.identifier,
			extension->last_exit, NULL);
		quarantine(extension, &error);
		return;
	}
	wait = next_wait(extension);
	extension->restarts++;
	log_event(LOG_EXTENSION_RESTART, extension->info.identifier, "after", extension->last_exit,
		"in_ms", LOG_NUMBER(wait / 1000), "restarts", LOG_NUMBER(extension->restarts),
		NULL);
	if (wait == 0) {
		supervise_start(extension);
		return;
	}
	extension_write(extension);
	set_timer(extension, wait);
}

/* ---- Start ------------------------------------------------------------------------------------ */

static bool is_due(const struct extension *extension)
{
	return extension->state == STATE_ACTIVATED_ENABLING ||
		extension->state == STATE_ACTIVATED_ENABLED;
}

static int sweep(struct extension *extension);

void supervise_start(struct extension *extension)
{
	int r;

	/* whatever ends looks here again: start_waiting() */
	if (!is_due(extension) || has_process(extension) || extension->manager->ending ||
		find_running_twin(extension))
		return;
	set_timer(extension, 0);
	/* what an earlier process of this copy has left behind goes first */
	if (sweep(extension) > 0)
		return;
	extension->started_usec = now_usec();
	r = service_open(extension);
	broker_introduce(extension->manager->broker, extension);
	if (r == 0)
		r = launch_extension(extension);
	if (r < 0) {
		snprintf(extension->last_exit, sizeof extension->last_exit, "not started: %.40s",
			strerror(-r));
		log_failure(LOG_EXTENSION_NOT_STARTED, extension->info.identifier, r, NULL);
		launch_detach(extension);
		if (r == -ENOSPC || r == -ENOMEM || r == -EMFILE || r == -ETIMEDOUT) {
			/* not its fault */
			set_timer(extension, SHORTAGE_USEC);
			return;
		}
		/* not from here: a disk that is full would have us start and fail without end */
		extension->quick_deaths += extension->quick_deaths == 0;
		failed(extension);
		return;
	}
	extension->process = PROCESS_STARTING;
	set_timer(extension, UP_USEC);
	log_event(LOG_EXTENSION_STARTED, extension->info.identifier, "pid",
		LOG_NUMBER(extension->pid), "version", extension->info.short_version, NULL);
	control_extension_changed(extension->manager->control, extension->id);
}

/* A place has become free: whoever of the same extension waited for it. */
static void start_waiting(struct manager *manager, const char *team, const char *identifier)
{
	struct extension *active = extension_active(manager, team, identifier);

	if (!active || has_process(active) || active->timer_usec || find_running_twin(active))
		return;
	if (active->state == STATE_ACTIVATED_WAITING_TO_UPGRADE &&
		transition_to(active, STATE_ACTIVATED_ENABLING, NULL) < 0)
		return;
	supervise_start(active);
}

/* ---- Stop and end ----------------------------------------------------------------------------- */

void supervise_stop(struct extension *extension)
{
	if (!has_process(extension)) {
		extension->timer_usec = 0;
		supervise_stopped(extension);
		return;
	}
	if (extension->process == PROCESS_STOPPING || extension->process == PROCESS_KILLED)
		return;
	extension->process = PROCESS_STOPPING;
	children_signal(extension->manager->children, extension->child, SIGTERM);
	set_timer(extension, TERM_USEC);
}

static const struct {
	enum state from, to;
} stopped[] = {
	{ STATE_TERMINATING_FOR_DISABLE, STATE_ACTIVATED_DISABLED },
	{ STATE_TERMINATING_FOR_DISABLE_BUT_STILL_RUNNING, STATE_ACTIVATED_DISABLED },
};

void supervise_stopped(struct extension *extension)
{
	struct manager *manager = extension->manager;
	char team[BUNDLE_TEAM_BYTES], identifier[BUNDLE_IDENTIFIER_BYTES], reason[REASON_BYTES];
	size_t i;

	STR_PUT(team, extension->info.team);
	STR_PUT(identifier, extension->info.identifier);
	STR_PUT(reason, extension->reason);
	for (i = 0; i < ARRAY_SIZE(stopped); i++) {
		if (stopped[i].from != extension->state)
			continue;
		broker_entitle(manager->broker, extension, false);
		service_close(extension);
		transition_to(extension, stopped[i].to, reason);
		break;
	}
	if (state_get(extension->state)->group == GROUP_REMOVING)
		extension_discard(extension, reason, NULL);
	else if (is_due(extension))
		return;
	start_waiting(manager, team, identifier);
}

static void say_exit(struct extension *extension, int code, int status)
{
	if (code == CLD_EXITED && status == LAUNCH_FAILED_STATUS)
		snprintf(extension->last_exit, sizeof extension->last_exit,
			"status %d (see the log)", status);
	else if (code == CLD_EXITED)
		snprintf(extension->last_exit, sizeof extension->last_exit, "status %d", status);
	else if (code == CLD_KILLED || code == CLD_DUMPED)
		snprintf(extension->last_exit, sizeof extension->last_exit, "signal %d (%.40s)",
			status, strsignal(status));
	else
		STR_PUT(extension->last_exit, "unknown: an earlier outboardd had started it");
}

/* Nothing of it is left. */
static void ended(struct extension *extension)
{
	bool wanted = is_due(extension);

	extension->process = PROCESS_NONE;
	extension->cgroup_source = sd_event_source_disable_unref(extension->cgroup_source);
	extension->timer_usec = 0;
	launch_detach(extension);
	extension->child = extension->start_time = 0;
	extension->pid = 0;
	if (wanted) {
		failed(extension);
		if (!has_process(extension))
			control_extension_changed(extension->manager->control, extension->id);
		return;
	}
	extension_write(extension);
	supervise_stopped(extension);
}

static int on_cgroup(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct extension *extension = context;
	struct manager *manager = extension->manager;
	char name[64];

	/* reading it is what takes the event back */
	if (!cgroup_is_populated(&manager->cgroups, launch_cgroup(extension, name)))
		ended(extension);
	return 0;
}

/* 1: something of it lives and is being killed, ended() comes later; 0: nothing does. */
static int sweep(struct extension *extension)
{
	struct manager *manager = extension->manager;
	char name[64];
	int fd, r;

	launch_cgroup(extension, name);
	if (!manager->has_cgroups || !cgroup_is_populated(&manager->cgroups, name))
		return 0;
	extension->process = PROCESS_KILLED;
	cgroup_kill(&manager->cgroups, name);
	extension->cgroup_source = sd_event_source_disable_unref(extension->cgroup_source);
	fd = cgroup_events_fd(&manager->cgroups, name);
	if (fd >= 0) {
		r = sd_event_add_io(manager->event, &extension->cgroup_source, fd, EPOLLPRI,
			on_cgroup, extension);
		if (r < 0)
			fd_close(fd);
		else
			sd_event_source_set_io_fd_own(extension->cgroup_source, 1);
	}
	/* it may have become empty before anybody listened, and a change can be missed */
	set_timer(extension, BACKOFF_USEC);
	return 1;
}

void supervise_ended(void *context, uint64_t child, int code, int status)
{
	struct manager *manager = context;
	struct extension *extension = extension_of_child(manager, child);

	if (broker_ended(manager->broker, child, code, status) || !extension)
		return;
	say_exit(extension, code, status);
	log_event(LOG_EXTENSION_ENDED, extension->info.identifier, "exit", extension->last_exit,
		"pid", LOG_NUMBER(extension->pid), NULL);
	if (sweep(extension) == 0)
		ended(extension);
}

static void kill_all(struct extension *extension)
{
	struct manager *manager = extension->manager;
	char name[64];

	extension->process = PROCESS_KILLED;
	children_signal(manager->children, extension->child, SIGKILL);
	if (manager->has_cgroups)
		cgroup_kill(&manager->cgroups, launch_cgroup(extension, name));
	set_timer(extension, 0);
}

/* Killed, and its main process seen to end; the rest of its cgroup is looked at until it is empty. */
void supervise_insist(struct extension *extension)
{
	kill_all(extension);
	set_timer(extension, 10 * BACKOFF_USEC);
}

static void look_whether_empty(struct extension *extension)
{
	struct manager *manager = extension->manager;
	char name[64];

	launch_cgroup(extension, name);
	if (children_is_alive(manager->children, extension->child))
		return;
	if (!cgroup_is_populated(&manager->cgroups, name)) {
		ended(extension);
		return;
	}
	cgroup_kill(&manager->cgroups, name);
	set_timer(extension, 10 * BACKOFF_USEC);
}

void supervise_timer(struct extension *extension)
{
	extension->timer_usec = 0;
	switch (extension->process) {
	case PROCESS_NONE:
		supervise_start(extension);
		break;
	case PROCESS_STARTING:
		supervise_ready(extension);
		break;
	case PROCESS_STOPPING:
		kill_all(extension);
		break;
	case PROCESS_KILLED:
		look_whether_empty(extension);
		break;
	case PROCESS_UP:
		break;
	}
}

/* ---- A manager that has just started ---------------------------------------------------------- */

static int is_child(void *context, const struct parent_child *child)
{
	return child->child == *(const uint64_t *)context;
}

/* Its number is in the registry before it runs, so it is found whatever came after. */
static bool find_process(struct extension *extension)
{
	struct children *children = extension->manager->children;

	/* also one that has ended: the loop is told of it, and has its exit status */
	if (extension->child && children_each(children, is_child, &extension->child))
		return true;
	if (launch_find(extension)) {
		extension_write(extension);
		return true;
	}
	return extension->child && extension->pid > 0 &&
		children_adopt(children, extension->child, PARENT_PROGRAM_LAUNCH, extension->pid,
			extension->start_time) == 0;
}

static void adopt_process(struct extension *extension)
{
	struct manager *manager = extension->manager;
	pid_t pid = children_get_pid(manager->children, extension->child);

	if (pid > 0 && pid != extension->pid) {
		extension->pid = pid;
		process_start_time(pid, &extension->start_time);
		extension_write(extension);
	}
	extension->started_usec = now_usec();
	extension->process = PROCESS_UP;
	if (!is_due(extension)) {
		supervise_stop(extension);
		return;
	}
	if (extension->state == STATE_ACTIVATED_ENABLING) {
		extension->process = PROCESS_STARTING;
		set_timer(extension, UP_USEC);
	}
	launch_attach(extension);
	service_open(extension);
	broker_entitle(manager->broker, extension, true);
}

void supervise_adopt(struct extension *extension)
{
	if (find_process(extension))
		adopt_process(extension);
	else if (sweep(extension) == 0) {
		extension->child = extension->start_time = 0;
		extension->pid = 0;
	}
}
