/* SPDX-License-Identifier: Apache-2.0
 *
 * What is due when: one timer for all that the copies wait for, off when nothing is, and one deferred
 * source for what must not be done within a call.
 */
#include <time.h>
#include "manager/manager.h"

uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t now_real_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- The one timer ---------------------------------------------------------------------------- */

static uint64_t first_of(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a ? a : b;
	return a < b ? a : b;
}

static uint64_t due(const struct extension *extension)
{
	return first_of(
		first_of(extension->deadline_usec, extension->timer_usec), extension->check_usec);
}

void manager_arm(struct manager *manager)
{
	const struct extension *extension;
	uint64_t first = manager->sweep_usec;

	for (extension = manager->extensions; extension; extension = extension->next)
		first = first_of(first, due(extension));
	if (first)
		sd_event_source_set_time(manager->timer, first);
	sd_event_source_set_enabled(manager->timer, first ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void run_due(struct extension *extension, uint64_t now)
{
	if (extension->timer_usec && extension->timer_usec <= now)
		supervise_timer(extension);
	else if (extension->deadline_usec && extension->deadline_usec <= now)
		transition_deadline(extension);
	else if (extension->check_usec && extension->check_usec <= now)
		watch_check(extension);
}

/* One thing a copy and turn; what else is due comes in the next turn. */
static int on_timer(sd_event_source *source, uint64_t usec, void *context)
{
	struct manager *manager = context;
	struct extension *extension;
	uint64_t now = now_usec();

	if (manager->sweep_usec && manager->sweep_usec <= now)
		reconcile_sweep_cgroups(manager);
	/* nothing below frees one: copies are removed by on_later() alone */
	for (extension = manager->extensions; extension; extension = extension->next)
		run_due(extension, now);
	manager_arm(manager);
	return 0;
}

static int on_later(sd_event_source *source, void *context)
{
	extensions_remove_discarded(context);
	activate_next(context);
	return 0;
}

int schedule_new(struct manager *manager)
{
	int r = sd_event_add_time(
		manager->event, &manager->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, manager);

	if (r >= 0)
		r = sd_event_source_set_enabled(manager->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(manager->event, &manager->later, on_later, manager);
	return r < 0 ? r : 0;
}
