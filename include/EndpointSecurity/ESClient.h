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

/*
 * The handler of a client. @message is borrowed until it returns: es_retain_message() keeps it. It
 * may make any call on the client, es_delete_client() included, which makes it the last one.
 */
typedef void (*ob_es_handler_function_t)(
	es_client_t *client, const es_message_t *message, void *context);

/**
 * es_new_client_f() - become a client
 * @ret:     the client, yours; es_delete_client(); untouched on failure
 * @context: handed to @handler; borrowed until es_delete_client() has returned
 * @handler: called for each message, one after the other, on one thread of the library's, in which
 *           all signals are blocked
 *
 * The caller is an extension whose manifest has com.apple.developer.endpoint-security.client, root
 * in a program of such an extension's bundle, or any root in developer mode. Waits for outboard-esd,
 * at most 5 s. It is told nothing before es_subscribe(). When outboard-esd is replaced
 * the client stays what it is: it is connected and subscribed again by itself, and what happened
 * meanwhile is missing.
 *
 * Limits:  64 clients; a ring of 1 MiB each. A client that does not keep up loses messages, which
 *          shows in seq_num and global_seq_num.
 * Errors:  es_new_client_result_t, listed in es_new_client(3); ob_es_copy_new_client_error() says why
 * Threads: any
 * Since:   0.1
 * Source:  es_new_client, macOS 10.15
 */
es_new_client_result_t es_new_client_f(
	es_client_t **ret, void *context, ob_es_handler_function_t handler);

#ifdef __BLOCKS__
typedef void (^es_handler_block_t)(es_client_t *client, const es_message_t *message);
/** es_new_client() - es_new_client_f() with a block, copied; any thread, since 0.1 */
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
 * @client:      borrowed
 * @events:      @event_count numbers, copied
 * @event_count: how many; 0 adds nothing
 *
 * A number that is neither Apple's nor ours is ignored, as on macOS. A known event that this
 * machine cannot watch fails the call as a whole: nothing is subscribed then. The first call that
 * succeeds makes an extension count as up. While outboard-esd is replaced the call succeeds, and
 * holds as soon as the new one is there.
 *
 * Errors:  ES_RETURN_ERROR NULL, after fork(2), an event that cannot be watched, outboard-esd does
 *          not answer; ob_es_client_copy_last_error() says which and why
 * Threads: any
 * Since:   0.1
 * Source:  es_subscribe, macOS 10.15
 */
es_return_t es_subscribe(es_client_t *client, const es_event_type_t *events, uint32_t event_count);

/**
 * es_unsubscribe(), es_unsubscribe_all() - be told no longer; of nothing any more, and still a client
 * @client: borrowed
 * @events: @event_count numbers, copied; what was not subscribed is ignored
 *
 * What lies in the ring already still comes.
 *
 * Errors:  ES_RETURN_ERROR NULL, after fork(2), outboard-esd does not answer
 * Threads: any
 * Since:   0.1
 * Source:  es_unsubscribe, macOS 10.15
 */
es_return_t es_unsubscribe(
	es_client_t *client, const es_event_type_t *events, uint32_t event_count);
es_return_t es_unsubscribe_all(es_client_t *client);

/**
 * es_subscriptions() - what is subscribed
 * @client:        borrowed
 * @count:         how many
 * @subscriptions: the numbers, yours: free(3); NULL when there are none
 *
 * Errors:  ES_RETURN_ERROR NULL, after fork(2), no memory; both are untouched then
 * Threads: any
 * Since:   0.1
 * Source:  es_subscriptions, macOS 10.15
 */
es_return_t es_subscriptions(es_client_t *client, size_t *count, es_event_type_t **subscriptions);

/**
 * es_retain_message(), es_release_message() - keep a message beyond its handler
 * @message: borrowed from a handler, or kept before
 *
 * Keeping copies it out of the ring, once. Each es_retain_message() is ended by one
 * es_release_message(), also after es_delete_client(). Nothing limits how many are kept but memory,
 * without which es_retain_message() ends the program: it has no way to say no.
 *
 * Threads: any; keeping one for the first time only in its handler
 * Since:   0.1
 * Source:  es_retain_message, macOS 11.0
 */
void es_retain_message(const es_message_t *message);
void es_release_message(const es_message_t *message);

/**
 * es_copy_message(), es_free_message() - the same by their old names
 * @message: as above
 *
 * The copy is the message itself, kept, yours: it must not be written to. NULL for NULL.
 *
 * Threads: as above
 * Since:   0.1
 * Source:  es_copy_message, macOS 10.15
 */
es_message_t *es_copy_message(const es_message_t *message);
void es_free_message(es_message_t *message);
/**
 * es_message_size() - how many bytes it takes, all that it points to included
 * @message: borrowed
 *
 * Not to be copied by memcpy(3) all the same: es_retain_message(). 0 for NULL.
 *
 * Threads: any
 * Since:   0.1
 * Source:  es_message_size, macOS 10.15
 */
size_t es_message_size(const es_message_t *message);

/*
 * Muting: what a client does not want to be told of, by the process that acts, by its executable, or by
 * what it is done to. It is decided in the kernel before a message is made: what is muted costs the
 * client nothing. How many are muted makes no difference to what an event costs.
 *
 * A set is one of tuples: (process, event), (type of path, path, event). Muting adds tuples, unmuting
 * takes exactly these away; a prefix is not expanded, and what is not there is no error. Events that do
 * not exist are passed over. An event that is subscribed is left out if
 *   1. the process that acts is muted for it;
 *   2. or its executable is, by the whole path (LITERAL) or by how the path begins (PREFIX, of the
 *      string: "/usr/bi" is one of "/usr/bin/true");
 *   3. or, where the event has a target, all of its target paths are (TARGET_LITERAL, TARGET_PREFIX):
 *      of an exec the program, of a signal the executable of the process it is sent to, of a rename
 *      both ends.
 * es_invert_muting() turns one of the three round: then what is *not* muted is left out; and, of the
 * third, what has none of its targets muted.
 *
 * A path is that of a message: from the top, no link followed. It is one in the mount namespace of
 * outboard-esd: a file that somebody has mounted at that place in a namespace of his own, and one
 * under a root of his own, are not muted by it, nor is a file whose path is not certain (truncated).
 *
 * Sets stay when outboard-esd is replaced, and changes made meanwhile hold when it is back.
 *
 * Limits:  4095 bytes a path; 16384 paths, with their type, and 4096 processes a client, 65536 of all
 *          clients
 * Errors:  ES_RETURN_ERROR, and ob_es_client_copy_last_error() says why: endpoint.mute-path,
 *          endpoint.mute-target, endpoint.mute-process, endpoint.mute-limit, endpoint.unreachable.
 *          NULL, another process after fork(2): ES_RETURN_ERROR
 * Threads: any
 * Since:   0.1
 * Source:  macOS 10.15, 12.0 (events, paths by type), 13.0 (targets, inversion)
 */

/**
 * es_mute_process(), es_mute_process_events() - leave out what a process does
 * @audit_token: of a message: the process as long as it runs the program that it ran then, since an
 *               exec changes the token, as on macOS. Of ob_peer_get_audit_token(): whichever program
 *               it runs. pid and pidversion count, nothing else
 * @events:      @event_count types, copied; the other call: all
 *
 * It is unmuted when the process ends. ES_RETURN_ERROR: it has ended (endpoint.mute-process). A
 * child is another process.
 */
es_return_t es_mute_process(es_client_t *client, const audit_token_t *audit_token);
es_return_t es_mute_process_events(es_client_t *client, const audit_token_t *audit_token,
	const es_event_type_t *events, size_t event_count);

/** es_unmute_process(), es_unmute_process_events() - take that back; the same token, of a dead process too */
es_return_t es_unmute_process(es_client_t *client, const audit_token_t *audit_token);
es_return_t es_unmute_process_events(es_client_t *client, const audit_token_t *audit_token,
	const es_event_type_t *events, size_t event_count);

/**
 * es_muted_processes() - which are muted, for whatever event
 * @count:        how many
 * @audit_tokens: as many, yours: free(3); NULL if there is none
 */
es_return_t es_muted_processes(es_client_t *client, size_t *count, audit_token_t **audit_tokens);
/** es_muted_processes_events() - with their events; yours: es_release_muted_processes() */
es_return_t es_muted_processes_events(es_client_t *client, es_muted_processes_t **muted_processes);
/** es_release_muted_processes() - NULL is fine */
void es_release_muted_processes(es_muted_processes_t *muted_processes);

/**
 * es_mute_path(), es_mute_path_events() - leave out by path
 * @path:   copied; begins with a slash
 * @type:   of the acting executable, or of the target; whole, or its beginning
 * @events: @event_count types, copied; the other call: all. For a target those that have none are
 *          passed over; if none of them has one, that is ES_RETURN_ERROR (endpoint.mute-target)
 *
 * A client begins with a few paths muted for AUTH events: of the programs that all others wait for.
 * es_muted_paths_events() lists them; who unmutes one can stop the machine.
 */
es_return_t es_mute_path(es_client_t *client, const char *path, es_mute_path_type_t type);
es_return_t es_mute_path_events(es_client_t *client, const char *path, es_mute_path_type_t type,
	const es_event_type_t *events, size_t event_count);
/** es_mute_path_prefix(), es_mute_path_literal() - es_mute_path() of the acting executable */
es_return_t es_mute_path_prefix(es_client_t *client, const char *path);
es_return_t es_mute_path_literal(es_client_t *client, const char *path);

/** es_unmute_path(), es_unmute_path_events() - take that back: the same path and type */
es_return_t es_unmute_path(es_client_t *client, const char *path, es_mute_path_type_t type);
es_return_t es_unmute_path_events(es_client_t *client, const char *path, es_mute_path_type_t type,
	const es_event_type_t *events, size_t event_count);
/** es_unmute_all_paths() - take all of the acting executable back, those that it began with too */
es_return_t es_unmute_all_paths(es_client_t *client);
/** es_unmute_all_target_paths() - take all of the target back */
es_return_t es_unmute_all_target_paths(es_client_t *client);

/** es_muted_paths_events() - which are muted, with their events; yours: es_release_muted_paths() */
es_return_t es_muted_paths_events(es_client_t *client, es_muted_paths_t **muted_paths);
/** es_release_muted_paths() - NULL is fine */
void es_release_muted_paths(es_muted_paths_t *muted_paths);

/**
 * es_invert_muting() - tell of what is muted, and of nothing else; called again: as before
 * @type: which of the three
 *
 * What the client began with stays muted, and would be all that it is told of: es_unmute_all_paths()
 * first.
 */
es_return_t es_invert_muting(es_client_t *client, es_mute_inversion_type_t type);
/** es_muting_inverted() - is it? ES_MUTE_INVERTED_ERROR: no such type, NULL */
es_mute_inverted_return_t es_muting_inverted(es_client_t *client, es_mute_inversion_type_t type);

/**
 * es_respond_auth_result() - answer an AUTH message, every one but AUTH_OPEN
 * @client:  the one whose message it is
 * @message: borrowed; retained if its handler has returned
 * @result:  any client that denies is enough
 * @cache:   nobody needs to be asked again about the same file from the same program, until either
 *           changes; counts when every client that was asked says so
 *
 * It has decided when this returns: what waits goes on or fails with EPERM.
 *
 * Errors:  ES_RESPOND_RESULT_ERR_INVALID_ARGUMENT NULL, another client's message, no value of the enum;
 *          _ERR_EVENT_TYPE an AUTH_OPEN, or a NOTIFY; _ERR_DUPLICATE_RESPONSE answered before;
 *          _NOT_FOUND nobody waits any more: its deadline is over; _ERR_INTERNAL outboard-esd is not
 *          there. ob_es_client_copy_last_error() says it in words: rule endpoint.answer
 * Threads: any, in any order, also after the handler has returned
 * Since:   0.1
 * Source:  es_respond_auth_result, macOS 10.15; fanotify(7): FAN_OPEN_EXEC_PERM
 */
es_respond_result_t es_respond_auth_result(
	es_client_t *client, const es_message_t *message, es_auth_result_t result, bool cache);

/**
 * es_respond_flags_result() - answer an AUTH_OPEN
 * @authorized_flags: the open goes on if its fflag are all among these: 0 denies, UINT32_MAX allows
 *
 * All else: es_respond_auth_result(). With @cache the flags are what is remembered.
 *
 * Threads: any
 * Since:   0.1
 * Source:  es_respond_flags_result, macOS 10.15; fanotify(7): FAN_OPEN_PERM
 */
es_respond_result_t es_respond_flags_result(
	es_client_t *client, const es_message_t *message, uint32_t authorized_flags, bool cache);

/**
 * es_clear_cache() - forget what was answered with `cache`, of all clients
 *
 * Errors:  ES_CLEAR_CACHE_RESULT_ERR_THROTTLE more than eight times in a second;
 *          ES_CLEAR_CACHE_RESULT_ERR_INTERNAL outboard-esd is not there
 * Threads: any
 * Since:   0.1
 * Source:  es_clear_cache, macOS 10.15
 */
es_clear_cache_result_t es_clear_cache(es_client_t *client);

/**
 * es_set_deadline_miss_mode() - what happens when @client does not answer in time, ends, or has no room
 *
 * The default is FAIL_OPEN, other than on macOS. KILL lets the operation on, too.
 *
 * Errors:  ES_RETURN_ERROR NULL, after fork(2), no value of the enum
 * Threads: any
 * Since:   0.1
 * Source:  es_set_deadline_miss_mode, macOS 27.0
 */
es_return_t es_set_deadline_miss_mode(es_client_t *client, es_deadline_miss_mode_t mode);
/**
 * es_get_deadline_miss_mode() - what was set
 *
 * Errors:  ES_RETURN_ERROR NULL, after fork(2)
 * Threads: any
 * Since:   0.1
 */
es_return_t es_get_deadline_miss_mode(es_client_t *client, es_deadline_miss_mode_t *mode);

/**
 * es_set_deadline_max_milliseconds() - the longest time to answer, of some AUTH events
 * @milliseconds: 1 to 15000, which is the default
 *
 * Errors:  ES_RETURN_ERROR out of range, or an event that is not asked about; nothing is set then
 * Threads: any
 * Since:   0.1
 * Source:  es_set_deadline_max_milliseconds, macOS 27.0
 */
es_return_t es_set_deadline_max_milliseconds(es_client_t *client, const es_event_type_t *events,
	uint32_t event_count, uint32_t milliseconds);
/**
 * es_get_deadline_max_milliseconds() - how long that is
 *
 * Errors:  ES_RETURN_ERROR NULL, after fork(2), an event that is not asked about
 * Threads: any
 * Since:   0.1
 */
es_return_t es_get_deadline_max_milliseconds(
	es_client_t *client, es_event_type_t event, uint32_t *milliseconds);

/**
 * es_sync_client_f() - call @function when all that has happened so far has been handled
 * @client:   borrowed; NULL: @function is called at once
 * @context:  handed to @function; borrowed until it was called
 * @function: called once, where the handler is called, and never beside it
 *
 * Returns without waiting. What a system call has done is among what has happened as soon as that has
 * returned. Messages that come later may have been handled as well. @function is called, too, when
 * @client is deleted meanwhile, and when messages were lost: that it is called proves no delivery,
 * seq_num does.
 *
 * Errors:  ES_RETURN_ERROR @function is NULL; after fork(2); no memory. It is not called then
 * Threads: any, also in the handler, which ends first
 * Since:   0.1
 * Source:  es_sync_client, macOS 27.0
 */
es_return_t es_sync_client_f(es_client_t *client, void *context, void (*function)(void *context));
#ifdef __BLOCKS__
/** es_sync_client() - es_sync_client_f() with a block, copied; any thread, since 0.1 */
es_return_t es_sync_client(es_client_t *client, void (^block)(void));
#endif

/**
 * es_new_descendants_client_f() - become a client of the caller's descendants alone
 * @ret, @context, @handler: as es_new_client_f()
 *
 * Told of what the calling process does (NOTIFY), and told of and asked about (NOTIFY, AUTH) what its
 * descendants do: those that are there, those that come, and theirs. Who descends from it does so for
 * good, also when its parent has ended; but of those that are there at this call, and when outboard-esd
 * is replaced, only those whose parents are. Of all others it hears nothing, whatever it subscribes to.
 *
 * Its answers are remembered for nobody, `cache` or not, and what others have answered does not count
 * for it. The caller is root and entitled as for es_new_client_f(), other than on macOS: whoever may
 * hold a set-user-ID program has to be.
 *
 * Errors:  as es_new_client_f()
 * Threads: any
 * Since:   0.1
 * Source:  es_new_descendants_client, macOS 27.0
 */
es_new_client_result_t es_new_descendants_client_f(
	es_client_t **ret, void *context, ob_es_handler_function_t handler);
#ifdef __BLOCKS__
/** es_new_descendants_client() - the same with a block, copied; any thread, since 0.1 */
es_new_client_result_t es_new_descendants_client(es_client_t **ret, es_handler_block_t handler);
#endif

/**
 * es_set_deadline_min_milliseconds() - below which no deadline shall lie, of some AUTH events
 * @client:       one of descendants
 * @milliseconds: 0, which is what is set if nothing else is, to 15000
 *
 * A longest deadline that is shorter is set to the same, and the other way round. Nothing else shortens
 * a deadline here.
 *
 * Errors:  ES_RETURN_ERROR NULL, after fork(2), another kind of client, out of range, or an event that is
 *          not asked about; nothing is set then
 * Threads: any
 * Since:   0.1
 * Source:  es_set_deadline_min_milliseconds, macOS 27.0
 */
es_return_t es_set_deadline_min_milliseconds(es_client_t *client, const es_event_type_t *events,
	uint32_t event_count, uint32_t milliseconds);
/** es_get_deadline_min_milliseconds() - how long that is; fails as the other; any thread, since 0.1 */
es_return_t es_get_deadline_min_milliseconds(
	es_client_t *client, es_event_type_t event, uint32_t *milliseconds);

#ifdef __cplusplus
}
#endif

#endif
