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
#include "endpoint/record.h"

#define PATH_STEPS 256 /* components and mount points; an attacker chooses their number */

/* Built from its end: the string is the last `bytes` of text, NUL included. */
struct path_text {
	char text[2 * ES_BLOB_BYTES]; /* the upper half is room for the verifier's sake */
	u32 bytes;
	u32 flags;
};

struct walk {
	struct path_text *out;
	struct dentry *dentry;
	struct mount *mount;
	u32 at;
	u32 done;
};

static long walk_step(u32 index, struct walk *walk)
{
	struct dentry *dentry = walk->dentry, *parent;
	struct mount *mount = walk->mount;
	const unsigned char *name;
	u32 length, at;

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
		/* of no mount that can be reached: a memfd, or detached */
		walk->done = 1;
		return 1;
	}
	length = BPF_CORE_READ(dentry, d_name.len);
	name = BPF_CORE_READ(dentry, d_name.name);
	if (length > 255 || length + 1 >= walk->at) {
		walk->out->flags |= ES_FILE_TRUNCATED;
		walk->done = 1;
		return 1;
	}
	at = walk->at - length - 1;
	if (at >= ES_BLOB_BYTES)
		return 1;
	walk->out->text[at] = '/';
	bpf_probe_read_kernel(&walk->out->text[(at + 1) & (ES_BLOB_BYTES - 1)], length & 255, name);
	walk->at = at;
	walk->dentry = parent;
	return 0;
}

static __always_inline void path_walk(struct path_text *out, const struct path *path)
{
	struct vfsmount *mount = BPF_CORE_READ(path, mnt);
	struct dentry *dentry = BPF_CORE_READ(path, dentry);
	struct walk walk = { .out = out, .at = ES_BLOB_BYTES - 1, .dentry = dentry };

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

static __always_inline void file_fill(
	struct es_record_file *ret, const struct path *path, u32 flags)
{
	struct inode *inode = BPF_CORE_READ(path, dentry, d_inode);
	struct vfsmount *mount = BPF_CORE_READ(path, mnt);
	struct mount *whole = (void *)mount - bpf_core_field_offset(struct mount, mnt);

	ret->inode = BPF_CORE_READ(inode, i_ino);
	ret->size = BPF_CORE_READ(inode, i_size);
	ret->device = BPF_CORE_READ(inode, i_sb, s_dev);
	ret->mode = BPF_CORE_READ(inode, i_mode);
	ret->uid = BPF_CORE_READ(inode, i_uid.val);
	ret->gid = BPF_CORE_READ(inode, i_gid.val);
	ret->flags = flags;
	ret->mount_id = mount ? BPF_CORE_READ(whole, mnt_id) : 0;
}

#endif
