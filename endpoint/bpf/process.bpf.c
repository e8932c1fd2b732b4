/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Processes: NOTIFY_EXEC, NOTIFY_FORK, NOTIFY_EXIT from tracepoints, on every kernel from 6.1.
 *
 * tp_btf/sched_process_exec   the new image is complete, its first instruction has not run: who, which
 *                             program, arguments and environment from its memory. One an execve.
 * tp_btf/sched_process_fork   threads are passed over. What is known of the parent is copied.
 * tp_btf/sched_process_exit   one a process: the flag in the leader's storage decides between two
 *                             last threads that both see signal->live at 0.
 *
 * Why it can be trusted: everything but arguments and environment is read from the kernel's own
 * structures at the moment of the act. Arguments are the new program's own memory, which no other
 * program could write yet. Not covered: what ran before the program was attached has no known
 * executable of its own before its first exec (ES_FILE_UNKNOWN).
 *
 * One hop: the record goes into the ring of each client that has subscribed. Lost ones are counted
 * here, in the client's counters, and each record says how many were before it. The reader numbers
 * the messages: only the ring's own lock knows their order, and a number that is taken before the
 * place in the ring is another CPU's turn too late.
 * Scratch is per CPU: these three run with preemption off, and each has its own.
 */
#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "endpoint/bpf/path.h"
#include "endpoint/record.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define WAKE_APART_NS 20000 /* at most one forced wake-up in this time and client */

/* ---- maps: who writes ------------------------------------------------------------------------- */

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
};
/* client number to its ring: the daemon */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, ES_CLIENTS_MAX);
	__type(key, u32);
	__array(values, struct ring);
} rings SEC(".maps");

/* key_size and value_size: libbpf 1.1 cannot size a __type() of an inner map */
struct wake {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4096);
};
/* client number to its page: the client raises `waiting`, the program takes it */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, ES_CLIENTS_MAX);
	__type(key, u32);
	__array(values, struct wake);
} wakes SEC(".maps");

/* the daemon, mapped there */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct es_control);
} control SEC(".maps");

/* the program; the daemon sets a client's to zero before it is one */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ES_CLIENTS_MAX);
	__type(key, u32);
	__type(value, struct es_counters);
} counters SEC(".maps");

/* the cgroup that bounds what is seen: the daemon */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} scope_cgroups SEC(".maps");

#define KNOWN_PATH_BYTES 512
struct known {
	struct es_record_file executable;
	int original_ppid;
	u32 exited;
	u32 path_bytes; /* NUL included; a longer path is not kept, and flagged */
	char path[KNOWN_PATH_BYTES];
};
/* what is known of a process from its fork and exec: the program */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct known);
} known SEC(".maps");

struct scratch {
	struct es_record record;
	struct path_text target, cwd;
	char executable[ES_BLOB_BYTES];
	char arguments[ES_BLOB_BYTES];
	char environment[ES_BLOB_BYTES];
};
enum { SCRATCH_EXEC, SCRATCH_FORK, SCRATCH_EXIT, SCRATCHES };
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCHES);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* ---- who is told ------------------------------------------------------------------------------ */

/* NULL: what happens here is none of ours. */
static __always_inline struct es_control *control_in_scope(void)
{
	u32 zero = 0;
	struct es_control *page = bpf_map_lookup_elem(&control, &zero);

	if (!page || (page->scoped && bpf_current_task_under_cgroup(&scope_cgroups, 0) != 1))
		return 0;
	return page;
}

struct sending {
	struct scratch *scratch;
	u64 clients;
};

static __always_inline u64 wake_flags(u32 client, struct es_counters *count)
{
	u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&wakes, &client);
	struct es_wake_page *page = inner ? bpf_map_lookup_elem(inner, &zero) : 0;
	u64 now;

	if (!page || !page->waiting)
		return BPF_RB_NO_WAKEUP;
	now = bpf_ktime_get_ns();
	/* a client that only ever raises its flag must not cost the others an interrupt a record */
	if (now - count->last_wake < WAKE_APART_NS)
		return 0;
	count->last_wake = now;
	page->waiting = 0;
	return BPF_RB_FORCE_WAKEUP;
}

/*
 * The bound is a mask on the very register that is handed over: of a comparison, the compiler makes
 * one on a copy, and the verifiers of 6.1 and 6.12 do not carry that over. So no blob is longer than
 * ES_BLOB_BYTES - 1.
 */
#define WRITE(blob, from)                                                    \
	do {                                                                 \
		u32 bytes_ = record->blob_bytes[blob] & (ES_BLOB_BYTES - 1); \
		asm volatile("" : "+r"(bytes_));                             \
		bpf_dynptr_write(&ring_record, at, (from), bytes_, 0);       \
		at += bytes_;                                                \
	} while (0)

static long send_one(u32 client, struct sending *sending)
{
	struct scratch *scratch = sending->scratch;
	struct es_record *record = &scratch->record;
	struct bpf_dynptr ring_record;
	struct es_counters *count;
	u32 at = sizeof *record, start;
	u64 *dropped_of_type;
	void *ring;

	if (client >= ES_CLIENTS_MAX || !(sending->clients & 1ull << client))
		return 0;
	ring = bpf_map_lookup_elem(&rings, &client);
	count = bpf_map_lookup_elem(&counters, &client);
	if (!ring || !count)
		return 0;
	dropped_of_type = &count->dropped_of_type[record->event_type & (ES_EVENTS_MAX - 1)];
	if (bpf_ringbuf_reserve_dynptr(ring, record->bytes, 0, &ring_record)) {
		__sync_fetch_and_add(dropped_of_type, 1);
		__sync_fetch_and_add(&count->dropped, 1);
		bpf_ringbuf_discard_dynptr(&ring_record, 0);
		return 0;
	}
	__sync_fetch_and_add(&count->sent, 1);
	record->dropped_of_type = *(volatile u64 *)dropped_of_type;
	record->dropped = *(volatile u64 *)&count->dropped;
	bpf_dynptr_write(&ring_record, 0, record, sizeof *record, 0);
	WRITE(ES_BLOB_EXECUTABLE, scratch->executable);
	start = ES_BLOB_BYTES - scratch->target.bytes;
	if (start < ES_BLOB_BYTES)
		WRITE(ES_BLOB_TARGET, &scratch->target.text[start]);
	start = ES_BLOB_BYTES - scratch->cwd.bytes;
	if (start < ES_BLOB_BYTES)
		WRITE(ES_BLOB_CWD, &scratch->cwd.text[start]);
	WRITE(ES_BLOB_ARGUMENTS, scratch->arguments);
	WRITE(ES_BLOB_ENVIRONMENT, scratch->environment);
	bpf_ringbuf_submit_dynptr(&ring_record, wake_flags(client, count));
	return 0;
}

static __always_inline void send(struct scratch *scratch, u64 clients)
{
	struct sending sending = { .scratch = scratch, .clients = clients };
	u32 bytes = sizeof scratch->record;
	int i;

	for (i = 0; i < ES_BLOBS; i++)
		bytes += scratch->record.blob_bytes[i];
	scratch->record.bytes = bytes;
	bpf_loop(ES_CLIENTS_MAX, send_one, &sending, 0);
}

/* ---- who it is -------------------------------------------------------------------------------- */

/* The number of @pid in the broker's namespace; 0: it is not in there. */
static __always_inline int number_of(struct pid *pid, u32 namespace)
{
	u32 level = BPF_CORE_READ(pid, level), i;
	void *at = (void *)pid + bpf_core_field_offset(struct pid, numbers);
	u32 step = bpf_core_type_size(struct upid);

	for (i = 0; i < 8; i++) {
		struct upid *upid = at + i * step;

		if (i > level)
			break;
		if (BPF_CORE_READ(upid, ns, ns.inum) == namespace)
			return BPF_CORE_READ(upid, nr);
	}
	return 0;
}

static __always_inline void token_fill(u32 token[8], struct task_struct *task, u32 namespace)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);

	token[0] = bpf_core_field_exists(task->loginuid) ? BPF_CORE_READ(task, loginuid.val)
							 : (u32)-1;
	token[1] = BPF_CORE_READ(cred, euid.val);
	token[2] = BPF_CORE_READ(cred, egid.val);
	token[3] = BPF_CORE_READ(cred, uid.val);
	token[4] = BPF_CORE_READ(cred, gid.val);
	token[5] = number_of(BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]), namespace);
	token[6] = bpf_core_field_exists(task->sessionid) ? BPF_CORE_READ(task, sessionid)
							  : (u32)-1;
	/* start time in clock ticks, as /proc/PID/stat has it */
	token[7] = (u32)(BPF_CORE_READ(task, group_leader, start_boottime) / 10000000);
}

static __always_inline void process_fill(struct es_record_process *ret, struct task_struct *task,
	const struct known *of, u32 namespace)
{
	struct task_struct *parent = BPF_CORE_READ(task, group_leader, real_parent);

	token_fill(ret->token, task, namespace);
	token_fill(ret->parent_token, parent, namespace);
	ret->ppid = ret->parent_token[5];
	ret->original_ppid = of && of->original_ppid ? of->original_ppid : ret->ppid;
	ret->group_id = number_of(BPF_CORE_READ(task, signal, pids[PIDTYPE_PGID]), namespace);
	ret->session_id = number_of(BPF_CORE_READ(task, signal, pids[PIDTYPE_SID]), namespace);
	ret->start_boottime = BPF_CORE_READ(task, group_leader, start_boottime);
	ret->mount_namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
}

/* What acted, before: from the storage, or not known. */
static __always_inline void executable_fill(struct scratch *scratch, const struct known *of)
{
	struct es_record *record = &scratch->record;
	u32 bytes;

	record->process.executable = (struct es_record_file){ .flags = ES_FILE_UNKNOWN };
	record->blob_bytes[ES_BLOB_EXECUTABLE] = 0;
	if (!of || of->path_bytes == 0)
		return;
	record->process.executable = of->executable;
	bytes = of->path_bytes;
	if (bytes <= KNOWN_PATH_BYTES) {
		bpf_probe_read_kernel(scratch->executable, bytes, of->path);
		record->blob_bytes[ES_BLOB_EXECUTABLE] = bytes;
	}
}

static __always_inline struct scratch *begin(u32 which, u32 event)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &which);
	struct es_record *record;

	if (!scratch)
		return 0;
	record = &scratch->record;
	__builtin_memset(record, 0, sizeof *record);
	record->version = ES_RECORD_VERSION;
	record->event_type = event;
	record->time = bpf_ktime_get_ns();
	record->thread_id = (u32)bpf_get_current_pid_tgid();
	return scratch;
}

static __always_inline struct known *known_of(struct task_struct *task, struct es_control *page)
{
	struct known *of = bpf_task_storage_get(&known, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!of)
		__sync_fetch_and_add(&page->no_storage, 1);
	return of;
}

/* ---- the programs ----------------------------------------------------------------------------- */

/* ES_EVENT_TYPE_NOTIFY_*: the library's header is not for this compiler */
enum { EVENT_EXEC = 9, EVENT_FORK = 11, EVENT_EXIT = 15 };

static __always_inline u32 read_user(char *to, unsigned long start, unsigned long end, u32 *whole)
{
	u32 bytes = end - start;

	*whole = bytes;
	if (bytes > ES_BLOB_BYTES - 2)
		bytes = ES_BLOB_BYTES - 2;
	/* the compiler must not carry the bound in another register than the one that is used */
	asm volatile("" : "+r"(bytes));
	if (bytes > ES_BLOB_BYTES - 2 || bytes == 0)
		return 0;
	if (bpf_probe_read_user(to, bytes, (void *)start))
		return 0;
	to[bytes & (ES_BLOB_BYTES - 1)] = 0;
	return bytes + 1;
}

static __always_inline void remember(struct known *of, const struct scratch *scratch)
{
	u32 bytes = scratch->target.bytes, start = ES_BLOB_BYTES - bytes;

	of->executable = scratch->record.target.executable;
	of->path_bytes = 0;
	if (bytes == 0 || bytes > KNOWN_PATH_BYTES || start >= ES_BLOB_BYTES) {
		of->executable.flags |= ES_FILE_TRUNCATED;
		return;
	}
	bpf_probe_read_kernel(of->path, bytes, &scratch->target.text[start]);
	of->path_bytes = bytes;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	struct es_control *page = control_in_scope();
	struct es_record *record;
	struct scratch *scratch;
	struct known *of;
	struct mm_struct *mm;
	struct file *file;
	struct fs_struct *fs;
	u64 clients;

	if (!page)
		return 0;
	clients = page->subscribed[EVENT_EXEC];
	scratch = begin(SCRATCH_EXEC, EVENT_EXEC);
	if (!scratch)
		return 0;
	record = &scratch->record;
	of = known_of(task, page);
	executable_fill(scratch, of);
	mm = BPF_CORE_READ(task, mm);
	file = BPF_CORE_READ(mm, exe_file);
	path_walk(&scratch->target, (void *)file + bpf_core_field_offset(struct file, f_path));
	file_fill(&record->target.executable,
		(void *)file + bpf_core_field_offset(struct file, f_path), scratch->target.flags);
	record->blob_bytes[ES_BLOB_TARGET] = scratch->target.bytes;
	if (clients) {
		process_fill(&record->process, task, of, page->pid_namespace);
		process_fill(&record->target, task, of, page->pid_namespace);
		fs = BPF_CORE_READ(task, fs);
		path_walk(&scratch->cwd, (void *)fs + bpf_core_field_offset(struct fs_struct, pwd));
		file_fill(&record->cwd, (void *)fs + bpf_core_field_offset(struct fs_struct, pwd),
			scratch->cwd.flags);
		record->blob_bytes[ES_BLOB_CWD] = scratch->cwd.bytes;
		record->blob_bytes[ES_BLOB_ARGUMENTS] = read_user(scratch->arguments,
			BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end),
			&record->argument_bytes);
		if (record->argument_bytes && !record->blob_bytes[ES_BLOB_ARGUMENTS])
			record->error |= ES_RECORD_ERROR_ARGUMENTS;
		record->blob_bytes[ES_BLOB_ENVIRONMENT] = read_user(scratch->environment,
			BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end),
			&record->environment_bytes);
		if (record->environment_bytes && !record->blob_bytes[ES_BLOB_ENVIRONMENT])
			record->error |= ES_RECORD_ERROR_ENVIRONMENT;
		send(scratch, clients);
	}
	if (of)
		remember(of, scratch);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct es_control *page = control_in_scope();
	struct task_struct *leader = BPF_CORE_READ(child, group_leader);
	struct known *of, *mine;
	struct scratch *scratch;
	u64 clients;

	if (!page || leader != child)
		return 0;
	clients = page->subscribed[EVENT_FORK];
	of = bpf_task_storage_get(&known, parent->group_leader, 0, 0);
	mine = known_of(child, page);
	if (mine) {
		if (of)
			bpf_probe_read_kernel(mine, sizeof *mine, of);
		mine->exited = 0;
		mine->original_ppid = number_of(
			BPF_CORE_READ(parent, signal, pids[PIDTYPE_TGID]), page->pid_namespace);
	}
	if (!clients)
		return 0;
	scratch = begin(SCRATCH_FORK, EVENT_FORK);
	if (!scratch)
		return 0;
	executable_fill(scratch, of);
	process_fill(&scratch->record.process, parent, of, page->pid_namespace);
	process_fill(&scratch->record.target, child, mine, page->pid_namespace);
	scratch->record.target.executable = scratch->record.process.executable;
	send(scratch, clients);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct es_control *page = control_in_scope();
	struct scratch *scratch;
	struct known *of;
	u64 clients;

	if (!page || BPF_CORE_READ(task, signal, live.counter))
		return 0;
	clients = page->subscribed[EVENT_EXIT];
	if (!clients)
		return 0;
	of = known_of(task->group_leader, page);
	if (of && __sync_fetch_and_add(&of->exited, 1))
		return 0;
	scratch = begin(SCRATCH_EXIT, EVENT_EXIT);
	if (!scratch)
		return 0;
	executable_fill(scratch, of);
	process_fill(&scratch->record.process, task, of, page->pid_namespace);
	scratch->record.exit_status = BPF_CORE_READ(task, signal, group_exit_code);
	if (!scratch->record.exit_status)
		scratch->record.exit_status = BPF_CORE_READ(task, exit_code);
	send(scratch, clients);
	return 0;
}
