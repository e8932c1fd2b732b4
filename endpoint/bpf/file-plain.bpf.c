/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * Files, without trampolines: NOTIFY_OPEN, and CREATE of what was created by opening it.
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
#include "endpoint/bpf/calls.h"
#include "endpoint/bpf/file.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Of @flags those that the file has forgotten; of openat2() they are in memory of the caller's. */
static __always_inline u32 forgotten_flags(struct pt_regs *regs, u64 call)
{
	if (call == CALL_OPEN)
		return BPF_CORE_READ(regs, si) & FLAGS_OF_OPEN;
	if (call == CALL_OPENAT)
		return BPF_CORE_READ(regs, dx) & FLAGS_OF_OPEN;
	return call == CALL_CREAT ? 0100 | 01000 : 0; /* O_CREAT, O_TRUNC */
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_opened, struct pt_regs *regs, long result)
{
	u64 call = BPF_CORE_READ(regs, orig_ax);
	struct es_control *page;
	struct scratch *scratch;
	struct file *file;
	bool created;

	if ((call != CALL_OPENAT && call != CALL_OPEN && call != CALL_OPENAT2 &&
		    call != CALL_CREAT) ||
		result < 0)
		return 0;
	page = control_in_scope();
	if (!page || is_compat())
		return 0;
	file = file_at(bpf_get_current_task_btf(), result);
	if (!file || !file_is_told(file))
		return 0;
	created = page->subscribed[EVENT_CREATE] && BPF_CORE_READ(file, f_mode) & FMODE_CREATED &&
		!(BPF_CORE_READ(file, f_flags) & FLAG_TMPFILE);
	if (!created && !page->subscribed[EVENT_OPEN])
		return 0;
	scratch = begin(page, EVENT_CREATE, ES_RECORD_FILES_BYTES);
	if (!scratch)
		return 0;
	put_actor(scratch, page);
	put_dentry(scratch, &scratch->record.file, ES_BLOB_TARGET, BPF_CORE_READ(file, f_path.mnt),
		BPF_CORE_READ(file, f_path.dentry));
	tell_opened(
		scratch, page, created, BPF_CORE_READ(file, f_flags) | forgotten_flags(regs, call));
	end(scratch);
	return 0;
}
