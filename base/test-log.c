/* SPDX-License-Identifier: Apache-2.0
 *
 * A log line is one JSON object whatever its values are; every rule names its object and says why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/rules.h"
#include "base/str.h"

/* What log_event() writes while standard error is a memory file. */
static char *capture(const char *object, const char *value)
{
	_cleanup_fd_ int memory = memfd_create("log", MFD_CLOEXEC);
	int saved = dup(STDERR_FILENO);
	char *text = NULL;

	assert_true(memory >= 0 && saved >= 0);
	dup2(memory, STDERR_FILENO);
	log_failure(LOG_PEER_REFUSED, object, -EPERM, "value", value, NULL);
	dup2(saved, STDERR_FILENO);
	fd_close(saved);
	lseek(memory, 0, SEEK_SET);
	assert_int_equal(fd_read_all(memory, 65536, &text, NULL), 0);
	return text;
}

static void test_line(void **state)
{
	_cleanup_free_ char *text = capture("a \"quoted\"\nobject\\", "v");

	assert_non_null(strstr(text, "\"object\":\"a \\\"quoted\\\"\\u000aobject\\\\\""));
	assert_non_null(strstr(text, "\"id\":\"PEER_REFUSED\""));
	assert_non_null(strstr(text, "\"error\":\"Operation not permitted\""));
	assert_true(str_ends(text, "\"value\":\"v\"}\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_long_values_keep_it_valid(void **state)
{
	static char huge[8192];
	_cleanup_free_ char *text = NULL;

	memset(huge, '"', sizeof huge - 1);
	text = capture(huge, huge);
	assert_true(strlen(text) < 4096);
	assert_true(str_ends(text, "\"}\n"));
}

static void test_level(void **state)
{
	_cleanup_free_ char *text = NULL;

	log_set_level(LOG_LEVEL_ERROR);
	text = capture("x", "v");
	log_set_level(LOG_LEVEL_INFO);
	assert_string_equal(text, "");
}

/* The promise of rules.def: each says what, on which object, and what to do; no two are alike. */
static void test_every_rule_speaks(void **state)
{
	struct wire_error error;
	int i, j;

	for (i = 0; i < RULE_MAX_; i++) {
		const struct rule *rule = rule_get((enum rule_id)i);
		size_t stage_bytes = strlen(rule->stage);

		rule_error(&error, (enum rule_id)i, "OBJECT", "DETAIL", NULL);
		if (!strstr(error.description, "OBJECT") || strlen(error.description) < 24)
			fail_msg(
				"%s: '%s' does not name its object", rule->rule, error.description);
		if (strlen(error.recovery) < 12)
			fail_msg("%s: does not say what to do", rule->rule);
		if (strncmp(rule->rule, rule->stage, stage_bytes) || rule->rule[stage_bytes] != '.')
			fail_msg("%s: not of stage %s", rule->rule, rule->stage);
		if (rule->code < CODE_UNKNOWN || rule->code > CODE_AUTHORIZATION_REQUIRED)
			fail_msg("%s: code %d", rule->rule, (int)rule->code);
		for (j = 0; j < i; j++) {
			const struct rule *other = rule_get((enum rule_id)j);

			if (streq(rule->rule, other->rule) ||
				streq(rule->sentence, other->sentence))
				fail_msg("%s stands twice", rule->rule);
		}
	}
}

static void test_error_is_bounded(void **state)
{
	static char huge[8192];
	struct wire_error error;

	memset(huge, '\\', sizeof huge - 1);
	rule_error(&error, RULE_INTERNAL, huge, huge, NULL);
	assert_true(STR_FIELD_OK(error.description) && STR_FIELD_OK(error.recovery));
	assert_true(STR_FIELD_OK(error.evidence));
	assert_true(str_ends(error.evidence, "\"}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_long_values_keep_it_valid),
		cmocka_unit_test(test_level),
		cmocka_unit_test(test_every_rule_speaks),
		cmocka_unit_test(test_error_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
