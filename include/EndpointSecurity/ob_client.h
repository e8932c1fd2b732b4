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
 * @queue: where the handler runs; borrowed until es_delete_client() has returned
 *
 * Errors, Since: as es_new_client_f()
 */
es_new_client_result_t ob_es_new_client_on_queue_f(
	es_client_t **ret, ob_queue_t *queue, void *context, ob_es_handler_function_t handler);

/**
 * ob_es_copy_new_client_error() - why the last es_new_client of this thread that failed did so
 *
 * One reference, yours; NULL: none has. Since 0.1.
 */
ob_error_t *ob_es_copy_new_client_error(void);

/**
 * ob_es_client_copy_last_error() - why the last call on @client that failed did so
 *
 * One reference, yours: ob_error_release(). NULL: none has failed. The evidence names each event
 * that cannot be watched, with its reason. Since 0.1.
 */
ob_error_t *ob_es_client_copy_last_error(es_client_t *client);

typedef struct ob_es_counters_s {
	size_t size;	    /* set by you: sizeof of this struct */
	uint64_t delivered; /* messages handed to the handler */
	uint64_t dropped;   /* messages that found the ring full */
	uint64_t malformed; /* records that were none; always 0 unless something is broken */
	uint64_t restarts;  /* how often outboard-esd was replaced */
} ob_es_counters_t;

/** ob_es_client_get_counters() - since es_new_client; 0, -EINVAL a size that is not ours. Since 0.1. */
int ob_es_client_get_counters(es_client_t *client, ob_es_counters_t *ret);

typedef struct ob_es_event_support_s {
	size_t size;	    /* set by you */
	bool known;	    /* it has a name */
	bool can_watch;	    /* NOTIFY: es_subscribe() takes it */
	bool can_ask;	    /* AUTH */
	const char *name;   /* "NOTIFY_EXEC" */
	const char *source; /* "plain: tp_btf/sched_process_exec"; NULL */
	const char *reason; /* why not; NULL when it can */
} ob_es_event_support_t;

/** ob_es_event_get_support() - what this version can do for @type; -EINVAL size, -ENOENT. Since 0.1. */
int ob_es_event_get_support(es_event_type_t type, ob_es_event_support_t *ret);

#ifdef __cplusplus
}
#endif

#endif
