/* SPDX-License-Identifier: Apache-2.0
 *
 * os_log: what lands on standard error, by format and by type.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <os/log.h>
#include "base/fd.h"
#include "base/macros.h"

/* gcc knows printf's formats alone, clang Apple's as well; what is no format of either is meant so. */
#pragma GCC diagnostic ignored "-Wformat"

static char line[8192];
static int saved_fd, pipe_fds[2];

static void capture(void)
{
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	saved_fd = dup(STDERR_FILENO);
	dup2(pipe_fds[1], STDERR_FILENO);
}

static const char *captured(void)
{
	ssize_t n;

	dup2(saved_fd, STDERR_FILENO);
	close(saved_fd);
	close(pipe_fds[1]);
	n = read(pipe_fds[0], line, sizeof line - 1);
	line[n > 0 ? n : 0] = '\0';
	close(pipe_fds[0]);
	return line;
}

#define LOGGED(...)                                  \
	({                                           \
		capture();                           \
		os_log(OS_LOG_DEFAULT, __VA_ARGS__); \
		captured();                          \
	})
#define assert_logs(text, ...)                                     \
	do {                                                       \
		const char *logged_ = LOGGED(__VA_ARGS__);         \
		if (!strstr(logged_, ",\"text\":\"" text "\"}\n")) \
			fail_msg("logged %s", logged_);            \
	} while (0)

static void test_formats(void **state)
{
	const uint8_t bytes[16] = { 0xde, 0xad, 0xbe, 0xef };

	assert_logs("plain", "plain");
	assert_logs("5 -6 0x7 100%", "%d %ld %#x 100%%", 5, -6l, 7);
	assert_logs("8000000000 9", "%llu %zu", 8000000000ull, (size_t)9);
	assert_logs("[  ab] [ab  ] [abc]", "[%4s] [%-4s] [%.3s]", "ab", "ab", "abcdef");
	assert_logs("[   x]", "[%*s]", 4, "x");
	assert_logs("1.50 c", "%.2f %c", 1.5, 'c');
	assert_logs("(null)", "%s", (char *)NULL);
	assert_logs("a\\\"b\\\\\\u000ac", "%s", "a\"b\\\nc");
	assert_logs("\xef\xbf\xbd", "%s", "\xff");
	assert_logs("open name <private> end", "open %{public}s %{private}s end", "name", "secret");
	assert_logs("<private> 2", "%{private}d %d", 1, 2);
	assert_logs("true false", "%{bool}d %{bool}d", 1, 0);
	assert_logs("No such file or directory", "%{errno}d", ENOENT);
	assert_logs("dead", "%.2P", bytes);
	assert_logs("deadbeef-0000-0000-0000-000000000000", "%{public,uuid_t}.16P", bytes);
	assert_logs("a <%?>", "a %y %s", 1, "not read");
	errno = EPERM;
	assert_logs("Operation not permitted", "%m");
}

static void test_types(void **state)
{
	os_log_t log = os_log_create("org.example", "net");

	assert_ptr_equal(os_log_create("org.example", "net"), log);
	assert_ptr_not_equal(os_log_create("org.example", "disk"), log);
	capture();
	os_log_error(log, "bad");
	assert_non_null(strstr(captured(),
		"\"level\":\"error\",\"subsystem\":\"org.example\",\"category\":\"net\",\"text\":\"bad\"}"));
	capture();
	os_log_fault(log, "worse");
	assert_non_null(strstr(captured(), "\"level\":\"fault\""));
	/* off unless asked for, and then the arguments are not evaluated */
	capture();
	os_log_debug(log, "%d", (abort(), 1));
	os_log_info(log, "%d", (abort(), 1));
	os_log(OS_LOG_DISABLED, "%d", (abort(), 1));
	assert_string_equal(captured(), "");
	assert_false(os_log_info_enabled(log));
}

/* However long, it is one line, and JSON to its end. */
static void test_long(void **state)
{
	char *text = malloc(100001);
	const char *logged;

	memset(text, '"', 100000);
	text[100000] = '\0';
	logged = LOGGED("%s", text);
	assert_in_range(strlen(logged), 3000, 4096);
	assert_string_equal(logged + strlen(logged) - 3, "\"}\n");
	memset(text, '\1', 100000);
	logged = LOGGED("%s", text);
	assert_in_range(strlen(logged), 3000, 4096);
	assert_string_equal(logged + strlen(logged) - 9, "\\u0001\"}\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_long),
	};

	unsetenv("OUTBOARD_LOG_LEVEL");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
