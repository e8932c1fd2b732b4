/* SPDX-License-Identifier: Apache-2.0
 *
 * A manager that starts: rows of the registry against staged copies, processes, cgroups, listeners
 * and apps. Whatever was under way when the last one was killed is found half done here, and is
 * done again or taken back; everything here may be interrupted and is simply done once more.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "manager/manager.h"
#include "manager/registry.h"

#define SWEEP_MIN_USEC 10000ull
#define SWEEP_MAX_USEC 60000000ull

static int fresh(void *context, struct extension **ret)
{
	return extension_new(context, ret);
}

static int is_new_boot(struct manager *manager)
{
	char boot_id[40] = "";
	int r = registry_get(manager->registry, "boot_id", boot_id, sizeof boot_id);

	if (r < 0 && r != -ENOENT)
		return r;
	return !streq(boot_id, manager->boot_id);
}

/* Numbers of processes are of one boot. */
static void forget_processes(struct manager *manager)
{
	struct extension *extension;

	for (extension = manager->extensions; extension; extension = extension->next) {
		extension->child = extension->start_time = 0;
		extension->pid = 0;
	}
}

/* Files that were not staged to the end, or that somebody has removed. */
static void check_staged(struct extension *extension)
{
	int r;

	if (extension->state == STATE_UNINSTALLING)
		return;
	if (extension->state <= STATE_VALIDATING_BY_CATEGORY) {
		extension_discard(extension, "outboardd was restarted while it was verified", NULL);
		return;
	}
	r = staging_look(extension);
	if (r == 0)
		return;
	log_failure(
		LOG_STAGING_MISSING, extension->info.identifier, r, "uuid", extension->id, NULL);
	if (r == -ENOENT)
		remove_one(extension, "its staged copy is missing");
}

/* What waited for the next boot, at that boot: an upgrade like any other, of an old copy that has ended. */
static void after_reboot(struct extension *extension)
{
	if (extension->state == STATE_ACTIVATED_WAITING_TO_UPGRADE_ON_REBOOT &&
		!streq(extension->boot_id, extension->manager->boot_id))
		activate_after_reboot(extension);
}

/* Nothing was moving in this state but our own attention: go on with it. */
static void go_on(struct extension *extension)
{
	switch ((enum state)extension->state) {
	case STATE_ACTIVATED_ENABLING:
	case STATE_ACTIVATED_ENABLED:
		supervise_start(extension);
		break;
	case STATE_TERMINATING_FOR_DISABLE:
	case STATE_TERMINATING_FOR_DISABLE_BUT_STILL_RUNNING:
	case STATE_TERMINATING_FOR_UNINSTALL:
	case STATE_TERMINATING_FOR_UNINSTALL_BUT_STILL_RUNNING:
	case STATE_TERMINATING_FOR_UPGRADE_VIA_DELEGATE:
		supervise_stop(extension);
		break;
	default:
		break;
	}
}

static void set_deadline(struct extension *extension)
{
	uint32_t seconds = state_get(extension->state)->deadline_sec;

	extension->deadline_usec = seconds ? now_usec() + (uint64_t)seconds * 1000000 : 0;
}

/* A process of a copy that no row knows. */
static int end_stranger(void *context, const struct parent_child *child)
{
	struct manager *manager = context;

	if (child->program != PARENT_PROGRAM_LAUNCH || child->code != 0 ||
		extension_of_child(manager, child->child))
		return 0;
	log_event(LOG_PROCESS_STRANGER, NULL, "pid", LOG_NUMBER(child->pid), NULL);
	children_signal(manager->children, child->child, SIGKILL);
	return 0;
}

/* What waits in the kernel may take long to end: looked at less and less often. */
static void sweep_again(struct manager *manager, bool busy)
{
	uint64_t wait = manager->sweep_wait_usec;

	wait = !busy ? 0 : wait == 0 ? SWEEP_MIN_USEC : 2 * wait;
	manager->sweep_wait_usec = wait < SWEEP_MAX_USEC ? wait : SWEEP_MAX_USEC;
	manager->sweep_usec = busy ? now_usec() + manager->sweep_wait_usec : 0;
}

void reconcile_sweep_cgroups(struct manager *manager)
{
	DIR *dir = manager->has_cgroups ? opendir(manager->cgroups.unified) : NULL;
	struct dirent *entry;
	bool busy = false;

	while (dir && (entry = readdir(dir))) {
		if (!str_starts(entry->d_name, "extension-") ||
			extension_of_id(manager, entry->d_name + strlen("extension-")))
			continue;
		cgroup_kill(&manager->cgroups, entry->d_name);
		/* while they end */
		if (cgroup_remove(&manager->cgroups, entry->d_name) == -EBUSY)
			busy = true;
	}
	if (dir)
		closedir(dir);
	sweep_again(manager, busy);
}

/* Sockets that the parent keeps for a child that is gone. */
struct stale {
	struct manager *manager;
	char name[PARENT_NAME_BYTES];
};

static int find_stale(void *context, const char *name, int fd)
{
	static const char *const kinds[] = { "control-end:", "broker-end:", "log:" };
	struct stale *stale = context;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *number = name + strlen(kinds[i]);

		if (!str_starts(name, kinds[i]) || number[0] < '0' || number[0] > '9' ||
			extension_of_child(stale->manager, strtoull(number, NULL, 10)))
			continue;
		STR_PUT(stale->name, name);
		return 1;
	}
	return 0;
}

static void sweep_sockets(struct manager *manager)
{
	struct stale stale = { .manager = manager };

	while (children_each_stored(manager->children, find_stale, &stale) > 0)
		children_unstore(manager->children, stale.name);
}

void reconcile_sweep(struct manager *manager)
{
	children_each(manager->children, end_stranger, manager);
	reconcile_sweep_cgroups(manager);
	sweep_sockets(manager);
	services_remove_strangers(manager);
	staging_remove_strangers(manager);
}

#define EACH(extension, manager)                                             \
	for (struct extension *extension = (manager)->extensions; extension; \
		extension = extension->next)

int reconcile(struct manager *manager)
{
	int new_boot, r;

	r = registry_load(manager->registry, fresh, manager);
	if (r < 0)
		return r;
	new_boot = is_new_boot(manager);
	if (new_boot < 0)
		return new_boot;
	if (new_boot)
		forget_processes(manager);
	EACH(extension, manager)
	{
		set_deadline(extension);
		check_staged(extension);
	}
	EACH(extension, manager)
	supervise_adopt(extension);
	EACH(extension, manager)
	after_reboot(extension);
	EACH(extension, manager)
	go_on(extension);
	if (new_boot) {
		r = registry_set(manager->registry, "boot_id", manager->boot_id);
		if (r < 0)
			return r;
	}
	/* after a lost registry there are copies and processes that only look like strangers */
	if (!manager->registry_was_lost)
		reconcile_sweep(manager);
	broker_begin(manager->broker);
	approval_policy_changed(manager);
	r = watch_new(manager, &manager->watch);
	if (r < 0)
		return r;
	watch_renew(manager->watch);
	EACH(extension, manager)
	extension->check_usec = now_usec();
	sd_event_source_set_enabled(manager->later, SD_EVENT_ONESHOT);
	manager_arm(manager);
	if (manager->registry_was_lost)
		recover_begin(manager);
	return 0;
}
