/* SPDX-License-Identifier: Apache-2.0
 *
 * See test-doors.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fd.h"
#include "endpoint/daemon/esd.h"
#include "endpoint/test-doors.h"

struct kernel *kernel;
int loaded_fd = -1;
static uint64_t waiting;

int engine_add_client(struct engine *engine, uint32_t client, uint32_t ring_bytes, int32_t pid,
	int pid_fd, int ret_fds[static CLIENT_FDS])
{
	kernel->ring_bytes[client] = ring_bytes;
	ret_fds[CLIENT_RING] = memfd_create("ring", MFD_CLOEXEC);
	ret_fds[CLIENT_WAKE] = memfd_create("wake", MFD_CLOEXEC);
	ret_fds[CLIENT_ANSWERS] = -1;
	return ret_fds[CLIENT_RING] < 0 || ret_fds[CLIENT_WAKE] < 0 ? -errno : 0;
}

int engine_descend(struct engine *engine, uint32_t client, int32_t pid)
{
	return 0;
}

void engine_set_deadlines(
	struct engine *engine, uint32_t client, const struct endpoint_deadlines *deadlines)
{
	kernel->deadlines[client] = *deadlines;
}

void engine_drop_client(struct engine *engine, uint32_t client)
{
	kernel->ring_bytes[client] = 0;
	waiting &= ~(1ull << client);
	memset(kernel->watched[client], 0, sizeof kernel->watched[client]);
}

int engine_watch(
	struct engine *engine, uint32_t client, const uint64_t events[static ES_EVENTS_MAX / 64])
{
	memcpy(kernel->watched[client], events, sizeof kernel->watched[client]);
	if (!(events[0] & 1ull << SLOW))
		return 0;
	waiting |= 1ull << client;
	return -EINPROGRESS;
}

int engine_loading_fd(const struct engine *engine)
{
	return waiting ? loaded_fd : -1;
}

int engine_loaded(
	struct engine *engine, engine_watched_fn *watched, void *context, char problem[static 256])
{
	uint64_t result, clients = waiting;

	assert_int_equal(read(loaded_fd, &result, sizeof result), sizeof result);
	waiting = 0;
	for (; clients; clients &= clients - 1)
		watched((uint32_t)__builtin_ctzll(clients), 1 - (int)result, context);
	return 1 - (int)result;
}

bool engine_can_rest(const struct engine *engine)
{
	return false;
}

void engine_rest(struct engine *engine)
{
}

uint32_t engine_sources(const struct engine *engine)
{
	return SOURCES_ALL;
}

int engine_count(struct engine *engine, uint32_t client, struct endpoint_counters *ret)
{
	ret->dropped = 3;
	ret->sent = 4;
	return 0;
}

/* What is reported: test-report.c. */
const char *miss_code(const struct miss *miss)
{
	return "";
}

const char *miss_outcome(const struct miss *miss)
{
	return "";
}

void report_send(struct esd *esd, int fd)
{
	fd_close(fd);
}

/* Which program is which is not asked here. */
void identity_entitled(struct esd *esd)
{
}

void identity_unentitled(struct esd *esd, const struct entitled *entitled)
{
}

int engine_mute(struct engine *engine, uint32_t client, const struct engine_mute *mute)
{
	if (mute->path && strcmp(mute->path, "/too/many") == 0)
		return -ENOSPC;
	kernel->mutes[client]++;
	return 0;
}

void engine_invert(struct engine *engine, uint32_t client, uint32_t inverted)
{
	kernel->inverted[client] = inverted;
}

bool engine_is_muted(struct engine *engine, uint32_t client, const struct engine_mute *mute)
{
	return mute->kind == ES_MUTE_PROCESS;
}
