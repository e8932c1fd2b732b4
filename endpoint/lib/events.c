/* SPDX-License-Identifier: Apache-2.0
 *
 * What belongs to each event: message.event from its record. An event that has no row is no message.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "endpoint/lib/lib.h"

/* The other process of exec, fork and signal. */
static es_process_t *fill_target(struct box *box)
{
	box_fill_process(
		box, &box->target, &box->record->target, ES_BLOB_TARGET, ES_BLOB_TARGET_SIGNING_ID);
	return &box->target.process;
}

static es_file_t *fill_file(struct box *box)
{
	box_fill_file(box, &box->file, &box->record->file, ES_BLOB_TARGET);
	return &box->file;
}

static es_file_t *fill_second(struct box *box)
{
	box_fill_file(box, &box->second, &box->record->second, ES_BLOB_SECOND);
	return &box->second;
}

/* ---- processes -------------------------------------------------------------------------------- */

static void fill_descriptors(struct box *box)
{
	struct es_record_descriptor one;
	uint32_t i, n = box->blob_bytes[ES_BLOB_DESCRIPTORS] / sizeof one;

	for (i = 0; i < n && i < ES_DESCRIPTORS_MAX; i++) {
		memcpy(&one, box->blobs[ES_BLOB_DESCRIPTORS] + i * sizeof one, sizeof one);
		box->descriptors[i] = (es_fd_t){
			.fd = one.fd, .fdtype = one.type, .pipe = { .pipe_id = one.pipe }
		};
	}
	box->n_descriptors = i;
}

static void fill_exec(struct box *box)
{
	es_event_exec_t *exec = &box->message.event.exec;

	exec->target = fill_target(box);
	exec->dyld_exec_path = (es_string_token_t){ 0, "" };
	exec->cwd = fill_second(box);
	exec->last_fd = box->record->last_fd;
	if (box->blob_bytes[ES_BLOB_SCRIPT]) {
		box_fill_file(box, &box->file, &box->record->file, ES_BLOB_SCRIPT);
		exec->script = &box->file;
	}
	fill_descriptors(box);
}

static void fill_fork(struct box *box)
{
	box->message.event.fork.child = fill_target(box);
}

static void fill_exit(struct box *box)
{
	box->message.event.exit.stat = box->record->value;
}

static void fill_signal(struct box *box)
{
	box->message.event.signal.sig = box->record->value;
	box->message.event.signal.target = fill_target(box);
}

/* ---- files ------------------------------------------------------------------------------------ */

static void fill_open(struct box *box)
{
	box->message.event.open.fflag = box->record->value;
	box->message.event.open.file = fill_file(box);
	if (box->message.action_type == ES_ACTION_TYPE_NOTIFY) {
		box->message.action.notify.result_type = ES_RESULT_TYPE_FLAGS;
		box->message.action.notify.result.flags = box->record->result
			? 0
			: (uint32_t)box->record->value;
	}
}

static void fill_close(struct box *box)
{
	es_event_close_t *close = &box->message.event.close;

	close->modified = (box->record->detail & ES_CLOSE_MODIFIED) != 0;
	close->was_mapped_writable = (box->record->detail & ES_CLOSE_WAS_MAPPED_WRITABLE) != 0;
	close->target = fill_file(box);
}

static void fill_create(struct box *box)
{
	es_event_create_t *create = &box->message.event.create;

	create->destination_type = (es_destination_type_t)box->record->value;
	if (create->destination_type == ES_DESTINATION_TYPE_EXISTING_FILE) {
		create->destination.existing_file = fill_file(box);
		return;
	}
	create->destination.new_path.dir = fill_second(box);
	box_set_token(box, &create->destination.new_path.filename, ES_BLOB_ARGUMENTS);
	create->destination.new_path.mode = (mode_t)box->record->detail;
}

static void fill_unlink(struct box *box)
{
	box->message.event.unlink.target = fill_file(box);
	box->message.event.unlink.parent_dir = fill_second(box);
}

/* second: the file that was replaced, or the directory that it went to. */
static void fill_rename(struct box *box)
{
	es_event_rename_t *rename = &box->message.event.rename;

	rename->source = fill_file(box);
	rename->destination_type = (es_destination_type_t)box->record->value;
	if (rename->destination_type == ES_DESTINATION_TYPE_EXISTING_FILE) {
		rename->destination.existing_file = fill_second(box);
		return;
	}
	rename->destination.new_path.dir = fill_second(box);
	box_set_token(box, &rename->destination.new_path.filename, ES_BLOB_ARGUMENTS);
}

/* ---- mounts ----------------------------------------------------------------------------------- */

static const struct {
	const char *type;
	es_mount_disposition_t disposition;
} dispositions[] = {
	{ "nfs", ES_MOUNT_DISPOSITION_NETWORK },
	{ "nfs4", ES_MOUNT_DISPOSITION_NETWORK },
	{ "cifs", ES_MOUNT_DISPOSITION_NETWORK },
	{ "smb3", ES_MOUNT_DISPOSITION_NETWORK },
	{ "ceph", ES_MOUNT_DISPOSITION_NETWORK },
	{ "9p", ES_MOUNT_DISPOSITION_NETWORK },
	{ "afs", ES_MOUNT_DISPOSITION_NETWORK },
	{ "tmpfs", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "ramfs", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "proc", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "sysfs", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "devpts", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "devtmpfs", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "mqueue", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "bpf", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "cgroup", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "cgroup2", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "tracefs", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "debugfs", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "securityfs", ES_MOUNT_DISPOSITION_VIRTUAL },
	{ "overlay", ES_MOUNT_DISPOSITION_NULLFS },
};

static es_mount_disposition_t disposition_of(const char *type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dispositions); i++)
		if (strcmp(dispositions[i].type, type) == 0)
			return dispositions[i].disposition;
	return ES_MOUNT_DISPOSITION_UNKNOWN;
}

static void copy_blob(const struct box *box, enum es_blob blob, char *to, size_t bytes)
{
	if (box->blob_bytes[blob])
		snprintf(to, bytes, "%s", box->blobs[blob]);
}

/*
 * file: the root of what is mounted; TARGET: where; ARGUMENTS: from what; ENVIRONMENT: its type. What
 * statfs(2) would have to ask the file system for (blocks, files) is 0.
 */
static es_statfs_t *fill_statfs(struct box *box)
{
	const struct es_record *record = box->record;
	es_statfs_t *statfs = &box->statfs;

	memset(statfs, 0, sizeof *statfs);
	copy_blob(box, ES_BLOB_TARGET, statfs->f_mntonname, sizeof statfs->f_mntonname);
	copy_blob(box, ES_BLOB_ARGUMENTS, statfs->f_mntfromname, sizeof statfs->f_mntfromname);
	copy_blob(box, ES_BLOB_ENVIRONMENT, statfs->f_fstypename, sizeof statfs->f_fstypename);
	statfs->f_bsize = record->file.block_bytes;
	statfs->f_iosize = (int32_t)record->file.block_bytes;
	statfs->f_fsid.val[0] = (int32_t)record->file.device;
	statfs->f_owner = record->file.uid;
	statfs->f_type = (uint32_t)record->value;
	statfs->f_flags = record->detail;
	return statfs;
}

static void fill_mount(struct box *box)
{
	box->message.event.mount.statfs = fill_statfs(box);
	box->message.event.mount.disposition = disposition_of(box->statfs.f_fstypename);
}

static void fill_unmount(struct box *box)
{
	box->message.event.unmount.statfs = fill_statfs(box);
}

/* ---- which ------------------------------------------------------------------------------------ */

static const struct {
	uint32_t event;
	uint32_t fixed_bytes; /* at least */
	void (*fill)(struct box *box);
} fills[] = {
	{ ES_EVENT_TYPE_AUTH_EXEC, sizeof(struct es_record), fill_exec },
	{ ES_EVENT_TYPE_AUTH_OPEN, ES_RECORD_FILE_BYTES, fill_open },
	{ ES_EVENT_TYPE_NOTIFY_EXEC, sizeof(struct es_record), fill_exec },
	{ ES_EVENT_TYPE_NOTIFY_OPEN, ES_RECORD_FILE_BYTES, fill_open },
	{ ES_EVENT_TYPE_NOTIFY_FORK, sizeof(struct es_record), fill_fork },
	{ ES_EVENT_TYPE_NOTIFY_CLOSE, ES_RECORD_FILE_BYTES, fill_close },
	{ ES_EVENT_TYPE_NOTIFY_CREATE, ES_RECORD_FILES_BYTES, fill_create },
	{ ES_EVENT_TYPE_NOTIFY_EXIT, ES_RECORD_BASE_BYTES, fill_exit },
	{ ES_EVENT_TYPE_NOTIFY_MOUNT, ES_RECORD_FILE_BYTES, fill_mount },
	{ ES_EVENT_TYPE_NOTIFY_UNMOUNT, ES_RECORD_FILE_BYTES, fill_unmount },
	{ ES_EVENT_TYPE_NOTIFY_RENAME, ES_RECORD_FILES_BYTES, fill_rename },
	{ ES_EVENT_TYPE_NOTIFY_SIGNAL, sizeof(struct es_record), fill_signal },
	{ ES_EVENT_TYPE_NOTIFY_UNLINK, ES_RECORD_FILES_BYTES, fill_unlink },
};

int box_fill_event(struct box *box)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fills); i++) {
		if (fills[i].event != box->record->event_type)
			continue;
		if (box->record->fixed_bytes < fills[i].fixed_bytes)
			return -EPROTO;
		fills[i].fill(box);
		return 0;
	}
	return -EPROTO;
}
