/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Which program it is: the identity of a process' executable, by its key, from the map that the daemon
 * fills. A file that is not in there is pending, and asked for once; a process that is pending is
 * looked up again when something is next told of it.
 */
#ifndef OB_ENDPOINT_BPF_IDENTITY_H
#define OB_ENDPOINT_BPF_IDENTITY_H

#include "endpoint/bpf/path.h"
#include "endpoint/bpf/send.h"
#include "endpoint/identity.h"

/* include/uapi/linux/magic.h: its server gives each reader what it likes, when it likes */
#define FUSE_MAGIC 0x65735546

/* process.h */
static __always_inline int number_of(struct pid *pid, struct es_control *page);

static const struct es_identity asked = { .is.state = ES_IDENTITY_PENDING };

static __always_inline bool key_fill(struct es_identity_key *ret, const struct known *of)
{
	ret->inode = of->executable.inode;
	ret->ctime_ns = of->executable.change_time;
	ret->size = of->executable.size;
	ret->device = of->executable.device;
	ret->reserved = 0;
	return ret->inode != 0;
}

/* @flags: BPF_NOEXIST, so that of two that see it first one asks. */
static __always_inline void want(
	const struct es_identity_key *key, const struct known *of, u32 pid, u64 flags)
{
	struct es_wanted *place = bpf_ringbuf_reserve(&wanted, sizeof *place, 0);
	u32 bytes = of->path_bytes;

	if (!place)
		return; /* the next one asks */
	if (bpf_map_update_elem(&identities, key, &asked, flags)) {
		bpf_ringbuf_discard(place, 0);
		return;
	}
	place->key = *key;
	place->pid = pid;
	place->path[0] = 0;
	place->path_bytes = 0;
	/* all of it, so that no verifier has to follow a length */
	if (bytes > 0 && bytes <= sizeof of->path &&
		!bpf_probe_read_kernel(place->path, sizeof place->path, of->path))
		place->path_bytes = bytes;
	bpf_ringbuf_submit(place, 0);
}

/*
 * An element can be given to another key while it is copied: then it is not the one that is found
 * again, and the next one that asks finds what is true.
 */
static __always_inline void copy_identity(
	struct known *of, const struct es_identity_key *key, const struct es_identity *found)
{
	of->identity = found->is;
	of->signing_bytes = found->signing_bytes;
	bpf_probe_read_kernel(of->signing_id, sizeof of->signing_id, found->signing_id);
	if (bpf_map_lookup_elem(&identities, key) == found)
		return;
	__builtin_memset(&of->identity, 0, sizeof of->identity);
	of->identity.state = ES_IDENTITY_PENDING;
	of->signing_bytes = 0;
}

static __noinline int identify(
	struct known *of, struct task_struct *leader, struct es_control *page)
{
	struct es_identity_key key = {};
	struct es_identity *found;

	if (!of || !page || of->identity.state == ES_IDENTITY_KNOWN || !key_fill(&key, of))
		return 0;
	found = bpf_map_lookup_elem(&identities, &key);
	if (found && (found->epoch == 0 || found->epoch == page->identity_epoch)) {
		copy_identity(of, &key, found);
		return 0;
	}
	if (BPF_CORE_READ(leader, mm, exe_file, f_inode, i_sb, s_magic) == FUSE_MAGIC)
		return 0;
	of->identity.state = ES_IDENTITY_PENDING;
	want(&key, of, number_of(BPF_CORE_READ(leader, signal, pids[PIDTYPE_TGID]), page),
		found ? BPF_ANY : BPF_NOEXIST);
	return 0;
}

/*
 * Written since it was begun: what was said of its content is not true any more. By size and time of
 * change of the content, since the other one changes with each link that comes or goes, as when a
 * package is upgraded.
 */
static __always_inline void check_unwritten(struct known *of, struct inode *inode)
{
	if (of->identity.codesigning_flags & ES_CS_VALID &&
		(BPF_CORE_READ(inode, i_size) != of->executable.size ||
			modify_time_of(inode) != of->executable.modify_time))
		of->identity.codesigning_flags &= ~ES_CS_VALID;
}

#endif
