/* SPDX-License-Identifier: Apache-2.0
 *
 * What an open and its close take: told to one client, muted, asked about; see endpoint.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/macros.h"
#include "bench/endpoint.h"

#define OPENS 4000
#define IN_THE_RING 400 /* half of it at most */
#define QUESTIONS 400

static const es_event_type_t notify_open = ES_EVENT_TYPE_NOTIFY_OPEN;
static const es_event_type_t auth_open = ES_EVENT_TYPE_AUTH_OPEN;

static void own_path(char path[static PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	need(n > 0);
	path[n] = '\0';
}

static double unwatched(es_client_t *client)
{
	client_watch(client, NULL, 0);
	return actor_opens(OPENS, 0, CLOCK_CPU);
}

static double watched(es_client_t *client, unsigned pause)
{
	client_watch(client, &notify_open, 1);
	return actor_opens(OPENS, pause, CLOCK_CPU);
}

static void bench_told(es_client_t *client)
{
	struct pair pair = { .n = 0 };
	unsigned i;

	for (i = 0; i < ROUNDS; i++)
		pair_add(&pair, unwatched(client), watched(client, IN_THE_RING));
	pair_print(&pair, "open and close, told to one client", "ns", 1.3);
}

static void bench_muted(es_client_t *client, const char *path, es_mute_path_type_t type,
	const char *name, double limit)
{
	struct pair pair = { .n = 0 };
	unsigned i;

	need(es_mute_path(client, path, type) == ES_RETURN_SUCCESS);
	for (i = 0; i < ROUNDS; i++)
		pair_add(&pair, unwatched(client), watched(client, 0));
	need(es_unmute_path(client, path, type) == ES_RETURN_SUCCESS);
	pair_print(&pair, name, "ns", limit);
}

static void mute_others(es_client_t *client, unsigned from, unsigned to)
{
	char path[64];
	unsigned i;

	for (i = from; i < to; i++) {
		snprintf(path, sizeof path, "/nobody/has/%u", i);
		need(es_mute_path(client, path, ES_MUTE_PATH_TYPE_TARGET_LITERAL) ==
			ES_RETURN_SUCCESS);
	}
}

/* Told, with other paths muted, held against the same with one. */
static void bench_mutes(void)
{
	static const unsigned counts[] = { 1, 100, 10000 };
	es_client_t *clients[ARRAY_SIZE(counts)];
	struct pair pairs[2] = { { .n = 0 }, { .n = 0 } };
	unsigned i, k;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		clients[i] = client_new(client_count);
		mute_others(clients[i], 0, counts[i]);
	}
	for (i = 0; i < ROUNDS; i++) {
		double took[ARRAY_SIZE(counts)];

		for (k = 0; k < ARRAY_SIZE(counts); k++) {
			took[k] = watched(clients[k], IN_THE_RING);
			client_watch(clients[k], NULL, 0);
		}
		pair_add(&pairs[0], took[0], took[1]);
		pair_add(&pairs[1], took[0], took[2]);
	}
	pair_print(&pairs[0], "100 mutes, held against one", "ns", 0);
	pair_print(&pairs[1], "10000 mutes, held against one", "ns", 0);
	for (i = 0; i < ARRAY_SIZE(counts); i++)
		es_delete_client(clients[i]);
}

void bench_opens(void)
{
	es_client_t *client = client_new(client_count);
	char path[PATH_MAX];

	own_path(path);
	bench_told(client);
	bench_muted(client, path, ES_MUTE_PATH_TYPE_LITERAL, "the executable muted", 1.05);
	bench_muted(client, target, ES_MUTE_PATH_TYPE_TARGET_LITERAL, "the target muted", 1.15);
	es_delete_client(client);
	bench_mutes();
}

/* ---- asked about ------------------------------------------------------------------------------- */

/* What asking costs at the least: a loop that lets everything on, and knows nothing of anybody. */
static void allow_all(int group_fd)
{
	_Alignas(struct fanotify_event_metadata) char buffer[4096];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		const struct fanotify_event_metadata *at = (void *)buffer;
		ssize_t left = read(group_fd, buffer, sizeof buffer);

		for (; FAN_EVENT_OK(at, left); at = FAN_EVENT_NEXT(at, left)) {
			struct fanotify_response response = { at->fd, FAN_ALLOW };

			need(write(group_fd, &response, sizeof response) == sizeof response);
			close(at->fd);
		}
	}
}

static double bare(int group_fd)
{
	double took;

	need(fanotify_mark(group_fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, AT_FDCWD,
		     field) == 0);
	took = actor_opens(QUESTIONS, 0, CLOCK_WALL);
	need(fanotify_mark(group_fd, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, AT_FDCWD,
		     field) == 0);
	return took;
}

static void allow(es_client_t *client, const es_message_t *message, void *context)
{
	n_told++;
	need(es_respond_flags_result(client, message, UINT32_MAX, false) ==
		ES_RESPOND_RESULT_SUCCESS);
}

void bench_asking(void)
{
	int group_fd = fanotify_init(
		FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE | O_CLOEXEC);
	struct pair pair = { .n = 0 };
	es_client_t *client;
	unsigned long told;
	unsigned i;
	pid_t loop;

	need(group_fd >= 0);
	loop = fork();
	need(loop >= 0);
	if (loop == 0)
		allow_all(group_fd);
	client = client_new(allow);
	for (i = 0; i < ROUNDS; i++) {
		double base = bare(group_fd);

		client_watch(client, &auth_open, 1);
		told = n_told;
		pair_add(&pair, base, actor_opens(QUESTIONS, 0, CLOCK_WALL));
		client_watch(client, NULL, 0);
		need(n_told - told == QUESTIONS);
	}
	pair_print(&pair, "open asked about, and a bare loop", "ns", 2.2);
	es_delete_client(client);
	kill(loop, SIGKILL);
	waitpid(loop, NULL, 0);
	close(group_fd);
}
