/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * MOUNT and UNMOUNT: the record of a mount, and what is kept of one that is about to go.
 */
#ifndef OB_ENDPOINT_BPF_MOUNTS_H
#define OB_ENDPOINT_BPF_MOUNTS_H

#include "endpoint/bpf/file.h"

#define MOUNT_SOURCE_BYTES 1024 /* struct statfs of macOS: MAXPATHLEN */
#define MOUNT_TYPE_BYTES 32

/* include/uapi/linux/mount.h */
enum {
	MS_REMOUNT = 32,
	MS_BIND = 4096,
	MS_MOVE = 8192,
	MS_PROPAGATION = 15 << 17, /* unbindable, private, slave, shared */
};

/* statvfs(3): f_flag */
static __always_inline u32 mount_flags(struct vfsmount *mount)
{
	/* include/linux/mount.h, MNT_*, in the order of their bits */
	const u16 words[] = { 2, 4, 8, 1024, 2048, 4096, 1, 8192 };
	u32 has = BPF_CORE_READ(mount, mnt_flags), flags, i;

	flags = BPF_CORE_READ(mount, mnt_sb, s_flags) & (1 | 16 | 64); /* ro, sync, mand */
#pragma unroll
	for (i = 0; i < 8; i++)
		if (has & 1u << i)
			flags |= words[i];
	return flags;
}

/* Of a mount that is about to go. */
struct parting {
	u64 mount; /* 0: none */
	struct es_record_file file;
	u32 magic, flags, path_bytes, reserved;
	char path[ES_BLOB_BYTES];
	char source[MOUNT_SOURCE_BYTES];
	char type[MOUNT_TYPE_BYTES];
};
/* the program */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct parting);
} partings SEC(".maps");

/* @doubt: ES_FILE_* of what is uncertain about it. */
static __always_inline void tell_mount(
	u32 event, struct vfsmount *mount, struct es_control *page, u32 doubt)
{
	struct scratch *scratch = begin(page, event, ES_RECORD_FILE_BYTES);
	struct mount *whole = (void *)mount - bpf_core_field_offset(struct mount, mnt);
	struct super_block *super = BPF_CORE_READ(mount, mnt_sb);

	if (!scratch)
		return;
	put_actor(scratch, page);
	put_dentry(scratch, &scratch->record.file, ES_BLOB_TARGET, mount,
		BPF_CORE_READ(mount, mnt_root));
	scratch->record.file.flags |= doubt;
	put_text(scratch, ES_BLOB_ARGUMENTS, BPF_CORE_READ(whole, mnt_devname), MOUNT_SOURCE_BYTES);
	put_text(
		scratch, ES_BLOB_ENVIRONMENT, BPF_CORE_READ(super, s_type, name), MOUNT_TYPE_BYTES);
	scratch->record.value = BPF_CORE_READ(super, s_magic);
	scratch->record.detail = mount_flags(mount);
	send(scratch, page->subscribed[event]);
	end(scratch);
}

struct search {
	struct list_head *at;
	struct dentry *mountpoint;
	struct vfsmount *found;
};

static long search_step(u32 index, struct search *search)
{
	struct mount *mount = (void *)search->at - bpf_core_field_offset(struct mount, mnt_child);

	if (BPF_CORE_READ(mount, mnt_mountpoint) == search->mountpoint) {
		search->found = (void *)mount + bpf_core_field_offset(struct mount, mnt);
		return 1;
	}
	search->at = BPF_CORE_READ(mount, mnt_child.prev);
	return 0;
}

#define MOUNTS_LOOKED_AT 1024

/* The newest that lies on @path: the kernel appends to the list of its parent. */
static __always_inline struct vfsmount *mount_on(struct path *path)
{
	struct vfsmount *below = BPF_CORE_READ(path, mnt);
	struct mount *parent = (void *)below - bpf_core_field_offset(struct mount, mnt);
	struct search search = { .at = BPF_CORE_READ(parent, mnt_mounts.prev),
		.mountpoint = BPF_CORE_READ(path, dentry) };

	bpf_loop(MOUNTS_LOOKED_AT, search_step, &search, 0);
	return search.found;
}

static __always_inline struct parting *parting_now(u64 flags)
{
	return bpf_task_storage_get(&partings, bpf_get_current_task_btf(), 0, flags);
}

/* @mount has to have come out of a read. */
static __always_inline void note_parting(struct vfsmount *mount, struct es_control *page)
{
	struct parting *parting = parting_now(BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct scratch *scratch = take_scratch(page);
	struct mount *whole = (void *)mount - bpf_core_field_offset(struct mount, mnt);
	u32 bytes, start;

	if (!parting || !scratch) {
		if (scratch)
			end(scratch);
		return;
	}
	dentry_walk(&scratch->path, mount, BPF_CORE_READ(mount, mnt_root));
	dentry_fill(&parting->file, mount, BPF_CORE_READ(mount, mnt_root), scratch->path.flags);
	bytes = scratch->path.bytes & (ES_BLOB_BYTES - 1);
	start = ES_BLOB_BYTES - bytes;
	parting->path_bytes = bytes;
	asm volatile("" : "+r"(bytes), "+r"(start));
	if (bytes < ES_BLOB_BYTES && start < ES_BLOB_BYTES)
		bpf_probe_read_kernel(parting->path, bytes, &scratch->path.text[start]);
	end(scratch);
	bpf_probe_read_kernel_str(
		parting->source, MOUNT_SOURCE_BYTES, BPF_CORE_READ(whole, mnt_devname));
	bpf_probe_read_kernel_str(
		parting->type, MOUNT_TYPE_BYTES, BPF_CORE_READ(mount, mnt_sb, s_type, name));
	parting->magic = BPF_CORE_READ(mount, mnt_sb, s_magic);
	parting->flags = mount_flags(mount);
	parting->mount = (u64)mount;
}

static __always_inline void tell_parting(
	struct parting *parting, struct es_control *page, u32 doubt)
{
	struct scratch *scratch = begin(page, EVENT_UNMOUNT, ES_RECORD_FILE_BYTES);

	if (!scratch)
		return;
	put_actor(scratch, page);
	scratch->record.file = parting->file;
	scratch->record.file.flags |= doubt;
	put(scratch, ES_BLOB_TARGET, parting->path, parting->path_bytes);
	put_text(scratch, ES_BLOB_ARGUMENTS, parting->source, MOUNT_SOURCE_BYTES);
	put_text(scratch, ES_BLOB_ENVIRONMENT, parting->type, MOUNT_TYPE_BYTES);
	scratch->record.value = parting->magic;
	scratch->record.detail = parting->flags;
	send(scratch, page->subscribed[EVENT_UNMOUNT]);
	end(scratch);
}

#endif
