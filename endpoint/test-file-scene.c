/* SPDX-License-Identifier: Apache-2.0
 *
 * See test-file-scene.h.
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

struct shared *shared;
bool plain, closes;
const es_event_type_t types[N_TYPES] = { ES_EVENT_TYPE_NOTIFY_OPEN, ES_EVENT_TYPE_NOTIFY_CREATE,
	ES_EVENT_TYPE_NOTIFY_UNLINK, ES_EVENT_TYPE_NOTIFY_RENAME, ES_EVENT_TYPE_NOTIFY_MOUNT,
	ES_EVENT_TYPE_NOTIFY_UNMOUNT, ES_EVENT_TYPE_NOTIFY_CLOSE };

const es_message_t *got[EXPECTED];
atomic_uint n_got;
_Atomic(pid_t) actor;
char root[128];

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

void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	if (audit_token_to_pid(message->process->audit_token) != actor || n_got >= EXPECTED ||
		is_of_login(message))
		return;
	es_retain_message(message);
	got[n_got++] = message;
	sem_post(&something);
}

es_client_t *client_of(
	ob_es_handler_function_t handler, const es_event_type_t *events, unsigned n_events)
{
	es_client_t *client;

	assert_int_equal(es_new_client_f(&client, NULL, handler), ES_NEW_CLIENT_RESULT_SUCCESS);
	if (n_events)
		assert_int_equal(es_subscribe(client, events, n_events), ES_RETURN_SUCCESS);
	return client;
}

es_client_t *new_client(void)
{
	return client_of(on_message, types, closes ? N_TYPES : N_TYPES - 1);
}

/* ---- the actor -------------------------------------------------------------------------------- */

struct expected *expect(es_event_type_t type, const char *path)
{
	struct expected *at = &shared->all[shared->n++];

	at->type = type;
	snprintf(at->path, sizeof at->path, "%s%s%s", root, *path ? "/" : "", path);
	return at;
}

void expect_in_root(struct expected *at)
{
	STR_PUT(at->second_path, root);
	must(stat(root, &at->second) == 0);
}

void expect_create(const char *path)
{
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_CREATE, path);

	must(lstat(at->path, &at->file) == 0);
	at->existing = true;
}

int open_file(const char *path, int flags, mode_t mode)
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
	if (was && !plain)
		at->file = before; /* O_TRUNC cuts it when it is open already */
	return fd;
}

struct expected *close_file(int fd, const char *path, bool modified)
{
	static struct expected nobody;
	struct expected *at = closes ? expect(ES_EVENT_TYPE_NOTIFY_CLOSE, path) : &nobody;
	int flags = fcntl(fd, F_GETFL);

	must(fstat(fd, &at->file) == 0);
	at->modified = plain ? (flags & O_ACCMODE) != O_RDONLY : modified;
	close(fd);
	return at;
}

void remove_file(const char *path, int (*how)(const char *path))
{
	struct expected *at = expect(ES_EVENT_TYPE_NOTIFY_UNLINK, path);

	must(lstat(path, &at->file) == 0);
	must(how(path) == 0);
	expect_in_root(at);
}

void rename_file(const char *from, const char *to)
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
pid_t run_actor(void (*prepare)(void), void (*act)(void))
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

void compare_event(const es_message_t *message, const struct expected *at, unsigned row)
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
		assert_int_equal(event->close.was_mapped_writable, at->mapped && !plain);
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

void compare_all(void)
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

/* ---- the whole -------------------------------------------------------------------------------- */

/* Whether it can be had is known once somebody has asked for it. */
static bool is_there(es_event_type_t event, ob_es_event_support_t *ret)
{
	es_client_t *client = client_of(on_message, &event, 0);
	bool there = es_subscribe(client, &event, 1) == ES_RETURN_SUCCESS;

	es_delete_client(client);
	ret->size = sizeof *ret;
	assert_int_equal(ob_es_event_get_support(event, ret), 0);
	return there;
}

bool files_begin(const char *test, bool only_plain)
{
	ob_es_event_support_t support;
	char folder[PATH_MAX + 16];
	size_t i;

	if (!scene_begin(test))
		return false;
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(root, sizeof root, "%s/files", getenv("OUTBOARD_ROOT"));
	snprintf(folder, sizeof folder, "%s/mounted", root);
	assert_ptr_not_equal(shared, MAP_FAILED);
	assert_int_equal(mkdir(root, 0755), 0);
	assert_int_equal(mount("files", root, "tmpfs", 0, "mode=1777"), 0);
	assert_int_equal(mkdir(folder, 0755), 0);
	if (only_plain)
		scene_use_plain_sources();
	esd_start(NULL);
	for (i = 1; i < N_TYPES; i++)
		assert_true(is_there(types[i - 1], &support));
	plain = strncmp(support.source, "tracepoint", 10) == 0;
	closes = is_there(ES_EVENT_TYPE_NOTIFY_CLOSE, &support);
	return true;
}

void files_end(void)
{
	esd_stop();
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(umount2(root, MNT_DETACH), 0);
}
