/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * System calls by their numbers: for those who look at them as they end.
 */
#ifndef OB_ENDPOINT_BPF_CALLS_H
#define OB_ENDPOINT_BPF_CALLS_H

#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

/* x86-64; arch/x86/entry/syscalls/syscall_64.tbl */
enum {
	CALL_OPEN = 2,
	CALL_RENAME = 82,
	CALL_MKDIR = 83,
	CALL_RMDIR = 84,
	CALL_CREAT = 85,
	CALL_LINK = 86,
	CALL_UNLINK = 87,
	CALL_SYMLINK = 88,
	CALL_MKNOD = 133,
	CALL_MOUNT = 165,
	CALL_UMOUNT2 = 166,
	CALL_OPENAT = 257,
	CALL_MKDIRAT = 258,
	CALL_MKNODAT = 259,
	CALL_UNLINKAT = 263,
	CALL_RENAMEAT = 264,
	CALL_LINKAT = 265,
	CALL_SYMLINKAT = 266,
	CALL_RENAMEAT2 = 316,
	CALL_MOVE_MOUNT = 429,
	CALL_OPENAT2 = 437,
};
#define TS_COMPAT 2 /* arch/x86/include/asm/thread_info.h */

static __always_inline bool is_compat(void)
{
	return BPF_CORE_READ(bpf_get_current_task_btf(), thread_info.status) & TS_COMPAT;
}

static __always_inline struct file *file_at(struct task_struct *task, u64 number)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = 0;

	if (number < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof file, &files[number]);
	return file;
}

#endif
