/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What a thread is about to do to a name, noted before and told after.
 */
#ifndef OB_ENDPOINT_BPF_ACT_H
#define OB_ENDPOINT_BPF_ACT_H

#include "endpoint/bpf/file.h"

#define NAME_BYTES 256

/* What a thread is about to do. */
struct act {
	u64 dentry, replaced; /* of whom the note is; 0: of none */
	struct vfsmount *mount;
	struct dentry *parent;
	u64 opened; /* file, and its flags of FLAGS_OF_OPEN */
	u32 open_flags;
	u32 name_bytes;
	u32 replaces, nothing; /* rename: there is a file; it is the same one */
	u64 call;	       /* without trampolines: the system call that it is noted at */
	u32 doubt;	       /* ES_FILE_* of what is uncertain about the names */
	u32 to_bytes;
	struct dentry *to; /* without trampolines: the folder it goes to, and its name there */
	struct es_record_file file, second;
	char name[NAME_BYTES], to_name[NAME_BYTES];
};
/* the program */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct act);
} acts SEC(".maps");

static __always_inline struct act *act_now(u64 flags)
{
	return bpf_task_storage_get(&acts, bpf_get_current_task_btf(), 0, flags);
}

static __always_inline struct act *act_new(struct es_control *page)
{
	struct act *act = act_now(BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!act)
		__sync_fetch_and_add(&page->no_storage, 1);
	return act;
}

/* @dentry is where it went to; the note says where it was. */
static __always_inline void tell_rename(
	struct scratch *scratch, struct act *act, struct dentry *dentry, struct es_control *page)
{
	struct es_record *record = &scratch->record;

	put_actor(scratch, page);
	name_walk(&scratch->path, act->mount, act->parent, act->name, act->name_bytes);
	record->file = act->file;
	record->file.flags = scratch->path.flags | act->doubt;
	put_path(scratch, ES_BLOB_TARGET);
	record->value = DESTINATION_EXISTING_FILE;
	if (act->replaces) {
		dentry_walk(&scratch->path, act->mount, dentry);
		record->second = act->second;
		record->second.flags = scratch->path.flags | act->doubt;
		put_path(scratch, ES_BLOB_SECOND);
	} else {
		record->value = DESTINATION_NEW_PATH;
		put_dentry(scratch, &record->second, ES_BLOB_SECOND, act->mount,
			BPF_CORE_READ(dentry, d_parent));
		record->second.flags |= act->doubt;
		put_text(scratch, ES_BLOB_ARGUMENTS, (void *)BPF_CORE_READ(dentry, d_name.name),
			NAME_BYTES);
	}
	send(scratch, page->subscribed[EVENT_RENAME]);
}

/* The other half of an exchange: what was at the new name is at the old one now. */
static __always_inline void tell_other(
	struct scratch *scratch, struct act *act, struct dentry *dentry, struct es_control *page)
{
	struct es_record *record = &scratch->record;

	put_actor(scratch, page);
	dentry_walk(&scratch->path, act->mount, dentry);
	record->file = act->second;
	record->file.flags = scratch->path.flags | act->doubt;
	put_path(scratch, ES_BLOB_TARGET);
	name_walk(&scratch->path, act->mount, act->parent, act->name, act->name_bytes);
	record->second = act->file;
	record->second.flags = scratch->path.flags | act->doubt;
	put_path(scratch, ES_BLOB_SECOND);
	record->value = DESTINATION_EXISTING_FILE;
	send(scratch, page->subscribed[EVENT_RENAME]);
}

#endif
