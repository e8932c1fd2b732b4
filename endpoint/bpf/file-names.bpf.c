/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Files, without trampolines, where an act is known by a name: NOTIFY_CREATE, UNLINK, RENAME, MOUNT, UNMOUNT.
 *
 * tp_btf/sys_exit   a system call that has succeeded: one record for each act, in order, by who did it. The
 *                   name is read from the caller's memory and looked up in the kernel's cache of names
 *                   (names.h).
 * tp_btf/sys_enter  what is about to be unlinked, renamed or unmounted: found by its name before it is gone,
 *                   and told only if it is afterwards as the call has made it.
 *
 * Attached only while somebody is subscribed: it costs every system call of the machine. So the
 * number of the call is looked at first.
 * Why it can be trusted: that the act was done, when and by whom, is the kernel's word. The name is the
 * caller's, which another of its threads can change: such a path is marked as ES_FILE_UNVERIFIED, by which
 * nothing is muted, and what was not found by it as ES_FILE_UNKNOWN, too.
 * Not covered: io_uring, and calls of 32-bit programs, whose numbers differ.
 */
#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "endpoint/bpf/mounts.h"
#include "endpoint/bpf/names.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline struct given *name_number(u32 number)
{
	return bpf_map_lookup_elem(&names, &number);
}

/* ---- create ----------------------------------------------------------------------------------- */

/* The name that a call of @call makes. */
static __always_inline bool give_created(struct given *given, struct pt_regs *regs, u64 call)
{
	switch (call) {
	case CALL_MKDIR:
	case CALL_MKNOD:
		return give(given, BPF_CORE_READ(regs, di), AT_FDCWD);
	case CALL_LINK:
	case CALL_SYMLINK:
		return give(given, BPF_CORE_READ(regs, si), AT_FDCWD);
	case CALL_MKDIRAT:
	case CALL_MKNODAT:
		return give(given, BPF_CORE_READ(regs, si), BPF_CORE_READ(regs, di));
	case CALL_LINKAT:
		return give(given, BPF_CORE_READ(regs, r10), BPF_CORE_READ(regs, dx));
	case CALL_SYMLINKAT:
		return give(given, BPF_CORE_READ(regs, dx), BPF_CORE_READ(regs, si));
	}
	return false;
}

static __always_inline bool is_create(u64 call)
{
	return call == CALL_MKDIR || call == CALL_MKNOD || call == CALL_LINK ||
		call == CALL_SYMLINK || call == CALL_MKDIRAT || call == CALL_MKNODAT ||
		call == CALL_LINKAT || call == CALL_SYMLINKAT;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_created, struct pt_regs *regs, long result)
{
	u64 call = BPF_CORE_READ(regs, orig_ax);
	struct es_control *page;
	struct scratch *scratch;
	struct given *given;

	if (!is_create(call) || result != 0)
		return 0;
	page = control_for(EVENT_CREATE);
	given = name_number(0);
	if (!page || !given || is_compat())
		return 0;
	scratch = begin(page, EVENT_CREATE, ES_RECORD_FILES_BYTES);
	if (!scratch)
		return 0;
	put_actor(scratch, page);
	if (give_created(given, regs, call) && find(given, false) && inode_of(given->dentry)) {
		put_dentry(scratch, &scratch->record.file, ES_BLOB_TARGET, given->mount,
			given->dentry);
		scratch->record.file.flags |= ES_FILE_UNVERIFIED;
	} else {
		put_given(scratch, ES_BLOB_TARGET, given, given->bytes, &scratch->record.file);
	}
	scratch->record.value = DESTINATION_EXISTING_FILE;
	scratch->record.detail = scratch->record.file.mode;
	send(scratch, page->subscribed[EVENT_CREATE]);
	end(scratch);
	return 0;
}

/* The note of this very call, if it is one. */
static __always_inline struct act *noted_at(u64 call)
{
	struct act *act = act_now(0);

	return act && act->call == call ? act : 0;
}

static __always_inline void forget_note(void)
{
	struct act *act = act_now(0);

	if (act)
		act->call = 0;
}

/* ---- unlink ----------------------------------------------------------------------------------- */

static __always_inline bool give_unlinked(struct given *given, struct pt_regs *regs, u64 call)
{
	return call == CALL_UNLINKAT ? give(given, BPF_CORE_READ(regs, si), BPF_CORE_READ(regs, di))
				     : give(given, BPF_CORE_READ(regs, di), AT_FDCWD);
}

static __always_inline bool is_unlink(u64 call)
{
	return call == CALL_UNLINK || call == CALL_UNLINKAT || call == CALL_RMDIR;
}

static __always_inline void copy_last(struct given *given, char to[NAME_BYTES], u32 *ret_bytes)
{
	u32 at = given->last & (ES_BLOB_BYTES - 1), bytes = given->bytes - given->last;

	bytes &= NAME_BYTES - 1;
	bpf_probe_read_kernel(to, bytes, &given->text[at]);
	*ret_bytes = bytes;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(before_unlinked, struct pt_regs *regs, long call)
{
	struct es_control *page;
	struct given *given;
	struct act *act;

	if (!is_unlink(call))
		return 0;
	page = control_for(EVENT_UNLINK);
	given = name_number(0);
	act = page && given && !is_compat() ? act_new(page) : 0;
	if (!act)
		return 0;
	act->call = 0;
	if (!give_unlinked(given, regs, call) || !find(given, false) || !given->parent ||
		!inode_of(given->dentry))
		return 0;
	act->mount = given->mount;
	act->parent = given->parent;
	copy_last(given, act->name, &act->name_bytes);
	dentry_fill(&act->file, act->mount, given->dentry, 0);
	act->dentry = (u64)given->dentry;
	act->call = call;
	return 0;
}

/* It is as unlink(2) has left it: without its file, or out of its folder. */
static __always_inline bool is_unlinked(struct act *act)
{
	struct dentry *dentry = (void *)act->dentry;

	return !BPF_CORE_READ(dentry, d_inode) || !BPF_CORE_READ(dentry, d_hash.pprev);
}

static __always_inline void put_unlinked(struct scratch *scratch, struct act *act)
{
	struct es_record *record = &scratch->record;

	name_walk(&scratch->path, act->mount, act->parent, act->name, act->name_bytes);
	record->file = act->file;
	record->file.flags = scratch->path.flags | ES_FILE_UNVERIFIED;
	put_path(scratch, ES_BLOB_TARGET);
	put_dentry(scratch, &record->second, ES_BLOB_SECOND, act->mount, act->parent);
	record->second.flags |= ES_FILE_UNVERIFIED;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_unlinked, struct pt_regs *regs, long result)
{
	u64 call = BPF_CORE_READ(regs, orig_ax);
	struct es_control *page;
	struct scratch *scratch;
	struct given *given;
	struct act *act;

	if (!is_unlink(call))
		return 0;
	page = control_for(EVENT_UNLINK);
	given = name_number(0);
	if (!page || !given || is_compat())
		return 0;
	if (result != 0) {
		forget_note();
		return 0;
	}
	scratch = begin(page, EVENT_UNLINK, ES_RECORD_FILES_BYTES);
	if (!scratch)
		return 0;
	put_actor(scratch, page);
	act = noted_at(call);
	if (act && is_unlinked(act)) {
		put_unlinked(scratch, act);
	} else {
		give_unlinked(given, regs, call);
		find(given, false); /* for its folder */
		put_given(scratch, ES_BLOB_TARGET, given, given->bytes, &scratch->record.file);
		put_given_folder(scratch, ES_BLOB_SECOND, given, &scratch->record.second);
	}
	forget_note();
	send(scratch, page->subscribed[EVENT_UNLINK]);
	end(scratch);
	return 0;
}

/* ---- rename ----------------------------------------------------------------------------------- */

enum { RENAME_EXCHANGE = 2 };

static __always_inline bool is_rename(u64 call)
{
	return call == CALL_RENAME || call == CALL_RENAMEAT || call == CALL_RENAMEAT2;
}

static __always_inline bool give_renamed(
	struct given *from, struct given *to, struct pt_regs *regs, u64 call)
{
	bool both;

	if (call == CALL_RENAME) {
		both = give(from, BPF_CORE_READ(regs, di), AT_FDCWD);
		return give(to, BPF_CORE_READ(regs, si), AT_FDCWD) && both;
	}
	both = give(from, BPF_CORE_READ(regs, si), BPF_CORE_READ(regs, di));
	return give(to, BPF_CORE_READ(regs, r10), BPF_CORE_READ(regs, dx)) && both;
}

static __always_inline void note_renamed(
	struct act *act, struct given *from, struct given *to, u64 call)
{
	struct inode *other = to->dentry ? inode_of(to->dentry) : 0;

	act->mount = from->mount;
	act->parent = from->parent;
	act->to = to->parent;
	act->replaces = other != 0;
	act->doubt = ES_FILE_UNVERIFIED;
	copy_last(from, act->name, &act->name_bytes);
	copy_last(to, act->to_name, &act->to_bytes);
	dentry_fill(&act->file, act->mount, from->dentry, 0);
	if (other)
		dentry_fill(&act->second, act->mount, to->dentry, 0);
	act->dentry = (u64)from->dentry;
	act->call = call;
}

static __always_inline struct es_control *control_of_rename(u64 call)
{
	return is_rename(call) && !is_compat() ? control_for(EVENT_RENAME) : 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(before_renamed, struct pt_regs *regs, long call)
{
	struct es_control *page = control_of_rename(call);
	struct given *from = page ? name_number(0) : 0, *to = page ? name_number(1) : 0;
	struct act *act = from && to ? act_new(page) : 0;

	if (!act)
		return 0;
	act->call = 0;
	if (!give_renamed(from, to, regs, call) || !find(from, false) || !from->parent ||
		!inode_of(from->dentry))
		return 0;
	find(to, false);
	if (to->parent)
		note_renamed(act, from, to, call);
	return 0;
}

/*
 * It is where rename(2) has put it, by the name that was given. Two names of one file stay where they are,
 * since nothing is done then; but these may not be the names that the kernel was given, so it is told.
 */
static __always_inline bool is_renamed(struct act *act, struct given *to)
{
	struct dentry *dentry = (void *)act->dentry;
	u32 i;

	if (BPF_CORE_READ(dentry, d_parent) != act->to ||
		BPF_CORE_READ(dentry, d_name.len) != act->to_bytes)
		return false;
	read_name(to->has, BPF_CORE_READ(dentry, d_name.name), act->to_bytes);
	read_name(to->wanted, act->to_name, act->to_bytes);
	for (i = 0; i < NAME_WORDS; i++)
		if (to->has[i] != to->wanted[i])
			return false;
	return true;
}

/* What is known is what was given. */
static __always_inline void tell_given(
	struct scratch *scratch, struct es_control *page, struct given *from, struct given *to)
{
	struct es_record *record = &scratch->record;
	u32 last = to->last & (ES_BLOB_BYTES - 1);

	put_actor(scratch, page);
	put_given(scratch, ES_BLOB_TARGET, from, from->bytes, &record->file);
	record->value = DESTINATION_NEW_PATH;
	put_given_folder(scratch, ES_BLOB_SECOND, to, &record->second);
	put(scratch, ES_BLOB_ARGUMENTS, &to->text[last], to->bytes - to->last + 1);
	send(scratch, page->subscribed[EVENT_RENAME]);
}

/* One of the two messages of an exchange, or the only one. */
static __always_inline int tell_renamed(
	struct es_control *page, struct act *act, struct given *from, struct given *to, bool other)
{
	struct scratch *scratch = begin(page, EVENT_RENAME, ES_RECORD_FILES_BYTES);
	struct dentry *dentry;

	if (!scratch)
		return 0;
	dentry = (void *)act->dentry;
	if (!act->call)
		tell_given(scratch, page, from, to);
	else if (other)
		tell_other(scratch, act, dentry, page);
	else
		tell_rename(scratch, act, dentry, page);
	end(scratch);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_renamed, struct pt_regs *regs, long result)
{
	u64 call = BPF_CORE_READ(regs, orig_ax);
	struct es_control *page = control_of_rename(call);
	struct given *from = page ? name_number(0) : 0, *to = page ? name_number(1) : 0;
	struct act *act = from && to ? act_new(page) : 0;

	if (!act)
		return 0;
	if (result != 0) {
		act->call = 0;
		return 0;
	}
	if (act->call != call || !is_renamed(act, to)) {
		act->call = 0;
		give_renamed(from, to, regs, call);
		find(from, false); /* for their folders */
		find(to, false);
	}
	tell_renamed(page, act, from, to, false);
	if (call == CALL_RENAMEAT2 && BPF_CORE_READ(regs, r8) & RENAME_EXCHANGE)
		tell_renamed(page, act, act->call ? from : to, act->call ? to : from, true);
	act->call = 0;
	return 0;
}

/* ---- mounts ----------------------------------------------------------------------------------- */

#define MOVE_MOUNT_T_EMPTY_PATH 0x40

/* Of mount(2) that makes a mount, or of move_mount(2): where it went. */
static __always_inline bool give_mounted(struct given *given, struct pt_regs *regs, u64 call)
{
	if (call == CALL_MOVE_MOUNT)
		return give(given, BPF_CORE_READ(regs, r10), BPF_CORE_READ(regs, dx));
	return give(given, BPF_CORE_READ(regs, si), AT_FDCWD);
}

static __always_inline bool is_mount(struct pt_regs *regs, u64 call)
{
	u64 flags = BPF_CORE_READ(regs, r10);

	if (call == CALL_MOVE_MOUNT)
		return true;
	return call == CALL_MOUNT && !(flags & MS_REMOUNT) &&
		(flags & (MS_BIND | MS_MOVE) || !(flags & MS_PROPAGATION));
}

/* The mount that lies there now, on which there is no other. */
static __always_inline struct vfsmount *mount_found(struct given *given)
{
	struct path place = given->start;

	if (given->bytes == 0 && given->text[0] == 0)
		return mount_on(&place); /* a descriptor, and no name */
	if (!find(given, true) || given->dentry != root_of(given->mount))
		return 0;
	return given->mount;
}

static __always_inline void tell_mount_given(
	u32 event, struct given *given, struct es_control *page)
{
	struct scratch *scratch = begin(page, event, ES_RECORD_FILE_BYTES);

	if (!scratch)
		return;
	put_actor(scratch, page);
	put_given(scratch, ES_BLOB_TARGET, given, given->bytes, &scratch->record.file);
	send(scratch, page->subscribed[event]);
	end(scratch);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_mounted, struct pt_regs *regs, long result)
{
	u64 call = BPF_CORE_READ(regs, orig_ax);
	struct es_control *page;
	struct vfsmount *mount;
	struct given *given;

	if ((call != CALL_MOUNT && call != CALL_MOVE_MOUNT) || result != 0 || !is_mount(regs, call))
		return 0;
	page = control_for(EVENT_MOUNT);
	given = name_number(0);
	if (!page || !given || is_compat())
		return 0;
	mount = give_mounted(given, regs, call) ? mount_found(given) : 0;
	if (mount)
		tell_mount(EVENT_MOUNT, mount, page, ES_FILE_UNVERIFIED);
	else
		tell_mount_given(EVENT_MOUNT, given, page);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(before_unmounted, struct pt_regs *regs, long call)
{
	struct parting *parting;
	struct es_control *page;
	struct vfsmount *mount;
	struct given *given;

	if (call != CALL_UMOUNT2)
		return 0;
	page = control_for(EVENT_UNMOUNT);
	given = name_number(0);
	parting = page && given && !is_compat() ? parting_now(0) : 0;
	if (parting)
		parting->mount = 0;
	if (!page || !given || is_compat() || !give(given, BPF_CORE_READ(regs, di), AT_FDCWD))
		return 0;
	mount = mount_found(given);
	if (mount)
		note_parting(mount, page);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_unmounted, struct pt_regs *regs, long result)
{
	struct parting *parting;
	struct es_control *page;
	struct given *given;

	if (BPF_CORE_READ(regs, orig_ax) != CALL_UMOUNT2)
		return 0;
	page = control_for(EVENT_UNMOUNT);
	given = name_number(0);
	if (!page || !given || is_compat())
		return 0;
	parting = parting_now(0);
	if (parting && parting->mount) {
		parting->mount = 0;
		if (result == 0)
			tell_parting(parting, page, ES_FILE_UNVERIFIED);
		return 0;
	}
	if (result != 0)
		return 0;
	give(given, BPF_CORE_READ(regs, di), AT_FDCWD);
	tell_mount_given(EVENT_UNMOUNT, given, page);
	return 0;
}
