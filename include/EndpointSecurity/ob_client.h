/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands beside Apple's header: clients on a queue of yours, why something failed, counters,
 * and what this machine can watch.
 */
#ifndef ENDPOINT_SECURITY_OB_CLIENT_H
#define ENDPOINT_SECURITY_OB_CLIENT_H

#include <EndpointSecurity/ESClient.h>
#include <Outboard/outboard.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ob_es_new_client_on_queue_f() - es_new_client_f() without a thread
 * @ret, @context, @handler: as es_new_client_f()
 * @queue: where the handler runs; borrowed until es_delete_client() has returned
 *
 * At most 256 messages are handled in a row before others on the queue have their turn.
 *
 * Errors:  as es_new_client_f(); ES_NEW_CLIENT_RESULT_ERR_INVALID_ARGUMENT a queue of NULL, too
 * Threads: any
 * Since:   0.1. Ours: macOS starts a thread
 */
es_new_client_result_t ob_es_new_client_on_queue_f(
	es_client_t **ret, ob_queue_t *queue, void *context, ob_es_handler_function_t handler);

/**
 * ob_es_copy_new_client_error() - why the last es_new_client of this thread that failed did so
 *
 * One reference, yours: ob_error_release(). NULL: none has.
 *
 * Threads: any; what it says is of the calling one
 * Since:   0.1
 */
ob_error_t *ob_es_copy_new_client_error(void);

/**
 * ob_es_client_copy_last_error() - why the last call on @client that failed did so
 *
 * @client: borrowed; not NULL
 *
 * One reference, yours: ob_error_release(). NULL: none has failed. Of events that cannot be watched
 * it names the first, with its reason.
 *
 * Threads: any
 * Since:   0.1
 */
ob_error_t *ob_es_client_copy_last_error(es_client_t *client);

typedef struct ob_es_counters_s {
	size_t size;		  /* set by you: sizeof of this struct */
	uint64_t delivered;	  /* messages handed to the handler */
	uint64_t dropped;	  /* messages that found the ring full */
	uint64_t malformed;	  /* records that were none; always 0 unless something is broken */
	uint64_t restarts;	  /* how often outboard-esd was replaced */
	uint64_t deadline_misses; /* AUTH messages that were not answered in time */
	uint64_t
		unmade; /* events that nobody was told of, since outboard-esd was started: the kernel had no
			    room to make them in */
	/* of the machine, while somebody is asked about execs, since outboard-esd was started */
	uint64_t unasked;   /* programs that ran and that nobody could be asked about */
	uint64_t exchanged; /* programs that were killed, not being what was allowed */
} ob_es_counters_t;

/**
 * ob_es_client_get_counters() - what has come and what was lost, since es_new_client()
 * @client: borrowed
 * @ret:    filled but for its size, which you have set
 *
 * Errors:  -EINVAL NULL, or a size that is not ours; -ECHILD made before fork(2); -EPIPE, -ENOTCONN
 *          outboard-esd is being replaced: ask again
 * Threads: any
 * Since:   0.1
 */
int ob_es_client_get_counters(es_client_t *client, ob_es_counters_t *ret);

typedef struct ob_es_event_support_s {
	size_t size;	       /* set by you */
	bool known;	       /* it has a name */
	bool can_watch;	       /* NOTIFY: es_subscribe() takes it */
	bool can_ask;	       /* AUTH */
	const char *name;      /* "NOTIFY_EXEC" */
	const char *source;    /* "tracepoint sched_process_exec"; NULL */
	const char *reason;    /* why not; NULL when it can */
	const char *imprecise; /* what that source cannot tell; NULL: nothing */
} ob_es_event_support_t;

/**
 * ob_es_event_get_support() - what this version can do for an event
 * @ret: filled but for its size, which you have set; its strings are constants
 *
 * Asks nobody: before this process had a client it says what the version can do, afterwards what it
 * can do on this kernel.
 *
 * Errors:  -EINVAL NULL, or a size that is not ours; -ENOENT no event of the API
 * Threads: any
 * Since:   0.1
 */
int ob_es_event_get_support(es_event_type_t type, ob_es_event_support_t *ret);

#ifdef __cplusplus
}
#endif

#endif
