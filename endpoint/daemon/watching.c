/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients subscribe to. The first subscription that needs a program waits until it is loaded, which
 * a child does: its answer comes then, nothing else that this client says is read before, and the others
 * do not notice.
 */
#include <errno.h>
#include <string.h>
#include "base/log.h"
#include "endpoint/daemon/esd.h"

#define REST_USEC 5000000ull /* a program that nobody needs is detached after */

static int say(struct connection *connection, uint64_t id, int result, uint16_t flags)
{
	const struct wire_status status = { .status = result };

	return wire_send(connection->fd, WIRE_STATUS, WIRE_FLAG_REPLY | flags, id, &status,
		sizeof status, NULL, 0);
}

static void on_watched(uint32_t client, int result, void *context)
{
	struct esd *esd = context;
	struct connection *connection = esd->slots[client];

	if (!connection || !connection->subscribing)
		return;
	connection->subscribing = false;
	if (say(connection, connection->subscribing_id, result, 0) < 0 ||
		sd_event_source_set_enabled(connection->io, SD_EVENT_ON) < 0)
		connection_free(connection);
}

/* There may be another one afterwards, for what was asked for meanwhile. */
static int on_loaded(sd_event_source *source, int fd, uint32_t events, void *context);

static int watch_loading(struct esd *esd)
{
	if (esd->loading || engine_loading_fd(esd->engine) < 0)
		return 0;
	return sd_event_add_io(
		esd->event, &esd->loading, engine_loading_fd(esd->engine), EPOLLIN, on_loaded, esd);
}

static int on_loaded(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct esd *esd = context;
	char problem[256] = "";
	int r;

	/* it is closed with what is taken last */
	esd->loading = sd_event_source_disable_unref(esd->loading);
	r = engine_loaded(esd->engine, on_watched, esd, problem);
	if (r < 0 && r != -EAGAIN)
		log_failure(LOG_ENDPOINT_SOURCE_LOST, NULL, r, "kernel", problem, NULL);
	watching_changed(esd); /* who wanted it may have gone meanwhile */
	r = watch_loading(esd);
	return r < 0 ? sd_event_exit(esd->event, 1) : 0;
}

static int on_rest(sd_event_source *source, uint64_t usec, void *context)
{
	const struct esd *esd = context;

	engine_rest(esd->engine);
	return 0;
}

void watching_changed(struct esd *esd)
{
	if (!engine_can_rest(esd->engine))
		return;
	if (!esd->rest) {
		sd_event_add_time_relative(
			esd->event, &esd->rest, CLOCK_MONOTONIC, REST_USEC, 0, on_rest, esd);
		return;
	}
	sd_event_source_set_time_relative(esd->rest, REST_USEC);
	sd_event_source_set_enabled(esd->rest, SD_EVENT_ONESHOT);
}

int watching_subscribe(struct connection *connection, const struct endpoint_set *set, uint64_t id)
{
	struct esd *esd = connection->esd;
	uint32_t i;
	int r = 0;

	for (i = 0; i < ES_EVENTS_MAX; i++)
		if (set->events[i / 64] & 1ull << i % 64 &&
			!capability_of(i, engine_sources(esd->engine)))
			r = -EOPNOTSUPP;
	if (r == 0)
		r = engine_watch(esd->engine, (uint32_t)connection->slot, set->events);
	if (r != -EINPROGRESS) {
		watching_changed(esd);
		return say(connection, id, r, 0);
	}
	connection->subscribing = true;
	connection->subscribing_id = id;
	/* else it would take a loop that is slow for one that hangs */
	r = say(connection, id, -EINPROGRESS, WIRE_FLAG_MORE);
	if (r < 0)
		return r;
	r = sd_event_source_set_enabled(connection->io, SD_EVENT_OFF);
	return r < 0 ? r : watch_loading(esd);
}

void watching_close(struct esd *esd)
{
	esd->loading = sd_event_source_disable_unref(esd->loading);
	esd->rest = sd_event_source_disable_unref(esd->rest);
}
