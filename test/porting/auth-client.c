/* SPDX-License-Identifier: Apache-2.0
 *
 * As a macOS author writes a client that decides: questions answered on a concurrent queue before
 * their deadline, flags for open, a watchdog that answers in time, deprecated names.
 */
#include <EndpointSecurity/EndpointSecurity.h>
#include <Block.h>
#include <dispatch/dispatch.h>
#include <mach/mach_time.h>
#include <os/log.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

typedef void (^verdict_t)(bool allow);

API_AVAILABLE(macos(10.15))
static void respond(es_client_t *client, const es_message_t *message, bool allow)
{
	es_respond_result_t result;

	if (message->action_type != ES_ACTION_TYPE_AUTH)
		return;
	if (message->event_type == ES_EVENT_TYPE_AUTH_OPEN)
		result = es_respond_flags_result(client, message, allow ? UINT32_MAX : 0, false);
	else
		result = es_respond_auth_result(
			client, message, allow ? ES_AUTH_RESULT_ALLOW : ES_AUTH_RESULT_DENY, true);
	if (result != ES_RESPOND_RESULT_SUCCESS)
		os_log_error(OS_LOG_DEFAULT, "respond: %{public}d", result);
}

static void decide(es_message_t *_Nonnull message, verdict_t _Nonnull verdict)
{
	verdict(message->event_type != ES_EVENT_TYPE_AUTH_EXEC ||
		strstr(message->event.exec.target->executable->path.data, "/evil") == NULL);
}

static void handle(es_client_t *client, const es_message_t *message)
{
	es_message_t *copy = es_copy_message(message);
	dispatch_queue_t queue = dispatch_get_global_queue(QOS_CLASS_USER_INTERACTIVE, 0);
	uint64_t left = message->deadline - mach_absolute_time();
	atomic_flag *answered = malloc(sizeof *answered);
	dispatch_group_t group = dispatch_group_create();
	verdict_t once = Block_copy(^(bool allow) {
	  if (!atomic_flag_test_and_set(answered))
		  respond(client, copy, allow);
	});

	atomic_flag_clear(answered);
	dispatch_group_enter(group);
	dispatch_after(dispatch_time(DISPATCH_TIME_NOW, (int64_t)(left * 8 / 10)), queue, ^{
	  once(true);
	  dispatch_group_leave(group);
	});
	dispatch_group_async(group, queue, ^{
	  decide(copy, once);
	});
	dispatch_group_notify(group, queue, ^{
	  es_free_message(copy);
	  Block_release(once);
	  free(answered);
	});
	dispatch_release(group);
}

int main(void)
{
	static dispatch_once_t token;
	__block es_client_t *client = NULL;
	es_event_type_t events[] = { ES_EVENT_TYPE_AUTH_EXEC, ES_EVENT_TYPE_AUTH_OPEN,
		ES_EVENT_TYPE_AUTH_MMAP };
	dispatch_semaphore_t done = dispatch_semaphore_create(0);
	es_deadline_miss_mode_t mode;

	dispatch_once(&token, ^{
	  es_new_client_result_t result = es_new_client(
		  &client, ^(es_client_t *_Nonnull c, const es_message_t *_Nonnull message) {
		    handle(c, message);
		  });

	  if (result != ES_NEW_CLIENT_RESULT_SUCCESS)
		  exit(EXIT_FAILURE);
	});
	if (es_clear_cache(client) == ES_CLEAR_CACHE_RESULT_ERR_THROTTLE)
		os_log_info(OS_LOG_DEFAULT, "throttled");
	es_set_deadline_miss_mode(client, ES_DEADLINE_MISS_MODE_FAIL_CLOSED);
	es_get_deadline_miss_mode(client, &mode);
	es_set_deadline_max_milliseconds(client, events, 2, 5000);
	es_unmute_all_target_paths(client);
	es_invert_muting(client, ES_MUTE_INVERSION_TYPE_TARGET_PATH);
	if (es_muting_inverted(client, ES_MUTE_INVERSION_TYPE_PATH) == ES_MUTE_INVERTED)
		os_log_info(OS_LOG_DEFAULT, "inverted");
	if (es_subscribe(client, events, sizeof(events) / sizeof(events[0])) != ES_RETURN_SUCCESS)
		return EXIT_FAILURE;
	es_sync_client(client, ^{
	  dispatch_semaphore_signal(done);
	});
	dispatch_semaphore_wait(done, dispatch_time(DISPATCH_TIME_NOW, 5 * NSEC_PER_SEC));
	dispatch_main();
}
