/* SPDX-License-Identifier: Apache-2.0
 *
 * bundle_copy() on disks that are full, broken or read-only, and of a file that changes in the moment
 * in which it is read: it says which of these, names what it could not read, and succeeds only with a
 * copy that is accepted as its original is. In a scope, since it mounts.
 * test-copy EIO-FS
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/test-scene.h"

#define LARGE SCENE_APP "/Contents/Resources/large"
#define LARGE_BYTES (256u << 10)
#define DISK "disk"
#define COPY DISK "/Example.app"
#define BROKEN "broken"
#define FAULT "fault" /* the switch of eio-fs */

static const char *eio_fs;
static bool no_fuse;

static int begin(void **state)
{
	char *large;
	int r = scene_begin(state);

	if (r < 0)
		return r;
	large = calloc(1, LARGE_BYTES);
	scene_file(LARGE, large, LARGE_BYTES, 0644);
	free(large);
	scene_sign(SCENE_APP, scene_app_entitlements);
	return mkdirat(scene.root_fd, DISK, 0755) | mkdirat(scene.root_fd, BROKEN, 0755);
}

static int copy(const char *from, struct wire_error *ret_error)
{
	_cleanup_fd_ int source_fd = -1, target_fd = -1;

	memset(ret_error, 0, sizeof *ret_error);
	assert_int_equal(mkdirat(scene.root_fd, COPY, 0755), 0);
	source_fd = openat(scene.root_fd, from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	target_fd = openat(scene.root_fd, COPY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(source_fd >= 0 && target_fd >= 0);
	return bundle_copy(source_fd, target_fd, scene_path(from), ret_error);
}

static void disk_begin(const char *options)
{
	assert_int_equal(
		mount("disk", scene_path(DISK), "tmpfs", MS_NOSUID | MS_NODEV, options), 0);
}

static void disk_end(void)
{
	assert_int_equal(umount(scene_path(DISK)), 0);
}

static int clear(void **state)
{
	umount(scene_path(DISK));
	umount(scene_path(BROKEN));
	unlinkat(scene.root_fd, FAULT, 0);
	return 0;
}

static void expect_no_space(int r, const struct wire_error *error, const char *options)
{
	if (r != -ENOSPC || !streq(error->rule, rule_get(RULE_STAGING_NO_SPACE)->rule) ||
		!strstr(error->description, scene_path(SCENE_APP)))
		fail_msg("%s: %d %s: %s", options, r, error->rule, error->description);
}

/*
 * On a disk of every size, in pages and in inodes: there is a first one that takes all of it, and
 * what was copied then is accepted; whatever is smaller is full, on the way or at the end.
 */
static void fill_each(const char *before, const char *after, int most)
{
	static struct wire_error error;
	int i, r = -1;

	for (i = 2; i <= most && r != 0; i++) {
		char options[64];

		snprintf(options, sizeof options, "%s%d%s", before, i, after);
		disk_begin(options);
		r = copy(SCENE_APP, &error);
		if (r != 0)
			expect_no_space(r, &error, options);
		else
			scene_accepts(COPY);
		disk_end();
	}
	assert_int_equal(r, 0);
	assert_in_range(i, 4, most); /* some were too small */
}

static void test_full(void **state)
{
	fill_each("size=", "k", LARGE_BYTES / 1024 + 128);
}

static void test_no_inodes(void **state)
{
	fill_each("size=4m,nr_inodes=", "", 64);
}

/* A disk that turns read-only while the copy is made, as ext4 does after an error. */
static void test_read_only(void **state)
{
	_cleanup_fd_ int source_fd = -1, target_fd = -1;
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_REMOUNT;
	static struct wire_error error;
	int r;

	disk_begin("size=4m");
	assert_int_equal(mkdirat(scene.root_fd, COPY, 0755), 0);
	source_fd = openat(scene.root_fd, SCENE_APP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	target_fd = openat(scene.root_fd, COPY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(source_fd >= 0 && target_fd >= 0);
	assert_int_equal(mount("disk", scene_path(DISK), "tmpfs", flags | MS_RDONLY, NULL), 0);
	r = bundle_copy(source_fd, target_fd, scene_path(SCENE_APP), &error);
	if (r != -EROFS || !streq(error.rule, rule_get(RULE_STAGING_FAILED)->rule) ||
		!strstr(error.description, scene_path(SCENE_APP)))
		fail_msg("%d %s: %s", r, error.rule, error.description);
	assert_int_equal(mount("disk", scene_path(DISK), "tmpfs", flags, NULL), 0);
	assert_int_equal(bundle_copy(source_fd, target_fd, scene_path(SCENE_APP), &error), 0);
	scene_accepts(COPY);
	fd_close(TAKE_FD(target_fd));
	disk_end();
}

/* ---- broken files ----------------------------------------------------------------------------- */

struct fault {
	const char *path;
	const char *how; /* of eio-fs; NULL: EIO */
	int copied;	 /* what the copy says */
	enum rule_id rule;
};

/* Mounts the apps' folder with @name broken. */
static void break_file(const char *name, const char *how)
{
	const char *arguments[] = { "eio-fs", "--while", scene_path(FAULT), scene_path("opt"),
		scene_path(BROKEN), name, NULL, NULL };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (how) {
			memmove(&arguments[2], &arguments[1], 5 * sizeof arguments[0]);
			arguments[1] = how;
		}
		execv(eio_fs, (char **)(uintptr_t)arguments);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		no_fuse = true;
		skip();
	}
	assert_int_equal(status, 0);
}

static void switch_fault(bool on)
{
	if (on)
		assert_int_equal(mknodat(scene.root_fd, FAULT, S_IFREG | 0600, 0), 0);
	else
		assert_int_equal(unlinkat(scene.root_fd, FAULT, 0), 0);
}

static void test_broken_file(void **state)
{
	const struct fault *fault = *state;
	const char *name = fault->path + strlen("opt/");
	static struct wire_error error;
	char broken[PATH_MAX];
	int r;

	snprintf(broken, sizeof broken, BROKEN "/%s", name);
	break_file(name, fault->how);
	switch_fault(true);
	disk_begin("size=4m");
	r = copy(BROKEN "/Example.app", &error);
	if (r != fault->copied || !streq(error.rule, rule_get(fault->rule)->rule) ||
		!strstr(error.description, scene_path(broken)))
		fail_msg("copy: %d %s: %s", r, error.rule, error.description);
	disk_end();
	scene_refuses(BROKEN "/Example.app", fault->rule, scene_path(broken));
	switch_fault(false);
	disk_begin("size=4m");
	assert_int_equal(copy(BROKEN "/Example.app", &error), 0);
	scene_accepts(COPY);
	disk_end();
	scene_accepts(BROKEN "/Example.app");
	assert_int_equal(umount(scene_path(BROKEN)), 0);
}

static const struct fault faults[] = {
	{ SCENE_APP "/Contents/Info.plist", NULL, -EIO, RULE_BUNDLE_UNREADABLE },
	{ SCENE_APP "/Contents/MacOS/main", NULL, -EIO, RULE_BUNDLE_UNREADABLE },
	{ SCENE_APP "/Contents/_Signature/manifest", NULL, -EIO, RULE_BUNDLE_UNREADABLE },
	{ SCENE_APP "/Contents/_Signature/manifest.minisig", NULL, -EIO, RULE_BUNDLE_UNREADABLE },
	{ SCENE_EXTENSION "/Contents/MacOS/main", NULL, -EIO, RULE_BUNDLE_UNREADABLE },
	{ LARGE, NULL, -EIO, RULE_BUNDLE_UNREADABLE },
	{ SCENE_APP "/Contents/MacOS/main", "--short", 1, RULE_BUNDLE_CHANGED },
	{ SCENE_EXTENSION "/Contents/MacOS/main", "--short", 1, RULE_BUNDLE_CHANGED },
	{ LARGE, "--short", 1, RULE_BUNDLE_CHANGED },
};

int main(int argc, char **argv)
{
	struct CMUnitTest tests[3 + ARRAY_SIZE(faults)] = {
		cmocka_unit_test_teardown(test_full, clear),
		cmocka_unit_test_teardown(test_no_inodes, clear),
		cmocka_unit_test_teardown(test_read_only, clear),
	};
	size_t i;
	int failed;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		tests[3 + i] = (struct CMUnitTest){ .name = faults[i].path,
			.test_func = test_broken_file,
			.teardown_func = clear,
			.initial_state = (void *)(uintptr_t)&faults[i] };
	if (argc != 2)
		return 2;
	eio_fs = argv[1];
	failed = cmocka_run_group_tests(tests, begin, scene_end);
	if (failed == 0 && no_fuse) {
		printf("needs /dev/fuse\n");
		return 77;
	}
	return failed;
}
