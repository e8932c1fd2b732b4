/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Paths, walked: from a dentry and its mount up to the top of the mount tree, whatever root the
 * task itself has. bpf_d_path() is refused to tracepoints, and shows a chroot's view, behind which
 * anybody could hide.
 *
 * Read without locks: a rename of a folder above, while it is walked, can give a path that never
 * was. Whoever decides by path has to compare device and inode, which are read from the file itself.
 * Cost: a read or two a component; PATH_STEPS bounds it.
 */
#ifndef OB_ENDPOINT_BPF_PATH_H
#define OB_ENDPOINT_BPF_PATH_H

#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "endpoint/bpf/maps.h"

#define PATH_STEPS 256 /* components and mount points; an attacker chooses their number */

struct walk {
	struct path_text *out;
	struct dentry *dentry;
	struct mount *mount;
	u32 at;
	u32 done;
};

/* False: it does not fit. */
static __always_inline bool walk_name(struct walk *walk, struct dentry *dentry)
{
	u32 length = BPF_CORE_READ(dentry, d_name.len), at;
	const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);

	if (length > 255 || length + 1 >= walk->at) {
		walk->out->flags |= ES_FILE_TRUNCATED;
		return false;
	}
	at = walk->at - length - 1;
	if (at >= ES_BLOB_BYTES)
		return false;
	walk->out->text[at] = '/';
	bpf_probe_read_kernel(&walk->out->text[(at + 1) & (ES_BLOB_BYTES - 1)], length & 255, name);
	walk->at = at;
	return true;
}

/* The top of what cannot be reached. That of a file system has no name; a memfd is one by itself. */
static __always_inline void walk_top(struct walk *walk, struct dentry *dentry)
{
	const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
	char first = '/';

	walk->out->flags |= ES_FILE_DETACHED;
	bpf_probe_read_kernel(&first, 1, name);
	if (first != '/')
		walk_name(walk, dentry);
}

static long walk_step(u32 index, struct walk *walk)
{
	struct dentry *dentry = walk->dentry, *parent;
	struct mount *mount = walk->mount;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (above == mount) {
			walk->done = 1;
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = above;
		return 0;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	if (parent == dentry) {
		/* of no mount that can be reached: a memfd, or moved out of what is mounted */
		walk_top(walk, dentry);
		walk->done = 1;
		return 1;
	}
	if (!walk_name(walk, dentry)) {
		walk->done = 1;
		return 1;
	}
	walk->dentry = parent;
	return 0;
}

/* @dentry of @mount, in front of what stands from @at on. */
static __always_inline void walk_up(
	struct path_text *out, struct vfsmount *mount, struct dentry *dentry, u32 at)
{
	struct walk walk = { .out = out, .at = at, .dentry = dentry };

	walk.mount = (void *)mount - bpf_core_field_offset(struct mount, mnt);
	out->flags = 0;
	out->text[ES_BLOB_BYTES - 1] = 0;
	if (!mount || !dentry) {
		out->bytes = 0;
		out->flags = ES_FILE_UNKNOWN;
		return;
	}
	if (!BPF_CORE_READ(dentry, d_hash.pprev) && dentry != BPF_CORE_READ(mount, mnt_root) &&
		BPF_CORE_READ(dentry, d_parent) != dentry)
		out->flags |= ES_FILE_DELETED;
	bpf_loop(PATH_STEPS, walk_step, &walk, 0);
	if (!walk.done)
		out->flags |= ES_FILE_TRUNCATED;
	if (walk.at == ES_BLOB_BYTES - 1) {
		/* the top itself */
		walk.at = ES_BLOB_BYTES - 2;
		out->text[ES_BLOB_BYTES - 2] = '/';
	}
	out->bytes = ES_BLOB_BYTES - (walk.at & (ES_BLOB_BYTES - 1));
}

static __always_inline void dentry_walk(
	struct path_text *out, struct vfsmount *mount, struct dentry *dentry)
{
	walk_up(out, mount, dentry, ES_BLOB_BYTES - 1);
}

/* What was called @name in @directory, and is not any more. */
static __always_inline void name_walk(struct path_text *out, struct vfsmount *mount,
	struct dentry *directory, const char *name, u32 length)
{
	u32 at = ES_BLOB_BYTES - 2 - (length & 255);

	out->text[at & (ES_BLOB_BYTES - 1)] = '/';
	bpf_probe_read_kernel(&out->text[(at + 1) & (ES_BLOB_BYTES - 1)], length & 255, name);
	walk_up(out, mount, directory, at);
}

static __always_inline void path_walk(struct path_text *out, const struct path *path)
{
	dentry_walk(out, BPF_CORE_READ(path, mnt), BPF_CORE_READ(path, dentry));
}

#define NS_PER_SECOND 1000000000ll
#define TIME(type, inode, which)                                               \
	(BPF_CORE_READ((struct type *)(inode), which.tv_sec) * NS_PER_SECOND + \
		BPF_CORE_READ((struct type *)(inode), which.tv_nsec))

/* 6.13, linux/fs.h: I_CTIME_QUERIED, a mark and no part of the time */
#define CTIME_QUERIED (1u << 31)

static __always_inline s64 modify_time_of(struct inode *inode)
{
	if (bpf_core_field_exists(inode->i_mtime_sec))
		return BPF_CORE_READ(inode, i_mtime_sec) * NS_PER_SECOND +
			BPF_CORE_READ(inode, i_mtime_nsec);
	if (bpf_core_field_exists(((struct inode___hidden_times *)0)->__i_mtime))
		return TIME(inode___hidden_times, inode, __i_mtime);
	return TIME(inode___plain_times, inode, i_mtime);
}

/* Three shapes in as many years: linux/fs.h of 6.1, 6.6 and 6.7, 6.11. */
static __always_inline void times_fill(struct es_record_file *ret, struct inode *inode)
{
	if (bpf_core_field_exists(inode->i_ctime_sec)) {
		ret->access_time = BPF_CORE_READ(inode, i_atime_sec) * NS_PER_SECOND +
			BPF_CORE_READ(inode, i_atime_nsec);
		ret->modify_time = modify_time_of(inode);
		ret->change_time = BPF_CORE_READ(inode, i_ctime_sec) * NS_PER_SECOND +
			(BPF_CORE_READ(inode, i_ctime_nsec) & ~CTIME_QUERIED);
		return;
	}
	if (bpf_core_field_exists(((struct inode___hidden_times *)0)->__i_ctime))
		ret->change_time = TIME(inode___hidden_times, inode, __i_ctime);
	else
		ret->change_time = TIME(inode___plain_times, inode, i_ctime);
	if (bpf_core_field_exists(((struct inode___hidden_times *)0)->__i_mtime))
		ret->access_time = TIME(inode___hidden_times, inode, __i_atime);
	else
		ret->access_time = TIME(inode___plain_times, inode, i_atime);
	ret->modify_time = modify_time_of(inode);
}

/* What stat(2) would say, but for what file systems make up in their own getattr. */
static __always_inline void inode_fill(struct es_record_file *ret, struct inode *inode)
{
	u8 block_bits = BPF_CORE_READ(inode, i_blkbits);

	ret->inode = BPF_CORE_READ(inode, i_ino);
	ret->size = BPF_CORE_READ(inode, i_size);
	ret->blocks = BPF_CORE_READ(inode, i_blocks);
	ret->device = BPF_CORE_READ(inode, i_sb, s_dev);
	ret->special = BPF_CORE_READ(inode, i_rdev);
	ret->mode = BPF_CORE_READ(inode, i_mode);
	ret->uid = BPF_CORE_READ(inode, i_uid.val);
	ret->gid = BPF_CORE_READ(inode, i_gid.val);
	ret->links = BPF_CORE_READ(inode, i_nlink);
	ret->generation = BPF_CORE_READ(inode, i_generation);
	ret->block_bytes = 1u << (block_bits & 31);
	times_fill(ret, inode);
}

/* @dentry of @mount, which may be NULL. */
static __always_inline void dentry_fill(
	struct es_record_file *ret, struct vfsmount *mount, struct dentry *dentry, u32 flags)
{
	struct mount *whole = (void *)mount - bpf_core_field_offset(struct mount, mnt);

	inode_fill(ret, BPF_CORE_READ(dentry, d_inode));
	ret->flags = flags;
	ret->mount_id = mount ? BPF_CORE_READ(whole, mnt_id) : 0;
	ret->mount_namespace = mount ? BPF_CORE_READ(whole, mnt_ns, ns.inum) : 0;
}

static __always_inline void file_fill(
	struct es_record_file *ret, const struct path *path, u32 flags)
{
	dentry_fill(ret, BPF_CORE_READ(path, mnt), BPF_CORE_READ(path, dentry), flags);
}

/* Of the kernel's own: pipes, sockets, memory files, the layers of an overlay. */
static __always_inline bool mount_is_internal(struct vfsmount *mount)
{
	struct mount *whole = (void *)mount - bpf_core_field_offset(struct mount, mnt);

	/* fs/mount.h: MNT_NS_INTERNAL is ERR_PTR(-EINVAL) */
	return !mount || (u64)BPF_CORE_READ(whole, mnt_ns) >= (u64)-4095;
}

/* Path of @file into scratch->path and its inode into @ret; the string is put by the caller. */
static __always_inline void file_walk(
	struct scratch *scratch, struct es_record_file *ret, const struct path *path)
{
	path_walk(&scratch->path, path);
	file_fill(ret, path, scratch->path.flags);
}

#endif
