/* SPDX-License-Identifier: Apache-2.0
 *
 * From a record to a message: no copy and no memory of its own as long as nobody keeps it. The ring
 * is written by the kernel alone, but what lies there is checked as if it were not: a length that
 * does not fit makes it no record.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "endpoint/lib/lib.h"

static const char nothing[] = "";

static es_string_token_t token_of(const struct box *box, enum es_blob blob)
{
	if (box->blob_bytes[blob] == 0)
		return (es_string_token_t){ 0, nothing };
	return (es_string_token_t){ box->blob_bytes[blob] - 1, box->blobs[blob] };
}

static int check(struct box *box, const struct es_record *record, size_t bytes)
{
	const char *at = (const char *)(record + 1);
	size_t left;
	int i;

	if (bytes < sizeof *record || record->version != ES_RECORD_VERSION ||
		record->bytes != bytes || record->event_type >= ES_EVENTS_MAX)
		return -EPROTO;
	left = bytes - sizeof *record;
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

static void fill_file(es_file_t *ret, const struct es_record_file *file, es_string_token_t path)
{
	*ret = (es_file_t){ .path = path,
		.path_truncated = (file->flags & (ES_FILE_TRUNCATED | ES_FILE_UNKNOWN)) != 0 };
	ret->stat.st_dev = makedev(file->device >> 20, file->device & 0xfffff);
	ret->stat.st_ino = file->inode;
	ret->stat.st_mode = file->mode;
	ret->stat.st_uid = file->uid;
	ret->stat.st_gid = file->gid;
	ret->stat.st_size = (off_t)file->size;
}

/* When it was, by the clock on the wall: this moment less what has passed since boot. */
static struct timespec wall_time(clockid_t clock, uint64_t ns)
{
	struct timespec then, now;
	uint64_t wall;

	clock_gettime(clock, &then);
	clock_gettime(CLOCK_REALTIME, &now);
	wall = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec -
		((uint64_t)then.tv_sec * 1000000000ull + (uint64_t)then.tv_nsec - ns);
	return (struct timespec){ (time_t)(wall / 1000000000ull), (long)(wall % 1000000000ull) };
}

static void fill_process(
	es_process_t *ret, const struct es_record_process *process, es_file_t *executable)
{
	struct timespec start = wall_time(CLOCK_BOOTTIME, process->start_boottime);

	*ret = (es_process_t){ .ppid = process->ppid,
		.original_ppid = process->original_ppid,
		.group_id = process->group_id,
		.session_id = process->session_id,
		.signing_id = { 0, nothing },
		.team_id = { 0, nothing },
		.executable = executable,
		.start_time = { start.tv_sec, start.tv_nsec / 1000 },
		.cdhash_full = { 0, (const uint8_t *)nothing } };
	memcpy(&ret->audit_token, process->token, sizeof process->token);
	memcpy(&ret->parent_audit_token, process->parent_token, sizeof process->parent_token);
	ret->responsible_audit_token = ret->parent_audit_token;
}

static void fill_exec(struct box *box)
{
	const struct es_record *record = box->record;
	es_event_exec_t *exec = &box->message.event.exec;

	fill_file(
		&box->target_executable, &record->target.executable, token_of(box, ES_BLOB_TARGET));
	fill_process(&box->target, &record->target, &box->target_executable);
	fill_file(&box->cwd, &record->cwd, token_of(box, ES_BLOB_CWD));
	exec->target = &box->target;
	exec->dyld_exec_path = (es_string_token_t){ 0, nothing };
	exec->cwd = &box->cwd;
	exec->last_fd = -1;
}

static void fill_fork(struct box *box)
{
	fill_process(&box->target, &box->record->target, &box->executable);
	box->message.event.fork.child = &box->target;
}

static void fill_exit(struct box *box)
{
	box->message.event.exit.stat = box->record->exit_status;
}

static const struct {
	uint32_t event;
	void (*fill)(struct box *box);
} fills[] = {
	{ ES_EVENT_TYPE_NOTIFY_EXEC, fill_exec },
	{ ES_EVENT_TYPE_NOTIFY_FORK, fill_fork },
	{ ES_EVENT_TYPE_NOTIFY_EXIT, fill_exit },
};

int box_fill(struct box *box, const void *data, size_t bytes)
{
	const struct es_record *record = data;
	es_message_t *message = &box->message;
	size_t i;
	int r = check(box, record, bytes);

	if (r < 0)
		return r;
	box->record = record;
	*message = (es_message_t){ .version = ES_MESSAGE_VERSION,
		.mach_time = record->time,
		.time = wall_time(CLOCK_MONOTONIC, record->time),
		.process = &box->process,
		.action_type = ES_ACTION_TYPE_NOTIFY,
		.event_type = (es_event_type_t)record->event_type,
		.thread = &box->thread };
	message->action.notify.result_type = ES_RESULT_TYPE_AUTH;
	message->action.notify.result.auth = ES_AUTH_RESULT_ALLOW;
	box->thread.thread_id = record->thread_id;
	fill_file(&box->executable, &record->process.executable, token_of(box, ES_BLOB_EXECUTABLE));
	fill_process(&box->process, &record->process, &box->executable);
	for (i = 0; i < ARRAY_SIZE(fills); i++) {
		if (fills[i].event == record->event_type) {
			fills[i].fill(box);
			return 0;
		}
	}
	return -EPROTO;
}

struct box *box_new(void)
{
	struct box *box = calloc(1, sizeof *box);

	if (box) {
		box->mark = BOX_MARK;
		atomic_init(&box->references, 1);
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

static struct box *box_of(const es_message_t *message)
{
	struct box *box = container_of((es_message_t *)(uintptr_t)message, struct box, message);

	return message && box->mark == BOX_MARK ? box : NULL;
}

/* The same message at the same place, over a copy of its record: pointers are moved, not remade. */
static void leave_the_ring(struct box *box)
{
	const char *old = (const char *)box->record;
	char *copy = malloc(box->record->bytes);
	es_string_token_t *const tokens[] = { &box->executable.path, &box->target_executable.path,
		&box->cwd.path };
	size_t i;

	if (!copy)
		abort(); /* es_retain_message() cannot say no, and a message that changes is worse */
	memcpy(copy, old, box->record->bytes);
	for (i = 0; i < ARRAY_SIZE(tokens); i++)
		if (tokens[i]->length)
			tokens[i]->data = copy + (tokens[i]->data - old);
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

/* ---- arguments -------------------------------------------------------------------------------- */

static const struct box *box_of_exec(const es_event_exec_t *event)
{
	return box_of(container_of((es_event_exec_t *)(uintptr_t)event, es_message_t, event.exec));
}

/* The string at *at, which moves behind it: each ends with a NUL before the last, which is ours. */
static bool next_string(const char **at, const char *end, es_string_token_t *ret)
{
	const char *nul = end > *at ? (const char *)memchr(*at, '\0', (size_t)(end - *at)) : NULL;

	if (!nul)
		return false; /* a last one that was cut is none */
	*ret = (es_string_token_t){ (size_t)(nul - *at), *at };
	*at = nul + 1;
	return true;
}

/* The string number @index, or how many there are. */
static uint32_t walk_strings(
	const es_event_exec_t *event, enum es_blob blob, uint32_t index, es_string_token_t *ret)
{
	const struct box *box = box_of_exec(event);
	es_string_token_t token;
	const char *at, *end;
	uint32_t n = 0;

	if (!box || box->blob_bytes[blob] == 0)
		return 0;
	at = box->blobs[blob];
	end = at + box->blob_bytes[blob] - 1;
	while (next_string(&at, end, &token)) {
		if (n++ == index) {
			*ret = token;
			break;
		}
	}
	return n;
}

static uint32_t count_strings(const es_event_exec_t *event, enum es_blob blob)
{
	return walk_strings(event, blob, UINT32_MAX, NULL);
}

static es_string_token_t string_at(const es_event_exec_t *event, enum es_blob blob, uint32_t index)
{
	es_string_token_t token = { 0, nothing };

	walk_strings(event, blob, index, &token);
	return token;
}

ob_export uint32_t es_exec_arg_count(const es_event_exec_t *event)
{
	return count_strings(event, ES_BLOB_ARGUMENTS);
}

ob_export es_string_token_t es_exec_arg(const es_event_exec_t *event, uint32_t index)
{
	return string_at(event, ES_BLOB_ARGUMENTS, index);
}

ob_export uint32_t es_exec_env_count(const es_event_exec_t *event)
{
	return count_strings(event, ES_BLOB_ENVIRONMENT);
}

ob_export es_string_token_t es_exec_env(const es_event_exec_t *event, uint32_t index)
{
	return string_at(event, ES_BLOB_ENVIRONMENT, index);
}

ob_export uint32_t es_exec_fd_count(const es_event_exec_t *event)
{
	return 0;
}

ob_export const es_fd_t *es_exec_fd(const es_event_exec_t *event, uint32_t index)
{
	return NULL;
}

ob_export xpc_object_t es_exec_entitlements(const es_event_exec_t *event)
{
	return NULL;
}
