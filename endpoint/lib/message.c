/* SPDX-License-Identifier: Apache-2.0
 *
 * From a record to a message: no copy and no memory of its own as long as nobody keeps it. The ring
 * is written by the kernel alone, but what lies there is checked as if it were not: a length that
 * does not fit makes it no record. What belongs to an event is in events.c.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "endpoint/lib/lib.h"

static const char nothing[] = "";

#define NS_PER_SECOND 1000000000ll

static int check(struct box *box, const struct es_record *record, size_t bytes)
{
	const char *at;
	size_t left;
	int i;

	if (bytes < ES_RECORD_BASE_BYTES || record->version != ES_RECORD_VERSION ||
		record->bytes != bytes || record->event_type >= ES_EVENTS_MAX ||
		record->fixed_bytes < ES_RECORD_BASE_BYTES || record->fixed_bytes > bytes ||
		record->fixed_bytes > sizeof *record)
		return -EPROTO;
	at = (const char *)record + record->fixed_bytes;
	left = bytes - record->fixed_bytes;
	for (i = 0; i < ES_BLOBS; i++) {
		uint32_t length = record->blob_bytes[i];

		if (length > left || length > ES_BLOB_BYTES || (length && at[length - 1] != '\0'))
			return -EPROTO;
		box->blobs[i] = at;
		box->blob_bytes[i] = length;
		at += length;
		left -= length;
	}
	return left == 0 ? 0 : -EPROTO;
}

/* ---- parts ------------------------------------------------------------------------------------ */

void box_set_token(struct box *box, es_string_token_t *token, enum es_blob blob)
{
	if (box->blob_bytes[blob] == 0) {
		*token = (es_string_token_t){ 0, nothing };
		return;
	}
	*token = (es_string_token_t){ box->blob_bytes[blob] - 1, box->blobs[blob] };
	box->tokens[box->n_tokens++] = token;
}

static dev_t device_of(uint32_t kernel)
{
	return makedev(kernel >> 20, kernel & 0xfffff);
}

static struct timespec time_of(int64_t ns)
{
	int64_t seconds = ns / NS_PER_SECOND, rest = ns % NS_PER_SECOND;

	if (rest < 0) { /* before 1970 */
		seconds--;
		rest += NS_PER_SECOND;
	}
	return (struct timespec){ (time_t)seconds, (long)rest };
}

void box_fill_file(
	struct box *box, es_file_t *ret, const struct es_record_file *file, enum es_blob blob)
{
	memset(ret, 0, sizeof *ret);
	box_set_token(box, &ret->path, blob);
	ret->path_truncated = (file->flags & (ES_FILE_TRUNCATED | ES_FILE_UNKNOWN)) != 0;
	ret->stat.st_dev = device_of(file->device);
	ret->stat.st_ino = file->inode;
	ret->stat.st_mode = file->mode;
	ret->stat.st_nlink = file->links;
	ret->stat.st_uid = file->uid;
	ret->stat.st_gid = file->gid;
	ret->stat.st_rdev = device_of(file->special);
	ret->stat.st_size = (off_t)file->size;
	ret->stat.st_blksize = file->block_bytes;
	ret->stat.st_blocks = (blkcnt_t)file->blocks;
	ret->stat.st_atim = time_of(file->access_time);
	ret->stat.st_mtim = time_of(file->modify_time);
	ret->stat.st_ctim = time_of(file->change_time);
}

/* When it was, by the clock on the wall: this moment less what has passed since boot. */
static struct timespec wall_time(clockid_t clock, uint64_t ns)
{
	struct timespec then, now;
	int64_t wall;

	clock_gettime(clock, &then);
	clock_gettime(CLOCK_REALTIME, &now);
	/* unsigned: what lies in the record may be anything */
	wall = (int64_t)((uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec + ns -
		((uint64_t)then.tv_sec * NS_PER_SECOND + (uint64_t)then.tv_nsec));
	return time_of(wall);
}

/*
 * When a process began is the same in each message of it: what the clocks say of each other is taken
 * again only when the one on the wall has been set.
 */
static struct timespec start_of(uint64_t boottime)
{
	static _Atomic int64_t boot;
	struct timespec wall = wall_time(CLOCK_BOOTTIME, 0);
	int64_t now = wall.tv_sec * NS_PER_SECOND + wall.tv_nsec, was = atomic_load(&boot);

	if (was == 0 || llabs(now - was) > NS_PER_SECOND)
		atomic_store(&boot, was = now);
	return time_of((int64_t)((uint64_t)was + boottime));
}

/* Linux, Documentation/admin-guide/devices.txt */
static const struct {
	uint32_t major, first, n;
	const char *path;
} terminals[] = {
	{ 4, 0, 64, "/dev/tty" },
	{ 4, 64, 192, "/dev/ttyS" },
	{ 204, 64, 192, "/dev/ttyAMA" },
	{ 229, 0, 64, "/dev/hvc" },
};

/* The terminal by its device number: its inode is on a file system that the record does not name. */
static es_file_t *fill_tty(struct box_process *ret, uint32_t device)
{
	uint32_t major = device >> 20, minor = device & 0xfffff;
	size_t i;

	memset(&ret->tty, 0, sizeof ret->tty);
	ret->tty_path[0] = '\0';
	if (device == 0)
		return NULL;
	if (major >= 136 && major <= 143)
		snprintf(ret->tty_path, sizeof ret->tty_path, "/dev/pts/%u",
			(major - 136) * 256 + minor);
	for (i = 0; i < ARRAY_SIZE(terminals); i++)
		if (terminals[i].major == major && minor >= terminals[i].first &&
			minor < terminals[i].first + terminals[i].n)
			snprintf(ret->tty_path, sizeof ret->tty_path, "%s%u", terminals[i].path,
				minor - terminals[i].first);
	ret->tty.path = (es_string_token_t){ strlen(ret->tty_path), ret->tty_path };
	ret->tty.path_truncated = ret->tty_path[0] == '\0';
	ret->tty.stat.st_mode = S_IFCHR;
	ret->tty.stat.st_rdev = makedev(major, minor);
	return &ret->tty;
}

static void fill_identity(struct box *box, es_process_t *ret,
	const struct es_record_identity *identity, enum es_blob signing_id)
{
	ret->codesigning_flags = identity->codesigning_flags;
	ret->is_platform_binary = identity->is_platform_binary != 0;
	box_set_token(box, &ret->signing_id, signing_id);
	ret->team_id = (es_string_token_t){ 0, nothing };
	if (identity->team_id[0] && memchr(identity->team_id, '\0', sizeof identity->team_id)) {
		ret->team_id = (es_string_token_t){ strlen(identity->team_id), identity->team_id };
		box->tokens[box->n_tokens++] = &ret->team_id;
	}
	ret->cdhash_full = (es_token_t){ 0, (const uint8_t *)nothing };
	if (identity->state != ES_IDENTITY_KNOWN)
		return;
	memcpy(ret->cdhash, identity->cdhash_full, sizeof ret->cdhash);
	ret->cdhash_full = (es_token_t){ sizeof identity->cdhash_full, identity->cdhash_full };
	box->hashes[box->n_hashes++] = &ret->cdhash_full;
}

void box_fill_process(struct box *box, struct box_process *ret,
	const struct es_record_process *process, enum es_blob path, enum es_blob signing_id)
{
	struct timespec start = start_of(process->start_boottime);
	es_process_t *to = &ret->process;

	box_fill_file(box, &ret->executable, &process->executable, path);
	*to = (es_process_t){ .ppid = process->ppid,
		.original_ppid = process->original_ppid,
		.group_id = process->group_id,
		.session_id = process->session_id,
		.is_es_client = (process->flags & ES_PROCESS_CLIENT) != 0,
		.executable = &ret->executable,
		.tty = fill_tty(ret, process->tty_device),
		.start_time = { start.tv_sec, start.tv_nsec / 1000 } };
	memcpy(&to->audit_token, process->token, sizeof process->token);
	memcpy(&to->parent_audit_token, process->parent_token, sizeof process->parent_token);
	to->responsible_audit_token = to->parent_audit_token;
	fill_identity(box, to, &process->identity, signing_id);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static void fill_action(es_message_t *message, const struct es_record *record)
{
	if (record->question) {
		message->action_type = ES_ACTION_TYPE_AUTH;
		memcpy(&message->action.auth, &record->question, sizeof record->question);
		message->deadline = record->deadline;
		return;
	}
	message->action_type = ES_ACTION_TYPE_NOTIFY;
	message->action.notify.result_type = ES_RESULT_TYPE_AUTH;
	message->action.notify.result.auth = record->result ? ES_AUTH_RESULT_DENY
							    : ES_AUTH_RESULT_ALLOW;
}

int box_fill(struct box *box, const void *data, size_t bytes)
{
	const struct es_record *record = data;
	es_message_t *message = &box->message;
	int r = check(box, record, bytes);

	if (r < 0)
		return r;
	box->record = record;
	box->n_tokens = box->n_hashes = box->n_descriptors = 0;
	atomic_store(&box->answered, 0);
	memset(message, 0, sizeof *message);
	message->version = ES_MESSAGE_VERSION;
	message->mach_time = record->time;
	message->time = wall_time(CLOCK_MONOTONIC, record->time);
	message->process = &box->actor.process;
	message->event_type = (es_event_type_t)record->event_type;
	message->thread = &box->thread;
	box->thread.thread_id = record->thread_id;
	fill_action(message, record);
	box_fill_process(
		box, &box->actor, &record->process, ES_BLOB_EXECUTABLE, ES_BLOB_SIGNING_ID);
	return box_fill_event(box);
}

struct box *box_new(void)
{
	struct box *box = calloc(1, sizeof *box);

	if (box) {
		box->mark = BOX_MARK;
		atomic_init(&box->references, 1);
		atomic_init(&box->answered, 0);
	}
	return box;
}

struct box *box_unref(struct box *box)
{
	if (box && atomic_fetch_sub(&box->references, 1) == 1) {
		free(box->copy);
		free(box);
	}
	return NULL;
}

bool box_is_kept(const struct box *box)
{
	return atomic_load(&box->references) > 1;
}

struct box *box_of(const es_message_t *message)
{
	struct box *box = container_of((es_message_t *)(uintptr_t)message, struct box, message);

	return message && box->mark == BOX_MARK ? box : NULL;
}

/* The same message at the same place, over a copy of its record: pointers are moved, not remade. */
static void leave_the_ring(struct box *box)
{
	const char *old = (const char *)box->record;
	char *copy = malloc(box->record->bytes);
	size_t i;

	if (!copy)
		abort(); /* es_retain_message() cannot say no, and a message that changes is worse */
	memcpy(copy, old, box->record->bytes);
	for (i = 0; i < box->n_tokens; i++)
		box->tokens[i]->data = copy + (box->tokens[i]->data - old);
	for (i = 0; i < box->n_hashes; i++)
		box->hashes[i]->data = (const uint8_t *)copy +
			(box->hashes[i]->data - (const uint8_t *)old);
	for (i = 0; i < ES_BLOBS; i++)
		box->blobs[i] = copy + (box->blobs[i] - old);
	box->record = (const struct es_record *)(void *)copy;
	box->copy = copy;
}

ob_export void es_retain_message(const es_message_t *message)
{
	struct box *box = box_of(message);

	if (!box)
		return;
	/* the first one is made in the handler, where nobody else knows the message yet */
	if (!box->copy)
		leave_the_ring(box);
	atomic_fetch_add(&box->references, 1);
}

ob_export void es_release_message(const es_message_t *message)
{
	box_unref(box_of(message));
}

ob_export es_message_t *es_copy_message(const es_message_t *message)
{
	es_retain_message(message);
	return (es_message_t *)(uintptr_t)message;
}

ob_export void es_free_message(es_message_t *message)
{
	es_release_message(message);
}

ob_export size_t es_message_size(const es_message_t *message)
{
	const struct box *box = box_of(message);

	return box ? sizeof *box + box->record->bytes : 0;
}
