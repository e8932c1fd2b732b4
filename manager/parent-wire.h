/* SPDX-License-Identifier: Apache-2.0
 *
 * Protocol between outboardd's parent, which parses nothing and holds what must survive, and its
 * manager, which it trusts. One socket pair a manager: the manager inherits its end as "parent".
 *
 * A new manager first gets everything that the parent holds: FD for each stored descriptor, CHILD
 * for each child that lives or whose end no manager has been told, then BEGIN. The parent answers a
 * SPAWN before it reads the next message, so that the manager never has to guess.
 */
#ifndef OB_MANAGER_PARENT_WIRE_H
#define OB_MANAGER_PARENT_WIRE_H

#include "base/wire.h"

enum {
	/* manager to parent */
	PARENT_SPAWN = 16, /* struct parent_spawn, 1 or more descriptors; answered by SPAWNED */
	PARENT_STORE = 17, /* struct parent_name, one descriptor: hold it by that name (replaces) */
	PARENT_UNSTORE = 18, /* struct parent_name: close it */
	PARENT_PONG = 19,    /* no body: answers PING */

	/* parent to manager */
	PARENT_SPAWNED = 32, /* struct parent_child: status 0 and a pidfd, or -errno and none */
	PARENT_EXITED = 33,  /* struct parent_child: code and status as waitid(2) has them */
	PARENT_FD = 34,	     /* struct parent_name, one descriptor (at the start) */
	PARENT_CHILD = 35,   /* struct parent_child, pidfd (at the start; ended ones have a code) */
	PARENT_BEGIN = 36,   /* no body: that was all */
	PARENT_PING =
		37, /* no body: somebody waits at a listener; answer within 5 s or be replaced */
};

#define PARENT_NAME_BYTES 320
#define PARENT_FDS_MAX 256	/* stored descriptors */
#define PARENT_CHILDREN_MAX 256 /* living children beside the manager */

/* Which program a child is: the parent starts nothing but these, by path_program(). */
enum parent_program {
	PARENT_PROGRAM_LAUNCH = 1,   /* outboard-launch: confines itself, becomes the extension */
	PARENT_PROGRAM_ENDPOINT = 2, /* outboard-esd */
	PARENT_PROGRAM_NETWORK = 3,  /* outboard-ned */
	PARENT_PROGRAM_DRIVER = 4,   /* outboard-driverd */
	PARENT_PROGRAM_MAX_
};

struct parent_spawn {
	uint64_t child; /* the manager's number, unique for ever: it is kept in the registry */
	uint32_t program;
	uint32_t flags; /* PARENT_SPAWN_* */
	/*
	 * The first descriptor becomes standard output and error; the others, named here in their
	 * order and separated by commas, become 3, 4, ... and OUTBOARD_FDS says so:
	 * "spec,control,service:NAME". outboard-esd gets its pulse behind them (base/pulse.h).
	 */
	char names[1024];
};
static_assert(sizeof(struct parent_spawn) == 1040, "wire");
#define PARENT_SPAWN_DIES_WITH_PARENT 0x1u /* brokers do; extensions go on */
#define PARENT_SPAWN_ALL 0x1u

struct parent_child {
	uint64_t child;
	uint32_t program;
	int32_t pid;
	int32_t status;	     /* -errno of a SPAWN; exit status or signal */
	int32_t code;	     /* 0 alive; CLD_EXITED, CLD_KILLED, CLD_DUMPED */
	uint64_t start_time; /* /proc/PID/stat, field 22 */
};
static_assert(sizeof(struct parent_child) == 32, "wire");

/* "listen:manager", "log:CHILD", "service:NAME", "broker-end:CHILD" */
struct parent_name {
	char name[PARENT_NAME_BYTES];
};

#endif
