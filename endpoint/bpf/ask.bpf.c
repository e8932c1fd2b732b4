/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Asking about exec and open where LSM programs cannot wait: fanotify holds the thread, outboard-esd asks
 * here who that is, and this tells the clients.
 *
 * iter/task describe           run by outboard-esd for one thread that waits: who it is, which file it is
 *                              about (a descriptor of outboard-esd's own), what was answered before; and
 *                              the record, into the rings of those that are to be asked.
 * tp_btf/sys_enter note        numbers each execve, since one of them opens up to five files: only the
 *                              first that the kernel runs itself is a question.
 * tp_btf/sys_exit forget       one that failed.
 * tp_btf/sched_process_exec    what runs is the file that was allowed, with the arguments and environment
 *   check                      that were shown, or it is killed before its first instruction.
 *
 * Why it can be trusted: fanotify answers for a file, and between that and the program another thread can
 * exchange arguments and environment; check() compares the new program's own memory, which nobody else
 * can write yet. Not covered: an exec of a file that no mark of fanotify holds (a memfd, a file system
 * that was mounted in another namespace) is counted, and runs unless [endpoint] fail_mode is closed; what
 * the kernel starts by itself is no call of anybody's, and runs; arguments beyond the first ES_BLOB_BYTES
 * are not compared.
 */
#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "endpoint/bpf/ask-maps.h"
#include "endpoint/bpf/process.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

enum { EVENT_AUTH_EXEC, EVENT_AUTH_OPEN, EVENT_EXEC = 9 };

/* ---- which execve ----------------------------------------------------------------------------- */

#define TS_COMPAT 2 /* arch/x86: in a 32-bit system call */
enum { CALL_EXECVE = 59, CALL_EXECVEAT = 322, CALL32_EXECVE = 11, CALL32_EXECVEAT = 358 };

static __always_inline bool is_compat(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

static __always_inline void arguments_of(struct pt_regs *regs, bool compat, u64 ret[4])
{
	ret[0] = compat ? BPF_CORE_READ(regs, bx) : BPF_CORE_READ(regs, di);
	ret[1] = compat ? BPF_CORE_READ(regs, cx) : BPF_CORE_READ(regs, si);
	ret[2] = BPF_CORE_READ(regs, dx);
	ret[3] = compat ? BPF_CORE_READ(regs, si) : BPF_CORE_READ(regs, r10);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(note, struct pt_regs *regs, long call)
{
	struct es_exec one = {};
	struct es_control *page;
	u64 given[4];
	u32 thread;
	bool at;

	if (call != CALL_EXECVE && call != CALL_EXECVEAT && call != CALL32_EXECVE &&
		call != CALL32_EXECVEAT)
		return 0;
	one.compat = is_compat(bpf_get_current_task_btf());
	if (one.compat != (call == CALL32_EXECVE || call == CALL32_EXECVEAT))
		return 0; /* munmap, sched_setattr: the other table's number */
	page = control_in_scope();
	if (!page || !page->subscribed[EVENT_AUTH_EXEC])
		return 0;
	arguments_of(regs, one.compat, given);
	/* execveat: behind a directory */
	at = call == CALL_EXECVEAT || call == CALL32_EXECVEAT;
	one.filename = at ? given[1] : given[0];
	one.arguments = at ? given[2] : given[1];
	one.environment = at ? given[3] : given[2];
	one.number = __sync_fetch_and_add(&page->exec_numbers, 1) + 1;
	thread = bpf_get_current_pid_tgid();
	if (bpf_map_update_elem(&execs, &thread, &one, BPF_ANY) && page->must_ask_from)
		bpf_send_signal(9); /* it could not be told from one that began before */
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(forget, struct pt_regs *regs, long result)
{
	long call = BPF_CORE_READ(regs, orig_ax);
	struct es_control *page;
	u32 thread;

	if (call != CALL_EXECVE && call != CALL_EXECVEAT && call != CALL32_EXECVE &&
		call != CALL32_EXECVEAT)
		return 0;
	page = control_in_scope();
	if (!page || result >= 0)
		return 0;
	thread = bpf_get_current_pid_tgid();
	bpf_map_delete_elem(&execs, &thread);
	return 0;
}

/* ---- what runs is what was allowed ------------------------------------------------------------ */

struct hashing {
	const char *text;
	u32 bytes;
	u64 hash;
};

static long hash_word(u32 index, struct hashing *hashing)
{
	u32 at = index * 8;
	u64 word = 0;

	if (at >= hashing->bytes || at > ES_BLOB_BYTES - 8)
		return 1;
	bpf_probe_read_kernel(&word, sizeof word, hashing->text + at);
	if (hashing->bytes - at < 8)
		word &= (1ull << (hashing->bytes - at) * 8) - 1;
	hashing->hash = (hashing->hash ^ word) * ES_HASH_FACTOR;
	return 0;
}

/* @bytes of the current process at @from are those with @hash. */
static __always_inline bool is_same(
	struct scratch *scratch, unsigned long from, u32 bytes, u64 hash)
{
	struct hashing hashing = { .text = scratch->path.text, .hash = ES_HASH_BEGIN };

	asm volatile("" : "+r"(bytes));
	if (bytes > ES_BLOB_BYTES - 1)
		return false;
	hashing.bytes = bytes;
	if (bytes && bpf_probe_read_user(scratch->path.text, bytes, (void *)from))
		return false;
	bpf_loop(ES_BLOB_BYTES / 8, hash_word, &hashing, 0);
	return hashing.hash == hash;
}

static __always_inline bool is_allowed(struct scratch *scratch, const struct es_exec *exec,
	struct task_struct *task, struct file *file)
{
	struct mm_struct *mm = task->mm;
	unsigned long from = mm->arg_start;

	if (exec->inode != BPF_CORE_READ(file, f_inode, i_ino) ||
		exec->device != BPF_CORE_READ(file, f_inode, i_sb, s_dev))
		return false;
	if (exec->from_the_end)
		from = mm->arg_end - exec->argument_bytes;
	if (exec->argument_bytes &&
		!is_same(scratch, from, exec->argument_bytes, exec->argument_hash))
		return false;
	return !exec->environment_bytes ||
		is_same(scratch, mm->env_start, exec->environment_bytes, exec->environment_hash);
}

/* It runs, in fail open; what the broker starts for itself is nobody's question. */
static __always_inline void not_asked(
	struct es_control *page, const struct es_exec *exec, struct task_struct *task)
{
	struct known *of = bpf_task_storage_get(&known, task->group_leader, 0, 0);
	u64 from = page->must_ask_from;

	/* attached a while longer than somebody has subscribed */
	if ((of && of->ours) || !page->subscribed[EVENT_AUTH_EXEC])
		return;
	__sync_fetch_and_add(&page->unasked, 1);
	if (exec && from && exec->number >= from)
		bpf_send_signal(9);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(check, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	struct es_control *page = control_in_scope();
	struct scratch *scratch;
	struct es_exec *exec;
	u32 thread;

	if (!page)
		return 0;
	thread = old_pid; /* of the thread that called: by now it has its leader's */
	exec = bpf_map_lookup_elem(&execs, &thread);
	if (!exec || exec->verdict == ES_VERDICT_NONE) {
		not_asked(page, exec, task);
	} else if (exec->verdict == ES_VERDICT_ALLOWED) {
		scratch = take_scratch(page);
		if (!scratch || !is_allowed(scratch, exec, task, binprm->file)) {
			__sync_fetch_and_add(&page->exchanged, 1);
			bpf_send_signal(9);
		}
		if (scratch)
			end(scratch);
	}
	bpf_map_delete_elem(&execs, &thread);
	return 0;
}

/* ---- who asks --------------------------------------------------------------------------------- */

/* Below the scope's cgroup, or it. */
static __always_inline bool task_in_scope(struct task_struct *task, struct es_control *page)
{
	struct cgroup *cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp), *above;
	u32 level = BPF_CORE_READ(cgroup, level), i;
	void *ancestors = (void *)cgroup + bpf_core_field_offset(struct cgroup, ancestors);

	if (!page->scoped)
		return true;
	for (i = 0; i < 16; i++) {
		if (i > level)
			break;
		bpf_probe_read_kernel(&above, sizeof above, ancestors + i * sizeof above);
		if (BPF_CORE_READ(above, kn, id) == page->scope_cgroup)
			return true;
	}
	return false;
}

/* A descriptor of the daemon, which runs this. */
static __always_inline struct file *own_file(int fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = 0;

	if (fd < 0 || (u32)fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof file, &files[fd]);
	return file;
}

static __always_inline void *path_in(struct file *file)
{
	return (void *)file + bpf_core_field_offset(struct file, f_path);
}

static __always_inline void look_at_call(struct es_asking *ask, struct task_struct *task)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	u32 thread = task->pid;
	struct es_exec *exec = bpf_map_lookup_elem(&execs, &thread);

	ask->thread = thread;
	ask->compat = is_compat(task);
	ask->call = BPF_CORE_READ(regs, orig_ax);
	arguments_of(regs, ask->compat, ask->call_arguments);
	ask->in_exec = exec != 0;
	if (exec)
		bpf_probe_read_kernel(&ask->exec, sizeof ask->exec, exec);
}

/* Without asking the file system, which may have to ask a server. */
static __always_inline void look_at_place(struct es_asking *ask, struct file *file)
{
	ask->look_magic = file ? BPF_CORE_READ(file, f_inode, i_sb, s_magic) : 0;
	ask->look_device = file ? BPF_CORE_READ(file, f_inode, i_sb, s_dev) : 0;
}

#define MNT_NOSUID 1	   /* linux/mount.h */
#define PFA_NO_NEW_PRIVS 1 /* linux/sched.h: bit 0 */

/* The program that will run has ids of its own where its file says so. */
static __always_inline void become(
	struct es_record *record, struct task_struct *task, struct file *file)
{
	const struct es_record_file *program = &record->target.executable;

	record->target.token[7] = version_of(task->group_leader, task->self_exec_id + 1);
	if (BPF_CORE_READ(task, atomic_flags) & PFA_NO_NEW_PRIVS ||
		BPF_CORE_READ(file, f_path.mnt, mnt_flags) & MNT_NOSUID)
		return;
	if (program->mode & 04000)
		record->target.token[1] = program->uid;
	if ((program->mode & 02010) == 02010)
		record->target.token[2] = program->gid;
}

static __always_inline void put_program(struct scratch *scratch, struct es_asking *ask,
	struct task_struct *task, struct known *of, struct file *file, struct es_control *page)
{
	struct es_record *record = &scratch->record;
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct file *script;

	process_fill(&record->target, task, of, page);
	__builtin_memset(&record->target.identity, 0, sizeof record->target.identity);
	file_walk(scratch, &record->target.executable, path_in(file));
	put_path(scratch, ES_BLOB_TARGET);
	become(record, task, file);
	file_walk(scratch, &record->second,
		(void *)fs + bpf_core_field_offset(struct fs_struct, pwd));
	put_path(scratch, ES_BLOB_SECOND);
	script = own_file(ask->script_fd);
	if (script) {
		file_walk(scratch, &record->file, path_in(script));
		put_path(scratch, ES_BLOB_SCRIPT);
	}
	record->argument_bytes = ask->argument_whole;
	record->environment_bytes = ask->environment_whole;
	record->last_fd = -1;
	put(scratch, ES_BLOB_ARGUMENTS, ask->arguments, ask->argument_bytes);
	put(scratch, ES_BLOB_ENVIRONMENT, ask->environment, ask->environment_bytes);
}

enum { CALL_OPEN = 2, CALL_OPENAT = 257, CALL_OPENAT2 = 437, CALL_CREAT = 85 };
enum { CALL32_OPEN = 5, CALL32_OPENAT = 295, CALL32_CREAT = 8 };
#define FLAGS_CREAT 01101 /* O_CREAT|O_WRONLY|O_TRUNC */

/* The flags of the open that waits, from its system call: FREAD and FWRITE, and O_* for the rest. */
static __always_inline int flags_of(const struct es_asking *ask)
{
	u32 flags;

	if (ask->call == (ask->compat ? CALL32_OPEN : CALL_OPEN))
		flags = ask->call_arguments[1];
	else if (ask->call == (ask->compat ? CALL32_OPENAT : CALL_OPENAT))
		flags = ask->call_arguments[2];
	else if (ask->call == (ask->compat ? CALL32_CREAT : CALL_CREAT))
		flags = FLAGS_CREAT;
	else
		return ask->call == CALL_OPENAT2 ? ES_VALUE_BEHIND_POINTER : ES_VALUE_UNKNOWN;
	return (flags & ~3u) | ((flags & 3) + 1);
}

/* An execve opens its files too, which is no open of anybody's. */
static __always_inline bool is_in_execve(const struct es_asking *ask)
{
	return ask->compat ? ask->call == CALL32_EXECVE || ask->call == CALL32_EXECVEAT
			   : ask->call == CALL_EXECVE || ask->call == CALL_EXECVEAT;
}

static __always_inline void put_file(
	struct scratch *scratch, struct es_asking *ask, struct file *file)
{
	file_walk(scratch, &scratch->record.file, path_in(file));
	put_path(scratch, ES_BLOB_TARGET);
	scratch->record.value = ask->value;
}

static __always_inline bool is_execs(u32 event)
{
	return event == EVENT_AUTH_EXEC || event == EVENT_EXEC;
}

/* The one thing and the other, by their inodes; and what was answered about them. */
static __always_inline void look_up(struct es_asking *ask, const struct known *of,
	const struct es_record_file *file, struct inode *inode)
{
	struct es_verdict *verdict;

	__builtin_memset(&ask->key, 0, sizeof ask->key);
	ask->key.event = ask->event;
	ask->key.generation = ask->generation;
	ask->key.file_inode = file->inode;
	ask->key.file_device = file->device;
	ask->key.file_changed = file->change_time;
	ask->key.file_size = file->size;
	ask->file_is_written = BPF_CORE_READ(inode, i_writecount.counter) > 0;
	if (!of || !of->path_bytes)
		return;
	ask->key.actor_inode = of->executable.inode;
	ask->key.actor_device = of->executable.device;
	ask->key.actor_changed = of->executable.change_time;
	if (!ask->use_cache || ask->file_is_written)
		return;
	verdict = bpf_map_lookup_elem(&verdicts, &ask->key);
	if (verdict) {
		ask->cached = 1;
		ask->verdict = *verdict;
	}
}

/* A client and its own threads never wait for its answer. */
static __always_inline u64 others(u64 clients, u32 pid)
{
	u64 *own = bpf_map_lookup_elem(&client_processes, &pid);

	return own ? clients & ~*own : clients;
}

static __always_inline void describe_file(struct scratch *scratch, struct es_asking *ask,
	struct task_struct *task, struct file *file, struct es_control *page)
{
	struct es_record *record = &scratch->record;
	struct known *of = known_of(task->group_leader, scratch, page);
	struct es_record_file *about = is_execs(ask->event) ? &record->target.executable
							    : &record->file;

	if (of && of->ours)
		return; /* the broker's own worker, for which it would have to wait itself */
	/* of itself a client of descendants is told, and not asked */
	ask->clients &= ~page->descending | (of ? of->family | (ask->question ? 0 : of->heads) : 0);
	/* its answers are for its own tree, and those of others not for it */
	if (ask->clients & page->descending)
		ask->use_cache = 0;
	put_process(
		scratch, &record->process, ES_BLOB_EXECUTABLE, ES_BLOB_SIGNING_ID, task, of, page);
	if (is_execs(ask->event))
		put_program(scratch, ask, task, of, file, page);
	else
		put_file(scratch, ask, file);
	look_up(ask, of, about, BPF_CORE_READ(file, f_inode));
	/* muted is not dropped: send() would not say which */
	ask->clients = not_muted(scratch->index, others(ask->clients, ask->pid));
	if (ask->clients && !ask->cached) {
		ask->told = send(scratch, ask->clients);
		ask->dropped = ask->clients & ~ask->told;
	}
}

SEC("iter/task")
int describe(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	u32 zero = 0;
	struct es_control *page = bpf_map_lookup_elem(&control, &zero);
	struct es_asking *ask = bpf_map_lookup_elem(&asking, &zero);
	struct scratch *scratch;
	struct file *file;

	if (!task || !page || !ask || ask->found)
		return 0;
	if (!task_in_scope(task, page))
		return 0;
	ask->found = 1;
	ask->traced = task->ptrace != 0;
	ask->pid = number_of(BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]), page);
	look_at_call(ask, task);
	look_at_place(ask, own_file(ask->look_fd));
	file = own_file(ask->file_fd);
	if (!file || ask->pid == page->broker_pid)
		return 0;
	if (!is_execs(ask->event)) {
		if (ask->value == ES_VALUE_ASK)
			ask->value = flags_of(ask);
		if (ask->value == ES_VALUE_BEHIND_POINTER || is_in_execve(ask))
			return 0;
	}
	scratch = begin(page, ask->event, sizeof scratch->record);
	if (!scratch) {
		ask->unmade = ask->clients != 0;
		return 0;
	}
	scratch->record.thread_id = ask->thread;
	scratch->record.question = ask->question;
	scratch->record.result = ask->result;
	describe_file(scratch, ask, task, file, page);
	end(scratch);
	return 0;
}
