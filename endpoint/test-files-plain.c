/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of files without trampolines, where an act is known by a name: which names are found, what is told of
 * those that are not, and that nobody hides behind one. Needs root and a scope (SCOPE_CGROUP).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/macros.h"
#include "base/str.h"
#include "endpoint/test-file-scene.h"

static const es_event_type_t names[] = { ES_EVENT_TYPE_NOTIFY_CREATE, ES_EVENT_TYPE_NOTIFY_UNLINK,
	ES_EVENT_TYPE_NOTIFY_RENAME };

static es_client_t *client_of_names(void)
{
	return client_of(on_message, names, ARRAY_SIZE(names));
}

/* ---- names that are found ---------------------------------------------------------------------- */

/* Made by @how, in the folder "made", as @path. */
static void make(const char *path, const char *told)
{
	must(mkdir(path, 0751) == 0);
	expect_create(told);
}

static void expect_gone(const char *told, const char *folder)
{
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_UNLINK, told);

	snprintf(at->second_path, sizeof at->second_path, "%s%s%s", root, *folder ? "/" : "",
		folder);
	must(lstat(at->path, &at->file) == 0);
}

static void see_folder(void)
{
	struct expected *at = &shared->all[shared->n - 1];

	must(stat(at->second_path, &at->second) == 0);
}

static void act_by_every_name(void)
{
	char whole[PATH_MAX];
	struct expected *at;
	int fd;

	make("made", "made");
	snprintf(whole, sizeof whole, "%s/made//./absolute", root);
	make(whole, "made/absolute");
	make("made/../made/absolute/../up/", "made/up");
	must(chdir("made/up") == 0);
	make("..//.hidden", "made/.hidden");
	make("../...", "made/...");
	must(chdir(root) == 0);
	fd = open("made", O_PATH | O_DIRECTORY | O_CLOEXEC);
	must(mkdirat(fd, "by-folder", 0700) == 0);
	expect_create("made/by-folder");
	must(symlinkat("nowhere", fd, "symbolic") == 0);
	expect_create("made/symbolic");
	must(linkat(fd, "symbolic", fd, "linked", 0) == 0);
	expect_create("made/linked");

	at = expect(ES_EVENT_TYPE_NOTIFY_RENAME, "made/linked");
	must(lstat(at->path, &at->file) == 0);
	must(renameat(fd, "linked", AT_FDCWD, "made/up/renamed") == 0);
	STR_PUT(at->name, "renamed");
	snprintf(at->second_path, sizeof at->second_path, "%s/made/up", root);
	see_folder();

	expect_gone("made/up/renamed", "made/up");
	must(unlinkat(fd, "up/./renamed", 0) == 0);
	see_folder();
	expect_gone("made/by-folder", "made");
	must(unlinkat(fd, "by-folder/", AT_REMOVEDIR) == 0);
	see_folder();
	close(fd);
}

static void test_every_form_of_a_name(void **state)
{
	es_client_t *client = client_of_names();

	run_actor(NULL, act_by_every_name);
	compare_all();
	assert_int_equal(n_got, shared->n);
	es_delete_client(client);
}

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

static void expect_moved(const char *from, const char *to)
{
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_RENAME, from);

	at->existing = true;
	must(lstat(from, &at->file) == 0 && lstat(to, &at->second) == 0);
	snprintf(at->second_path, sizeof at->second_path, "%s/%s", root, to);
}

static void act_exchange(void)
{
	make("left", "left");
	make("right", "right");
	expect_moved("left", "right");
	expect_moved("right", "left");
	must(syscall(SYS_renameat2, AT_FDCWD, "left", AT_FDCWD, "right", RENAME_EXCHANGE) == 0);
}

static void test_an_exchange(void **state)
{
	es_client_t *client = client_of_names();

	run_actor(NULL, act_exchange);
	compare_all();
	assert_int_equal(n_got, 4);
	es_delete_client(client);
}

/* ---- names that are not ------------------------------------------------------------------------ */

/* Behind a symbolic link: what was given, and that it is no more than that. */
static void act_behind_a_link(void)
{
	must(mkdir("real", 0700) == 0 && symlink("real", "way") == 0);
	must(mkdir("way/one", 0700) == 0);
	must(rename("way/one", "way/two") == 0);
	must(rmdir("way/two") == 0);
}

static void expect_text(const es_file_t *file, const char *path)
{
	char whole[PATH_MAX];

	snprintf(whole, sizeof whole, "%s/%s", root, path);
	assert_string_equal(file->path.data, whole);
	assert_true(file->path_truncated);
	assert_int_equal(file->stat.st_ino, 0);
}

static void test_behind_a_link(void **state)
{
	es_client_t *client = client_of_names();

	run_actor(NULL, act_behind_a_link);
	await_count(&n_got, 5);
	assert_int_equal(got[2]->event_type, ES_EVENT_TYPE_NOTIFY_CREATE);
	expect_text(got[2]->event.create.destination.existing_file, "way/one");
	assert_int_equal(got[3]->event_type, ES_EVENT_TYPE_NOTIFY_RENAME);
	expect_text(got[3]->event.rename.source, "way/one");
	assert_int_equal(got[3]->event.rename.destination_type, ES_DESTINATION_TYPE_NEW_PATH);
	expect_text(got[3]->event.rename.destination.new_path.dir, "way");
	assert_string_equal(got[3]->event.rename.destination.new_path.filename.data, "two");
	assert_int_equal(got[4]->event_type, ES_EVENT_TYPE_NOTIFY_UNLINK);
	expect_text(got[4]->event.unlink.target, "way/two");
	expect_text(got[4]->event.unlink.parent_dir, "way");
	assert_int_equal(n_got, 5);
	es_delete_client(client);
}

/* The name lies in memory that is not there before the kernel has read it. */
static void act_by_an_absent_name(void)
{
	const char *name;
	int fd = open("names", O_RDONLY | O_CLOEXEC);

	must(fd >= 0);
	name = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	must(name != MAP_FAILED);
	must(madvise((void *)(uintptr_t)name, 4096, MADV_DONTNEED) == 0);
	must(rmdir(name) == 0);
}

static void test_a_name_that_is_read_late(void **state)
{
	const es_event_type_t unlinks = ES_EVENT_TYPE_NOTIFY_UNLINK;
	es_client_t *client;
	char path[256];
	int fd;

	snprintf(path, sizeof path, "%s/names", root);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "absent", 7), 7);
	close(fd);
	snprintf(path, sizeof path, "%s/absent", root);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, EUID, EGID), 0);
	client = client_of(on_message, &unlinks, 1);
	run_actor(NULL, act_by_an_absent_name);
	await_count(&n_got, 1);
	expect_text(got[0]->event.unlink.target, "absent");
	es_delete_client(client);
}

/* Another thread changes the name all the while: what is told may be the other one, but nothing is hidden. */
#define FLIPS 300
static atomic_uint n_unlinks;

static void count_unlinks(es_client_t *client, const es_message_t *message, void *context)
{
	if (audit_token_to_pid(message->process->audit_token) != actor)
		return;
	n_unlinks++;
	sem_post(&something);
}

static void *flip(void *name)
{
	for (;;) {
		memcpy(name, "aa", 2);
		atomic_thread_fence(memory_order_seq_cst);
		memcpy(name, "bb", 2);
		atomic_thread_fence(memory_order_seq_cst);
	}
	return NULL;
}

static void act_by_a_changing_name(void)
{
	static char name[] = "aa";
	pthread_t thread;
	unsigned i;

	must(pthread_create(&thread, NULL, flip, name) == 0);
	for (i = 0; i < FLIPS; i++) {
		must(mkdir("aa", 0700) == 0 || errno == EEXIST);
		must(mkdir("bb", 0700) == 0 || errno == EEXIST);
		if (rmdir(name) == 0)
			shared->n++;
	}
	must(mkdir("last", 0700) == 0 && rmdir("last") == 0);
	shared->n++;
	_exit(0);
}

static void test_a_name_that_changes(void **state)
{
	const es_event_type_t unlinks = ES_EVENT_TYPE_NOTIFY_UNLINK;
	es_client_t *client = client_of(count_unlinks, &unlinks, 1);

	n_unlinks = 0;
	run_actor(NULL, act_by_a_changing_name);
	assert_true(shared->n > FLIPS / 2);
	await_count(&n_unlinks, shared->n);
	assert_int_equal(n_unlinks, shared->n);
	es_delete_client(client);
}

/* ---- closing ----------------------------------------------------------------------------------- */

/* The last name went before the last descriptor. */
static void act_close_without_a_name(void)
{
	int fd = open("nameless", O_CREAT | O_RDWR | O_CLOEXEC, 0620), other = dup(fd);
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_CLOSE, "nameless");

	must(fd >= 0 && other >= 0 && write(fd, "text", 4) == 4);
	must(close(fd) == 0); /* not the last */
	must(unlink("nameless") == 0 && fstat(other, &at->file) == 0);
	must(close(other) == 0);
	/* by an exec, and by dup2(2) */
	fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	other = open("names", O_RDONLY | O_CLOEXEC);
	must(dup2(fd, other) == other);
}

static void test_close_without_a_name(void **state)
{
	const es_event_type_t closing = ES_EVENT_TYPE_NOTIFY_CLOSE;
	const struct expected *at = &shared->all[0];
	const es_file_t *file;
	es_client_t *client;

	if (!closes)
		skip();
	client = client_of(on_message, &closing, 1);
	run_actor(NULL, act_close_without_a_name);
	await_count(&n_got, 3);
	file = got[0]->event.close.target;
	assert_string_equal(file->path.data, at->path);
	assert_int_equal(file->stat.st_ino, at->file.st_ino);
	assert_int_equal(file->stat.st_dev, at->file.st_dev);
	assert_int_equal(file->stat.st_mode, at->file.st_mode);
	assert_int_equal(file->stat.st_uid, at->file.st_uid);
	assert_int_equal(file->stat.st_nlink, 0);
	assert_int_equal(file->stat.st_size, 0);
	assert_true(got[0]->event.close.modified);
	assert_true(str_ends(got[1]->event.close.target->path.data, "/files/names"));
	assert_false(got[1]->event.close.modified);
	/* that of the process that has ended */
	assert_true(str_ends(got[2]->event.close.target->path.data, "/stat"));
	es_delete_client(client);
}

/* ---- mounts ------------------------------------------------------------------------------------ */

#ifndef SYS_fsopen
#define SYS_move_mount 429
#define SYS_fsopen 430
#define SYS_fsconfig 431
#define SYS_fsmount 432
#endif

/* By the newer calls: FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE, MOVE_MOUNT_F_EMPTY_PATH */
static void mount_anew(const char *source, const char *where)
{
	long fs = syscall(SYS_fsopen, "tmpfs", 0), fd;

	must(fs >= 0 && syscall(SYS_fsconfig, fs, 1, "source", source, 0) == 0);
	must(syscall(SYS_fsconfig, fs, 6, NULL, NULL, 0) == 0);
	fd = syscall(SYS_fsmount, fs, 0, 0);
	must(fd >= 0 && syscall(SYS_move_mount, fd, "", AT_FDCWD, where, 4) == 0);
	close((int)fd);
	close((int)fs);
}

static void act_on_mounts(void)
{
	must(mount("relative", "mounted", "tmpfs", 0, NULL) == 0);
	must(mount("on-top", "mounted/../mounted", "tmpfs", 0, NULL) == 0);
	must(umount("mounted/") == 0 && umount("mounted") == 0);
	mount_anew("anew", "./mounted");
	must(umount("mounted") == 0);
	must(symlink("mounted", "way-to-mounted") == 0);
	must(mount("behind", "way-to-mounted", "tmpfs", 0, NULL) == 0);
	must(umount("way-to-mounted") == 0);
	_exit(0);
}

static void test_mounts(void **state)
{
	const es_event_type_t two[] = { ES_EVENT_TYPE_NOTIFY_MOUNT, ES_EVENT_TYPE_NOTIFY_UNMOUNT };
	static const struct {
		bool gone;
		const char *source, *type, *where;
	} rows[] = {
		{ false, "relative", "tmpfs", "mounted" },
		{ false, "on-top", "tmpfs", "mounted" },
		{ true, "on-top", "tmpfs", "mounted" },
		{ true, "relative", "tmpfs", "mounted" },
		{ false, "anew", "tmpfs", "mounted" },
		{ true, "anew", "tmpfs", "mounted" },
		/* what was given is all that is known */
		{ false, "", "", "way-to-mounted" },
		{ true, "", "", "way-to-mounted" },
	};
	es_client_t *client = client_of(on_message, two, 2);
	char where[PATH_MAX];
	size_t i;

	run_actor(act_on_mounts, NULL);
	await_count(&n_got, ARRAY_SIZE(rows));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const es_statfs_t *is = rows[i].gone ? got[i]->event.unmount.statfs
						     : got[i]->event.mount.statfs;

		assert_int_equal(got[i]->event_type, two[rows[i].gone]);
		snprintf(where, sizeof where, "%s/%s", root, rows[i].where);
		assert_string_equal(is->f_mntonname, where);
		assert_string_equal(is->f_mntfromname, rows[i].source);
		assert_string_equal(is->f_fstypename, rows[i].type);
	}
	assert_int_equal(n_got, ARRAY_SIZE(rows));
	es_delete_client(client);
}

/* ---- mutes ------------------------------------------------------------------------------------- */

static void act_muted(void)
{
	must(mkdir("muted", 0700) == 0);
	must(rmdir("muted") == 0);
	close(open("muted", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	must(unlink("muted") == 0);
}

/* A name that could be another one mutes nothing; a file that was opened is the kernel's own word. */
static void test_a_word_mutes_nothing(void **state)
{
	es_client_t *client = client_of_names();
	char path[256];

	snprintf(path, sizeof path, "%s/muted", root);
	assert_int_equal(
		es_mute_path(client, path, ES_MUTE_PATH_TYPE_TARGET_LITERAL), ES_RETURN_SUCCESS);
	run_actor(NULL, act_muted);
	await_count(&n_got, 3);
	assert_int_equal(got[0]->event_type, ES_EVENT_TYPE_NOTIFY_CREATE);
	assert_int_equal(got[1]->event_type, ES_EVENT_TYPE_NOTIFY_UNLINK);
	assert_int_equal(got[2]->event_type, ES_EVENT_TYPE_NOTIFY_UNLINK);
	assert_int_equal(n_got, 3);
	es_delete_client(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form_of_a_name),
		cmocka_unit_test(test_an_exchange),
		cmocka_unit_test(test_behind_a_link),
		cmocka_unit_test(test_a_name_that_is_read_late),
		cmocka_unit_test(test_a_name_that_changes),
		cmocka_unit_test(test_close_without_a_name),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_a_word_mutes_nothing),
	};
	int r;

	if (!files_begin("test-files-plain", true))
		return 77;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	files_end();
	return r;
}
