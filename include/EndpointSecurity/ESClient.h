/* SPDX-License-Identifier: Apache-2.0
 *
 * Clients of the Endpoint Security API: who wants to be told of what. Threads: every call on a
 * client may be made on any thread at any time, es_delete_client() alone excepted.
 */
#ifndef ENDPOINT_SECURITY_ES_CLIENT_H
#define ENDPOINT_SECURITY_ES_CLIENT_H

#include <EndpointSecurity/ESMessage.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*ob_es_handler_function_t)(
	es_client_t *client, const es_message_t *message, void *context);

/**
 * es_new_client_f() - become a client
 * @ret:     the client, yours; es_delete_client()
 * @context: handed to @handler; borrowed until es_delete_client() has returned
 * @handler: called for each message, one after the other, on one thread of the library's
 *
 * The caller is an extension whose manifest has com.apple.developer.endpoint-security.client, or
 * root in developer mode. It is told nothing before es_subscribe(). When outboard-esd is replaced
 * the client stays what it is: it is connected and subscribed again by itself, and what happened
 * meanwhile is missing.
 *
 * Limits:  64 clients; a ring of 1 MiB each. A client that does not keep up loses messages, which
 *          shows in seq_num and global_seq_num.
 * Errors:  es_new_client_result_t; ob_es_copy_new_client_error() says why
 * Since:   0.1
 * Source:  es_new_client, macOS 10.15
 */
es_new_client_result_t es_new_client_f(
	es_client_t **ret, void *context, ob_es_handler_function_t handler);

#ifdef __BLOCKS__
typedef void (^es_handler_block_t)(es_client_t *client, const es_message_t *message);
es_new_client_result_t es_new_client(es_client_t **ret, es_handler_block_t handler);
#endif

/**
 * es_delete_client() - stop being one
 * @client: NULL does nothing; else it is gone afterwards, also on failure
 *
 * No handler runs when it returns, but the one that calls it.
 *
 * Errors:  ES_RETURN_ERROR made before fork(2), in another process
 * Threads: never beside another call on the same client
 * Since:   0.1
 * Source:  es_delete_client, macOS 10.15
 */
es_return_t es_delete_client(es_client_t *client);

/**
 * es_subscribe() - be told of events, from now on, in addition to what was subscribed before
 * @events:      numbers, copied
 * @event_count: how many; 0 does nothing
 *
 * A number that is neither Apple's nor ours is ignored, as on macOS. A known event that this
 * machine cannot watch fails the call as a whole: nothing is subscribed then. The first call that
 * succeeds makes an extension count as up.
 *
 * Errors:  ES_RETURN_ERROR; ob_es_client_copy_last_error() names the event and why
 * Since:   0.1
 * Source:  es_subscribe, macOS 10.15
 */
es_return_t es_subscribe(es_client_t *client, const es_event_type_t *events, uint32_t event_count);

/** es_unsubscribe() - no longer; what was not subscribed is ignored. Since 0.1, macOS 10.15. */
es_return_t es_unsubscribe(
	es_client_t *client, const es_event_type_t *events, uint32_t event_count);
/** es_unsubscribe_all() - nothing any more, and still a client. Since 0.1, macOS 10.15. */
es_return_t es_unsubscribe_all(es_client_t *client);

/**
 * es_subscriptions() - what is subscribed
 * @count:         how many
 * @subscriptions: the numbers, yours: free(3); NULL when there are none
 *
 * Since:   0.1
 * Source:  es_subscriptions, macOS 10.15
 */
es_return_t es_subscriptions(es_client_t *client, size_t *count, es_event_type_t **subscriptions);

/**
 * es_retain_message(), es_release_message() - keep a message beyond its handler
 * @message: borrowed from a handler, or kept before
 *
 * Keeping copies it out of the ring, once. Each es_retain_message() is ended by one
 * es_release_message(), on any thread, also after es_delete_client().
 *
 * Since:   0.1
 * Source:  es_retain_message, macOS 11.0
 */
void es_retain_message(const es_message_t *message);
void es_release_message(const es_message_t *message);

/**
 * es_copy_message(), es_free_message() - the same by their old names
 *
 * The copy is the message itself, kept: it must not be written to. NULL for NULL.
 *
 * Since:   0.1
 * Source:  es_copy_message, macOS 10.15
 */
es_message_t *es_copy_message(const es_message_t *message);
void es_free_message(es_message_t *message);
/** es_message_size() - bytes that it takes; not to be copied by memcpy(). Since 0.1, macOS 10.15. */
size_t es_message_size(const es_message_t *message);

/*
 * What follows is Apple's API for what this version does not do: it cannot hold an operation until
 * it is answered, leave out what a client does not want, or follow descendants alone. Each call
 * fails with the result that is named, does nothing, leaves its out parameters alone, and
 * ob_es_client_copy_last_error() says so: rule endpoint.call-unsupported. All: any thread, since 0.1.
 */

/**
 * es_respond_auth_result(), es_respond_flags_result() - answer an AUTH message
 *
 * Errors:  ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT NULL; ES_RESPOND_RESULT_ERR_EVENT_TYPE a NOTIFY
 *          message, which every message of this version is
 * Source:  macOS 10.15
 */
es_respond_result_t es_respond_auth_result(
	es_client_t *client, const es_message_t *message, es_auth_result_t result, bool cache);
es_respond_result_t es_respond_flags_result(
	es_client_t *client, const es_message_t *message, uint32_t authorized_flags, bool cache);

/** es_clear_cache() - forget answers. ES_CLEAR_CACHE_RESULT_ERR_INTERNAL. macOS 10.15. */
es_clear_cache_result_t es_clear_cache(es_client_t *client);

/*
 * Muting: ES_RETURN_ERROR; es_muting_inverted(): ES_MUTE_INVERTED_ERROR. macOS 10.15, 12.0 (events,
 * paths by type), 13.0 (targets, inversion).
 */
es_return_t es_mute_process(es_client_t *client, const audit_token_t *audit_token);
es_return_t es_mute_process_events(es_client_t *client, const audit_token_t *audit_token,
	const es_event_type_t *events, size_t event_count);
es_return_t es_unmute_process(es_client_t *client, const audit_token_t *audit_token);
es_return_t es_unmute_process_events(es_client_t *client, const audit_token_t *audit_token,
	const es_event_type_t *events, size_t event_count);
es_return_t es_muted_processes(es_client_t *client, size_t *count, audit_token_t **audit_tokens);
es_return_t es_muted_processes_events(es_client_t *client, es_muted_processes_t **muted_processes);
void es_release_muted_processes(es_muted_processes_t *muted_processes); /* NULL is fine */
es_return_t es_mute_path(es_client_t *client, const char *path, es_mute_path_type_t type);
es_return_t es_mute_path_events(es_client_t *client, const char *path, es_mute_path_type_t type,
	const es_event_type_t *events, size_t event_count);
es_return_t es_mute_path_prefix(es_client_t *client, const char *path);
es_return_t es_mute_path_literal(es_client_t *client, const char *path);
es_return_t es_unmute_path(es_client_t *client, const char *path, es_mute_path_type_t type);
es_return_t es_unmute_path_events(es_client_t *client, const char *path, es_mute_path_type_t type,
	const es_event_type_t *events, size_t event_count);
es_return_t es_unmute_all_paths(es_client_t *client);
es_return_t es_unmute_all_target_paths(es_client_t *client);
es_return_t es_muted_paths_events(es_client_t *client, es_muted_paths_t **muted_paths);
void es_release_muted_paths(es_muted_paths_t *muted_paths); /* NULL is fine */
es_return_t es_invert_muting(es_client_t *client, es_mute_inversion_type_t type);
es_mute_inverted_return_t es_muting_inverted(es_client_t *client, es_mute_inversion_type_t type);

/* Deadlines of AUTH messages: ES_RETURN_ERROR. macOS 27.0. */
es_return_t es_set_deadline_miss_mode(es_client_t *client, es_deadline_miss_mode_t mode);
es_return_t es_get_deadline_miss_mode(es_client_t *client, es_deadline_miss_mode_t *mode);
es_return_t es_set_deadline_max_milliseconds(es_client_t *client, const es_event_type_t *events,
	uint32_t event_count, uint32_t milliseconds);
es_return_t es_get_deadline_max_milliseconds(
	es_client_t *client, es_event_type_t event, uint32_t *milliseconds);
es_return_t es_set_deadline_min_milliseconds(es_client_t *client, const es_event_type_t *events,
	uint32_t event_count, uint32_t milliseconds);
es_return_t es_get_deadline_min_milliseconds(
	es_client_t *client, es_event_type_t event, uint32_t *milliseconds);

/** es_sync_client_f() - after all that was sent before. ES_RETURN_ERROR, not called. macOS 27.0. */
es_return_t es_sync_client_f(es_client_t *client, void *context, void (*function)(void *context));
/**
 * es_new_descendants_client_f() - a client of the caller and its descendants alone
 *
 * Errors:  ES_NEW_CLIENT_RESULT_ERR_INTERNAL; ob_es_copy_new_client_error() says why
 * Source:  es_new_descendants_client, macOS 27.0
 */
es_new_client_result_t es_new_descendants_client_f(
	es_client_t **ret, void *context, ob_es_handler_function_t handler);
#ifdef __BLOCKS__
es_return_t es_sync_client(es_client_t *client, void (^block)(void));
es_new_client_result_t es_new_descendants_client(es_client_t **ret, es_handler_block_t handler);
#endif

#ifdef __cplusplus
}
#endif

#endif
