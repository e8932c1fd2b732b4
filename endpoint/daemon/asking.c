/* SPDX-License-Identifier: Apache-2.0
 *
 * What the thread that decides has to say, which says nothing itself: a client that has missed a deadline
 * is named in the log, and one whose answers are none is none any more. And what is mounted, which it
 * knows of no more than the marks.
 */
#include <errno.h>
#include <fcntl.h>
#include "base/log.h"
#include "endpoint/daemon/esd.h"
#include "endpoint/engine/ask.h"

static pid_t pid_of(const struct connection *connection)
{
	if (!connection)
		return 0; /* gone meanwhile */
	return connection->handed ? connection->child_pid : connection->peer.pid;
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

static int on_notice(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct esd *esd = context;
	struct ask_notice notice;

	while (ask_next_notice(engine_ask(esd->engine), &notice) == 0) {
		if (notice.event == ASK_BROKEN)
			continue;
		log_event(LOG_ENDPOINT_MISSED, capability_name(notice.event), "pid",
			LOG_NUMBER(pid_of(esd->slots[notice.client])), "question",
			LOG_NUMBER(notice.question), "unsaid", LOG_NUMBER(notice.dropped), NULL);
	}
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

int asking_open(struct esd *esd)
{
	struct ask *ask = engine_ask(esd->engine);
	int fd, r;

	if (!ask)
		return 0;
	ask_on_unmarked(ask, on_unmarked, esd);
	r = sd_event_add_io(esd->event, NULL, ask_notice_fd(ask), EPOLLIN, on_notice, esd);
	fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (r < 0 || fd < 0)
		return r < 0 ? r : -errno;
	/* told once a change: proc_pid_mountinfo(5) */
	return sd_event_add_io(esd->event, NULL, fd, EPOLLPRI, on_mounts, esd);
}
