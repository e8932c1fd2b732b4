/* SPDX-License-Identifier: Apache-2.0
 *
 * SystemExtensions in C: an app asks that an extension in its own bundle be active, or be gone, and
 * what is known of its copies. Names, numbers and the order of callbacks are those of macOS'
 * SystemExtensions.framework; what is Outboard's own begins with ob_. Link with -lSystemExtensions.
 *
 * See SystemExtensions(7), and examples/ProcessMonitor for an app that uses all of it.
 */
#ifndef SYSTEM_EXTENSIONS_SYSTEM_EXTENSIONS_H
#define SYSTEM_EXTENSIONS_SYSTEM_EXTENSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <Outboard/outboard.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct os_system_extension_request_s os_system_extension_request_t;
typedef struct os_system_extension_properties_s os_system_extension_properties_t;
typedef struct os_system_extension_info_s os_system_extension_info_t;

/* ---- Numbers and names ------------------------------------------------------------------------ */

/* OSSystemExtensionErrorCode: ob_error_get_code() of an error of the domain below. */
typedef enum {
	OS_SYSTEM_EXTENSION_ERROR_UNKNOWN = 1,
	OS_SYSTEM_EXTENSION_ERROR_MISSING_ENTITLEMENT = 2,
	OS_SYSTEM_EXTENSION_ERROR_UNSUPPORTED_PARENT_BUNDLE_LOCATION = 3,
	OS_SYSTEM_EXTENSION_ERROR_EXTENSION_NOT_FOUND = 4,
	OS_SYSTEM_EXTENSION_ERROR_EXTENSION_MISSING_IDENTIFIER = 5,
	OS_SYSTEM_EXTENSION_ERROR_DUPLICATE_EXTENSION_IDENTIFER = 6, /* spelt as Apple spells it */
	OS_SYSTEM_EXTENSION_ERROR_DUPLICATE_EXTENSION_IDENTIFIER = 6,
	OS_SYSTEM_EXTENSION_ERROR_UNKNOWN_EXTENSION_CATEGORY = 7,
	OS_SYSTEM_EXTENSION_ERROR_CODE_SIGNATURE_INVALID = 8,
	OS_SYSTEM_EXTENSION_ERROR_VALIDATION_FAILED = 9,
	OS_SYSTEM_EXTENSION_ERROR_FORBIDDEN_BY_SYSTEM_POLICY = 10,
	OS_SYSTEM_EXTENSION_ERROR_REQUEST_CANCELED = 11,
	OS_SYSTEM_EXTENSION_ERROR_REQUEST_SUPERSEDED = 12,
	OS_SYSTEM_EXTENSION_ERROR_AUTHORIZATION_REQUIRED = 13,
} os_system_extension_error_code_t;

/* OSSystemExtensionReplacementAction */
typedef enum {
	OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_CANCEL = 0,
	OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_REPLACE = 1,
} os_system_extension_replacement_action_t;

/* OSSystemExtensionRequestResult */
typedef enum {
	OS_SYSTEM_EXTENSION_REQUEST_COMPLETED = 0,
	OS_SYSTEM_EXTENSION_REQUEST_WILL_COMPLETE_AFTER_REBOOT = 1,
} os_system_extension_request_result_t;

/* "OSSystemExtensionErrorDomain", what ob_error_get_domain() says of every error made here. */
extern const char *const OSSystemExtensionErrorDomain;

/* Keys of an extension's Info.plist: why it is wanted, in the words that the approval shows. */
extern const char
	*const NSSystemExtensionUsageDescriptionKey;  /* "NSSystemExtensionUsageDescription" */
extern const char *const OSBundleUsageDescriptionKey; /* "OSBundleUsageDescription", of a dext */
/* "OSRelatedKernelExtension": accepted and without meaning here, as there are no kernel extensions. */
extern const char *const OSRelatedKernelExtensionKey;

/* ---- OSSystemExtensionRequest ----------------------------------------------------------------- */

/*
 * OSSystemExtensionRequestDelegate. Copied. A NULL entry means: not interested; without
 * action_for_replacing_extension the answer is REPLACE. Everything that a callback is handed is
 * borrowed for its length: _retain what is to be kept.
 */
typedef struct os_system_extension_request_delegate_s {
	size_t size; /* sizeof of this struct, as you were compiled */

	/*
	 * A copy with another version is there already (in developer mode: any copy). REPLACE goes
	 * on; CANCEL, like any other number, ends the request with RequestCanceled and changes
	 * nothing. Asked at most once a request, unless outboardd was restarted meanwhile.
	 */
	os_system_extension_replacement_action_t (*action_for_replacing_extension)(
		os_system_extension_request_t *request,
		const os_system_extension_properties_t *existing,
		const os_system_extension_properties_t *extension, void *context);

	/* Waits for somebody who may approve it. At most once; the request goes on by itself. */
	void (*needs_user_approval)(os_system_extension_request_t *request, void *context);

	/* The end: exactly one of these two, once, and after it nothing. */
	void (*did_finish_with_result)(os_system_extension_request_t *request,
		os_system_extension_request_result_t result, void *context);
	void (*did_fail_with_error)(
		os_system_extension_request_t *request, const ob_error_t *error, void *context);

	/*
	 * Of a properties request, once, before did_finish_with_result: every copy of the extension
	 * that is installed or on its way, several during an upgrade, none when it is unknown.
	 */
	void (*found_properties)(os_system_extension_request_t *request,
		const os_system_extension_properties_t *const *properties, size_t n_properties,
		void *context);
} os_system_extension_request_delegate_t;

/**
 * os_system_extension_request_new_activation() - ask that an extension of the calling app be active
 * @identifier: CFBundleIdentifier, copied, at most 255 bytes; looked for only in
 *              Contents/Library/SystemExtensions of the app that this process runs from
 * @queue:      where the delegate is called, borrowed until the last callback; NULL: a thread of
 *              the library's own, for this request
 * @ret:        the request, one reference, yours; os_system_extension_request_release()
 *
 * Nothing happens before os_system_extension_manager_submit_request(). Ask at every start of the
 * app: for an extension that is active with the same digest the request completes at once, asks
 * nobody and restarts nothing.
 *
 * It ends in exactly one of did_finish_with_result and did_fail_with_error. While it waits for
 * approval it also ends with the process; the extension then stays "activated waiting for user",
 * and a later approval completes it without the app. When outboardd is restarted meanwhile the
 * request is made again, which is without effect where its work is done.
 *
 * Errors:  -EINVAL no identifier; -ENAMETOOLONG; -ENOMEM. All else comes through did_fail_with_error.
 * Threads: any
 * Since:   0.1
 * Source:  OSSystemExtensionRequest, macOS 10.15
 */
int os_system_extension_request_new_activation(
	const char *identifier, ob_queue_t *queue, os_system_extension_request_t **ret);

/**
 * os_system_extension_request_new_deactivation() - ask that an extension of the calling app be removed
 * @identifier, @queue, @ret: as os_system_extension_request_new_activation()
 *
 * The extension is stopped and its staged copy is deleted; the app's own copy is left alone. What
 * somebody has approved takes root, or a policy that lists it as removable: else it ends with
 * AuthorizationRequired (13).
 *
 * Errors:  as os_system_extension_request_new_activation()
 * Threads: any
 * Since:   0.1
 * Source:  OSSystemExtensionRequest, macOS 10.15
 */
int os_system_extension_request_new_deactivation(
	const char *identifier, ob_queue_t *queue, os_system_extension_request_t **ret);

/**
 * os_system_extension_request_new_properties() - ask what is known of the copies of an extension
 * @identifier, @queue, @ret: as os_system_extension_request_new_activation()
 *
 * Calls found_properties once, also with none, then did_finish_with_result.
 *
 * Errors:  as os_system_extension_request_new_activation()
 * Threads: any
 * Since:   0.1
 * Source:  OSSystemExtensionRequest, macOS 12.0
 */
int os_system_extension_request_new_properties(
	const char *identifier, ob_queue_t *queue, os_system_extension_request_t **ret);

/**
 * os_system_extension_request_retain() - take one more reference
 * @request: borrowed
 *
 * @request itself, so that the call can stand in an assignment; NULL for NULL.
 *
 * Threads: any
 * Since:   0.1
 */
os_system_extension_request_t *os_system_extension_request_retain(
	os_system_extension_request_t *request);

/**
 * os_system_extension_request_release() - give one reference back
 * @request: yours; NULL is fine
 *
 * A submitted request goes on without yours: the library holds one until the last callback has
 * returned. Always NULL back.
 *
 * Threads: any, also inside a callback of the request
 * Since:   0.1
 */
os_system_extension_request_t *os_system_extension_request_release(
	os_system_extension_request_t *request);

/**
 * os_system_extension_request_get_identifier() - the identifier that it was made with
 * @request: borrowed
 *
 * Borrowed, as long as @request.
 *
 * Threads: any
 * Since:   0.1
 * Source:  OSSystemExtensionRequest.identifier
 */
const char *os_system_extension_request_get_identifier(
	const os_system_extension_request_t *request);

/**
 * os_system_extension_request_set_delegate() - say who is told how the request goes
 * @request:  borrowed
 * @delegate: copied; NULL: nobody
 * @context:  handed to each callback, never looked at; lives until the last callback, or until
 *            another delegate is set inside a callback
 *
 * Set it before the request is submitted. Set later, it gets the callbacks that have not begun.
 *
 * Threads: any
 * Since:   0.1
 * Source:  OSSystemExtensionRequest.delegate
 */
void os_system_extension_request_set_delegate(os_system_extension_request_t *request,
	const os_system_extension_request_delegate_t *delegate, void *context);

/**
 * ob_system_extension_request_cancel() - end a request that has not ended
 * @request: borrowed
 *
 * It ends with RequestCanceled (11) through did_fail_with_error, unless an end was already on its
 * way: then that one comes. Whatever the request has brought about stays: an extension that waits
 * for approval waits on. A request that was never submitted can then no longer be submitted.
 * Works without outboardd.
 *
 * Errors:  -EINVAL NULL; -EALREADY ended or cancelled before; -ECHILD made before fork(2)
 * Threads: any
 * Since:   0.1. Ours: macOS has no such call
 */
int ob_system_extension_request_cancel(os_system_extension_request_t *request);

/* ---- OSSystemExtensionManager ----------------------------------------------------------------- */

/**
 * os_system_extension_manager_submit_request() - hand a request to outboardd
 * @request: borrowed; the library takes a reference of its own until the request has ended
 *
 * Does not wait: connecting, too, happens on a thread of the library's, one a process, started by
 * the first request or observer. Where outboardd is not there, is killed or is replaced meanwhile,
 * it is looked for again for 10 s; then the request ends with Unknown (1), stage "connection". A
 * second request of the same user and kind for an identifier supersedes the first one, also of
 * another process: that one ends with RequestSuperseded (12). A process has at most 16 open; one more ends with
 * Unknown (1), rule request.too-many.
 *
 * Errors:  -EINVAL NULL; -EALREADY submitted or cancelled before; -ECHILD made before fork(2), or the
 *          library was in use before fork(2); -ENOMEM, -EAGAIN no memory, no thread. After an
 *          error no callback comes.
 * Threads: any
 * Since:   0.1
 * Source:  OSSystemExtensionManager.submitRequest, macOS 10.15
 */
int os_system_extension_manager_submit_request(os_system_extension_request_t *request);

/**
 * ob_system_extension_manager_submit_request_f() - the same, with one handler for the end
 * @request: as os_system_extension_manager_submit_request()
 * @context: handed to @handler
 * @handler: called once, on the request's queue, after did_finish_with_result (@error is NULL) or
 *           did_fail_with_error (@result is without meaning), also without a delegate
 *
 * Errors:  as os_system_extension_manager_submit_request(), and -EINVAL no handler; then it is not called
 * Threads: any
 * Since:   0.1. Ours: macOS has the delegate alone
 */
int ob_system_extension_manager_submit_request_f(os_system_extension_request_t *request,
	void *context,
	void (*handler)(os_system_extension_request_t *request,
		os_system_extension_request_result_t result, const ob_error_t *error,
		void *context));
#ifdef __BLOCKS__
/** ob_system_extension_manager_submit_request() - the same with a block, copied; any thread, since 0.1 */
int ob_system_extension_manager_submit_request(os_system_extension_request_t *request,
	void (^handler)(os_system_extension_request_t *request,
		os_system_extension_request_result_t result, const ob_error_t *error));
#endif

/* ---- OSSystemExtensionProperties -------------------------------------------------------------- */

/**
 * os_system_extension_properties_retain() - keep what a callback was handed
 * @properties: borrowed
 *
 * @properties without const, one reference, yours. Immutable: it says what was true at the callback.
 *
 * Threads: any
 * Since:   0.1
 */
os_system_extension_properties_t *os_system_extension_properties_retain(
	const os_system_extension_properties_t *properties);
/** os_system_extension_properties_release() - give one back; NULL is fine; NULL back; any thread, since 0.1 */
os_system_extension_properties_t *os_system_extension_properties_release(
	os_system_extension_properties_t *properties);

/*
 * All strings: borrowed, as long as the object, never NULL, "" when not known. Threads: any.
 * Since: 0.1. Source: OSSystemExtensionProperties, macOS 10.15; the three booleans: macOS 12.0.
 */

/** os_system_extension_properties_get_url() - "file:///..." of the bundle that this describes, percent-encoded */
const char *os_system_extension_properties_get_url(
	const os_system_extension_properties_t *properties);
/** os_system_extension_properties_get_bundle_identifier() - CFBundleIdentifier */
const char *os_system_extension_properties_get_bundle_identifier(
	const os_system_extension_properties_t *properties);
/** os_system_extension_properties_get_bundle_version() - CFBundleVersion */
const char *os_system_extension_properties_get_bundle_version(
	const os_system_extension_properties_t *properties);
/** os_system_extension_properties_get_bundle_short_version() - CFBundleShortVersionString */
const char *os_system_extension_properties_get_bundle_short_version(
	const os_system_extension_properties_t *properties);
/** os_system_extension_properties_is_enabled() - may it run? That it does: ob_system_extension_properties_get_running() */
bool os_system_extension_properties_is_enabled(const os_system_extension_properties_t *properties);
/** os_system_extension_properties_is_awaiting_user_approval() - does it wait for an approval? */
bool os_system_extension_properties_is_awaiting_user_approval(
	const os_system_extension_properties_t *properties);
/** os_system_extension_properties_is_uninstalling() - is it about to be removed? */
bool os_system_extension_properties_is_uninstalling(
	const os_system_extension_properties_t *properties);

/* Ours. */

/** ob_system_extension_properties_get_path() - the path of the URL, as open(2) takes it */
const char *ob_system_extension_properties_get_path(
	const os_system_extension_properties_t *properties);
/** ob_system_extension_properties_get_team_identifier() - ten characters; "" for an unsigned bundle */
const char *ob_system_extension_properties_get_team_identifier(
	const os_system_extension_properties_t *properties);
/** ob_system_extension_properties_get_digest() - SHA-256 of its manifest in hex: which copy this is */
const char *ob_system_extension_properties_get_digest(
	const os_system_extension_properties_t *properties);
/** ob_system_extension_properties_is_active() - is it the copy that counts, of those with its identifier? */
bool ob_system_extension_properties_is_active(const os_system_extension_properties_t *properties);
/** ob_system_extension_properties_get_state() - "activated_enabled", ...: the names of systemextensionsctl(1) */
const char *ob_system_extension_properties_get_state(
	const os_system_extension_properties_t *properties);

/**
 * ob_system_extension_properties_get_running() - the process that runs, which may be of another version
 * @properties:  borrowed
 * @ret_pid:     NULL is fine
 * @ret_version: "short/version" of that process, borrowed as long as @properties; NULL is fine
 *
 * Errors:  -EINVAL NULL; -ESRCH nothing ran
 * Threads: any
 * Since:   0.1
 */
int ob_system_extension_properties_get_running(const os_system_extension_properties_t *properties,
	pid_t *ret_pid, const char **ret_version);

/* ---- OSSystemExtensionsWorkspace -------------------------------------------------------------- */

/*
 * OSSystemExtensionInfo, borrowed in an observer's callback. Strings as those of properties. Threads:
 * any. Since: 0.1. Source: OSSystemExtensionInfo, macOS 15.1.
 */

/** os_system_extension_info_retain() - keep it after the callback; one reference, yours */
os_system_extension_info_t *os_system_extension_info_retain(const os_system_extension_info_t *info);
/** os_system_extension_info_release() - give one reference back; NULL is fine; NULL back */
os_system_extension_info_t *os_system_extension_info_release(os_system_extension_info_t *info);
/** os_system_extension_info_get_bundle_identifier() - CFBundleIdentifier */
const char *os_system_extension_info_get_bundle_identifier(const os_system_extension_info_t *info);
/** os_system_extension_info_get_bundle_version() - CFBundleVersion */
const char *os_system_extension_info_get_bundle_version(const os_system_extension_info_t *info);
/** os_system_extension_info_get_bundle_short_version() - CFBundleShortVersionString */
const char *os_system_extension_info_get_bundle_short_version(
	const os_system_extension_info_t *info);

/*
 * OSSystemExtensionsWorkspaceObserver. Copied; every entry may be NULL. These come before the fact:
 * ask with a properties request for what has become of it.
 */
typedef struct os_system_extensions_workspace_observer_s {
	size_t size; /* sizeof of this struct, as you were compiled */
	/* verified and allowed: it is about to run */
	void (*system_extension_will_become_enabled)(
		const os_system_extension_info_t *info, void *context);
	/* somebody has disabled it, or it came disabled */
	void (*system_extension_will_become_disabled)(
		const os_system_extension_info_t *info, void *context);
	/* deactivated, and about to be removed */
	void (*system_extension_will_become_inactive)(
		const os_system_extension_info_t *info, void *context);
} os_system_extensions_workspace_observer_t;

/* An observer that was added: what removes it again. */
typedef struct ob_system_extensions_observation_s ob_system_extensions_observation_t;

/**
 * os_system_extensions_workspace_add_observer() - be told of every extension of this machine
 * @observer: copied
 * @queue:    where it is called, borrowed until it is removed; NULL: a thread of the library's own
 * @context:  handed to each callback
 * @ret:      yours; os_system_extensions_workspace_remove_observer()
 *
 * Waits for outboardd's answer, at most 10 s. When outboardd is restarted the observer is added
 * again by itself; what changed in between is not made up for.
 *
 * Errors:  -EINVAL; -EACCES this process is not of a bundle with the entitlement
 *          com.apple.developer.system-extension.install; -ENOTCONN outboardd did not answer;
 *          -ECHILD the library was in use before fork(2); -ENOMEM; -EAGAIN no thread
 * Threads: any; inside a callback it holds up the queue of that one meanwhile
 * Since:   0.1
 * Source:  OSSystemExtensionsWorkspace.addObserver:error:, macOS 15.1
 */
int os_system_extensions_workspace_add_observer(
	const os_system_extensions_workspace_observer_t *observer, ob_queue_t *queue, void *context,
	ob_system_extensions_observation_t **ret);

/**
 * os_system_extensions_workspace_remove_observer() - be told no more
 * @observation: yours; NULL is fine
 *
 * When it returns no callback runs or will run, and @context may go; called inside a callback of
 * the observer itself, that one is the last. Always NULL back.
 *
 * Threads: any
 * Since:   0.1
 * Source:  OSSystemExtensionsWorkspace.removeObserver:, macOS 15.1
 */
ob_system_extensions_observation_t *os_system_extensions_workspace_remove_observer(
	ob_system_extensions_observation_t *observation);

#ifdef __cplusplus
}
#endif

#endif
