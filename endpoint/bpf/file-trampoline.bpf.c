/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Files, with trampolines (6.1 and later, where BPF is among the LSMs): NOTIFY_OPEN, CLOSE, CREATE,
 * UNLINK, RENAME, MOUNT, UNMOUNT.
 *
 * fexit/vfs_open, finish_open  OPEN; with FMODE_CREATED CREATE before it. finish_open() is that of file
 *                              systems that look up and open in one (NFS, FUSE, 9p), and of
 *                              O_TMPFILE. The flags that a file forgets once it is open are read
 *                              on the way in.
 * fentry/__fput                CLOSE: the last reference went, whoever had it.
 * lsm/file_permission          an open file is written to, or mapped such that it can be: marked, for
 * lsm/mmap_file, file_mprotect its CLOSE.
 * lsm/path_*                   before the act: mount, and the file as it was, are noted for the thread.
 * fexit/vfs_*                  after it, the parent still locked: CREATE, UNLINK, RENAME if it
 *                              succeeded and it is the act that was noted. The same functions work
 *                              beneath overlayfs and in nfsd: without a path, and not told.
 * fexit/path_mount,            MOUNT, UNMOUNT; what is unmounted is noted by lsm/sb_umount.
 * do_move_mount, path_umount
 *
 * Why it can be trusted: all is read from the kernel's own structures, in the thread that acts, while
 * it holds them. Pointers that are kept from one program to the next are compared, and read only
 * while the act between them goes on, which pins them.
 * Not covered: what nfsd and ksmbd do for others; mounts that the kernel makes or drops without being
 * asked for each (automounts, propagated copies, a namespace that ends).
 */
#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "endpoint/bpf/act.h"
#include "endpoint/bpf/mounts.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* struct file to ES_CLOSE_*: the program, while somebody is told of CLOSE */
#define MARKS 16384
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MARKS);
	__type(key, u64);
	__type(value, u32);
} marks SEC(".maps");
/* a mark did not fit: from then on what was open for writing counts as written to */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} marks_lost SEC(".maps");

/*
 * Which of @clients have not muted what it is done to: that alone is looked at before who acts is, whom
 * nobody may ask for. Uses record.file and path.
 */
static __always_inline u64 wanting_target(
	struct scratch *scratch, struct es_control *page, struct file *file, u64 clients)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct vfsmount *mount = BPF_CORE_READ(file, f_path.mnt);

	if (!(clients & page->muting.target[scratch->record.event_type & (ES_EVENTS_MAX - 1)]))
		return clients;
	dentry_walk(&scratch->path, mount, dentry);
	dentry_fill(&scratch->record.file, mount, dentry, scratch->path.flags);
	return clients & ~mute_walked(scratch->index);
}

/* ---- open, and create by open ----------------------------------------------------------------- */

static __always_inline int note_open(struct vfsmount *mount, struct file *file)
{
	u32 flags = BPF_CORE_READ(file, f_flags) & FLAGS_OF_OPEN;
	struct es_control *page;
	struct act *act;

	if (!flags || mount_is_internal(mount))
		return 0;
	page = control_in_scope();
	if (!page || !(wanting(page, EVENT_OPEN) | wanting(page, EVENT_CREATE)))
		return 0;
	act = act_new(page);
	if (act) {
		act->opened = (u64)file;
		act->open_flags = flags;
	}
	return 0;
}

SEC("fentry/vfs_open")
int BPF_PROG(before_open, const struct path *path, struct file *file)
{
	return note_open(BPF_CORE_READ(path, mnt), file);
}

SEC("fentry/finish_open")
int BPF_PROG(before_finish_open, struct file *file)
{
	return note_open(BPF_CORE_READ(file, f_path.mnt), file);
}

static __always_inline u32 open_flags_of(struct file *file)
{
	struct act *act = act_now(0);
	u32 flags = BPF_CORE_READ(file, f_flags);

	if (act && act->opened == (u64)file) {
		flags |= act->open_flags;
		act->opened = 0;
	}
	return flags;
}

/* One act may be two events, of which each has its own mutes. */
static __always_inline void put_open(struct scratch *scratch, struct es_control *page,
	struct file *file, u32 flags, u64 open, u64 create)
{
	struct known *of = put_actor(scratch, page);

	put_dentry(scratch, &scratch->record.file, ES_BLOB_TARGET, BPF_CORE_READ(file, f_path.mnt),
		BPF_CORE_READ(file, f_path.dentry));
	if (create) {
		scratch->record.value = DESTINATION_EXISTING_FILE;
		scratch->record.detail = scratch->record.file.mode;
		send(scratch, create);
		scratch->record.event_type = EVENT_OPEN;
		scratch->mute.actor_known = 0;
		mute_actor(scratch, page, of);
	}
	scratch->record.value = fflag_of(flags);
	scratch->record.detail = 0;
	send(scratch, open);
}

static __always_inline int tell_open(struct file *file, u64 result)
{
	struct es_control *page = control_in_scope();
	u64 key = (u64)file, open, create;
	struct scratch *scratch;
	u32 flags;

	if (!page)
		return 0;
	if (page->subscribed[EVENT_CLOSE])
		bpf_map_delete_elem(&marks, &key); /* of a file that was here before */
	open = wanting(page, EVENT_OPEN);
	create = wanting(page, EVENT_CREATE);
	if (!(open | create) || (s32)result != 0 || !file_is_told(file))
		return 0;
	flags = open_flags_of(file);
	if (!(BPF_CORE_READ(file, f_mode) & FMODE_CREATED) || flags & FLAG_TMPFILE)
		create = 0;
	if (!(open | create))
		return 0;
	scratch = begin(page, create ? EVENT_CREATE : EVENT_OPEN, ES_RECORD_FILES_BYTES);
	if (!scratch)
		return 0;
	if (create || wanting_target(scratch, page, file, open))
		put_open(scratch, page, file, flags, open, create);
	end(scratch);
	return 0;
}

SEC("fexit/vfs_open")
int BPF_PROG(on_open, const struct path *path, struct file *file)
{
	u64 result = 1;

	bpf_get_func_ret(ctx, &result);
	return tell_open(file, result);
}

SEC("fexit/finish_open")
int BPF_PROG(on_finish_open, struct file *file)
{
	u64 result = 1;

	bpf_get_func_ret(ctx, &result);
	return tell_open(file, result);
}

/* ---- close ------------------------------------------------------------------------------------ */

static __always_inline bool is_content(struct file *file)
{
	u32 kind = BPF_CORE_READ(file, f_inode, i_mode) & 0170000;

	return kind == 0100000 || kind == 0060000 || kind == 0020000;
}

static __always_inline void mark(struct file *file, u32 what)
{
	u64 key = (u64)file;
	u32 zero = 0, *has = bpf_map_lookup_elem(&marks, &key);

	if (has) {
		*has |= what;
		return;
	}
	if (!is_content(file) || mount_is_internal(BPF_CORE_READ(file, f_path.mnt)) ||
		!control_of(EVENT_CLOSE))
		return;
	if (bpf_map_update_elem(&marks, &key, &what, BPF_NOEXIST) < 0) {
		has = bpf_map_lookup_elem(&marks_lost, &zero);
		if (has)
			*has = 1;
	}
}

SEC("lsm/file_permission")
int BPF_PROG(on_write, struct file *file, int mask)
{
	if (mask & 2) /* MAY_WRITE */
		mark(file, ES_CLOSE_MODIFIED);
	return 0;
}

/* @file: NULL of memory that is no file's, which has no mode */
SEC("lsm/mmap_file")
int BPF_PROG(on_map, struct file *file, unsigned long asked, unsigned long protection,
	unsigned long flags)
{
	if (protection & 2 && flags & 1 && BPF_CORE_READ(file, f_mode) & FMODE_WRITE)
		mark(file, ES_CLOSE_WAS_MAPPED_WRITABLE); /* PROT_WRITE, MAP_SHARED */
	return 0;
}

SEC("lsm/file_mprotect")
int BPF_PROG(on_protect, struct vm_area_struct *area, unsigned long asked, unsigned long protection)
{
	struct file *file = BPF_CORE_READ(area, vm_file);

	if (protection & 2 && BPF_CORE_READ(area, vm_flags) & 8 && file) /* VM_SHARED */
		mark(file, ES_CLOSE_WAS_MAPPED_WRITABLE);
	return 0;
}

/* What was done through @file, which ends. */
static __always_inline u32 take_marks(struct file *file)
{
	u64 key = (u64)file;
	u32 zero = 0, what = 0, *has = bpf_map_lookup_elem(&marks, &key);

	if (has) {
		what = *has;
		bpf_map_delete_elem(&marks, &key);
	}
	has = bpf_map_lookup_elem(&marks_lost, &zero);
	if (has && *has)
		what |= ES_CLOSE_MODIFIED;
	return what;
}

SEC("fentry/__fput")
int BPF_PROG(on_close, struct file *file)
{
	struct es_control *page = control_of(EVENT_CLOSE);
	struct scratch *scratch;
	u64 clients;
	u32 what = 0;

	if (!page)
		return 0;
	if (BPF_CORE_READ(file, f_mode) & FMODE_WRITE)
		what = take_marks(file);
	clients = wanting(page, EVENT_CLOSE);
	if (!clients || !file_is_told(file))
		return 0;
	scratch = begin(page, EVENT_CLOSE, ES_RECORD_FILE_BYTES);
	if (!scratch)
		return 0;
	if (wanting_target(scratch, page, file, clients)) {
		put_actor(scratch, page);
		put_dentry(scratch, &scratch->record.file, ES_BLOB_TARGET,
			BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));
		scratch->record.detail = what;
		send(scratch, clients);
	}
	end(scratch);
	return 0;
}

/* ---- create ----------------------------------------------------------------------------------- */

static __always_inline int note_name(u32 event, const struct path *directory, struct dentry *dentry)
{
	struct es_control *page = control_for(event);
	struct act *act = page ? act_new(page) : 0;

	if (!act)
		return 0;
	act->dentry = (u64)dentry;
	act->mount = BPF_CORE_READ(directory, mnt);
	return 0;
}

SEC("lsm/path_mkdir")
int BPF_PROG(before_mkdir, const struct path *directory, struct dentry *dentry)
{
	return note_name(EVENT_CREATE, directory, dentry);
}

SEC("lsm/path_mknod")
int BPF_PROG(before_mknod, const struct path *directory, struct dentry *dentry)
{
	return note_name(EVENT_CREATE, directory, dentry);
}

SEC("lsm/path_symlink")
int BPF_PROG(before_symlink, const struct path *directory, struct dentry *dentry)
{
	return note_name(EVENT_CREATE, directory, dentry);
}

SEC("lsm/path_link")
int BPF_PROG(before_link, struct dentry *old, const struct path *directory, struct dentry *dentry)
{
	return note_name(EVENT_CREATE, directory, dentry);
}

/* The note of the act on @dentry that has just succeeded, which is used up. */
static __always_inline struct act *act_done(struct dentry *dentry)
{
	struct act *act = act_now(0);

	if (!act || act->dentry != (u64)dentry)
		return 0;
	act->dentry = 0;
	return act;
}

static __always_inline int tell_create(struct dentry *dentry, bool succeeded)
{
	struct es_control *page = control_for(EVENT_CREATE);
	struct act *act = page ? act_done(dentry) : 0;
	struct scratch *scratch;

	if (!act || !succeeded)
		return 0;
	scratch = begin(page, EVENT_CREATE, ES_RECORD_FILES_BYTES);
	if (!scratch)
		return 0;
	put_actor(scratch, page);
	put_dentry(scratch, &scratch->record.file, ES_BLOB_TARGET, act->mount, dentry);
	scratch->record.value = DESTINATION_EXISTING_FILE;
	scratch->record.detail = scratch->record.file.mode;
	send(scratch, page->subscribed[EVENT_CREATE]);
	end(scratch);
	return 0;
}

/*
 * vfs_mkdir() returns int; from 6.15 on (commit c54b386969a5) the dentry, or an error as a pointer. Only
 * a pointer that is no error has an upper half that is neither zeros nor ones.
 */
static __always_inline bool is_success(void *ctx)
{
	u64 result = 1;
	u32 upper;

	bpf_get_func_ret(ctx, &result);
	upper = result >> 32;
	return (u32)result == 0 || (upper != 0 && upper != (u32)-1);
}

static __always_inline bool is_zero(void *ctx)
{
	u64 result = 1;

	bpf_get_func_ret(ctx, &result);
	return (s32)result == 0;
}

SEC("fexit/vfs_mkdir")
int BPF_PROG(on_mkdir, void *map, struct inode *directory, struct dentry *dentry)
{
	return tell_create(dentry, is_success(ctx));
}

/* mknod(2) of a regular file; open(2) does not come by here */
SEC("fexit/vfs_create")
int BPF_PROG(on_create, void *map, struct inode *directory, struct dentry *dentry)
{
	return tell_create(dentry, is_zero(ctx));
}

SEC("fexit/vfs_mknod")
int BPF_PROG(on_mknod, void *map, struct inode *directory, struct dentry *dentry)
{
	return tell_create(dentry, is_zero(ctx));
}

SEC("fexit/vfs_symlink")
int BPF_PROG(on_symlink, void *map, struct inode *directory, struct dentry *dentry)
{
	return tell_create(dentry, is_zero(ctx));
}

SEC("fexit/vfs_link")
int BPF_PROG(on_link, struct dentry *old, void *map, struct inode *directory, struct dentry *dentry)
{
	return tell_create(dentry, is_zero(ctx));
}

/* ---- unlink ----------------------------------------------------------------------------------- */

/* Afterwards the dentry has lost its inode. */
static __always_inline int note_unlink(const struct path *directory, struct dentry *dentry)
{
	struct es_control *page = control_for(EVENT_UNLINK);
	struct act *act = page ? act_new(page) : 0;

	if (!act)
		return 0;
	act->dentry = (u64)dentry;
	act->mount = BPF_CORE_READ(directory, mnt);
	dentry_fill(&act->file, act->mount, dentry, 0);
	return 0;
}

SEC("lsm/path_unlink")
int BPF_PROG(before_unlink, const struct path *directory, struct dentry *dentry)
{
	return note_unlink(directory, dentry);
}

SEC("lsm/path_rmdir")
int BPF_PROG(before_rmdir, const struct path *directory, struct dentry *dentry)
{
	return note_unlink(directory, dentry);
}

static __always_inline int tell_unlink(struct dentry *dentry, bool succeeded)
{
	struct es_control *page = control_for(EVENT_UNLINK);
	struct act *act = page ? act_done(dentry) : 0;
	struct scratch *scratch;
	struct es_record *record;

	if (!act || !succeeded)
		return 0;
	scratch = begin(page, EVENT_UNLINK, ES_RECORD_FILES_BYTES);
	if (!scratch)
		return 0;
	record = &scratch->record;
	put_actor(scratch, page);
	dentry_walk(&scratch->path, act->mount, dentry);
	record->file = act->file;
	record->file.flags = scratch->path.flags & ~ES_FILE_DELETED;
	put_path(scratch, ES_BLOB_TARGET);
	put_dentry(scratch, &record->second, ES_BLOB_SECOND, act->mount,
		BPF_CORE_READ(dentry, d_parent));
	send(scratch, page->subscribed[EVENT_UNLINK]);
	end(scratch);
	return 0;
}

SEC("fexit/vfs_unlink")
int BPF_PROG(on_unlink, void *map, struct inode *directory, struct dentry *dentry)
{
	return tell_unlink(dentry, is_zero(ctx));
}

SEC("fexit/vfs_rmdir")
int BPF_PROG(on_rmdir, void *map, struct inode *directory, struct dentry *dentry)
{
	return tell_unlink(dentry, is_zero(ctx));
}

enum { RENAME_EXCHANGE = 2 };

/* ---- rename ----------------------------------------------------------------------------------- */

SEC("lsm/path_rename")
int BPF_PROG(before_rename, const struct path *from, struct dentry *dentry, const struct path *to,
	struct dentry *replaced)
{
	struct es_control *page = control_for(EVENT_RENAME);
	struct act *act = page ? act_new(page) : 0;
	struct inode *inode, *other;

	if (!act)
		return 0;
	inode = BPF_CORE_READ(dentry, d_inode);
	other = BPF_CORE_READ(replaced, d_inode);
	act->dentry = (u64)dentry;
	act->replaced = (u64)replaced;
	act->mount = BPF_CORE_READ(from, mnt);
	act->parent = BPF_CORE_READ(dentry, d_parent);
	act->replaces = other != 0;
	act->nothing = other == inode; /* two links of one file: rename(2) does nothing */
	act->name_bytes = BPF_CORE_READ(dentry, d_name.len) & (NAME_BYTES - 1);
	bpf_probe_read_kernel(
		act->name, act->name_bytes & (NAME_BYTES - 1), BPF_CORE_READ(dentry, d_name.name));
	dentry_fill(&act->file, act->mount, dentry, 0);
	if (other)
		dentry_fill(&act->second, act->mount, replaced, 0);
	return 0;
}

SEC("fexit/vfs_rename")
int BPF_PROG(on_rename, struct renamedata *data)
{
	struct es_control *page = control_for(EVENT_RENAME);
	struct dentry *dentry = BPF_CORE_READ(data, old_dentry);
	struct act *act = page ? act_done(dentry) : 0;
	struct scratch *scratch;

	if (!act || !is_zero(ctx) || act->nothing)
		return 0;
	scratch = begin(page, EVENT_RENAME, ES_RECORD_FILES_BYTES);
	if (!scratch)
		return 0;
	tell_rename(scratch, act, dentry, page);
	end(scratch);
	if (!(BPF_CORE_READ(data, flags) & RENAME_EXCHANGE))
		return 0;
	scratch = begin(page, EVENT_RENAME, ES_RECORD_FILES_BYTES);
	if (!scratch)
		return 0;
	tell_other(scratch, act, dentry, page);
	end(scratch);
	return 0;
}

/* ---- mounts ----------------------------------------------------------------------------------- */

SEC("fexit/path_mount")
int BPF_PROG(on_mount, const char *source, struct path *path, const char *type, unsigned long flags)
{
	struct es_control *page = control_for(EVENT_MOUNT);
	struct vfsmount *mount;

	if (!page || !is_zero(ctx) || flags & MS_REMOUNT)
		return 0;
	if (!(flags & MS_BIND) && flags & (MS_PROPAGATION | MS_MOVE))
		return 0; /* nothing new, or on_move() */
	mount = mount_on(path);
	if (mount)
		tell_mount(EVENT_MOUNT, mount, page, 0);
	return 0;
}

/* mount(2) with MS_MOVE, and the second half of the newer calls: move_mount(2) */
SEC("fexit/do_move_mount")
int BPF_PROG(on_move, struct path *from)
{
	struct es_control *page = control_for(EVENT_MOUNT);

	if (page && is_zero(ctx))
		tell_mount(EVENT_MOUNT, BPF_CORE_READ(from, mnt), page, 0);
	return 0;
}

SEC("lsm/sb_umount")
int BPF_PROG(before_unmount, struct vfsmount *known_mount)
{
	struct es_control *page = control_for(EVENT_UNMOUNT);
	struct vfsmount *mount = 0;
	u64 address = (u64)known_mount;

	if (!page)
		return 0;
	/* a pointer that the verifier knows nothing of can be calculated with */
	bpf_probe_read_kernel(&mount, sizeof mount, &address);
	note_parting(mount, page);
	return 0;
}

SEC("fexit/path_umount")
int BPF_PROG(on_unmount, struct path *path)
{
	struct es_control *page = control_for(EVENT_UNMOUNT);
	struct parting *parting = page ? parting_now(0) : 0;

	if (!parting || parting->mount != (u64)BPF_CORE_READ(path, mnt))
		return 0;
	parting->mount = 0;
	if (is_zero(ctx))
		tell_parting(parting, page, 0);
	return 0;
}
