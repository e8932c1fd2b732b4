/* SPDX-License-Identifier: Apache-2.0
 *
 * The header against macOS' numbers and layout, and the calls that this version does not do: each
 * fails with its documented result, does nothing, and says why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/macros.h"
#include "endpoint/lib/lib.h"

#define EVENT(number, name) \
	static_assert(ES_EVENT_TYPE_##name == (number), "macOS 27 has it as " #number);
#include "endpoint/lib/event-names.def"
#undef EVENT
static_assert(ES_EVENT_TYPE_LAST == 162, "macOS 27");

/* Measured with Apple's 27.0 headers on arm64; st: struct stat is the system's own. */
static_assert(
	offsetof(es_process_t, cdhash_full) - offsetof(es_process_t, codesigning_flags) == 232 - 48,
	"es_process_t");
static_assert(sizeof(es_process_t) == 248, "es_process_t");
static_assert(sizeof(es_event_bootstrap_check_in_t) == 56, "bootstrap_check_in");
static_assert(sizeof(es_event_bootstrap_look_up_t) == 120, "bootstrap_look_up");
static_assert(offsetof(es_event_bootstrap_look_up_t, target) == 64, "bootstrap_look_up");
static_assert(sizeof(es_lightweight_code_requirement_t) == 32, "lwcr");
static_assert(sizeof(es_events_t) == 256, "room for what later versions add");

static audit_token_t token;
static const es_event_type_t events[] = { ES_EVENT_TYPE_NOTIFY_EXEC };
static size_t size = 77;
static uint32_t milliseconds = 77;
static void *untouched = &untouched;

#define EXPECT(call, result)                      \
	{                                         \
#call, (int)(result), call_##call \
	}
#define CALL(call, ...)                                \
	static int call_##call(es_client_t *client)    \
	{                                              \
		return (int)call(client, __VA_ARGS__); \
	}
#define CALL_BARE(call)                             \
	static int call_##call(es_client_t *client) \
	{                                           \
		return (int)call(client);           \
	}

CALL(es_mute_process, &token)
CALL(es_mute_process_events, &token, events, 1)
CALL(es_unmute_process, &token)
CALL(es_unmute_process_events, &token, events, 1)
CALL(es_muted_processes, &size, (audit_token_t **)&untouched)
CALL(es_muted_processes_events, (es_muted_processes_t **)&untouched)
CALL(es_mute_path, "/bin", ES_MUTE_PATH_TYPE_PREFIX)
CALL(es_mute_path_events, "/bin", ES_MUTE_PATH_TYPE_TARGET_PREFIX, events, 1)
CALL(es_mute_path_prefix, "/bin")
CALL(es_mute_path_literal, "/bin/true")
CALL(es_unmute_path, "/bin", ES_MUTE_PATH_TYPE_PREFIX)
CALL(es_unmute_path_events, "/bin", ES_MUTE_PATH_TYPE_PREFIX, events, 1)
CALL_BARE(es_unmute_all_paths)
CALL_BARE(es_unmute_all_target_paths)
CALL(es_muted_paths_events, (es_muted_paths_t **)&untouched)
CALL(es_invert_muting, ES_MUTE_INVERSION_TYPE_PATH)
CALL(es_muting_inverted, ES_MUTE_INVERSION_TYPE_PATH)
CALL(es_set_deadline_min_milliseconds, events, 1, 100)
CALL(es_get_deadline_min_milliseconds, ES_EVENT_TYPE_AUTH_EXEC, &milliseconds)

static const struct {
	const char *name;
	int result;
	int (*call)(es_client_t *client);
} calls[] = {
	EXPECT(es_mute_process, ES_RETURN_ERROR),
	EXPECT(es_mute_process_events, ES_RETURN_ERROR),
	EXPECT(es_unmute_process, ES_RETURN_ERROR),
	EXPECT(es_unmute_process_events, ES_RETURN_ERROR),
	EXPECT(es_muted_processes, ES_RETURN_ERROR),
	EXPECT(es_muted_processes_events, ES_RETURN_ERROR),
	EXPECT(es_mute_path, ES_RETURN_ERROR),
	EXPECT(es_mute_path_events, ES_RETURN_ERROR),
	EXPECT(es_mute_path_prefix, ES_RETURN_ERROR),
	EXPECT(es_mute_path_literal, ES_RETURN_ERROR),
	EXPECT(es_unmute_path, ES_RETURN_ERROR),
	EXPECT(es_unmute_path_events, ES_RETURN_ERROR),
	EXPECT(es_unmute_all_paths, ES_RETURN_ERROR),
	EXPECT(es_unmute_all_target_paths, ES_RETURN_ERROR),
	EXPECT(es_muted_paths_events, ES_RETURN_ERROR),
	EXPECT(es_invert_muting, ES_RETURN_ERROR),
	EXPECT(es_muting_inverted, ES_MUTE_INVERTED_ERROR),
	EXPECT(es_set_deadline_min_milliseconds, ES_RETURN_ERROR),
	EXPECT(es_get_deadline_min_milliseconds, ES_RETURN_ERROR),
};

/* A client that is connected to nobody: these calls need no connection to fail. */
static void client_init(es_client_t *client)
{
	*client = (es_client_t){ .pid = getpid(), .fd = -1, .ring = RING_NONE };
	pthread_mutex_init(&client->lock, NULL);
}

static void test_each_fails_and_says_why(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		es_client_t client;
		ob_error_t *error;

		if (strstr(calls[i].name, "_mut") || strstr(calls[i].name, "_unmut"))
			continue; /* these work: test-mute.c */
		client_init(&client);
		assert_int_equal(calls[i].call(&client), calls[i].result);
		error = ob_es_client_copy_last_error(&client);
		assert_non_null(error);
		assert_string_equal(ob_error_get_rule(error), "endpoint.call-unsupported");
		assert_non_null(strstr(ob_error_get_localized_description(error), calls[i].name));
		assert_non_null(ob_error_get_recovery_suggestion(error));
		ob_error_release(error);
		ob_error_release(client.last_error);
		pthread_mutex_destroy(&client.lock);
	}
	assert_int_equal(size, 77);
	assert_int_equal(milliseconds, 77);
	assert_ptr_equal(untouched, &untouched);
}

/* Nobody's client, and one that was made before fork(2). */
static void test_no_client(void **state)
{
	es_client_t other;
	size_t i;

	client_init(&other);
	other.pid = getpid() + 1;
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		assert_int_not_equal(calls[i].call(NULL), 0);
		assert_int_not_equal(calls[i].call(&other), 0);
		assert_null(other.last_error);
	}
	pthread_mutex_destroy(&other.lock);
}

static void test_descendants(void **state)
{
	es_client_t *client = untouched;
	ob_error_t *error;

	assert_int_equal(es_new_descendants_client_f(&client, NULL, NULL),
		ES_NEW_CLIENT_RESULT_ERR_INVALID_ARGUMENT);
	assert_ptr_equal(client, untouched);
	error = ob_es_copy_new_client_error();
	assert_non_null(error);
	ob_error_release(error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_fails_and_says_why),
		cmocka_unit_test(test_no_client),
		cmocka_unit_test(test_descendants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
