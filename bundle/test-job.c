/* SPDX-License-Identifier: Apache-2.0
 *
 * What becomes of a worker's answer, and of none: a refusal is the bundle's fault and has a rule, an
 * error is ours and has none, and what a worker says that it should not is a refusal of what it has
 * read. The worker is this program: started by its name, it gives the answer of one row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/test-scene.h"
#include "bundle/worker-wire.h"

#define NO_RULE RULE_MAX_
#define MANY "opt/Many.app"
#define MANY_FILES 2000 /* more than a socket holds messages of */

enum { ENDS = -1, IS_KILLED = -2 }; /* instead of a type */

static union {
	struct worker_refused refused;
	struct bundle_info info;
} body;

static void spoil_description(void)
{
	memset(body.refused.error.description, 'x', sizeof body.refused.error.description);
}

static void spoil_rule(void)
{
	memset(body.refused.error.rule, 'x', sizeof body.refused.error.rule);
}

static void spoil_digest(void)
{
	memset(body.info.digest, 'x', sizeof body.info.digest);
}

static void spoil_kind(void)
{
	body.info.kind = BUNDLE_DEXT + 1;
}

static const struct row {
	const char *name;
	/* what the worker does */
	int type;
	int status;
	enum rule_id rule;
	void (*spoil)(void);
	int less;   /* bytes that are missing at the end */
	bool early; /* nothing has been read of what the caller sent */
	/* what the caller is told */
	int verdict;
	enum rule_id told;
	const char *words; /* in the sentence */
} rows[] = {
	{ "accepted", .type = WORKER_ACCEPTED, .verdict = 0, .told = NO_RULE },
	{ "refused by rule", .type = WORKER_REFUSED, .rule = RULE_FILE_EXTRA, .verdict = 1,
		.told = RULE_FILE_EXTRA, .words = "the object" },
	{ "refused early", .type = WORKER_REFUSED, .rule = RULE_INFO_TOO_LARGE, .early = true,
		.verdict = 1, .told = RULE_INFO_TOO_LARGE, .words = "the object" },
	{ "could not read a file", .type = WORKER_REFUSED, .status = -EIO,
		.rule = RULE_BUNDLE_UNREADABLE, .verdict = 1, .told = RULE_BUNDLE_UNREADABLE,
		.words = "the object" },
	{ "could not read a file: try again", .type = WORKER_REFUSED, .status = -EAGAIN,
		.rule = RULE_BUNDLE_UNREADABLE, .verdict = 1, .told = RULE_BUNDLE_UNREADABLE },
	{ "out of memory", .type = WORKER_REFUSED, .status = -ENOMEM, .rule = NO_RULE,
		.verdict = -ENOMEM, .told = NO_RULE },
	{ "not our protocol", .type = WORKER_REFUSED, .status = -EPROTO, .rule = NO_RULE,
		.early = true, .verdict = -EPROTO, .told = NO_RULE },
	/* what no worker says */
	{ "neither rule nor status", .type = WORKER_REFUSED, .rule = NO_RULE, .verdict = 1,
		.told = RULE_BUNDLE_WORKER_ENDED },
	{ "no answer yet, as an answer", .type = WORKER_REFUSED, .status = -EAGAIN, .rule = NO_RULE,
		.verdict = 1, .told = RULE_BUNDLE_WORKER_ENDED },
	{ "status above 0", .type = WORKER_REFUSED, .status = 1, .rule = RULE_FILE_EXTRA,
		.verdict = 1, .told = RULE_BUNDLE_WORKER_ENDED },
	{ "status that is no errno", .type = WORKER_REFUSED, .status = INT_MIN, .rule = NO_RULE,
		.verdict = 1, .told = RULE_BUNDLE_WORKER_ENDED },
	{ "description without an end", .type = WORKER_REFUSED, .rule = RULE_FILE_EXTRA,
		.spoil = spoil_description, .verdict = 1, .told = RULE_BUNDLE_WORKER_ENDED },
	{ "rule without an end", .type = WORKER_REFUSED, .rule = RULE_FILE_EXTRA,
		.spoil = spoil_rule, .verdict = 1, .told = RULE_BUNDLE_WORKER_ENDED },
	{ "refusal that is too short", .type = WORKER_REFUSED, .rule = RULE_FILE_EXTRA, .less = 1,
		.verdict = 1, .told = RULE_BUNDLE_WORKER_ENDED },
	{ "digest without an end", .type = WORKER_ACCEPTED, .spoil = spoil_digest, .verdict = 1,
		.told = RULE_BUNDLE_WORKER_ENDED },
	{ "kind that there is not", .type = WORKER_ACCEPTED, .spoil = spoil_kind, .verdict = 1,
		.told = RULE_BUNDLE_WORKER_ENDED },
	{ "acceptance that is too short", .type = WORKER_ACCEPTED, .less = 1, .verdict = 1,
		.told = RULE_BUNDLE_WORKER_ENDED },
	{ "accepted unread", .type = WORKER_ACCEPTED, .early = true, .verdict = 1,
		.told = RULE_BUNDLE_WORKER_ENDED },
	{ "unknown answer", .type = 99, .rule = RULE_FILE_EXTRA, .verdict = 1,
		.told = RULE_BUNDLE_WORKER_ENDED },
	{ "ended", .type = ENDS, .verdict = 1, .told = RULE_BUNDLE_WORKER_ENDED,
		.words = "status 7" },
	{ "killed", .type = IS_KILLED, .verdict = 1, .told = RULE_BUNDLE_WORKER_ENDED,
		.words = "signal 9" },
};

/* ---- the worker ------------------------------------------------------------------------------- */

static void fill(const struct row *row)
{
	if (row->type == WORKER_ACCEPTED) {
		body.info.kind = BUNDLE_APP;
		STR_PUT(body.info.identifier, "org.example.double");
	} else {
		body.refused.status = row->status;
		if (row->rule != NO_RULE)
			rule_error(&body.refused.error, row->rule, "the object", "detail", NULL);
	}
	if (row->spoil)
		row->spoil();
}

static int be_worker(const struct row *row)
{
	static struct wire_packet packet;
	size_t bytes = row->type == WORKER_ACCEPTED ? sizeof body.info : sizeof body.refused;

	while (!row->early && wire_receive(WORKER_SOCKET_FD, &packet, 0) == 0 &&
		packet.header.type != WORKER_END)
		wire_packet_done(&packet);
	if (row->type == ENDS)
		return 7;
	if (row->type == IS_KILLED)
		raise(SIGKILL);
	fill(row);
	wire_send(WORKER_SOCKET_FD, (uint16_t)row->type, 0, 0, &body, bytes - (size_t)row->less,
		NULL, 0);
	return 0;
}

/* ---- the caller ------------------------------------------------------------------------------- */

static int begin(void **state)
{
	char self[PATH_MAX] = "", path[64];
	int i, r = scene_begin(state);

	if (r < 0 || readlink("/proc/self/exe", self, sizeof self - 1) < 0)
		return -1;
	scene_link("libexec/outboard-bundle-worker", self);
	for (i = 0; i < 2; i++)
		scene_text(i ? "none/other" : "broken/outboard-bundle-worker", "");
	if (mkdirat(scene.root_fd, MANY, 0755) < 0)
		return -1;
	for (i = 0; i < MANY_FILES; i++) {
		snprintf(path, sizeof path, MANY "/%05d", i);
		if (mknodat(scene.root_fd, path, S_IFREG | 0644, 0) < 0)
			return -1;
	}
	return 0;
}

/* The folder of the worker's program; NULL: of the real one. Gives back what it was. */
static void use_worker(const char *folder)
{
	static char real[PATH_MAX];

	if (!real[0])
		STR_PUT(real, getenv("OUTBOARD_LIBEXEC"));
	setenv("OUTBOARD_LIBEXEC", folder ? scene_path(folder) : real, 1);
}

/* An error that still holds what somebody else has said, as the manager's does. */
static int judge(const char *bundle, struct wire_error *ret_error)
{
	static struct bundle_info info;

	rule_error(ret_error, RULE_FILE_MISSING, "of before", NULL, NULL);
	return scene_judge(bundle, &info, ret_error);
}

static void test_answer(void **state)
{
	const struct row *row = *state;
	static struct wire_error error;
	char number[16];
	int verdict;

	snprintf(number, sizeof number, "%zu", (size_t)(row - rows));
	setenv("WORKER_ROW", number, 1);
	use_worker("libexec");
	verdict = judge(row->early ? MANY : SCENE_APP, &error);
	use_worker(NULL);
	assert_int_equal(verdict, row->verdict);
	assert_string_equal(error.rule, row->told == NO_RULE ? "" : rule_get(row->told)->rule);
	if (row->words && !strstr(error.description, row->words))
		fail_msg("no '%s' in: %s", row->words, error.description);
}

static int use_real_worker(void **state)
{
	use_worker(NULL);
	return 0;
}

/* A program that is not there is no property of the bundle. */
static void test_no_worker(void **state)
{
	static struct wire_error error;

	use_worker("none");
	assert_int_equal(judge(SCENE_APP, &error), -ENOENT);
	assert_string_equal(error.rule, "");
	use_worker("broken");
	assert_int_equal(judge(SCENE_APP, &error), -EACCES);
	assert_string_equal(error.rule, "");
	use_worker(NULL);
	assert_int_equal(judge(SCENE_APP, &error), 0);
}

/* Descriptors that this process is short of say nothing of the bundle, whose walk they stop. */
static void test_short_of_descriptors(void **state)
{
	_cleanup_fd_ int fd = openat(scene.root_fd, SCENE_APP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(bundle_job_freep) struct bundle_job *job = NULL;
	static struct bundle_info info;
	static struct wire_error error;
	struct rlimit before, none_left;
	int free_fd, verdict = 0, r;

	assert_int_equal(bundle_job_new(fd, "Example.app", "Example.app", 0, &job), 0);
	rule_error(&error, RULE_FILE_MISSING, "of before", NULL, NULL);
	free_fd = dup(fd);
	fd_close(free_fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none_left = (struct rlimit){ (rlim_t)free_fd, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
	r = bundle_job_process(job, &verdict, &info, &error);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(r, 0);
	assert_int_equal(verdict, -EMFILE);
	assert_string_equal(error.rule, "");
	assert_int_equal(judge(SCENE_APP, &error), 0);
}

int main(int argc, char **argv)
{
	static struct CMUnitTest tests[ARRAY_SIZE(rows) + 2] = {
		cmocka_unit_test_teardown(test_no_worker, use_real_worker),
		cmocka_unit_test(test_short_of_descriptors),
	};
	size_t i;

	if (str_ends(argv[0], "outboard-bundle-worker"))
		return be_worker(&rows[strtoul(getenv("WORKER_ROW"), NULL, 10)]);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		tests[2 + i] = (struct CMUnitTest){ .name = rows[i].name,
			.test_func = test_answer,
			.initial_state = (void *)(uintptr_t)&rows[i] };
	return cmocka_run_group_tests(tests, begin, scene_end);
}
