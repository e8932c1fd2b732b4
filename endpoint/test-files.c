/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of files, end to end: each act is made here, by a second thread of a process whose ids all
 * differ, and what was told of it is held against stat(2) and what the act was given. Needs root, a
 * scope (SCOPE_CGROUP), and a kernel that has a source for all of them.
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
#include "endpoint/test-scene.h"

#define EXPECTED 64

enum { RUID = 2001, EUID = 2002, RGID = 3003, EGID = 3004, LOGIN = 5005 };

/* What the actor expects of each message, in order; written by it. */
struct expected {
	es_event_type_t type;
	char path[PATH_MAX + 256], second_path[PATH_MAX], name[NAME_MAX + 1];
	struct stat file, second;
	int fflag;
	bool modified, mapped, existing, cut;
};
static struct shared {
	atomic_uint n;
	struct expected all[EXPECTED];
	pid_t pid, group, session;
	struct statvfs mounted;
	struct statfs kind;
} * shared;

static const es_event_type_t types[] = { ES_EVENT_TYPE_NOTIFY_OPEN, ES_EVENT_TYPE_NOTIFY_CLOSE,
	ES_EVENT_TYPE_NOTIFY_CREATE, ES_EVENT_TYPE_NOTIFY_UNLINK, ES_EVENT_TYPE_NOTIFY_RENAME,
	ES_EVENT_TYPE_NOTIFY_MOUNT, ES_EVENT_TYPE_NOTIFY_UNMOUNT };

static const es_message_t *got[EXPECTED];
static atomic_uint n_got;
static _Atomic(pid_t) actor;
static char root[128]; /* a file system of the test's own */

/* What the actor does to get its login uid may be told later than it is looked for. */
static bool is_of_login(const es_message_t *message)
{
	const es_file_t *file = NULL;

	if (message->event_type == ES_EVENT_TYPE_NOTIFY_OPEN)
		file = message->event.open.file;
	if (message->event_type == ES_EVENT_TYPE_NOTIFY_CLOSE)
		file = message->event.close.target;
	return file && str_ends(file->path.data, "/loginuid");
}

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	if (audit_token_to_pid(message->process->audit_token) != actor || n_got >= EXPECTED ||
		is_of_login(message))
		return;
	es_retain_message(message);
	got[n_got++] = message;
	sem_post(&something);
}

static es_client_t *client_of(
	ob_es_handler_function_t handler, const es_event_type_t *events, unsigned n_events)
{
	es_client_t *client;

	assert_int_equal(es_new_client_f(&client, NULL, handler), ES_NEW_CLIENT_RESULT_SUCCESS);
	if (n_events)
		assert_int_equal(es_subscribe(client, events, n_events), ES_RETURN_SUCCESS);
	return client;
}

static es_client_t *new_client(void)
{
	return client_of(on_message, types, ARRAY_SIZE(types));
}

/* ---- the actor -------------------------------------------------------------------------------- */

/* In a child: an assertion of cmocka's would go on in there with the parent's tests. */
#define must(what)                                                                    \
	do {                                                                          \
		if (!(what)) {                                                        \
			fprintf(stderr, "actor, line %d: %s: %m\n", __LINE__, #what); \
			_exit(1);                                                     \
		}                                                                     \
	} while (0)

static struct expected *expect(es_event_type_t type, const char *path)
{
	struct expected *at = &shared->all[shared->n++];

	at->type = type;
	snprintf(at->path, sizeof at->path, "%s%s%s", root, *path ? "/" : "", path);
	return at;
}

static void expect_in_root(struct expected *at)
{
	STR_PUT(at->second_path, root);
	must(stat(root, &at->second) == 0);
}

static void expect_create(const char *path)
{
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_CREATE, path);

	must(lstat(at->path, &at->file) == 0);
	at->existing = true;
}

static int open_file(const char *path, int flags, mode_t mode)
{
	struct stat before;
	bool was = stat(path, &before) == 0;
	int fd = open(path, flags, mode);
	struct expected *at;

	must(fd >= 0);
	if (flags & O_CREAT)
		expect_create(path);
	at = expect(ES_EVENT_TYPE_NOTIFY_OPEN, path);
	at->fflag = ((flags + 1) & 3) | (flags & ~(O_ACCMODE | O_CLOEXEC));
	must(fstat(fd, &at->file) == 0);
	if (was)
		at->file = before; /* O_TRUNC cuts it when it is open already */
	return fd;
}

static struct expected *close_file(int fd, const char *path, bool modified)
{
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_CLOSE, path);

	must(fstat(fd, &at->file) == 0);
	at->modified = modified;
	close(fd);
	return at;
}

static void remove_file(const char *path, int (*how)(const char *path))
{
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_UNLINK, path);

	must(lstat(path, &at->file) == 0);
	must(how(path) == 0);
	expect_in_root(at);
}

static void rename_file(const char *from, const char *to)
{
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_RENAME, from);

	must(lstat(from, &at->file) == 0);
	at->existing = lstat(to, &at->second) == 0;
	must(rename(from, to) == 0);
	STR_PUT(at->name, to);
	if (at->existing)
		snprintf(at->second_path, sizeof at->second_path, "%s/%s", root, to);
	else
		expect_in_root(at);
}

#define LONG_NAME "a-name-of-sixty-four-characters-which-is-what-a-proof-cuts-off-x"
_Static_assert(sizeof LONG_NAME == 65, "");

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
	must(rename("linked", "victim") == 0); /* of one file: nothing is done, nothing is told */
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

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* a kernel without audit has no login uid */
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		must(errno == EPERM || errno == EINVAL);
	close(fd);
}

static void *actor_main(void *act)
{
	((void (*)(void))act)();
	return NULL;
}

/* Its ids are set before the parent goes on, which then waits for what is told of it. */
static pid_t run_actor(void (*prepare)(void), void (*act)(void))
{
	int status, go[2], ready[2];
	pthread_t thread;
	char word[16];
	pid_t pid;

	while (n_got)
		es_release_message(got[--n_got]);
	memset(shared, 0, sizeof *shared);
	assert_int_equal(pipe(go) | pipe(ready), 0);
	actor = 0;
	pid = fork();
	if (pid == 0) {
		snprintf(word, sizeof word, "%d", LOGIN);
		write_text("/proc/self/loginuid", word);
		must(write(ready[1], "x", 1) == 1 && read(go[0], word, 1) == 1);
		must(setsid() > 0 && chdir(root) == 0);
		if (prepare)
			prepare();
		must(setgroups(0, NULL) == 0 && setresgid(RGID, EGID, EGID) == 0);
		must(setresuid(RUID, EUID, EUID) == 0);
		shared->group = getpgrp();
		shared->session = getsid(0);
		if (!act)
			_exit(0);
		must(pthread_create(&thread, NULL, actor_main, (void *)(uintptr_t)act) == 0);
		pthread_join(thread, NULL);
		_exit(0);
	}
	assert_int_equal(read(ready[0], word, 1), 1);
	actor = shared->pid = pid;
	assert_int_equal(write(go[1], "x", 1), 1);
	close(go[0]);
	close(go[1]);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return pid;
}

/* ---- comparing -------------------------------------------------------------------------------- */

static void compare_stat(const struct stat *is, const struct stat *should, unsigned row)
{
#define SAME(field)                                                                          \
	if (is->field != should->field)                                                      \
	fail_msg("message %u: %s is %lld, expected %lld", row, #field, (long long)is->field, \
		(long long)should->field)
	SAME(st_dev);
	SAME(st_ino);
	SAME(st_mode);
	SAME(st_nlink);
	SAME(st_uid);
	SAME(st_gid);
	SAME(st_rdev);
	SAME(st_size);
	SAME(st_blksize);
	SAME(st_blocks);
	SAME(st_atim.tv_nsec);
	SAME(st_mtim.tv_sec);
	SAME(st_mtim.tv_nsec);
	SAME(st_ctim.tv_sec);
	SAME(st_ctim.tv_nsec);
#undef SAME
}

static void compare_file(
	const es_file_t *is, const char *path, const struct stat *should, bool cut, unsigned row)
{
	if (strcmp(is->path.data, path) != 0)
		fail_msg("message %u: path is %s, expected %s", row, is->path.data, path);
	assert_int_equal(is->path.length, strlen(path));
	assert_int_equal(is->path_truncated, cut);
	compare_stat(&is->stat, should, row);
}

/* A kernel without audit: -1, as Apple's has it for a process that nobody logged in. */
static uid_t login_of(void)
{
	return access("/proc/self/loginuid", F_OK) == 0 ? LOGIN : (uid_t)-1;
}

static void compare_actor(const es_message_t *message)
{
	const es_process_t *process = message->process;
	char own[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);

	assert_true(length > 0);
	own[length] = '\0';
	assert_int_equal(audit_token_to_pid(process->audit_token), shared->pid);
	assert_int_equal(audit_token_to_ruid(process->audit_token), RUID);
	assert_int_equal(audit_token_to_euid(process->audit_token), EUID);
	assert_int_equal(audit_token_to_rgid(process->audit_token), RGID);
	assert_int_equal(audit_token_to_egid(process->audit_token), EGID);
	assert_int_equal(audit_token_to_auid(process->audit_token), login_of());
	assert_int_equal(process->ppid, getpid());
	assert_int_equal(process->group_id, shared->group);
	assert_int_equal(process->session_id, shared->session);
	assert_non_null(strstr(process->executable->path.data, strrchr(own, '/')));
	assert_int_equal(message->action_type, ES_ACTION_TYPE_NOTIFY);
	assert_int_not_equal(message->thread->thread_id, 0);
	assert_int_equal(message->thread->thread_id, got[0]->thread->thread_id);
}

static void compare_create(const es_message_t *message, const struct expected *at, unsigned row)
{
	assert_int_equal(message->event.create.destination_type, ES_DESTINATION_TYPE_EXISTING_FILE);
	compare_file(
		message->event.create.destination.existing_file, at->path, &at->file, at->cut, row);
}

static void compare_rename(const es_message_t *message, const struct expected *at, unsigned row)
{
	const es_event_rename_t *rename = &message->event.rename;

	compare_file(rename->source, at->path, &at->file, at->cut, row);
	if (at->existing) {
		assert_int_equal(rename->destination_type, ES_DESTINATION_TYPE_EXISTING_FILE);
		compare_file(rename->destination.existing_file, at->second_path, &at->second, false,
			row);
		return;
	}
	assert_int_equal(rename->destination_type, ES_DESTINATION_TYPE_NEW_PATH);
	compare_file(rename->destination.new_path.dir, at->second_path, &at->second, false, row);
	assert_string_equal(rename->destination.new_path.filename.data, at->name);
}

static void compare_event(const es_message_t *message, const struct expected *at, unsigned row)
{
	const es_events_t *event = &message->event;

	if (message->event_type != at->type)
		fail_msg("message %u is of type %d, expected %d (%s)", row, message->event_type,
			at->type, at->path);
	switch (at->type) {
	case ES_EVENT_TYPE_NOTIFY_OPEN:
		assert_int_equal(event->open.fflag, at->fflag);
		compare_file(event->open.file, at->path, &at->file, at->cut, row);
		break;
	case ES_EVENT_TYPE_NOTIFY_CLOSE:
		if (event->close.modified != at->modified)
			fail_msg("message %u: modified is %d", row, event->close.modified);
		assert_int_equal(event->close.was_mapped_writable, at->mapped);
		compare_file(event->close.target, at->path, &at->file, at->cut, row);
		break;
	case ES_EVENT_TYPE_NOTIFY_CREATE:
		compare_create(message, at, row);
		break;
	case ES_EVENT_TYPE_NOTIFY_UNLINK:
		compare_file(event->unlink.target, at->path, &at->file, at->cut, row);
		compare_file(event->unlink.parent_dir, at->second_path, &at->second, false, row);
		break;
	case ES_EVENT_TYPE_NOTIFY_RENAME:
		compare_rename(message, at, row);
		break;
	default:
		break;
	}
}

static void compare_all(void)
{
	unsigned i;

	await_count(&n_got, shared->n);
	for (i = 0; i < shared->n; i++) {
		compare_event(got[i], &shared->all[i], i);
		compare_actor(got[i]);
		if (i)
			assert_true(got[i]->mach_time >= got[i - 1]->mach_time);
	}
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
	at = expect(ES_EVENT_TYPE_NOTIFY_CLOSE, path);
	must(fstat(fd, &at->file) == 0);
	close(fd);
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

/* What every source of NOTIFY_OPEN tells. */
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

static bool are_there(const es_event_type_t *events, unsigned n)
{
	es_client_t *client = client_of(on_message, events, 0);
	bool all = es_subscribe(client, events, n) == ES_RETURN_SUCCESS;

	es_delete_client(client);
	return all;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_act_and_field),
		cmocka_unit_test(test_what_fails_is_silent),
		cmocka_unit_test(test_only_what_is_subscribed),
		cmocka_unit_test(test_a_path_of_4000_bytes),
		cmocka_unit_test(test_a_root_of_its_own),
		cmocka_unit_test(test_mounts),
	};
	/* without trampolines there is no more */
	const struct CMUnitTest of_open[] = {
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_a_removed_working_directory),
	};
	char folder[PATH_MAX + 16];
	int r = 77;

	if (!scene_begin("test-files"))
		return 77;
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(root, sizeof root, "%s/files", getenv("OUTBOARD_ROOT"));
	snprintf(folder, sizeof folder, "%s/mounted", root);
	if (shared == MAP_FAILED || mkdir(root, 0755) < 0 ||
		mount("files", root, "tmpfs", 0, "mode=1777") < 0 || mkdir(folder, 0755) < 0)
		return 1;
	esd_start(NULL);
	if (are_there(types, ARRAY_SIZE(types)))
		r = cmocka_run_group_tests(tests, NULL, NULL) |
			cmocka_run_group_tests(of_open, NULL, NULL);
	else if (are_there(types, 1))
		r = cmocka_run_group_tests(of_open, NULL, NULL);
	else
		fprintf(stderr, "test-files: this kernel has no source for events of files\n");
	esd_stop();
	if (chdir("/") < 0 || umount2(root, MNT_DETACH) < 0)
		return 1;
	return r;
}
