/* SPDX-License-Identifier: Apache-2.0
 *
 * Protocol between outboardd's parent, which parses nothing and holds what must survive, and its
 * manager, which it trusts. One socket pair a manager: the manager inherits its end as "parent".
 *
 * The parent answers a SPAWN before it reads the next message, so the manager never has to guess.
 * A new manager first gets everything that the parent holds: FD for each stored descriptor, CHILD
 * for each living child, then BEGIN.
 */
#ifndef OB_MANAGER_PARENT_WIRE_H
#define OB_MANAGER_PARENT_WIRE_H

#include "base/wire.h"

enum {
	/* manager to parent */
	PARENT_SPAWN =
		16, /* struct parent_spawn and descriptors: [0] spec memfd, [1] cgroup folder or
					   none, the rest become 3, 4, ... of the child; answered by SPAWNED */
	PARENT_STORE =
		17, /* struct parent_name, one descriptor: hold it under that name (replaces) */
	PARENT_UNSTORE = 18, /* struct parent_name: close it */
	PARENT_FORGET = 19,  /* struct parent_child: drop the record of a child that has ended */

	/* parent to manager */
	PARENT_SPAWNED = 32, /* struct parent_child, status 0 and a pidfd, or -errno and none */
	PARENT_EXITED = 33,  /* struct parent_child, status as waitid(2) gives it (CLD_* in code) */
	PARENT_FD = 34,	     /* struct parent_name, one descriptor (at the start) */
	PARENT_CHILD = 35, /* struct parent_child, pidfd (at the start; ended ones with code set) */
	PARENT_BEGIN = 36, /* no body: that was all */
};

#define PARENT_NAME_BYTES 320
#define PARENT_FDS_MAX 128 /* stored descriptors */
#define PARENT_CHILDREN_MAX 256

/* Which program a child is: the parent starts nothing but these, by path_program(). */
enum parent_program {
	PARENT_PROGRAM_LAUNCH = 1,   /* outboard-launch: confines itself, becomes the extension */
	PARENT_PROGRAM_ENDPOINT = 2, /* outboard-esd */
	PARENT_PROGRAM_NETWORK = 3,  /* outboard-ned */
	PARENT_PROGRAM_DRIVER = 4,   /* outboard-driverd */
};

struct parent_spawn {
	uint64_t child; /* the manager's number, unique for ever: it is kept in the registry */
	uint32_t program;
	uint32_t flags;	 /* PARENT_SPAWN_* */
	char names[512]; /* OUTBOARD_FDS of the child: "control=3,endpoint=4" */
};
#define PARENT_SPAWN_CGROUP 0x1u /* descriptor [1] is the cgroup v2 folder to be born in */
#define PARENT_SPAWN_DIES_WITH_PARENT 0x2u /* brokers do; extensions go on */

struct parent_child {
	uint64_t child;
	uint32_t program;
	int32_t pid;
	int32_t status;	     /* -errno of a SPAWN; exit status or signal */
	int32_t code;	     /* 0 alive; CLD_EXITED, CLD_KILLED, CLD_DUMPED */
	uint64_t start_time; /* /proc/PID/stat, field 22 */
};

/* "listen:manager", "service:NAME", "log:CHILD", "broker-end:CHILD" */
struct parent_name {
	char name[PARENT_NAME_BYTES];
};

#endif
