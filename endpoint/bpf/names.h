/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Names as a system call is given them: from the caller's memory to what the kernel has of them in its
 * cache of names. Nothing is asked of a file system: what is not in the cache is not found, nor is what
 * lies behind a symbolic link, in a folder of too many names, or on a file system that compares names
 * in its own way. Then there is the text alone.
 *
 * Read without locks, and the text can be changed by another thread: whoever uses what was found compares
 * it with what came of it, and says that the path is the caller's word (ES_FILE_UNVERIFIED).
 */
#ifndef OB_ENDPOINT_BPF_NAMES_H
#define OB_ENDPOINT_BPF_NAMES_H

#include "endpoint/bpf/act.h"
#include "endpoint/bpf/calls.h"

#define NAME_STEPS 8192 /* letters, names of a folder, mounts; the caller chooses their number */
#define NAME_WORDS (NAME_BYTES / 8)

/* A name that was given, and where it led. */
struct given {
	char text[ES_BLOB_BYTES + NAME_BYTES]; /* the rest is room for the verifier's sake */
	u64 wanted[NAME_WORDS], has[NAME_WORDS];
	struct path start, root; /* where a relative one begins, and an absolute one */
	u32 bytes;		 /* without a NUL, and without slashes at its end */
	u32 last;		 /* where its last component begins */
	/* of the last component; 0: not found */
	struct vfsmount *mount;
	struct dentry *parent, *dentry;
};
/* the programs at the ends of a system call, which nothing interrupts on their CPU: the first, the second */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);
	__type(value, struct given);
} names SEC(".maps");

/* ---- the text --------------------------------------------------------------------------------- */

static long text_step(u32 index, struct given **context)
{
	struct given *given = *context;
	u32 at = index & (ES_BLOB_BYTES - 1);
	char letter = given->text[at];

	if (letter == 0)
		return 1;
	if (letter == '/') {
		if (at == 0)
			given->bytes = 1; /* the root itself */
		return 0;
	}
	if (at == 0 || given->text[(at - 1) & (ES_BLOB_BYTES - 1)] == '/')
		given->last = at;
	given->bytes = at + 1;
	return 0;
}

#define AT_FDCWD -100

/* False: it cannot be read. @folder: the descriptor that it is relative to. */
static __always_inline bool give(struct given *given, u64 text, int folder)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct file *file;

	given->mount = 0;
	given->parent = given->dentry = 0;
	given->bytes = given->last = 0;
	given->text[0] = 0;
	bpf_core_read(&given->root, sizeof given->root, &fs->root);
	bpf_core_read(&given->start, sizeof given->start, &fs->pwd);
	if (folder != AT_FDCWD) {
		file = file_at(task, folder);
		if (file)
			bpf_core_read(&given->start, sizeof given->start, &file->f_path);
	}
	if (bpf_probe_read_user_str(given->text, ES_BLOB_BYTES, (void *)text) <= 0)
		return false;
	bpf_loop(ES_BLOB_BYTES, text_step, &given, 0);
	given->text[given->bytes & (ES_BLOB_BYTES - 1)] = 0;
	return true;
}

/* What BPF_CORE_READ() is given is relocated whole: no pointer out of a struct of ours. */
static __always_inline struct inode *inode_of(struct dentry *dentry)
{
	return BPF_CORE_READ(dentry, d_inode);
}

static __always_inline struct dentry *root_of(struct vfsmount *mount)
{
	return BPF_CORE_READ(mount, mnt_root);
}

static __always_inline struct mount *mount_of(struct vfsmount *mount)
{
	return (void *)mount - bpf_core_field_offset(struct mount, mnt);
}

static __always_inline struct vfsmount *vfsmount_of(struct mount *mount)
{
	return (void *)mount + bpf_core_field_offset(struct mount, mnt);
}

/* ---- finding ---------------------------------------------------------------------------------- */

struct seek {
	struct given *given;
	struct vfsmount *mount;
	struct dentry *folder;
	void *child; /* of the folder, or of the mount: the next one to look at */
	u32 at, length;
	u32 doing;
	u32 follow;
	u32 on_last; /* the component is the last one */
};
enum { LETTER, CHILD, CROSS, FOUND, LOST };

/* The links between the names of a folder: two shapes, see kernel.h. 0: no more. */
static __always_inline void *first_child(struct dentry *folder)
{
	struct dentry___lists *lists = (void *)folder;

	if (bpf_core_field_exists(folder->d_children))
		return BPF_CORE_READ(folder, d_children.first);
	return BPF_CORE_READ(lists, d_subdirs.next);
}

static __always_inline struct dentry *child_at(void *link)
{
	if (bpf_core_field_exists(((struct dentry *)0)->d_children))
		return link - bpf_core_field_offset(struct dentry, d_sib);
	return link - bpf_core_field_offset(struct dentry___lists, d_child);
}

static __always_inline void *next_child(struct dentry *folder, void *link)
{
	struct dentry___lists *lists = (void *)folder;
	struct list_head *next;

	if (bpf_core_field_exists(folder->d_children))
		return BPF_CORE_READ((struct hlist_node *)link, next);
	next = BPF_CORE_READ((struct list_head *)link, next);
	return (void *)next ==
			(void *)lists + bpf_core_field_offset(struct dentry___lists, d_subdirs)
		? 0
		: next;
}

/* The number is known from 6.14 on; older kernels, on which names are not found as they are here, load none. */
static __always_inline bool is_mounted_on(struct dentry *dentry)
{
	return BPF_CORE_READ(dentry, d_flags) &
		bpf_core_enum_value(enum dentry_flags, DCACHE_MOUNTED);
}

/* Read to where the next is compared with it: zeros behind it. */
static __always_inline void read_name(u64 to[NAME_WORDS], const void *from, u32 length)
{
	__builtin_memset(to, 0, NAME_BYTES);
	bpf_probe_read_kernel(to, length & (NAME_BYTES - 1), from);
}

static __always_inline bool is_wanted(struct seek *seek, struct dentry *dentry)
{
	struct given *given = seek->given;
	u32 i;

	if (BPF_CORE_READ(dentry, d_name.len) != seek->length ||
		BPF_CORE_READ(dentry, d_parent) != seek->folder ||
		!BPF_CORE_READ(dentry, d_hash.pprev))
		return false;
	read_name(given->has, BPF_CORE_READ(dentry, d_name.name), seek->length);
	for (i = 0; i < NAME_WORDS; i++)
		if (given->has[i] != given->wanted[i])
			return false;
	return true;
}

static __always_inline void begin_crossing(struct seek *seek)
{
	struct mount *mount = mount_of(seek->mount);

	seek->child = BPF_CORE_READ(mount, mnt_mounts.prev);
	seek->doing = CROSS;
}

/* The component is at seek->folder now. */
static __always_inline void arrive(struct seek *seek)
{
	struct inode *inode = inode_of(seek->folder);
	u32 kind = BPF_CORE_READ(inode, i_mode) & 0170000;

	if (seek->on_last) {
		/* a link would lead on */
		seek->given->mount = seek->mount;
		seek->given->dentry = seek->folder;
		seek->doing = kind == 0120000 ? LOST : FOUND;
		return;
	}
	seek->at += seek->length;
	seek->length = 0;
	seek->doing = inode && kind == 0040000 ? LETTER : LOST;
}

/* "..": at the task's root it leads nowhere. */
static __always_inline void go_up(struct seek *seek)
{
	struct given *given = seek->given;
	struct dentry *folder;
	u32 i;

	for (i = 0; i < 4; i++) {
		struct mount *mount = mount_of(seek->mount);

		if (seek->folder == given->root.dentry && seek->mount == given->root.mnt)
			return;
		if (seek->folder != root_of(seek->mount))
			break;
		seek->folder = BPF_CORE_READ(mount, mnt_mountpoint);
		seek->mount = vfsmount_of(BPF_CORE_READ(mount, mnt_parent));
	}
	folder = seek->folder;
	seek->folder = BPF_CORE_READ(folder, d_parent);
}

/* A letter of the component, or its end. */
static __always_inline void step_letter(struct seek *seek)
{
	struct given *given = seek->given;
	u32 end = seek->at + seek->length;
	char letter = given->text[end & (ES_BLOB_BYTES - 1)];

	if (letter && letter != '/') {
		if (++seek->length >= NAME_BYTES)
			seek->doing = LOST;
		return;
	}
	if (seek->length == 0 && letter) {
		seek->at++;
		return;
	}
	seek->on_last = letter == 0;
	read_name(given->wanted, &given->text[seek->at & (ES_BLOB_BYTES - 1)], seek->length);
	if (given->wanted[0] == '.' || seek->length == 0) {
		arrive(seek);
	} else if (given->wanted[0] == ('.' | '.' << 8)) {
		go_up(seek);
		arrive(seek);
	} else {
		if (seek->on_last) {
			given->mount = seek->mount;
			given->parent = seek->folder;
		}
		seek->child = first_child(seek->folder);
		seek->doing = CHILD;
	}
}

/* A name in the folder; the newest comes first. */
static __always_inline void step_child(struct seek *seek)
{
	struct dentry *dentry;

	if (!seek->child) {
		seek->doing = LOST;
		return;
	}
	dentry = child_at(seek->child);
	if (!is_wanted(seek, dentry)) {
		seek->child = next_child(seek->folder, seek->child);
		return;
	}
	if (seek->on_last && !seek->follow) {
		seek->given->dentry = dentry;
		seek->doing = FOUND;
		return;
	}
	seek->folder = dentry;
	if (is_mounted_on(dentry))
		begin_crossing(seek);
	else
		arrive(seek);
}

/* A mount on the mount that we are on; the newest comes first. */
static __always_inline void step_cross(struct seek *seek)
{
	struct mount *mount = mount_of(seek->mount);
	struct mount *child = seek->child - bpf_core_field_offset(struct mount, mnt_child);

	if (seek->child == (void *)mount + bpf_core_field_offset(struct mount, mnt_mounts)) {
		arrive(seek); /* in another mount namespace */
		return;
	}
	if (BPF_CORE_READ(child, mnt_mountpoint) != seek->folder) {
		seek->child = BPF_CORE_READ(child, mnt_child.prev);
		return;
	}
	seek->mount = vfsmount_of(child);
	seek->folder = root_of(seek->mount);
	if (is_mounted_on(seek->folder))
		begin_crossing(seek);
	else
		arrive(seek);
}

static long seek_step(u32 index, struct seek *seek)
{
	if (seek->doing == LETTER)
		step_letter(seek);
	else if (seek->doing == CHILD)
		step_child(seek);
	else if (seek->doing == CROSS)
		step_cross(seek);
	return seek->doing >= FOUND;
}

/*
 * Where it leads: mount and parent, if they are known, and the dentry, if the kernel has it, which may be
 * one of a name that is free. @follow: to what is mounted there.
 */
static __noinline int find(struct given *given, bool follow)
{
	struct seek seek = { .given = given, .follow = follow };
	bool absolute = given->text[0] == '/';

	seek.mount = absolute ? given->root.mnt : given->start.mnt;
	seek.folder = absolute ? given->root.dentry : given->start.dentry;
	if (given->bytes == 0 && !absolute)
		return 0; /* "" */
	bpf_loop(NAME_STEPS, seek_step, &seek, 0);
	if (seek.doing != FOUND)
		given->dentry = 0;
	return seek.doing == FOUND;
}

/* ---- the text as a path ----------------------------------------------------------------------- */

#define FILE_BY_TEXT (ES_FILE_UNVERIFIED | ES_FILE_UNKNOWN)

/* The first @bytes of the text, behind where it begins: neither looked up nor put straight. */
static __always_inline void put_given(struct scratch *scratch, u32 blob, struct given *given,
	u32 bytes, struct es_record_file *ret)
{
	struct path *start = given->text[0] == '/' ? &given->root : &given->start;
	struct path_text *out = &scratch->path;
	u32 at;

	ret->flags = FILE_BY_TEXT;
	if (given->bytes == 0)
		return; /* it could not be read */

	bytes &= ES_BLOB_BYTES - 1;
	at = ES_BLOB_BYTES - 1 - bytes;
	asm volatile("" : "+r"(bytes), "+r"(at));
	if (at >= ES_BLOB_BYTES || bytes >= ES_BLOB_BYTES)
		return;
	bpf_probe_read_kernel(&out->text[at], bytes, given->text);
	if (given->text[0] != '/' && bytes && at) {
		at = (at - 1) & (ES_BLOB_BYTES - 1);
		out->text[at] = '/';
	}
	walk_up(out, start->mnt, start->dentry, at);
	ret->flags |= out->flags & ~ES_FILE_DELETED;
	put_path(scratch, blob);
}

/* The folder of the last component. */
static __always_inline void put_given_folder(
	struct scratch *scratch, u32 blob, struct given *given, struct es_record_file *ret)
{
	u32 bytes = given->last;

	if (given->parent) {
		put_dentry(scratch, ret, blob, given->mount, given->parent);
		ret->flags |= ES_FILE_UNVERIFIED;
		return;
	}
	if (bytes > 1)
		bytes--; /* the slash */
	put_given(scratch, blob, given, bytes, ret);
}

#endif
