/* SPDX-License-Identifier: Apache-2.0
 *
 * The sources of events behind one face. Which source an event comes from is found out on this
 * kernel, not assumed: the best that loads, of those that [endpoint] sources allows. What has no
 * source says why, and es_subscribe() fails with that sentence.
 */
#ifndef OB_ENDPOINT_ENGINE_ENGINE_H
#define OB_ENDPOINT_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include "endpoint/identity.h"
#include "endpoint/record.h"

struct engine;
struct pulse;

/* ---- capabilities.c: what can be watched, in daemon and library alike ----------------------- */

enum source {
	SOURCE_TRACEPOINT = 1,	 /* always there */
	SOURCE_TRAMPOLINE = 2,	 /* LSM, fentry and fexit programs */
	SOURCE_SYSCALL_EXIT = 4, /* without trampolines */
	SOURCE_FANOTIFY = 8,
	SOURCE_ASK = 16,   /* fanotify's permission events */
	SOURCE_FREE = 32,  /* without trampolines, from 6.7 on: what is done with is given back */
	SOURCE_NAMES = 64, /* the same system calls, by the names that they are given */
};
#define SOURCES_ALL 0x7fu
#define SOURCES_PLAIN (SOURCE_SYSCALL_EXIT | SOURCE_NAMES | SOURCE_FREE)

/* A row: an event from a source. Of the rows of one event the first whose source is there counts. */
struct capability {
	uint32_t event;
	uint32_t source;
	const char *by;	       /* "tracepoint sched_process_exec" */
	const char *imprecise; /* what this source cannot tell, or NULL */
};
/* NULL: none of @sources has it; capability_reason() says why. */
const struct capability *capability_of(uint32_t event, uint32_t sources);
const char *capability_reason(uint32_t event, uint32_t sources);
const char *capability_name(uint32_t event); /* "NOTIFY_EXEC"; NULL: not an event */
bool capability_asks(uint32_t event);	     /* an AUTH event */
bool capability_has_target(uint32_t event);  /* it can be muted by the path of what it is done to */

/* ---- engine.c --------------------------------------------------------------------------------- */

/*
 * Load, in a child that hands its descriptors over and ends, so that what loading needs does not
 * stay in this process. @scope_fd: cgroup v2 folder, borrowed; -1 the whole machine. @sources: which
 * may be used. @problem: what failed, for the log.
 */
struct engine_settings {
	int scope_fd;
	uint32_t sources;
	const char *const *filesystems; /* where is asked: a path on each, NULL at the
					   end; NULL: everywhere, or with a scope nowhere */
	const struct pulse *pulse; /* borrowed: shows that somebody is held, and is not forgotten */
	bool fail_closed;	   /* what nobody can be asked about is denied */
};
int engine_new(
	const struct engine_settings *settings, struct engine **ret, char problem[static 256]);
struct engine *engine_free(struct engine *engine);
uint32_t engine_sources(const struct engine *engine);

/*
 * A ring, a page and a socket for answers (-1: nothing can be asked here) for client number @client;
 * replaces what is there. Descriptors: yours. @pid_fd: to kill it when it misses a deadline; copied; -1.
 */
enum { CLIENT_RING, CLIENT_WAKE, CLIENT_ANSWERS, CLIENT_FDS };
int engine_add_client(struct engine *engine, uint32_t client, uint32_t ring_bytes, int32_t pid,
	int pid_fd, int ret_fds[static CLIENT_FDS]);
void engine_drop_client(struct engine *engine, uint32_t client);
/* From now on the client is told of the process @pid and its descendants, and of nobody else. 0 or -errno. */
int engine_descend(struct engine *engine, uint32_t client, int32_t pid);
/*
 * Exactly @events: what is not among them is over when this returns; the others from its return on, or if
 * their programs have to be loaded or attached first, -EINPROGRESS: then @engine_loaded() says when. On
 * failure the client has what it had.
 */
int engine_watch(
	struct engine *engine, uint32_t client, const uint64_t events[static ES_EVENTS_MAX / 64]);
/* While something is being loaded: readable when engine_loaded() is to be called. Else -1. */
int engine_loading_fd(const struct engine *engine);
typedef void engine_watched_fn(uint32_t client, int result, void *context);
/* 0, or the first failure, of which @problem is the kernel's word; -EAGAIN: not yet. */
int engine_loaded(
	struct engine *engine, engine_watched_fn *watched, void *context, char problem[static 256]);
/* Programs are attached that nobody needs: engine_rest() after a while takes them off. */
bool engine_can_rest(const struct engine *engine);
void engine_rest(struct engine *engine);
struct endpoint_counters;
struct endpoint_deadlines;

/* Of one client and of all, for who asks outboard-esd: nothing of it is on anybody's way. */
struct engine_client {
	uint32_t ring_bytes;
	uint64_t subscribed[ES_EVENTS_MAX / 64];
	uint64_t sent, dropped, dropped_of_type[ES_EVENTS_MAX];
	uint64_t asked, answered, wrong, missed, waiting; /* 0 where nothing can be asked */
	uint32_t deadline_ms[2];			  /* AUTH_EXEC, AUTH_OPEN */
	uint32_t miss_mode;				  /* enum ask_miss */
	uint32_t mutes[ES_MUTE_KINDS], inverted;	  /* bits: enum es_inversion */
};
void engine_look(const struct engine *engine, uint32_t client, struct engine_client *ret);
struct engine_totals {
	uint64_t unmade, unstored, unasked, exchanged, unmuted;
	uint64_t subscribed[ES_EVENTS_MAX]; /* a bit a client */
};
void engine_total(const struct engine *engine, struct engine_totals *ret);
int engine_count(struct engine *engine, uint32_t client, struct endpoint_counters *ret);
void engine_set_deadlines(
	struct engine *engine, uint32_t client, const struct endpoint_deadlines *deadlines);
struct ask;
struct ask *engine_ask(struct engine *engine); /* NULL: nothing can be asked here */

/* ---- which program a file is: the map that the kernel program looks in ----------------------- */

/* What it asks for: struct es_wanted, in a ring. Borrowed; readable when there is one. */
int engine_wanted_fd(const struct engine *engine);
int engine_identity_put(struct engine *engine, const struct es_identity_key *key,
	const struct es_identity *identity);
void engine_identity_drop(struct engine *engine, const struct es_identity_key *key);
/* Of an identity that counts until engine_identity_renew(). */
uint32_t engine_identity_epoch(const struct engine *engine);
void engine_identity_renew(struct engine *engine);

/* ---- mute.c ----------------------------------------------------------------------------------- */

struct engine_mute {
	uint32_t kind; /* enum es_mute_kind */
	const char *
		path; /* or, of a process, its number and its version: see struct es_record_process */
	int pid;
	uint32_t version;
	uint64_t events[ES_EVENTS_MAX / 64];
};
/*
 * Exactly these events of it from now on; none: it is not muted any more. -ENOSPC the client has as many
 * as it may have, -ENOBUFS all clients have; -ENOMEM.
 */
int engine_mute(struct engine *engine, uint32_t client, const struct engine_mute *mute);
void engine_invert(
	struct engine *engine, uint32_t client, uint32_t inverted); /* bits: enum es_inversion */
/* False: not muted, or a process that has ended since, or runs another program. */
bool engine_is_muted(struct engine *engine, uint32_t client, const struct engine_mute *mute);

#endif
