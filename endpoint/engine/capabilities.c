/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be watched: the table that outboard-esd goes by, that ob_es_event_get_support() reads
 * and that the manual prints.
 */
#include <stddef.h>
#include <string.h>
#include "base/macros.h"
#include "endpoint/engine/engine.h"

static const char *const names[] = {
#define EVENT(number, name) [number] = #name,
#include "endpoint/lib/event-names.def"
#undef EVENT
};

/* What all have in common that know a file by the name that a system call was given. */
#define BY_NAME                                                                               \
	"the path is the caller's word, which its threads can change, and is not muted as a " \
	"target; without stat, and as it was given, if the kernel does not have it at hand"

static const struct capability capabilities[] = {
	{ 0, SOURCE_ASK, "fanotify FAN_OPEN_EXEC_PERM",
		"not asked about: a memfd, what lies on FUSE or is mounted in a mount namespace "
		"of its own, and any mount in its first moment; descriptors are not told; the first argument of an "
		"interpreter of binfmt_misc's is told as the path that it lies at" },
	{ 1, SOURCE_ASK, "fanotify FAN_OPEN_PERM",
		"not asked about: what lies on FUSE or is mounted in a mount namespace of its own, "
		"and any mount in its first moment; the flags of an open by io_uring or by a file handle are not "
		"known, and told as FREAD" },
	{ 9, SOURCE_TRACEPOINT, "tracepoint sched_process_exec",
		"of a set-user-ID program, the effective ids before are those of the last event" },
	{ 10, SOURCE_TRAMPOLINE, "fexit vfs_open, finish_open",
		"the open of a program that is run, and O_PATH, are not told" },
	{ 10, SOURCE_SYSCALL_EXIT, "tracepoint sys_exit",
		"opens by io_uring, file handles and 32-bit programs are not told; fflag of "
		"openat2() lacks O_CREAT, O_EXCL and O_TRUNC; the file is as O_TRUNC has left it" },
	{ 11, SOURCE_TRACEPOINT, "tracepoint sched_process_fork", NULL },
	{ 12, SOURCE_TRAMPOLINE, "fentry __fput",
		"modified: write calls through this open file, or an attempt at one; "
		"was_mapped_writable: through this open file; those of a process that ends come "
		"after its EXIT" },
	{ 12, SOURCE_FREE, "tracepoint kmem_cache_free, Linux 6.14",
		"modified: it was open for writing; was_mapped_writable is never set; of a file that "
		"has no name any more, size, blocks and times are not told; those of a process that "
		"ends come after its EXIT" },
	{ 13, SOURCE_TRAMPOLINE, "fexit vfs_create, mkdir, mknod, symlink, link, open",
		"a hard link is a CREATE; what nfsd or ksmbd does for others is not told" },
	{ 13, SOURCE_NAMES, "tracepoint sys_exit, Linux 6.14",
		"io_uring, 32-bit programs and the sockets of bind() are not told; of mkdir, mknod, "
		"symlink and link " BY_NAME },
	{ 15, SOURCE_TRACEPOINT, "tracepoint sched_process_exit",
		"of a process that did nothing since outboard-esd began, the executable is not known" },
	{ 22, SOURCE_TRAMPOLINE, "fexit path_mount, do_move_mount",
		"automounts and propagated copies are not told; no numbers of blocks and files" },
	{ 22, SOURCE_NAMES, "tracepoint sys_exit, Linux 6.14",
		"32-bit programs, automounts and propagated copies are not told; no numbers of "
		"blocks and files; " BY_NAME },
	{ 23, SOURCE_TRAMPOLINE, "fexit path_umount",
		"what goes with a mount namespace or with a mount above it is not told; "
		"no numbers of blocks and files" },
	{ 23, SOURCE_NAMES, "tracepoint sys_exit, Linux 6.14",
		"32-bit programs, and what goes with a mount namespace or with a mount above it, are "
		"not told; no numbers of blocks and files; " BY_NAME },
	{ 25, SOURCE_TRAMPOLINE, "fexit vfs_rename",
		"an exchange is two; what nfsd or ksmbd does for others is not told" },
	{ 25, SOURCE_NAMES, "tracepoint sys_exit, Linux 6.14",
		"an exchange is two; one between two names of one file, which does nothing, is told; "
		"io_uring and 32-bit programs are not; a file that is replaced is told if the kernel "
		"had its name at hand; " BY_NAME },
	{ 31, SOURCE_TRACEPOINT, "tracepoint signal_generate", NULL },
	{ 32, SOURCE_TRAMPOLINE, "fexit vfs_unlink, rmdir",
		"what nfsd or ksmbd does for others is not told" },
	{ 32, SOURCE_NAMES, "tracepoint sys_exit, Linux 6.14",
		"io_uring and 32-bit programs are not told; " BY_NAME },
};

/* ES_EVENT_TYPE_* that are done to something that has a path, as macOS has them */
static const uint8_t with_target[] = {
	0,
	1,
	3,
	6,
	7,
	8,
	9,
	10,
	12,
	13,
	14,
	16,
	19,
	20,
	25,
	26,
	27,
	28,
	29,
	30,
	31,
	32,
	33,
	38,
	39,
	40,
	41,
	42,
	44,
	45,
	46,
	47,
	48,
	49,
	50,
	51,
	52,
	53,
	54,
	55,
	56,
	57,
	58,
	59,
	60,
	61,
	62,
	63,
	64,
	65,
	66,
	67,
	68,
	69,
	70,
	73,
	76,
	77,
	78,
	79,
	80,
	81,
	82,
	85,
	86,
	87,
	88,
	89,
	90,
	92,
	93,
	95,
	96,
	97,
	100,
	101,
	102,
	109,
	110,
};

const struct capability *capability_of(uint32_t event, uint32_t sources)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].event == event && capabilities[i].source & sources)
			return &capabilities[i];
	return NULL;
}

const char *capability_name(uint32_t event)
{
	return event < ARRAY_SIZE(names) ? names[event] : NULL;
}

bool capability_asks(uint32_t event)
{
	const char *name = capability_name(event);

	return name && strncmp(name, "AUTH_", 5) == 0;
}

bool capability_has_target(uint32_t event)
{
	return event < ES_EVENTS_MAX && memchr(with_target, (int)event, sizeof with_target) != NULL;
}

const char *capability_reason(uint32_t event, uint32_t sources)
{
	const char *name = capability_name(event);

	if (!name)
		return "it is no event of the Endpoint Security API";
	if (capability_of(event, sources))
		return NULL;
	if (capability_of(event, SOURCES_ALL))
		return "this kernel, or [endpoint] sources, has no source for it";
	if (capability_asks(event))
		return "this version of Outboard cannot hold this operation until it is answered";
	if (strncmp(name, "RESERVED", 8) == 0)
		return "the number is reserved";
	return "this version of Outboard has no source for it";
}
