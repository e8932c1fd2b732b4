/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Processes: NOTIFY_EXEC, NOTIFY_FORK, NOTIFY_EXIT, NOTIFY_SIGNAL from tracepoints, on every kernel
 * from 6.1.
 *
 * tp_btf/sched_process_exec   the new image is complete, its first instruction has not run: who, which
 *                             program, arguments and environment from its memory. One an execve.
 * tp_btf/sched_process_fork   threads are passed over. What is known of the parent is copied.
 * iter/task                   who descends from whom: see adopt(). Children have it from their parent.
 * tp_btf/sched_process_exit   one a process: the flag in the leader's storage decides between two
 *                             last threads that both see signal->live at 0. When a thread execs, the
 *                             leader ends first, and hands on what is known to the one that goes on.
 * tp_btf/signal_generate      what a process sends to another one: kill, tkill, sigqueue. Signals of
 *                             the kernel's own, and to oneself, are none, as on macOS.
 *
 * Why it can be trusted: everything but arguments and environment is read from the kernel's own
 * structures at the moment of the act. Arguments are the new program's own memory, which no other
 * program could write yet. Not covered: the ids that a process had before it ran a set-user-ID
 * program are those of its last event; and of a program that a thread starts whose leader has ended
 * before, what ran until then is not known (ES_FILE_UNKNOWN).
 */
#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "endpoint/bpf/ask-maps.h"
#include "endpoint/bpf/process.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* ES_EVENT_TYPE_NOTIFY_*: the library's header is not for this compiler */
enum { EVENT_EXEC = 9, EVENT_FORK = 11, EVENT_EXIT = 15, EVENT_SIGNAL = 31 };

static __always_inline void *path_in(struct file *file)
{
	return (void *)file + bpf_core_field_offset(struct file, f_path);
}

/*
 * The process before its exec: nothing of it changes but for its program, and for the ids, which a
 * set-user-ID program changes. Then the real ones are what they were, and the effective ones are
 * those that were seen last.
 */
static __always_inline void put_before(struct scratch *scratch, struct task_struct *task,
	struct known *of, const struct es_record_file *program, struct es_control *page)
{
	struct es_record_process *before = &scratch->record.process;
	u32 uid = of ? of->uid : 0, euid = of ? of->euid : 0, egid = of ? of->egid : 0;

	put_process(scratch, before, ES_BLOB_EXECUTABLE, ES_BLOB_SIGNING_ID, task, of, page);
	before->token[7] = version_of(task->group_leader, task->self_exec_id - 1);
	mute_actor(scratch, page, of);
	mute_forget_process(page, before->token[5], before->token[7]);
	if (!(program->mode & 06000))
		return;
	before->token[1] = of && uid == before->token[3] ? euid : before->token[3];
	before->token[2] = of && uid == before->token[3] ? egid : before->token[4];
}

static __always_inline void put_strings(struct scratch *scratch, struct mm_struct *mm)
{
	struct es_record *record = &scratch->record;

	record->argument_bytes = mm->arg_end - mm->arg_start;
	if (!put_user(scratch, ES_BLOB_ARGUMENTS, mm->arg_start, record->argument_bytes))
		record->error |= ES_RECORD_ERROR_ARGUMENTS;
	record->environment_bytes = mm->env_end - mm->env_start;
	if (!put_user(scratch, ES_BLOB_ENVIRONMENT, mm->env_start, record->environment_bytes))
		record->error |= ES_RECORD_ERROR_ENVIRONMENT;
}

static __always_inline void put_cwd(struct scratch *scratch, struct task_struct *task)
{
	void *pwd = (void *)task->fs + bpf_core_field_offset(struct fs_struct, pwd);

	file_walk(scratch, &scratch->record.second, pwd);
	put_path(scratch, ES_BLOB_SECOND);
}

/*
 * Of "#!" and the like: what execve() was given, by its caller's word; from the working directory where
 * it is relative. Nothing is left of its inode here.
 */
static __always_inline void put_script(struct scratch *scratch, struct linux_binprm *binprm)
{
	struct es_record *record = &scratch->record;
	u32 at = scratch->at, slash, cwd_bytes;
	const char *name = binprm->filename;
	char head[2] = {};
	long bytes;

	if (binprm->interp == name)
		return;
	record->file.flags = ES_FILE_UNKNOWN | ES_FILE_UNVERIFIED;
	bpf_probe_read_kernel(head, sizeof head, name);
	if (head[0] != '/' && scratch->path.bytes > ES_BLOB_BYTES / 2)
		record->file.flags |= ES_FILE_TRUNCATED; /* the name alone */
	else if (head[0] != '/') {
		put_path(scratch, ES_BLOB_SCRIPT); /* put_cwd() has just walked it */
		slash = scratch->at - 1;
		asm volatile("" : "+r"(slash));
		if (slash < MADE_BYTES)
			scratch->made[slash] = '/';
		if (head[0] == '.' && head[1] == '/')
			name += 2;
	}
	cwd_bytes = scratch->at - at;
	at = scratch->at;
	asm volatile("" : "+r"(at));
	if (at > MADE_BYTES)
		return;
	bytes = bpf_probe_read_kernel_str(&scratch->made[at], ES_BLOB_BYTES / 2, name);
	if (bytes <= 0)
		return;
	scratch->at = at + bytes;
	record->blob_bytes[ES_BLOB_SCRIPT] = cwd_bytes + bytes;
}

/* PROX_FDTYPE_* of macOS' libproc */
enum { FD_FILE = 1, FD_SOCKET = 2, FD_QUEUE = 5, FD_PIPE = 6 };

struct descriptors {
	struct scratch *scratch;
	struct file **files;
	u32 n, max;
	int last;
};

static long put_descriptor(u32 index, struct descriptors *at)
{
	struct es_record_descriptor one = { .fd = (int)index, .type = FD_FILE };
	struct file *file = 0;
	struct inode *inode;
	u32 to = at->scratch->at + at->n * sizeof one;
	u16 kind;

	if (index >= at->max)
		return 1;
	bpf_probe_read_kernel(&file, sizeof file, &at->files[index]);
	if (!file)
		return 0;
	at->last = (int)index;
	if (at->n >= ES_DESCRIPTORS_MAX)
		return 0;
	inode = BPF_CORE_READ(file, f_inode);
	kind = BPF_CORE_READ(inode, i_mode) & 0170000;
	if (kind == 0140000)
		one.type = FD_SOCKET;
	if (kind == 0) /* of the kernel's anonymous inode: epoll and its like */
		one.type = FD_QUEUE;
	if (kind == 0010000) {
		one.type = FD_PIPE;
		one.pipe = BPF_CORE_READ(inode, i_ino);
	}
	asm volatile("" : "+r"(to));
	if (to > MADE_BYTES)
		return 1;
	bpf_probe_read_kernel(&at->scratch->made[to], sizeof one, &one);
	at->n++;
	return 0;
}

#define DESCRIPTORS_LOOKED_AT 1024

static __always_inline void put_descriptors(struct scratch *scratch, struct task_struct *task)
{
	struct fdtable *table = task->files->fdt;
	struct descriptors at = { .scratch = scratch, .last = -1 };
	u32 bytes, to;

	at.files = BPF_CORE_READ(table, fd);
	at.max = BPF_CORE_READ(table, max_fds);
	bpf_loop(DESCRIPTORS_LOOKED_AT, put_descriptor, &at, 0);
	scratch->record.last_fd = at.last;
	bytes = at.n * sizeof(struct es_record_descriptor);
	to = scratch->at + bytes;
	asm volatile("" : "+r"(to));
	if (!bytes || to > MADE_BYTES)
		return;
	scratch->made[to] = 0;
	scratch->record.blob_bytes[ES_BLOB_DESCRIPTORS] = bytes + 1;
	scratch->at = to + 1;
}

static __always_inline void new_program(struct known *of)
{
	__builtin_memset(&of->identity, 0, sizeof of->identity);
	of->signing_bytes = 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	struct es_control *page = control_in_scope();
	struct es_record *record;
	struct scratch *scratch;
	struct known *of;
	void *path;
	u64 clients;

	if (!page)
		return 0;
	scratch = begin(page, EVENT_EXEC, sizeof *record);
	if (!scratch)
		return 0;
	clients = wanting(page, EVENT_EXEC);
	record = &scratch->record;
	path = path_in(task->mm->exe_file);
	of = bpf_task_storage_get(&known, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	file_fill(&scratch->program, path, 0);
	put_before(scratch, task, of, &scratch->program, page);
	path_walk(&scratch->path, path);
	scratch->program.flags = scratch->path.flags;
	if (of) {
		new_program(of);
		remember(of, scratch, &scratch->program, task);
		identify(of, task, page);
		if (of->ours)
			clients = 0;
	}
	if (clients) {
		put_process(scratch, &record->target, ES_BLOB_TARGET, ES_BLOB_TARGET_SIGNING_ID,
			task, of, page);
		put_cwd(scratch, task);
		put_script(scratch, binprm);
		put_strings(scratch, task->mm);
		put_descriptors(scratch, task);
		send(scratch, clients);
	}
	end(scratch);
	return 0;
}

/* The parent, and a child that has everything from it. */
static __always_inline struct known *inherit(struct scratch *scratch, struct task_struct *parent,
	struct task_struct *child, struct known *of, struct es_control *page)
{
	struct known *mine = bpf_task_storage_get(&known, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	struct long_path *path, *copy;

	if (!mine || !of)
		return mine;
	bpf_probe_read_kernel(mine, sizeof *mine, of);
	mine->exited = 0;
	mine->family |= mine->heads;
	mine->heads = 0;
	if (page->muting.processes)
		mute_forget_verdicts(mine); /* the child is not */
	mine->original_ppid = number_of(BPF_CORE_READ(parent->signal, pids[PIDTYPE_TGID]), page);
	if (mine->original_ppid && (u32)mine->original_ppid == page->broker_pid)
		mine->ours = 1;
	if (of->path_bytes <= KNOWN_PATH_BYTES)
		return mine;
	path = bpf_task_storage_get(&long_paths, parent->group_leader, 0, 0);
	copy = bpf_task_storage_get(&long_paths, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (path && copy)
		bpf_probe_read_kernel(copy->text, sizeof copy->text, path->text);
	return mine;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct es_control *page = control_in_scope();
	struct scratch *scratch;
	struct known *of, *mine;
	u64 clients;

	if (!page || child->group_leader != child)
		return 0;
	scratch = begin(page, EVENT_FORK, sizeof scratch->record);
	if (!scratch)
		return 0;
	clients = wanting(page, EVENT_FORK);
	of = known_of(parent->group_leader, scratch, page);
	mine = inherit(scratch, parent, child, of, page);
	if (mine && mine->ours)
		clients = 0;
	if (clients) {
		put_process(scratch, &scratch->record.process, ES_BLOB_EXECUTABLE,
			ES_BLOB_SIGNING_ID, parent, of, page);
		mute_actor(scratch, page, of);
		put_process(scratch, &scratch->record.target, ES_BLOB_TARGET,
			ES_BLOB_TARGET_SIGNING_ID, child, mine, page);
		send(scratch, clients);
	}
	end(scratch);
	return 0;
}

/* The leader of a process whose thread execs: what is known goes to that thread, which is the leader then. */
static __always_inline void hand_on(struct task_struct *leader)
{
	struct task_struct *next = leader->signal->group_exec_task;
	struct known *of = bpf_task_storage_get(&known, leader, 0, 0), *its;
	struct long_path *path, *copy;

	if (!of || !next || next == leader)
		return;
	its = bpf_task_storage_get(&known, next, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!its)
		return;
	bpf_probe_read_kernel(its, sizeof *its, of);
	path = of->path_bytes > KNOWN_PATH_BYTES ? bpf_task_storage_get(&long_paths, leader, 0, 0)
						 : 0;
	copy = path ? bpf_task_storage_get(&long_paths, next, 0, BPF_LOCAL_STORAGE_GET_F_CREATE)
		    : 0;
	if (copy)
		bpf_probe_read_kernel(copy->text, sizeof copy->text, path->text);
}

static __always_inline void forget_process(struct task_struct *task, struct es_control *page)
{
	u32 number;

	if (!page->muting.processes)
		return;
	number = number_of(BPF_CORE_READ(task->signal, pids[PIDTYPE_TGID]), page);
	mute_forget_process(page, number, version_of(task->group_leader, task->self_exec_id));
	mute_forget_process(page, number, version_of(task->group_leader, 0));
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct es_control *page = control_in_scope();
	struct scratch *scratch;
	struct known *of;
	u64 clients;

	if (!page)
		return 0;
	if (task->signal->live.counter) {
		if (task->group_leader == task)
			hand_on(task);
		return 0;
	}
	clients = wanting(page, EVENT_EXIT);
	scratch = clients ? begin(page, EVENT_EXIT, ES_RECORD_BASE_BYTES) : 0;
	if (!scratch) {
		forget_process(task, page);
		return 0;
	}
	of = known_of(task->group_leader, scratch, page);
	if (!of || (!of->ours && __sync_fetch_and_add(&of->exited, 1) == 0)) {
		put_process(scratch, &scratch->record.process, ES_BLOB_EXECUTABLE,
			ES_BLOB_SIGNING_ID, task, of, page);
		mute_actor(scratch, page, of);
		scratch->record.value = task->signal->group_exit_code;
		if (!scratch->record.value)
			scratch->record.value = task->exit_code;
		send(scratch, clients);
	}
	end(scratch);
	forget_process(task, page);
	return 0;
}

enum { SI_USER = 0, SI_QUEUE = -1, SI_TKILL = -6 };

/* @info may be 0 or 1, which are no pointers: signals of the kernel's own */
static __always_inline bool is_sent(struct kernel_siginfo *info)
{
	int code;

	if ((u64)info < 4096)
		return false;
	code = BPF_CORE_READ(info, si_code);
	return code == SI_USER || code == SI_QUEUE || code == SI_TKILL;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int number, struct kernel_siginfo *info, struct task_struct *target,
	int group, int result)
{
	struct es_control *page = control_in_scope();
	struct task_struct *task = bpf_get_current_task_btf();
	struct scratch *scratch;
	struct known *of;
	u64 clients;

	if (!page || !page->subscribed[EVENT_SIGNAL] || !is_sent(info) ||
		task->tgid == target->tgid)
		return 0;
	clients = wanting(page, EVENT_SIGNAL);
	if (!clients)
		return 0;
	scratch = begin(page, EVENT_SIGNAL, sizeof scratch->record);
	if (!scratch)
		return 0;
	put_actor(scratch, page);
	of = known_of(target->group_leader, scratch, page);
	put_process(scratch, &scratch->record.target, ES_BLOB_TARGET, ES_BLOB_TARGET_SIGNING_ID,
		target, of, page);
	scratch->record.value = number;
	send(scratch, clients);
	end(scratch);
	return 0;
}

/* ---- what this kernel can do ------------------------------------------------------------------- */

/*
 * Attached for a moment, of the two kinds that the programs of files are: whether those can be had is
 * known before anybody needs them. Loaded only where asked for ("?").
 */
SEC("?fexit/vfs_rmdir")
int BPF_PROG(probe_function)
{
	return 0;
}

SEC("?lsm/path_rmdir")
int BPF_PROG(probe_hook)
{
	return 0;
}

/* ---- who descends from whom ------------------------------------------------------------------- */

#define ANCESTORS_LOOKED_AT 256

struct ancestors {
	struct es_control *page;
	struct task_struct *at;
	u32 above; /* how many generations */
	u32 found;
};

static long look_above(u32 index, struct ancestors *walk)
{
	struct task_struct *at = walk->at;
	struct pid *pid = BPF_CORE_READ(at, signal, pids[PIDTYPE_TGID]);
	struct task_struct *parent = BPF_CORE_READ(at, real_parent, group_leader);

	walk->above = index;
	walk->found = pid && (u32)number_of(pid, walk->page) == walk->page->adopt_pid;
	if (walk->found || !parent || parent == at)
		return 1;
	walk->at = parent;
	return 0;
}

/* The daemon runs it over all tasks: who is there already when a client of descendants comes, or goes. */
SEC("iter/task")
int adopt(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct ancestors walk = {};
	struct known *of;
	u32 zero = 0;
	u64 client;

	walk.page = bpf_map_lookup_elem(&control, &zero);
	if (!task || !walk.page || task->pid != task->tgid)
		return 0;
	client = walk.page->adopt_client;
	walk.at = BPF_CORE_READ(task, group_leader);
	if (walk.page->adopt_pid)
		bpf_loop(ANCESTORS_LOOKED_AT, look_above, &walk, 0);
	if (!walk.found) {
		of = bpf_task_storage_get(&known, task, 0, 0);
		if (of && (of->heads | of->family) & client) {
			__sync_fetch_and_and(&of->heads, ~client);
			__sync_fetch_and_and(&of->family, ~client);
		}
		return 0;
	}
	of = bpf_task_storage_get(&known, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!of || (walk.above ? of->family : of->heads) & client)
		return 0;
	if (walk.above)
		__sync_fetch_and_or(&of->family, client);
	else
		__sync_fetch_and_or(&of->heads, client);
	walk.page->adopted++;
	return 0;
}
