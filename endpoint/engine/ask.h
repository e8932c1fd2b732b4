/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking: what waits in fanotify's permission events is told to the clients as AUTH messages, and their
 * answers let it go on or not. Everything that decides happens on one thread, which shares no lock with
 * anybody: the daemon's loop speaks to it over a socket, clients answer on sockets that it alone reads.
 * It opens no file, resolves no name but that of what was missed, and says nothing: what is worth a log
 * line goes to the loop.
 *
 * Fail mode. Nobody waits longer than a client's deadline: then, and when the client is gone, or its
 * ring full, its miss mode decides. What nobody can be asked about is decided by [endpoint] fail_mode. With
 * outboard-esd gone the kernel lets everything on that waits.
 */
#ifndef OB_ENDPOINT_ENGINE_ASK_H
#define OB_ENDPOINT_ENGINE_ASK_H

#include <stdbool.h>
#include "base/pulse.h"
#include "endpoint/ask.h"
#include "endpoint/engine/load.h"

struct ask;

enum ask_miss { ASK_MISS_KILL, ASK_MISS_FAIL_OPEN, ASK_MISS_FAIL_CLOSED };

/*
 * Told to the loop: a miss; or ASK_BROKEN, after which ask_is_broken() says who. Less than PIPE_BUF, so it is
 * written whole or not at all.
 */
#define ASK_BROKEN UINT32_MAX
#define ASK_PATH_BYTES 1024
struct ask_notice {
	uint32_t client, event;
	uint32_t
		wrong; /* es_respond_result_t of an answer that decided nothing; 0: there was none */
	enum ask_miss miss;
	uint64_t question;
	uint64_t dropped;	   /* notices that found no room before this one */
	char path[ASK_PATH_BYTES]; /* the end of it, where it is longer */
};

/* Of each client, since it has come. */
enum ask_count {
	ASK_ASKED,
	ASK_ANSWERED,
	ASK_WRONG, /* answers that decided nothing */
	ASK_MISSED,
	ASK_OVER, /* questions that are not its any more; of ASK_ASKED the others wait for it */
	ASK_COUNTS
};

struct ask_settings {
	const struct loaded *loaded; /* borrowed, as long as the ask */
	struct es_control *control;
	/* a path on each, NULL at the end, and what is mounted there; none: whatever is mounted */
	const char *const *filesystems;
	const struct pulse *pulse; /* borrowed; of the thread that decides */
	bool fail_closed;	   /* what nobody can be asked about is denied */
};

int ask_new(const struct ask_settings *settings, struct ask **ret);
struct ask *ask_free(struct ask *ask);

/* @ret_fd: the client's end of the socket for answers, yours. @pid_fd is copied. */
int ask_add_client(struct ask *ask, uint32_t client, int32_t pid, int pid_fd, int *ret_fd);
void ask_drop_client(struct ask *ask, uint32_t client);
void ask_set_miss(struct ask *ask, uint32_t client, enum ask_miss miss);
enum ask_miss ask_get_miss(const struct ask *ask, uint32_t client);
/* Marks while somebody has subscribed; AUTH_EXEC, AUTH_OPEN. 0 or -errno. */
int ask_watch(struct ask *ask, bool exec, bool open);
/* /proc/self/mountinfo is another: marks what is new. */
int ask_mounts_changed(struct ask *ask);
/* @handler: called for each mount that cannot be marked, once. @error: -errno. */
typedef void ask_unmarked_fn(const char *where, const char *type, int error, void *context);
void ask_on_unmarked(struct ask *ask, ask_unmarked_fn *handler, void *context);

int ask_group_fd(const struct ask *ask); /* whoever has it open keeps all that wait */
int ask_notice_fd(const struct ask *ask);
int ask_next_notice(struct ask *ask, struct ask_notice *ret); /* -EAGAIN none */
/* It has sent what is no answer, or reads no results, and is asked no more. */
bool ask_is_broken(const struct ask *ask, uint32_t client);
uint64_t ask_count(const struct ask *ask, uint32_t client, enum ask_count count);

#define ASK_DEADLINE_NS 15000000000ull

#endif
