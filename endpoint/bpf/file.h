/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * What the sources of file events have in common: their numbers, and the parts of their records.
 */
#ifndef OB_ENDPOINT_BPF_FILE_H
#define OB_ENDPOINT_BPF_FILE_H

#include "endpoint/bpf/process.h"

/* ES_EVENT_TYPE_NOTIFY_*: the library's header is not for this compiler */
enum {
	EVENT_OPEN = 10,
	EVENT_CLOSE = 12,
	EVENT_CREATE = 13,
	EVENT_MOUNT = 22,
	EVENT_UNMOUNT = 23,
	EVENT_RENAME = 25,
	EVENT_UNLINK = 32,
};

enum { DESTINATION_EXISTING_FILE, DESTINATION_NEW_PATH };

/* include/linux/fs.h; __FMODE_EXEC stands in f_flags */
enum {
	FMODE_WRITE = 0x2,
	FMODE_PATH = 0x4000,
	FMODE_OPENED = 0x80000,
	FMODE_CREATED = 0x100000,
	FMODE_NOACCOUNT = 0x20000000,
	FLAG_EXEC = 0x20,
	FLAG_NONOTIFY = 0x4000000,
	FLAG_LARGEFILE = 0100000, /* the kernel's own addition */
	FLAG_TMPFILE = 020000000,
	FLAGS_OF_OPEN = 01700, /* O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC: forgotten once it is open */
};

/* As macOS has it: FREAD and FWRITE in place of the access mode; the others are open(2)'s. */
static __always_inline s32 fflag_of(u32 flags)
{
	return (s32)((flags & ~(3u | FLAG_EXEC | FLAG_NONOTIFY | FLAG_LARGEFILE)) |
		((flags + 1) & 3));
}

/* NULL: nobody wants to hear of it, or only who has muted the process that acts. */
static __always_inline struct es_control *control_for(u32 event)
{
	struct es_control *page = control_in_scope();

	return page && wanting(page, event) ? page : 0;
}

/* Of what one process leaves for another one to be told by, whoever is muted. */
static __always_inline struct es_control *control_of(u32 event)
{
	struct es_control *page = control_in_scope();

	return page && page->subscribed[event] ? page : 0;
}

/* Opened by a program, by a name: not to run it, not by the kernel beneath another file system. */
static __always_inline bool file_is_told(struct file *file)
{
	u32 mode = BPF_CORE_READ(file, f_mode), flags = BPF_CORE_READ(file, f_flags);

	return mode & FMODE_OPENED && !(mode & (FMODE_PATH | FMODE_NOACCOUNT)) &&
		!(flags & FLAG_EXEC) && !mount_is_internal(BPF_CORE_READ(file, f_path.mnt));
}

static __always_inline void put_dentry(struct scratch *scratch, struct es_record_file *ret,
	u32 blob, struct vfsmount *mount, struct dentry *dentry)
{
	dentry_walk(&scratch->path, mount, dentry);
	dentry_fill(ret, mount, dentry, scratch->path.flags);
	put_path(scratch, blob);
}

/* Text of the kernel's; what is longer than @most is cut. */
static __always_inline void put_text(struct scratch *scratch, u32 blob, const char *from, u32 most)
{
	u32 at = scratch->at;
	long bytes;

	asm volatile("" : "+r"(at));
	if (at > MADE_BYTES)
		return;
	bytes = bpf_probe_read_kernel_str(&scratch->made[at], most, from);
	if (bytes <= 0 || bytes > most)
		return;
	scratch->record.blob_bytes[blob] = bytes;
	scratch->at = at + bytes;
}

/* The actor and the file stand in the record: CREATE, if it was, and OPEN. */
static __always_inline void tell_opened(
	struct scratch *scratch, struct es_control *page, bool created, u32 flags)
{
	if (created) {
		scratch->record.value = DESTINATION_EXISTING_FILE;
		scratch->record.detail = scratch->record.file.mode;
		send(scratch, page->subscribed[EVENT_CREATE]);
	}
	scratch->record.event_type = EVENT_OPEN;
	scratch->record.value = fflag_of(flags);
	scratch->record.detail = 0;
	send(scratch, page->subscribed[EVENT_OPEN]);
}

#endif
