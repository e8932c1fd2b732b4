/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Files, without trampolines: NOTIFY_CLOSE.
 *
 * tp_btf/kmem_cache_free   an open file is given back to the kernel's cache of them: its last reference went,
 *                          and __fput() is through with it. Once for each, in the thread that has dropped it.
 *
 * Attached only while somebody is subscribed: it costs whatever the kernel gives back. So the cache is
 * looked at first.
 * Why it can be trusted: all is read from the file itself, which nobody has any more. What it pointed at has
 * lost that reference already: a name that was only kept by it is gone, with its inode's content. That is
 * seen by the name having no inode, or another one, and what is gone then is not told.
 * Not covered: whether it was written to, or mapped.
 *
 * Until 6.6 (commit 0ede61d8589c) a file was given back later, by another thread, and on 6.12 the links of one
 * that had no name were not what they are: before 6.14 this does not load.
 */
#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "endpoint/bpf/file.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* the program: where the kernel's cache of open files is, once one was seen */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} file_cache SEC(".maps");

/* No other cache is merged with it: SLAB_TYPESAFE_BY_RCU. */
static __always_inline bool is_of_files(const struct kmem_cache *cache)
{
	u32 zero = 0;
	u64 *found = bpf_map_lookup_elem(&file_cache, &zero);
	char name[8] = "";

	if (!found)
		return false;
	if (*found)
		return *found == (u64)cache;
	bpf_probe_read_kernel_str(name, sizeof name, BPF_CORE_READ(cache, name));
	if (name[0] != 'f' || name[1] != 'i' || name[2] != 'l' || name[3] != 'p' || name[4] != 0)
		return false;
	*found = (u64)cache;
	return true;
}

/* The name was kept by the file alone: of the inode what does not go with its content. */
static __always_inline void put_gone(
	struct scratch *scratch, struct vfsmount *mount, struct dentry *dentry, struct inode *inode)
{
	struct es_record_file *file = &scratch->record.file;

	dentry_walk(&scratch->path, mount, dentry);
	inode_fill(file, inode);
	file->size = file->blocks = 0;
	file->access_time = file->modify_time = file->change_time = 0;
	file->flags = scratch->path.flags | ES_FILE_UNVERIFIED;
	if (file->links)
		file->flags &= ~ES_FILE_DELETED; /* /proc keeps no names */
	put_path(scratch, ES_BLOB_TARGET);
}

static __always_inline void put_closed(struct scratch *scratch, struct file *file)
{
	struct vfsmount *mount = BPF_CORE_READ(file, f_path.mnt);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct inode *inode = BPF_CORE_READ(file, f_inode), *named = BPF_CORE_READ(dentry, d_inode);

	if (named == inode)
		put_dentry(scratch, &scratch->record.file, ES_BLOB_TARGET, mount, dentry);
	else if (!named && BPF_CORE_READ(inode, i_sb) == BPF_CORE_READ(dentry, d_sb))
		put_gone(scratch, mount, dentry, inode);
	else
		scratch->record.file.flags = ES_FILE_UNKNOWN | ES_FILE_UNVERIFIED;
}

SEC("tp_btf/kmem_cache_free")
int BPF_PROG(on_freed, unsigned long caller, void *object, const struct kmem_cache *cache)
{
	struct file___freed_at_once *shape = 0;
	struct es_control *page;
	struct scratch *scratch;
	struct file *file = 0;

	if (!is_of_files(cache))
		return 0;
	/* a pointer to nothing that has a type may not be taken out of the context itself */
	bpf_probe_read_kernel(&file, sizeof file, &ctx[1]);
	page = control_for(EVENT_CLOSE);
	if (!page || !file_is_told(file))
		return 0;
	/* as a mark of the kernels that it is true of */
	if (!bpf_core_field_size(shape->f_task_work) ||
		!bpf_core_enum_value(enum dentry_flags, DCACHE_MOUNTED))
		return 0;
	scratch = begin(page, EVENT_CLOSE, ES_RECORD_FILE_BYTES);
	if (!scratch)
		return 0;
	put_actor(scratch, page);
	put_closed(scratch, file);
	if (BPF_CORE_READ(file, f_mode) & FMODE_WRITE)
		scratch->record.detail = ES_CLOSE_MODIFIED;
	send(scratch, page->subscribed[EVENT_CLOSE]);
	end(scratch);
	return 0;
}
