/* SPDX-License-Identifier: Apache-2.0
 *
 * The questions that are open: who was asked, who has answered, until when. Any client that denies
 * denies; whoever does not answer in time gets its miss mode.
 */
#include <limits.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <time.h>
#include <unistd.h>
#include "base/peer.h"
#include "endpoint/engine/ask-internal.h"
#include "endpoint/engine/bpf.h"

#define TRACED_NS 1000000000ull /* a client that is being debugged is looked at again after this */

uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

void fanotify_answer(struct ask *ask, int fd, bool denied)
{
	const struct fanotify_response response = { .fd = fd,
		.response = denied ? FAN_DENY : FAN_ALLOW };

	/* what fails is an asker that was killed meanwhile */
	if (write(ask->group_fd, &response, sizeof response) < 0) {
	}
	close(fd);
}

/* ---- one -------------------------------------------------------------------------------------- */

struct question *question_new(struct ask *ask, int fd, uint32_t event)
{
	uint32_t i, at;

	for (i = 0; i < QUESTIONS_MAX; i++) {
		struct question *question;

		at = (ask->next_question + i) % QUESTIONS_MAX;
		question = &ask->questions[at];
		if (question->number)
			continue;
		ask->next_question = at + 1;
		ask->n_questions++;
		memset(question, 0, sizeof *question);
		question->number = (uint64_t)ask->generation << 48 | (uint64_t)++ask->serial << 16 |
			at;
		question->fd = fd;
		question->event = event;
		question->flags = UINT32_MAX;
		return question;
	}
	return NULL;
}

struct question *question_find(struct ask *ask, uint64_t number)
{
	struct question *question = &ask->questions[(number & 0xffff) % QUESTIONS_MAX];

	return number && question->number == number ? question : NULL;
}

void question_end_if_done(struct ask *ask, struct question *question)
{
	if (question->fd >= 0 || question->waiting)
		return;
	question->number = 0;
	ask->n_questions--;
}

/* What is about to run is written down first: it is compared with that. */
static void note_exec(struct ask *ask, struct question *question, bool denied)
{
	if (question->event != 0)
		return;
	question->exec.verdict = denied ? ES_VERDICT_DENIED
		: question->answered	? ES_VERDICT_ALLOWED
					: ES_VERDICT_PASSED;
	bpf_map_put(ask->settings.loaded->maps[MAP_execs], &question->exec_thread, &question->exec,
		BPF_EXIST);
}

/* Of what was denied a NOTIFY says so, to those that have subscribed to it. */
void tell_denied(struct ask *ask, struct question *question)
{
	static const uint32_t notify[] = { 9, 10 };
	uint32_t event = notify[question->event & 1];
	struct es_asking *asking = ask->asking;

	if (!ask->settings.control->subscribed[event])
		return;
	asking->clients = ask->settings.control->subscribed[event];
	asking->question = 0;
	asking->event = event;
	asking->result = 1;
	asking->file_fd = question->fd;
	asking->value = (int32_t)question->value;
	asking->use_cache = 0;
	ask_describe(ask, question->thread);
}

void question_decide(struct ask *ask, struct question *question, bool denied)
{
	const struct es_verdict verdict = { .denied = denied, .flags = question->flags };

	if (question->fd < 0)
		return;
	note_exec(ask, question, denied);
	if (!question->no_cache && question->waiting == 0)
		bpf_map_put(ask->settings.loaded->maps[MAP_verdicts], &question->key, &verdict,
			BPF_ANY);
	fanotify_answer(ask, question->fd, denied);
	question->fd = -1;
}

void question_answer(struct ask *ask, struct question *question, uint32_t client, bool denied,
	uint32_t flags, bool cache)
{
	question->waiting &= ~(1ull << client);
	ask_raise(ask, client, ASK_OVER);
	question->flags &= flags;
	question->denied |= denied;
	if (!cache)
		question->no_cache = true;
	if (question->denied || !question->waiting)
		question_decide(ask, question, question->denied);
	question_end_if_done(ask, question);
}

/* ---- those that do not answer ----------------------------------------------------------------- */

void ask_raise(struct ask *ask, uint32_t client, enum ask_count count)
{
	atomic_fetch_add_explicit(&ask->clients[client].counts[count], 1, memory_order_relaxed);
}

/* Of the file that waits, by the descriptor that fanotify gave for it; of a long one its end. */
static void path_of(const struct question *question, char ret[static ASK_PATH_BYTES])
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", question->fd);
	n = readlink(link, path, sizeof path);
	if (n < 0)
		n = 0;
	if (n >= ASK_PATH_BYTES) {
		memcpy(ret, "...", 3);
		memcpy(ret + 3, path + n - (ASK_PATH_BYTES - 4), ASK_PATH_BYTES - 4);
		n = ASK_PATH_BYTES - 1;
	} else {
		memcpy(ret, path, (size_t)n);
	}
	ret[n] = '\0';
}

static void notice(struct ask *ask, const struct question *question, uint32_t client, unsigned miss)
{
	struct ask_notice notice = { .client = client,
		.event = question->event,
		.wrong = question->wrong[client],
		.miss = miss,
		.question = question->number,
		.dropped = ask->notices_dropped };

	path_of(question, notice.path);
	ask_raise(ask, client, ASK_MISSED);
	if (write(ask->notice_fds[1], &notice, sizeof notice) == sizeof notice)
		ask->notices_dropped = 0;
	else
		ask->notices_dropped++;
}

void question_miss(struct ask *ask, struct question *question, uint32_t client)
{
	unsigned miss = atomic_load(&ask->clients[client].miss);

	if (question->fd >= 0)
		notice(ask, question, client, miss);
	if (miss == ASK_MISS_KILL && ask->clients[client].pid_fd >= 0)
		process_signal(ask->clients[client].pid_fd, SIGKILL);
	question_answer(ask, question, client, miss == ASK_MISS_FAIL_CLOSED, UINT32_MAX, false);
}

void questions_drop_client(struct ask *ask, uint32_t client)
{
	uint32_t i;

	for (i = 0; i < QUESTIONS_MAX && ask->n_questions; i++) {
		struct question *question = &ask->questions[i];
		bool closed = atomic_load(&ask->clients[client].miss) == ASK_MISS_FAIL_CLOSED;

		if (question->number && question->waiting & 1ull << client)
			question_answer(ask, question, client, closed, UINT32_MAX, false);
	}
}

/* Deadlines stand still while the client is being debugged. */
static bool is_traced(struct ask *ask, uint32_t client)
{
	ask->asking->clients = 0;
	ask->asking->file_fd = -1;
	return ask_describe(ask, ask->clients[client].pid) == 0 && ask->asking->traced;
}

static uint64_t expire_one(struct ask *ask, struct question *question, uint64_t now)
{
	uint64_t next = UINT64_MAX, waiting = question->waiting;

	while (waiting && question->number) {
		uint32_t client = (uint32_t)__builtin_ctzll(waiting);

		waiting &= waiting - 1;
		if (question->deadlines[client] <= now) {
			if (!is_traced(ask, client)) {
				question_miss(ask, question, client);
				continue;
			}
			question->deadlines[client] = now + TRACED_NS;
		}
		if (question->deadlines[client] < next)
			next = question->deadlines[client];
	}
	return next;
}

uint64_t questions_expire(struct ask *ask, uint64_t now)
{
	uint64_t next = UINT64_MAX, one;
	uint32_t i;

	for (i = 0; i < QUESTIONS_MAX && ask->n_questions; i++) {
		if (!ask->questions[i].number)
			continue;
		one = expire_one(ask, &ask->questions[i], now);
		next = one < next ? one : next;
	}
	return next;
}
