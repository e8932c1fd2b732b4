/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Who it is: a task as a record has it. What does not change between two execs (executable, its
 * identity, the first parent) is kept in the storage of the leading thread, by fork and exec; all
 * else is read from the task at the moment of the act.
 *
 * A process that was there before the programs is looked at when it acts first: its executable is
 * that of its memory, which at its exit is gone already (ES_FILE_UNKNOWN).
 */
#ifndef OB_ENDPOINT_BPF_PROCESS_H
#define OB_ENDPOINT_BPF_PROCESS_H

#include "endpoint/bpf/identity.h"
#include "endpoint/bpf/path.h"
#include "endpoint/bpf/send.h"

static __always_inline struct upid *upid_at(struct pid *pid, u32 level)
{
	return (void *)pid + bpf_core_field_offset(struct pid, numbers) +
		level * bpf_core_type_size(struct upid);
}

/* How deep the broker's namespace lies among those of @pid; -1: it is not among them. */
static __always_inline int level_of(struct pid *pid, u32 namespace)
{
	u32 level = BPF_CORE_READ(pid, level), i;

	for (i = 0; i < 8; i++) {
		if (i > level)
			break;
		if (BPF_CORE_READ(upid_at(pid, i), ns, ns.inum) == namespace)
			return (int)i;
	}
	return -1;
}

/*
 * The number of @pid in the broker's namespace; 0: it is not in there. @pid has to have come out of a
 * read: the verifier lets nobody calculate with a pointer that it knows.
 */
static __always_inline int number_of(struct pid *pid, struct es_control *page)
{
	struct upid *upid = upid_at(pid, page->pid_level & 31);
	int level;

	if (!pid)
		return 0;
	/* the same depth for all that are in there: found once */
	if (BPF_CORE_READ(pid, level) < page->pid_level ||
		BPF_CORE_READ(upid, ns, ns.inum) != page->pid_namespace) {
		level = level_of(pid, page->pid_namespace);
		if (level < 0)
			return 0;
		page->pid_level = (u32)level;
		upid = upid_at(pid, level & 31);
	}
	return BPF_CORE_READ(upid, nr);
}

/*
 * Changes with each exec, and is another for whoever has the number later: when the process began,
 * in the ticks of /proc/PID/stat, and which of its programs it is.
 */
static __always_inline u32 version_of(struct task_struct *leader, u64 execs)
{
	return (u32)(leader->start_boottime / 10000000) + (u32)execs * 0x9e3779b1u;
}

static __always_inline void token_fill(
	u32 token[8], struct task_struct *task, struct es_control *page)
{
	token[0] = bpf_core_field_exists(task->loginuid) ? task->loginuid.val : (u32)-1;
	token[1] = task->cred->euid.val;
	token[2] = task->cred->egid.val;
	token[3] = task->cred->uid.val;
	token[4] = task->cred->gid.val;
	token[5] = number_of(BPF_CORE_READ(task->signal, pids[PIDTYPE_TGID]), page);
	token[6] = bpf_core_field_exists(task->sessionid) ? task->sessionid : (u32)-1;
	token[7] = version_of(task->group_leader, task->self_exec_id);
}

static __always_inline u32 tty_of(struct task_struct *task)
{
	struct tty_struct *tty = task->signal->tty;

	if (!tty)
		return 0;
	return (u32)tty->driver->major << 20 |
		((u32)(tty->driver->minor_start + tty->index) & 0xfffff);
}

static __always_inline void process_fill(struct es_record_process *ret, struct task_struct *task,
	const struct known *of, struct es_control *page)
{
	struct task_struct *parent = task->group_leader->real_parent;

	token_fill(ret->token, task, page);
	token_fill(ret->parent_token, parent, page);
	ret->ppid = ret->parent_token[5];
	ret->original_ppid = of && of->original_ppid ? of->original_ppid : ret->ppid;
	ret->group_id = number_of(BPF_CORE_READ(task->signal, pids[PIDTYPE_PGID]), page);
	ret->session_id = number_of(BPF_CORE_READ(task->signal, pids[PIDTYPE_SID]), page);
	ret->start_boottime = task->group_leader->start_boottime;
	ret->mount_namespace = task->nsproxy->mnt_ns->ns.inum;
	ret->tty_device = tty_of(task);
	if (of) {
		ret->executable = of->executable;
		ret->identity = of->identity;
	}
	if (!of || !of->path_bytes)
		ret->executable.flags |= ES_FILE_UNKNOWN;
}

/* ---- what is kept ----------------------------------------------------------------------------- */

/* The executable that was walked into scratch->path, and whose inode @file is. */
static __always_inline void remember(struct known *of, struct scratch *scratch,
	const struct es_record_file *file, struct task_struct *leader)
{
	u32 bytes = scratch->path.bytes & (ES_BLOB_BYTES - 1), start = ES_BLOB_BYTES - bytes;

	of->executable = *file;
	of->path_bytes = bytes;
	mute_forget_verdicts(of);
	asm volatile("" : "+r"(bytes), "+r"(start));
	if (bytes == 0 || start >= ES_BLOB_BYTES) {
		of->path_bytes = 0;
	} else if (bytes <= KNOWN_PATH_BYTES) {
		bpf_probe_read_kernel(of->path, bytes, &scratch->path.text[start]);
	} else {
		struct long_path *path = bpf_task_storage_get(
			&long_paths, leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

		if (path && bytes < ES_BLOB_BYTES)
			bpf_probe_read_kernel(path->text, bytes, &scratch->path.text[start]);
		else
			of->path_bytes = 0;
	}
	if (of->path_bytes == 0)
		of->executable.flags |= ES_FILE_UNKNOWN;
}

static __always_inline void remember_ids(struct known *of, struct task_struct *task)
{
	of->uid = task->cred->uid.val;
	of->euid = task->cred->euid.val;
	of->gid = task->cred->gid.val;
	of->egid = task->cred->egid.val;
}

/* What is known of @leader; of one that is new to us, from its memory. Uses scratch->path. */
static __always_inline struct known *known_of(
	struct task_struct *leader, struct scratch *scratch, struct es_control *page)
{
	struct known *of = bpf_task_storage_get(&known, leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct file *executable;

	if (!of) {
		__sync_fetch_and_add(&page->no_storage, 1);
		return 0;
	}
	executable = leader->mm ? leader->mm->exe_file : 0;
	if (of->path_bytes || of->executable.flags) {
		if (executable)
			check_unwritten(of, executable->f_inode);
		return of;
	}
	if (!executable) {
		of->executable.flags = ES_FILE_UNKNOWN;
		return of;
	}
	file_walk(scratch, &scratch->program,
		(void *)executable + bpf_core_field_offset(struct file, f_path));
	remember(of, scratch, &scratch->program, leader);
	return of;
}

/* @leader as the process that acts, or that is acted on. */
static __always_inline void put_process(struct scratch *scratch, struct es_record_process *ret,
	u32 path_blob, u32 signing_blob, struct task_struct *task, struct known *of,
	struct es_control *page)
{
	identify(of, task->group_leader, page);
	process_fill(ret, task, of, page);
	if (!of)
		return;
	if (path_blob == ES_BLOB_EXECUTABLE) /* who acts */
		scratch->mute.tree = of->family | of->heads;
	if (of->path_bytes <= KNOWN_PATH_BYTES) {
		put(scratch, path_blob, of->path, of->path_bytes);
	} else {
		struct long_path *path = bpf_task_storage_get(
			&long_paths, task->group_leader, 0, 0);

		if (path)
			put(scratch, path_blob, path->text, of->path_bytes);
	}
	if (of->signing_bytes <= KNOWN_SIGNING_BYTES)
		put(scratch, signing_blob, of->signing_id, of->signing_bytes);
	remember_ids(of, task);
}

/* The current process as the one that acts: what every program but those of exec and exit begins with. */
static __always_inline struct known *put_actor(struct scratch *scratch, struct es_control *page)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct known *of = known_of(task->group_leader, scratch, page);

	put_process(scratch, &scratch->record.process, ES_BLOB_EXECUTABLE, ES_BLOB_SIGNING_ID, task,
		of, page);
	mute_actor(scratch, page, of);
	return of;
}

#endif
