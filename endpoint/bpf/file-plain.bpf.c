/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Files, without trampolines: NOTIFY_OPEN.
 *
 * tp_btf/sys_exit   open, openat, openat2, creat that succeeded: the file is looked up by the
 *                   descriptor that they returned.
 *
 * Attached only while somebody is subscribed: it costs every system call of the machine. So the
 * number of the call is looked at first.
 * Why it can be trusted: the file is the kernel's own. Another thread that puts another file at that
 * number within the moment has opened that one itself, or was handed it.
 * Not covered: io_uring, file handles, and calls of 32-bit programs, whose numbers differ.
 */
#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include "endpoint/bpf/file.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* x86-64; arch/x86/entry/syscalls/syscall_64.tbl */
enum { CALL_OPEN = 2, CALL_CREAT = 85, CALL_OPENAT = 257, CALL_OPENAT2 = 437 };
#define TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h */

/* Of @flags those that the file has forgotten; of openat2() they are in memory of the caller's. */
static __always_inline u32 forgotten_flags(struct pt_regs *regs, u64 call)
{
	if (call == CALL_OPEN)
		return BPF_CORE_READ(regs, si) & FLAGS_OF_OPEN;
	if (call == CALL_OPENAT)
		return BPF_CORE_READ(regs, dx) & FLAGS_OF_OPEN;
	return call == CALL_CREAT ? 0100 | 01000 : 0; /* O_CREAT, O_TRUNC */
}

static __always_inline struct file *file_at(struct task_struct *task, u64 number)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = 0;

	if (number < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof file, &files[number]);
	return file;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_call, struct pt_regs *regs, long result)
{
	u64 call = BPF_CORE_READ(regs, orig_ax);
	struct task_struct *task = bpf_get_current_task_btf();
	struct es_control *page;
	struct scratch *scratch;
	struct file *file;

	if ((call != CALL_OPENAT && call != CALL_OPEN && call != CALL_OPENAT2 &&
		    call != CALL_CREAT) ||
		result < 0)
		return 0;
	page = control_in_scope();
	if (!page || !page->subscribed[EVENT_OPEN] ||
		BPF_CORE_READ(task, thread_info.status) & TS_COMPAT)
		return 0;
	file = file_at(task, result);
	if (!file || !file_is_told(file))
		return 0;
	scratch = begin(page, EVENT_OPEN, ES_RECORD_FILE_BYTES);
	if (!scratch)
		return 0;
	put_actor(scratch, page);
	put_dentry(scratch, &scratch->record.file, ES_BLOB_TARGET, BPF_CORE_READ(file, f_path.mnt),
		BPF_CORE_READ(file, f_path.dentry));
	scratch->record.value = fflag_of(
		BPF_CORE_READ(file, f_flags) | forgotten_flags(regs, call));
	send(scratch, page->subscribed[EVENT_OPEN]);
	end(scratch);
	return 0;
}
