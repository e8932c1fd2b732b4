/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: what is valid holds, the last one wins, and what is not valid is refused with
 * file, line and what is allowed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "daemon/config.h"

static char root[64];

static void put(const char *name, const char *text, size_t bytes)
{
	_cleanup_fd_ int fd = -1;
	char path[PATH_MAX];

	assert_int_equal(mkdir_path(path_get(PATH_CONFIG, "conf.d", path), 0755), 0);
	fd = open(
		path_get(PATH_CONFIG, name, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_int_equal(fd_write_all(fd, text, bytes), 0);
}

static int make_root(void **state)
{
	STR_PUT(root, "/tmp/test-config.XXXXXX");
	return mkdtemp(root) && setenv("OUTBOARD_ROOT", root, 1) == 0 ? 0 : -1;
}

static int remove_root(void **state)
{
	static const char *const names[] = { "/etc/outboard/conf.d/10-a.conf",
		"/etc/outboard/conf.d/20-b.conf", "/etc/outboard/conf.d/c.txt",
		"/etc/outboard/outboard.conf", "/etc/outboard/conf.d", "/etc/outboard", "/etc",
		"" };
	char path[256];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof path, "%s%s", root, names[i]);
		remove(path);
	}
	return access(root, F_OK) == 0 ? -1 : 0;
}

static struct config *load(void)
{
	struct config *config = NULL;
	char problem[1024];
	int r = config_load(&config, problem);

	if (r < 0)
		fail_msg("expected: valid; happened: %s", problem);
	return config;
}

static const char *source_of(const struct config *config, enum config_id id)
{
	const char *section, *key, *value, *source;

	config_describe(config, id, &section, &key, &value, &source);
	return source;
}

static void no_file_is_valid(void **state)
{
	struct config *config = load();
	int i;

	assert_int_equal(config_number(config, CONFIG_LIMIT_PIDS), 64);
	assert_int_equal(config_number(config, CONFIG_LIMIT_MEMORY), 512 << 20);
	assert_true(config_bool(config, CONFIG_SYSTEM_BUS));
	assert_string_equal(config_text(config, CONFIG_ENDPOINT_SOURCES), "auto");
	for (i = 0; i < CONFIG_MAX_; i++) {
		assert_string_equal(source_of(config, (enum config_id)i), "default");
		assert_true(strlen(config_help((enum config_id)i)) > 0);
	}
	config_free(config);
}

/* The last line wins: of a file, and of the files in the order of their names. */
static void the_last_one_wins(void **state)
{
	static const char main_text[] = "# a comment\n; another\n\n"
					"[extension]\r\n  pids=10 \n\tmemory\t=  1G\r\n"
					"[log]\nlines_per_second = 5\n"
					"[extension]\npids = 11\ncpu = 50\n"
					"[manager]\nsystem_bus = no\napp_folders =\n"
					"[endpoint]\nsources = plain";
	static const char a[] = "[extension]\npids = 12\ncpu = 60\n",
			  b[] = "[extension]\npids = 13";
	char expected[256];
	struct config *config;

	put("outboard.conf", main_text, strlen(main_text));
	put("conf.d/20-b.conf", b, strlen(b));
	put("conf.d/10-a.conf", a, strlen(a));
	put("conf.d/c.txt", "garbage", 7); /* no *.conf: not read */
	config = load();
	assert_int_equal(config_number(config, CONFIG_LIMIT_PIDS), 13);
	assert_int_equal(config_number(config, CONFIG_LIMIT_CPU), 60);
	assert_int_equal(config_number(config, CONFIG_LIMIT_MEMORY), 1 << 30);
	assert_int_equal(config_number(config, CONFIG_LOG_LINES), 5);
	assert_false(config_bool(config, CONFIG_SYSTEM_BUS));
	assert_string_equal(config_text(config, CONFIG_APP_FOLDERS), "");
	assert_string_equal(config_text(config, CONFIG_ENDPOINT_SOURCES), "plain");
	snprintf(expected, sizeof expected, "%s/etc/outboard/conf.d/20-b.conf:2", root);
	assert_string_equal(source_of(config, CONFIG_LIMIT_PIDS), expected);
	snprintf(expected, sizeof expected, "%s/etc/outboard/outboard.conf:8", root);
	assert_string_equal(source_of(config, CONFIG_LOG_LINES), expected);
	config_free(config);
}

/* outboard.conf(5) has every key, and no other. */
static void the_manual_has_them_all(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct config *config = load();
	const char *at;
	int i, n = 0;

	assert_int_equal(file_read_at(AT_FDCWD, MANUAL, 1 << 20, &text, NULL), 0);
	for (i = 0; i < CONFIG_MAX_; i++) {
		const char *section, *key, *value, *source;
		char entry[128];

		config_describe(config, (enum config_id)i, &section, &key, &value, &source);
		snprintf(entry, sizeof entry, "\n.It Cm %s No = ", key);
		if (!strstr(text, entry))
			fail_msg("[%s] %s is not in " MANUAL, section, key);
	}
	for (at = text; (at = strstr(at, "\n.It Cm ")); at++)
		n++;
	assert_int_equal(n, CONFIG_MAX_);
	config_free(config);
}

#define LONG "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* Each is refused, at its line; drop a check in config.c to make its row red. */
static void what_is_not_valid_is_named(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{ "[extension]\npids = 0",
			":2: pids = '0' is not allowed: a number from 1 to 32768" },
		{ "[extension]\npids = 32769", ":2: pids = '32769'" },
		{ "[extension]\npids = -1", ":2: pids = '-1'" },
		{ "[extension]\npids = ten", ":2: pids = 'ten'" },
		{ "[extension]\npids = 10K", ":2: pids = '10K'" },
		{ "[extension]\npids =", ":2: pids = ''" },
		{ "[extension]\npids = 99999999999999999999", ":2: pids = '9" },
		{ "[extension]\nmemory = 1T", "with K, M or G behind it" },
		{ "[extension]\nmemory = 1KB", ":2: memory = '1KB'" },
		{ "[extension]\nmemory = 9223372036854775807G", ":2: memory = '9" },
		{ "[manager]\nsystem_bus = true",
			":2: system_bus = 'true' is not allowed: yes or no" },
		{ "[manager]\napp_folders = /opt opt", "absolute paths, separated by blanks" },
		{ "[endpoint]\nsources = gate bpf", "words of: auto trampolines plain" },
		{ "[endpoint]\nsources = gat", "words of:" },
		{ "[endpoint]\nfail_mode = shut",
			":2: fail_mode = 'shut' is not allowed: one of: open closed" },
		{ "[endpoint]\nfail_mode = open closed", "one of: open closed" },
		{ "[endpoint]\nfail_mode =", "one of: open closed" },
		{ "[extension]\nmemry = 1G", ":2: section [extension] has no key 'memry'" },
		{ "[log]\npids = 1", ":2: section [log] has no key 'pids'" },
		{ "pids = 1", ":1: section [] has no key 'pids'" },
		{ "[extension\npids = 1", ":1: '[extension' is no [section]" },
		{ "[]\n", ":1: '[]' is no [section]" },
		{ "[" LONG "]", "is no [section]" },
		{ "\n\nnonsense\n", ":3: 'nonsense' is no 'key = value'" },
		{ "= 1", "has no key ''" },
		{ "[endpoint]\nscope = " LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG
				LONG LONG LONG,
			"at most 1023 bytes" },
		{ LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG LONG,
			"is no 'key = value'" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct config *config = NULL;
		char problem[1024];
		int r;

		put("outboard.conf", cases[i].text, strlen(cases[i].text));
		r = config_load(&config, problem);
		if (r != -EINVAL || config || !strstr(problem, cases[i].problem) ||
			!strstr(problem, "/etc/outboard/outboard.conf:"))
			fail_msg("%s\nexpected: %s\nhappened: %d %s", cases[i].text,
				cases[i].problem, r, problem);
	}
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char nul[] = "[extension]\npids = 1\0\npids = 2\n";
	static char large[(1 << 20) + 2];
	struct config *config = NULL;
	char problem[1024];

	put("outboard.conf", nul, sizeof nul - 1);
	assert_int_equal(config_load(&config, problem), -EINVAL);
	assert_non_null(strstr(problem, "outboard.conf: cannot be read"));
	memset(large, '\n', sizeof large);
	put("outboard.conf", large, sizeof large);
	assert_int_equal(config_load(&config, problem), -EINVAL);
	assert_non_null(strstr(problem, "outboard.conf: cannot be read"));
	assert_null(config);
}

/* 500 files of random lines made of what a file may have: none of them may do harm. */
static void random_files(void **state)
{
	static const char *const pieces[] = { "[extension]", "[log]", "\n", "\n", "\n", " ", "\t",
		"\r", "=", "pids", "memory", "sources", "[", "]", "1", "99999999999", "G", "\xff",
		"#", "app_folders", "/a", "/b", "[manager]", "[endpoint]", LONG };
	unsigned seed = (unsigned)time(NULL);
	char text[2048];
	int i;

	print_message("seed %u\n", seed);
	for (i = 0; i < 500; i++) {
		struct config *config = NULL;
		char problem[1024];
		size_t n = 0;
		int r;

		while (n < 1900 && rand_r(&seed) % 40)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s",
				pieces[(size_t)rand_r(&seed) % ARRAY_SIZE(pieces)]);
		put("outboard.conf", text, n);
		r = config_load(&config, problem);
		assert_true(r == 0 || r == -EINVAL);
		assert_true((r == 0) == (config != NULL));
		assert_true((r == 0) == (problem[0] == '\0'));
		config_free(config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)
		TEST(no_file_is_valid),
		TEST(the_manual_has_them_all),
		TEST(the_last_one_wins),
		TEST(what_is_not_valid_is_named),
		TEST(bytes_that_are_no_text_are_refused),
		TEST(random_files),
#undef TEST
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
