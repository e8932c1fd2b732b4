/* SPDX-License-Identifier: Apache-2.0
 *
 * What the thread that decides has to say, which says nothing itself: a client that has missed a deadline
 * is named in the log, with what it was asked and what was wrong with its answer, and the last ones are kept
 * for who asks; one whose answers are none is none any more. And what is mounted, which it knows of no more
 * than the marks.
 */
#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include "base/log.h"
#include "base/str.h"
#include "endpoint/daemon/esd.h"

#define TELL_USEC 1000000

/* es_respond_result_t: a client that does not look at it finds it here */
const char *miss_code(const struct miss *miss)
{
	static const char *const codes[] = { "no answer", "ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT",
		"ES_RESPOND_RESULT_ERR_INTERNAL", "ES_RESPOND_RESULT_NOT_FOUND",
		"ES_RESPOND_RESULT_ERR_DUPLICATE_RESPONSE", "ES_RESPOND_RESULT_ERR_EVENT_TYPE" };

	return miss->is.wrong < ARRAY_SIZE(codes) ? codes[miss->is.wrong] : "unknown";
}

const char *miss_outcome(const struct miss *miss)
{
	static const char *const outcomes[] = { [ASK_MISS_KILL] = "allowed, client killed",
		[ASK_MISS_FAIL_OPEN] = "allowed",
		[ASK_MISS_FAIL_CLOSED] = "denied" };

	return miss->is.miss < ARRAY_SIZE(outcomes) ? outcomes[miss->is.miss] : "unknown";
}

static pid_t pid_of(const struct connection *connection)
{
	if (!connection)
		return 0; /* gone meanwhile */
	return connection->handed ? connection->child_pid : connection->peer.pid;
}

static void keep(struct esd *esd, const struct ask_notice *notice)
{
	const struct connection *connection = esd->slots[notice->client];
	struct miss *miss = &esd->misses[esd->n_misses++ % MISSES_KEPT];
	struct timespec now;

	esd->n_unsaid += notice->dropped;
	clock_gettime(CLOCK_REALTIME, &now);
	*miss = (struct miss){
		.usec = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000, .is = *notice
	};
	miss->pid = pid_of(connection);
	STR_PUT(miss->client, connection ? connection->name : "a client that has gone");
	log_event(LOG_ENDPOINT_MISSED, miss->client, "pid", LOG_NUMBER(miss->pid), "event",
		capability_name(notice->event), "path", notice->path, "code", miss_code(miss),
		"outcome", miss_outcome(miss), "unsaid", LOG_NUMBER(notice->dropped), NULL);
}

static void end_broken(struct esd *esd)
{
	uint32_t i;

	for (i = 0; i < ES_CLIENTS_MAX; i++) {
		if (!esd->slots[i] || !ask_is_broken(engine_ask(esd->engine), i))
			continue;
		log_event(
			LOG_PEER_BAD_MESSAGE, NULL, "pid", LOG_NUMBER(pid_of(esd->slots[i])), NULL);
		connection_free(esd->slots[i]);
	}
}

static void tell_misses(struct esd *esd)
{
	int enabled = SD_EVENT_OFF;

	sd_event_source_get_enabled(esd->misses_timer, &enabled);
	esd->misses_untold = enabled != SD_EVENT_OFF;
	if (esd->misses_untold)
		return;
	manager_tell_clients(esd);
	sd_event_source_set_time_relative(esd->misses_timer, TELL_USEC);
	sd_event_source_set_enabled(esd->misses_timer, SD_EVENT_ONESHOT);
}

static int on_tell(sd_event_source *source, uint64_t usec, void *context)
{
	struct esd *esd = context;

	if (esd->misses_untold)
		tell_misses(esd);
	return 0;
}

static int on_notice(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct esd *esd = context;
	struct ask_notice notice;
	uint64_t before = esd->n_misses;

	while (ask_next_notice(engine_ask(esd->engine), &notice) == 0)
		if (notice.event != ASK_BROKEN)
			keep(esd, &notice);
	if (esd->n_misses != before)
		tell_misses(esd);
	end_broken(esd);
	return 0;
}

static void on_unmarked(const char *where, const char *type, int error, void *context)
{
	log_failure(LOG_ENDPOINT_UNMARKED, where, error, "type", type, NULL);
}

static int on_mounts(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct esd *esd = context;
	int r = ask_mounts_changed(engine_ask(esd->engine));

	if (r < 0)
		log_failure(LOG_ENDPOINT_UNMARKED, "/proc/self/mountinfo", r, NULL);
	return 0;
}

/* Before the end of the client that is named, which may have been killed for it. */
static int watch_notices(struct esd *esd)
{
	sd_event_source *source;
	int r = sd_event_add_io(esd->event, &source, ask_notice_fd(engine_ask(esd->engine)),
		EPOLLIN, on_notice, esd);

	if (r < 0)
		return r;
	r = sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IMPORTANT);
	sd_event_source_set_floating(source, 1);
	sd_event_source_unref(source);
	if (r >= 0)
		r = sd_event_add_time_relative(esd->event, &esd->misses_timer, CLOCK_MONOTONIC,
			TELL_USEC, 0, on_tell, esd);
	return r < 0 ? r : sd_event_source_set_enabled(esd->misses_timer, SD_EVENT_OFF);
}

int asking_open(struct esd *esd)
{
	struct ask *ask = engine_ask(esd->engine);
	int fd, r;

	if (!ask)
		return 0;
	ask_on_unmarked(ask, on_unmarked, esd);
	r = watch_notices(esd);
	fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (r < 0 || fd < 0)
		return r < 0 ? r : -errno;
	/* told once a change: proc_pid_mountinfo(5) */
	return sd_event_add_io(esd->event, NULL, fd, EPOLLPRI, on_mounts, esd);
}
