/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of files: every act, and every field of what is told of it, whatever source it comes from. Needs
 * root and a scope (SCOPE_CGROUP).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <bsm/libbsm.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/paths.h"
#include "base/str.h"
#include "endpoint/test-file-scene.h"

#define LONG_NAME "a-name-of-sixty-four-characters-which-is-what-a-proof-cuts-off-x"
_Static_assert(sizeof LONG_NAME == 65, "");

/* Two names of one file: nothing is done. Without trampolines the names are all that is known of it. */
static void rename_to_itself(const char *from, const char *to)
{
	struct expected *at;

	must(rename(from, to) == 0);
	if (!plain)
		return;
	at = expect(ES_EVENT_TYPE_NOTIFY_RENAME, from);
	at->cut = true;
	STR_PUT(at->name, to);
	expect_in_root(at);
}

static void act_on_files(void)
{
	int fd = open_file(LONG_NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640);
	void *mapped;

	must(write(fd, "abc", 3) == 3);
	close_file(fd, LONG_NAME, true);
	fd = open_file(LONG_NAME, O_RDWR | O_APPEND | O_CLOEXEC, 0);
	close_file(fd, LONG_NAME, false); /* open for writing is not written to */
	fd = open_file(LONG_NAME, O_RDWR | O_CLOEXEC, 0);
	mapped = mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(mapped != MAP_FAILED && munmap(mapped, 3) == 0);
	close_file(fd, LONG_NAME, false)->mapped = true;
	fd = open_file(LONG_NAME, O_WRONLY | O_TRUNC | O_CLOEXEC, 0);
	close_file(fd, LONG_NAME, false);
	rename_file(LONG_NAME, "second");
	fd = open_file("victim", O_CREAT | O_WRONLY | O_CLOEXEC, 0604);
	must(write(fd, "12345", 5) == 5);
	close_file(fd, "victim", true);
	rename_file("second", "victim");
	must(link("victim", "linked") == 0);
	expect_create("linked");
	rename_to_itself("linked", "victim");
	remove_file("linked", unlink);
	remove_file("victim", unlink);
	must(mkdir("folder", 0710) == 0);
	expect_create("folder");
	rename_file("folder", "moved");
	remove_file("moved", rmdir);
	must(symlink("/nowhere", "symbolic") == 0);
	expect_create("symbolic");
	remove_file("symbolic", unlink);
	must(mkfifo("fifo", 0606) == 0);
	expect_create("fifo");
	remove_file("fifo", unlink);
	must(mknod("plain", S_IFREG | 0600, 0) == 0);
	expect_create("plain");
	remove_file("plain", unlink);
}

/* Not one of these succeeds. */
static void act_in_vain(void)
{
	must(open("nothing", O_RDONLY | O_CLOEXEC) < 0);
	must(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0);
	must(open(".", O_WRONLY | O_CLOEXEC) < 0);
	must(unlink("nothing") < 0 && unlink(".") < 0 && rmdir("nothing") < 0);
	must(rename("nothing", "else") < 0 && link("nothing", "else") < 0);
	must(mkdir("/etc/mine", 0700) < 0 && symlink("x", "/etc/mine") < 0);
	must(mkdir(root, 0700) < 0 && mkfifo("/etc/mine", 0600) < 0);
	must(mount("none", root, "tmpfs", 0, NULL) < 0 && umount(root) < 0);
	remove_file("last", unlink);
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void test_every_act_and_field(void **state)
{
	es_client_t *client = new_client();

	run_actor(NULL, act_on_files);
	compare_all();
	es_delete_client(client);
}

static void make_last(void)
{
	close(open("last", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* What failed is not told: the one act that succeeds comes after it, and first. */
static void test_what_fails_is_silent(void **state)
{
	const es_event_type_t most[] = { ES_EVENT_TYPE_NOTIFY_CREATE, ES_EVENT_TYPE_NOTIFY_UNLINK,
		ES_EVENT_TYPE_NOTIFY_RENAME, ES_EVENT_TYPE_NOTIFY_MOUNT,
		ES_EVENT_TYPE_NOTIFY_UNMOUNT, ES_EVENT_TYPE_NOTIFY_OPEN };
	es_client_t *client;

	actor = 0;
	assert_int_equal(chdir(root), 0);
	make_last();
	client = client_of(on_message, most, ARRAY_SIZE(most));
	assert_int_equal(chown("last", EUID, EGID), 0);
	run_actor(NULL, act_in_vain);
	await_count(&n_got, 1);
	compare_event(got[0], &shared->all[0], 0);
	es_delete_client(client);
}

static void act_unlink_only(void)
{
	int fd = open("quiet", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	must(fd >= 0);
	close(fd);
	must(rename("quiet", "still") == 0);
	remove_file("still", unlink);
}

static void test_only_what_is_subscribed(void **state)
{
	const es_event_type_t unlinks = ES_EVENT_TYPE_NOTIFY_UNLINK;
	es_client_t *client;

	client = client_of(on_message, &unlinks, 1);
	run_actor(NULL, act_unlink_only);
	compare_all();
	assert_int_equal(n_got, 1);
	es_delete_client(client);
}

#define DEEP_NAME_BYTES 200
#define DEEP 19

static char deep_name[DEEP_NAME_BYTES + 1];

static void enter_deep(void)
{
	int i;

	for (i = 0; i < DEEP; i++)
		must(chdir(deep_name) == 0);
}

/* A path of about 4,000 bytes, made by a child: what it does is not the actor's. */
static void make_deep(void)
{
	int i, status;
	pid_t pid;

	memset(deep_name, 'd', DEEP_NAME_BYTES);
	pid = fork();
	if (pid == 0) {
		must(chdir(root) == 0);
		for (i = 0; i < DEEP; i++)
			must(mkdir(deep_name, 0777) == 0 && chmod(deep_name, 0777) == 0 &&
				chdir(deep_name) == 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void act_deep(void)
{
	char path[PATH_MAX] = "";
	struct expected *at;
	int fd, i;

	for (i = 0; i < DEEP; i++)
		strcat(strcat(path, deep_name), "/");
	strcat(path, LONG_NAME);
	fd = open(LONG_NAME, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	must(fd >= 0);
	at = expect(ES_EVENT_TYPE_NOTIFY_CREATE, path);
	must(fstat(fd, &at->file) == 0);
	at->existing = true;
	at = expect(ES_EVENT_TYPE_NOTIFY_OPEN, path);
	at->fflag = FWRITE | O_CREAT;
	must(fstat(fd, &at->file) == 0);
	close_file(fd, path, false);
}

static void test_a_path_of_4000_bytes(void **state)
{
	es_client_t *client;

	make_deep();
	client = new_client();
	run_actor(enter_deep, act_deep);
	compare_all();
	assert_true(got[0]->event.create.destination.existing_file->path.length > 3800);
	es_delete_client(client);
}

/* In a mount namespace and a root of its own: the path is that of the mount tree, not of the root. */
static void enter_root(void)
{
	must(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(chroot(".") == 0 && chdir("/") == 0);
}

static void act_in_root(void)
{
	int fd = open("/of-a-root", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	struct expected *at;

	must(fd >= 0);
	at = expect(ES_EVENT_TYPE_NOTIFY_CREATE, "of-a-root");
	must(fstat(fd, &at->file) == 0);
	at = expect(ES_EVENT_TYPE_NOTIFY_OPEN, "of-a-root");
	at->fflag = FREAD | FWRITE | O_CREAT;
	must(fstat(fd, &at->file) == 0);
}

static void test_a_root_of_its_own(void **state)
{
	const es_event_type_t two[] = { ES_EVENT_TYPE_NOTIFY_CREATE, ES_EVENT_TYPE_NOTIFY_OPEN };
	es_client_t *client;

	client = client_of(on_message, two, 2);
	run_actor(enter_root, act_in_root);
	compare_all();
	es_delete_client(client);
}

static void act_in_what_is_gone(void)
{
	struct expected *at;
	int fd;

	must(mkdir("gone", 0700) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0);
	fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd >= 0);
	at = expect(ES_EVENT_TYPE_NOTIFY_OPEN, "gone");
	at->fflag = FREAD | O_DIRECTORY;
	must(fstat(fd, &at->file) == 0);
}

static void test_a_removed_working_directory(void **state)
{
	const es_event_type_t opens = ES_EVENT_TYPE_NOTIFY_OPEN;
	es_client_t *client;

	client = client_of(on_message, &opens, 1);
	run_actor(NULL, act_in_what_is_gone);
	compare_all();
	es_delete_client(client);
}

static void expect_open(int fd, const char *path, int fflag)
{
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_OPEN, path);

	must(fd >= 0 && fstat(fd, &at->file) == 0);
	at->fflag = fflag;
	close(fd);
}

static void act_open_only(void)
{
	must(open("nothing", O_RDONLY | O_CLOEXEC) < 0);
	expect_open(open(LONG_NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640), LONG_NAME,
		FREAD | FWRITE | O_CREAT | O_EXCL);
	must(open(LONG_NAME, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0640) < 0);
	must(open(LONG_NAME, O_PATH | O_CLOEXEC) >= 0);
	expect_open(open(LONG_NAME, O_WRONLY | O_APPEND | O_CLOEXEC), LONG_NAME, FWRITE | O_APPEND);
	must(unlink(LONG_NAME) == 0); /* what is cut has other times after it */
	expect_open(creat(LONG_NAME, 0600), LONG_NAME, FWRITE | O_CREAT | O_TRUNC);
	must(unlink(LONG_NAME) == 0);
	expect_open(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "", FREAD | O_DIRECTORY);
}

static void test_opens(void **state)
{
	const es_event_type_t opens = ES_EVENT_TYPE_NOTIFY_OPEN;
	es_client_t *client;

	client = client_of(on_message, &opens, 1);
	run_actor(NULL, act_open_only);
	compare_all();
	es_delete_client(client);
}

/* ---- mounts ----------------------------------------------------------------------------------- */

static void compare_statfs(const es_statfs_t *is)
{
	char where[PATH_MAX];

	snprintf(where, sizeof where, "%s/mounted", root);
	assert_string_equal(is->f_mntonname, where);
	assert_string_equal(is->f_mntfromname, "a-source");
	assert_string_equal(is->f_fstypename, "tmpfs");
	assert_int_equal(is->f_flags, shared->mounted.f_flag);
	assert_int_equal(is->f_bsize, shared->mounted.f_bsize);
	assert_int_equal(is->f_type, shared->kind.f_type);
}

static void act_on_mounts(void)
{
	char where[PATH_MAX];

	snprintf(where, sizeof where, "%s/mounted", root);
	must(mount("a-source", where, "tmpfs", MS_NOSUID | MS_NOEXEC, "size=1m") == 0);
	must(statvfs(where, &shared->mounted) == 0 && statfs(where, &shared->kind) == 0);
	must(mount(NULL, where, NULL, MS_PRIVATE, NULL) == 0); /* nothing new */
	must(umount(where) == 0);
	must(umount(where) < 0);
	_exit(0);
}

static void test_mounts(void **state)
{
	const es_event_type_t two[] = { ES_EVENT_TYPE_NOTIFY_MOUNT, ES_EVENT_TYPE_NOTIFY_UNMOUNT };
	es_client_t *client;

	client = client_of(on_message, two, 2);
	run_actor(act_on_mounts, NULL);
	await_count(&n_got, 2);
	assert_int_equal(got[0]->event_type, ES_EVENT_TYPE_NOTIFY_MOUNT);
	compare_statfs(got[0]->event.mount.statfs);
	assert_int_equal(got[0]->event.mount.disposition, ES_MOUNT_DISPOSITION_VIRTUAL);
	assert_int_equal(got[1]->event_type, ES_EVENT_TYPE_NOTIFY_UNMOUNT);
	compare_statfs(got[1]->event.unmount.statfs);
	assert_int_equal(n_got, 2);
	es_delete_client(client);
}

/* ---- the whole -------------------------------------------------------------------------------- */

/* "plain": without trampolines, where there are some. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_act_and_field),
		cmocka_unit_test(test_what_fails_is_silent),
		cmocka_unit_test(test_only_what_is_subscribed),
		cmocka_unit_test(test_a_path_of_4000_bytes),
		cmocka_unit_test(test_a_root_of_its_own),
		cmocka_unit_test(test_a_removed_working_directory),
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_mounts),
	};
	int r;

	if (!files_begin("test-files", argc > 1 && strcmp(argv[1], "plain") == 0))
		return 77;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	files_end();
	return r;
}
