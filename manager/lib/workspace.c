/* SPDX-License-Identifier: Apache-2.0
 *
 * OSSystemExtensionsWorkspace: observers of every extension of the machine. One WORKSPACE_OBSERVE
 * serves all of them; each is called on a queue of its own choice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "manager/lib/lib.h"

/* Whose callback this thread runs: it is not to wait for its own end. */
static _Thread_local const ob_system_extensions_observation_t *inside;

/* One callback under way. */
struct note {
	ob_system_extensions_observation_t *observation;
	enum workspace_event event;
	const os_system_extension_info_t *info;
};

static void observation_unref(ob_system_extensions_observation_t *observation)
{
	if (atomic_fetch_sub_explicit(&observation->n_references, 1, memory_order_acq_rel) != 1)
		return;
	pthread_cond_destroy(&observation->changed);
	free(observation);
}

static struct note *note_free(struct note *note)
{
	info_unref(note->info);
	observation_unref(note->observation);
	free(note);
	return NULL;
}

static void (*callback_of(const os_system_extensions_workspace_observer_t *observer,
	enum workspace_event event))(const os_system_extension_info_t *, void *)
{
	switch (event) {
	case WORKSPACE_WILL_BECOME_ENABLED:
		return observer->system_extension_will_become_enabled;
	case WORKSPACE_WILL_BECOME_DISABLED:
		return observer->system_extension_will_become_disabled;
	case WORKSPACE_WILL_BECOME_INACTIVE:
		return observer->system_extension_will_become_inactive;
	}
	/* of a newer outboardd */
	return NULL;
}

static void run_note(void *data)
{
	struct note *note = data;
	ob_system_extensions_observation_t *observation = note->observation;
	bool wanted;

	pthread_mutex_lock(&manager.lock);
	wanted = !observation->removed;
	observation->n_running += wanted;
	pthread_mutex_unlock(&manager.lock);
	if (wanted) {
		inside = observation;
		callback_of(&observation->observer, note->event)(note->info, observation->context);
		inside = NULL;
		pthread_mutex_lock(&manager.lock);
		observation->n_running--;
		pthread_cond_broadcast(&observation->changed);
		pthread_mutex_unlock(&manager.lock);
	}
	note_free(note);
}

static void tell(ob_system_extensions_observation_t *observation, enum workspace_event event,
	const os_system_extension_info_t *info)
{
	struct note *note;

	if (!callback_of(&observation->observer, event))
		return;
	note = malloc(sizeof *note);
	if (!note)
		return;
	atomic_fetch_add(&observation->n_references, 1);
	*note = (struct note){ observation, event, os_system_extension_info_retain(info) };
	if (queue_post(observation->queue, run_note, note) < 0)
		note_free(note);
}

void observations_tell(enum workspace_event event, const os_system_extension_info_t *info)
{
	ob_system_extensions_observation_t *observation;

	for (observation = manager.observations; observation; observation = observation->next)
		tell(observation, event, info);
}

static void unlink_observation(ob_system_extensions_observation_t *observation)
{
	ob_system_extensions_observation_t **at = &manager.observations;

	while (*at && *at != observation)
		at = &(*at)->next;
	if (*at)
		*at = observation->next;
}

/* Whoever waits in add has a reference; a failed one leaves the list at once. */
static void settle(ob_system_extensions_observation_t *observation, int status)
{
	if (observation->state != OBSERVATION_PENDING)
		return;
	observation->state = status == 0 ? OBSERVATION_ON : OBSERVATION_FAILED;
	observation->status = status;
	if (status < 0)
		unlink_observation(observation);
	pthread_cond_broadcast(&observation->changed);
}

void observations_settle(int status)
{
	ob_system_extensions_observation_t *observation, *next;

	for (observation = manager.observations; observation; observation = next) {
		next = observation->next;
		settle(observation, status);
	}
}

void observations_expire(uint64_t now_ns)
{
	ob_system_extensions_observation_t *observation, *next;

	for (observation = manager.observations; observation; observation = next) {
		next = observation->next;
		if (now_ns >= observation->deadline_ns)
			settle(observation, -ENOTCONN);
	}
}

static int observation_new(const os_system_extensions_workspace_observer_t *observer,
	ob_queue_t *queue, void *context, ob_system_extensions_observation_t **ret)
{
	ob_system_extensions_observation_t *observation = calloc(1, sizeof *observation);
	int r = 0;

	if (!observation)
		return -ENOMEM;
	if (!queue)
		r = ob_queue_new("observer", &observation->own_queue);
	if (r < 0) {
		free(observation);
		return r;
	}
	atomic_init(&observation->n_references, 1);
	pthread_cond_init(&observation->changed, NULL);
	observation->pid = getpid();
	observation->queue = queue ? queue : observation->own_queue;
	observation->context = context;
	memcpy(&observation->observer, observer,
		observer->size < sizeof *observer ? observer->size : sizeof *observer);
	*ret = observation;
	return 0;
}

/* With the lock, which is given up while it waits. */
static int await(ob_system_extensions_observation_t *observation)
{
	observation->deadline_ns = manager_now() + manager.patience_ns;
	observation->next = manager.observations;
	manager.observations = observation;
	manager.observe_refused = false;
	manager_hurry();
	manager_step();
	while (observation->state == OBSERVATION_PENDING)
		pthread_cond_wait(&observation->changed, &manager.lock);
	if (observation->state == OBSERVATION_ON)
		return 0;
	/* it was perhaps all that kept the connection */
	manager_step();
	return observation->status;
}

ob_export int os_system_extensions_workspace_add_observer(
	const os_system_extensions_workspace_observer_t *observer, ob_queue_t *queue, void *context,
	ob_system_extensions_observation_t **ret)
{
	ob_system_extensions_observation_t *observation;
	int r;

	if (!observer || !ret || observer->size < sizeof observer->size)
		return -EINVAL;
	r = manager_enter();
	if (r < 0)
		return r;
	r = observation_new(observer, queue, context, &observation);
	if (r == 0) {
		r = await(observation);
		if (r == 0) {
			*ret = observation;
		} else {
			manager_reap(observation->own_queue);
			observation_unref(observation);
		}
	}
	manager_leave();
	return r;
}

ob_export ob_system_extensions_observation_t *os_system_extensions_workspace_remove_observer(
	ob_system_extensions_observation_t *observation)
{
	if (!observation || observation->pid != getpid())
		return NULL;
	pthread_mutex_lock(&manager.lock);
	observation->removed = true;
	while (observation->n_running > (inside == observation ? 1 : 0))
		pthread_cond_wait(&observation->changed, &manager.lock);
	unlink_observation(observation);
	manager_step();
	manager_reap(observation->own_queue);
	pthread_mutex_unlock(&manager.lock);
	observation_unref(observation);
	return NULL;
}
