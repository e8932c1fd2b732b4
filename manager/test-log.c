/* SPDX-License-Identifier: Apache-2.0
 *
 * The log: lines of each source are kept and told, whoever writes what; who says too much loses
 * lines that are counted; a full disk holds nobody up; the last lines are found again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/log.h"

#define EXTENSION "org.example.agent"

static struct {
	char root[64];
	sd_event *event;
	struct config *config;
	struct log *log;
	int write_fd; /* the extension's */
	size_t n_taken, n_bad;
	char last[16384];
} test;

/* Every line is one JSON object that names its source, whatever was written. */
static void on_taken(void *context, const char *source, const char *line, size_t bytes)
{
	json_t *object = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, NULL);
	const char *named = json_string_value(json_object_get(object, "source"));

	test.n_taken++;
	test.n_bad += !named || !streq(named, source);
	snprintf(test.last, sizeof test.last, "%.*s", (int)bytes, line);
	json_decref(object);
}

static void configure(const char *text)
{
	_cleanup_fd_ int fd = -1;
	char path[PATH_MAX], problem[1024];

	assert_int_equal(mkdir_path(path_get(PATH_CONFIG, NULL, path), 0755), 0);
	fd = open(
		path_get(PATH_CONFIG, "outboard.conf", path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(config_load(&test.config, problem), 0);
}

static void add_source(const char *name)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(logs_add(test.log, name, fds[0]), 0);
	test.write_fd = fds[1];
}

static void start(const char *text)
{
	char path[PATH_MAX];

	STR_PUT(test.root, "/tmp/test-log.XXXXXX");
	assert_non_null(mkdtemp(test.root));
	setenv("OUTBOARD_ROOT", test.root, 1);
	configure(text);
	assert_int_equal(mkdir_path(path_get(PATH_LOG, NULL, path), 0755), 0);
	assert_int_equal(sd_event_new(&test.event), 0);
	assert_int_equal(logs_new(test.event, test.config, on_taken, NULL, &test.log), 0);
	test.n_taken = test.n_bad = 0;
	test.last[0] = '\0';
	test.write_fd = -1;
}

static int stop(void **state)
{
	char command[128];

	fd_close(test.write_fd);
	logs_free(test.log);
	sd_event_unref(test.event);
	config_free(test.config);
	snprintf(command, sizeof command, "rm -rf %s", test.root);
	return system(command);
}

/* What is there is taken; a timer that runs is not waited for. */
static void run(void)
{
	while (sd_event_run(test.event, 0) > 0)
		;
}

static void say(const char *text)
{
	assert_int_equal(fd_write_all(test.write_fd, text, strlen(text)), 0);
	run();
}

static size_t read_back(const char *source, uint64_t since_usec, uint32_t lines, char **ret)
{
	_cleanup_fd_ int fd = -1;
	size_t n = 0;
	char *at;

	assert_int_equal(logs_read(test.log, source, since_usec, lines, &fd), 0);
	assert_int_equal(fd_read_all(fd, 64 << 20, ret, NULL), 0);
	for (at = *ret; *at; at++)
		n += *at == '\n';
	return n;
}

static const char *last_text(void)
{
	static char text[8192];
	json_t *object = json_loads(test.last, 0, NULL);

	STR_PUT(text, str_or(json_string_value(json_object_get(object, "text")), "(none)"));
	json_decref(object);
	return text;
}

/* ---- Lines ------------------------------------------------------------------------------------ */

static void lines_become_objects(void **state)
{
	static const struct {
		const char *said, *text;
	} cases[] = {
		{ "plain\n", "plain" },
		{ "quoted \"x\" \\ y\n", "quoted \"x\" \\ y" },
		{ "{\"t\":1,\"source\":\"outboard\"}\n", "{\"t\":1,\"source\":\"outboard\"}" },
		{ "tab\tbell\a\n", "tab\tbell\a" },
		{ "z\xc3\xbcrich\n", "z\xc3\xbcrich" },
		{ "bad \xff\xc3 \xed\xa0\x80 end\n", "bad ?? ??? end" },
		{ "\xf0\x9f\x98\n", "???" },
		{ "\n\n\nempty ones are none\n\n", "empty ones are none" },
	};
	size_t i;

	start("");
	add_source(EXTENSION);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		say(cases[i].said);
		assert_int_equal(test.n_taken, i + 1);
		assert_string_equal(last_text(), cases[i].text);
	}
	assert_int_equal(test.n_bad, 0);
}

static void a_line_in_pieces_is_one_line(void **state)
{
	_cleanup_free_ char *back = NULL;

	start("");
	add_source(EXTENSION);
	say("one ");
	say("line");
	assert_int_equal(test.n_taken, 0);
	say("\n");
	assert_string_equal(last_text(), "one line");
	say("without an end");
	test.write_fd = fd_close(test.write_fd);
	run();
	assert_string_equal(last_text(), "without an end");
	assert_int_equal(test.n_taken, 2);
	assert_int_equal(read_back("", 0, 0, &back), 2);
}

static void a_long_line_is_several(void **state)
{
	static char text[10001];

	start("");
	add_source(EXTENSION);
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 2] = '\n';
	say(text);
	assert_in_range(test.n_taken, 4, 6);
	assert_int_equal(test.n_bad, 0);
}

/* Daemons' lines are passed on as they are; what a library prints into theirs is wrapped. */
static void daemons_lines_stay(void **state)
{
	start("");
	add_source("outboard");
	say("{\"t\":1.5,\"from\":\"x\",\"text\":\"hello\"}\n");
	assert_string_equal(
		test.last, "{\"source\":\"outboard\",\"t\":1.5,\"from\":\"x\",\"text\":\"hello\"}");
	say("free(): invalid pointer\n");
	assert_string_equal(last_text(), "free(): invalid pointer");
	assert_int_equal(test.n_bad, 0);
}

/* ---- Too much --------------------------------------------------------------------------------- */

static uint64_t now_usec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Drop the bucket from end_line() to make this red: all of them would be taken. */
static void a_flood_is_dropped_and_counted(void **state)
{
	uint64_t end;
	int i;

	start("[log]\nlines_per_second = 10\n");
	add_source(EXTENSION);
	for (i = 0; i < 100; i++)
		assert_int_equal(fd_write_all(test.write_fd, "flood\n", 6), 0);
	run();
	assert_in_range(test.n_taken, 10, 12); /* the first lines, and the one that counts */
	/* once in a second it is told how many were lost */
	end = now_usec() + 20000000;
	while (!strstr(test.last, "lines dropped") && now_usec() < end)
		sd_event_run(test.event, 2000000);
	assert_non_null(strstr(last_text(), "lines dropped: it says more than [log] allows"));
	assert_int_equal(test.n_bad, 0);
}

/* The one that floods is not read for a while; the other does not notice. */
static void others_do_not_notice(void **state)
{
	int flooding, i;

	start("[log]\nlines_per_second = 10\n");
	add_source("org.example.flood");
	for (i = 0; i < 1000; i++)
		assert_int_equal(fd_write_all(test.write_fd, "flood\n", 6), 0);
	flooding = test.write_fd;
	add_source(EXTENSION);
	say("quiet\n");
	assert_int_equal(fd_write_all(flooding, "more\n", 5), 0);
	say("still quiet\n");
	assert_string_equal(last_text(), "still quiet");
	close(flooding);
}

static void bytes_are_bounded_too(void **state)
{
	static char text[1001];
	int i;

	start("[log]\nbytes_per_second = 1024\n");
	add_source(EXTENSION);
	memset(text, 'y', sizeof text - 1);
	text[sizeof text - 2] = '\n';
	for (i = 0; i < 5; i++)
		assert_int_equal(fd_write_all(test.write_fd, text, 1000), 0);
	run();
	assert_in_range(test.n_taken, 1, 2);
}

/* ---- The file --------------------------------------------------------------------------------- */

static void files_are_put_aside(void **state)
{
	static char text[1001];
	char path[PATH_MAX];
	_cleanup_free_ char *back = NULL;
	struct stat status;
	int i;

	start("[log]\nfile_size = 64K\nfiles = 2\nlines_per_second = 1000\nbytes_per_second = 1G\n");
	add_source(EXTENSION);
	memset(text, 'z', sizeof text - 1);
	text[sizeof text - 2] = '\n';
	for (i = 0; i < 300; i++)
		say(text);
	assert_int_equal(stat(path_get(PATH_LOG, "outboard.jsonl", path), &status), 0);
	assert_in_range(status.st_size, 1, 64 << 10);
	assert_int_equal(stat(path_get(PATH_LOG, "outboard.jsonl.1", path), &status), 0);
	assert_in_range(status.st_size, 32 << 10, 64 << 10);
	assert_int_equal(stat(path_get(PATH_LOG, "outboard.jsonl.2", path), &status), -1);
	say("the last\n");
	assert_in_range(read_back(EXTENSION, 0, 0, &back), 60, 130);
	assert_non_null(strstr(back, "the last"));
}

static void the_last_lines_are_found(void **state)
{
	_cleanup_free_ char *all = NULL, *mine = NULL, *two = NULL, *late = NULL;
	uint64_t between;
	int first;

	start("");
	add_source(EXTENSION);
	say("a1\na2\n");
	first = test.write_fd;
	add_source("org.example.other");
	say("b1\n");
	between = now_usec();
	assert_int_equal(fd_write_all(first, "a3\n", 3), 0);
	run();
	assert_int_equal(read_back("", 0, 0, &all), 4);
	assert_int_equal(read_back(EXTENSION, 0, 0, &mine), 3);
	assert_int_equal(read_back(EXTENSION, 0, 2, &two), 2);
	assert_true(!strstr(two, "a1") && strstr(two, "a2") < strstr(two, "a3"));
	assert_int_equal(read_back("", between, 0, &late), 1);
	assert_non_null(strstr(late, "a3"));
	close(first);
}

/* The disk takes nothing: lines are still told, and the gap is written when it takes some again. */
static void a_full_disk_is_a_gap(void **state)
{
	_cleanup_free_ char *back = NULL;
	struct rlimit limit;

	start("");
	add_source(EXTENSION);
	say("before\n");
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, SIG_IGN);
	limit.rlim_cur = 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	say("lost 1\nlost 2\n");
	assert_string_equal(last_text(), "lost 2");
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	say("after\n");
	assert_true(read_back("", 0, 0, &back) >= 2);
	assert_true(strstr(back, "before") && strstr(back, "after") && !strstr(back, "lost 1"));
	assert_non_null(strstr(back, "2 lines"));
}

static void what_is_in_the_pipe_is_drained(void **state)
{
	start("");
	add_source(EXTENSION);
	assert_int_equal(fd_write_all(test.write_fd, "its last words", 14), 0);
	logs_drain(test.log, EXTENSION);
	assert_string_equal(last_text(), "its last words");
	logs_drain(test.log, EXTENSION);
	assert_int_equal(test.n_taken, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, stop)
		TEST(lines_become_objects),
		TEST(a_line_in_pieces_is_one_line),
		TEST(a_long_line_is_several),
		TEST(daemons_lines_stay),
		TEST(a_flood_is_dropped_and_counted),
		TEST(others_do_not_notice),
		TEST(bytes_are_bounded_too),
		TEST(files_are_put_aside),
		TEST(the_last_lines_are_found),
		TEST(a_full_disk_is_a_gap),
		TEST(what_is_in_the_pipe_is_drained),
#undef TEST
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
