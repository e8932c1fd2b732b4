/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading the objects of endpoint/bpf in a child of its own: libbpf, and the BTF of the kernel that it
 * parses, are never in the daemon's memory. What comes back are descriptors.
 */
#ifndef OB_ENDPOINT_ENGINE_LOAD_H
#define OB_ENDPOINT_ENGINE_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum object {
#define OBJECT(id, name, source) OBJECT_##id,
#include "endpoint/engine/programs.def"
	OBJECTS
};

enum program {
#define PROGRAM(object, name, ...) PROGRAM_##name,
#include "endpoint/engine/programs.def"
	PROGRAMS
};

enum map {
#define MAP(name) MAP_##name,
#include "endpoint/engine/maps.def"
	MAPS
};

enum { END = 0xffff, ALWAYS = 0xfffe, NEVER = 0xfffd };

struct program_row {
	enum object object;
	const char *name;
	uint16_t
		events[17]; /* which need it, and END; or ALWAYS. NEVER before them: not attached */
};
extern const struct program_row program_rows[PROGRAMS];
struct object_row {
	uint32_t source; /* enum source: what it is there for */
	const void *(*bytes)(size_t *ret_bytes);
};
extern const struct object_row object_rows[OBJECTS]; /* objects.c */

struct loaded {
	int maps[MAPS], programs[PROGRAMS], links[PROGRAMS]; /* -1: not there */
};

/* What is to be done: objects to load, and programs to attach, of those or of what is loaded already. */
struct load_order {
	bool load[OBJECTS];
	bool attach[PROGRAMS];
	int not_kept_fd; /* that the child must not have; -1 */
};

struct load_result {
	int status;	      /* of the first failure */
	uint32_t failed;      /* 1 << object: it could not be loaded, or a program not attached */
	bool has_trampolines; /* with OBJECT_PROCESS */
	char problem[256];    /* what the kernel said */
};

/* A child that is at it; one at a time. */
struct loading {
	pid_t pid; /* 0: none */
	int fd;	   /* readable when there is something to take */
	struct load_order order;
};

void load_init(struct loading *loading, struct loaded *loaded);
int load_begin(
	struct loading *loading, const struct load_order *order, const struct loaded *loaded);
/* What the child has got so far goes into @loaded; -EAGAIN: it is not done. */
int load_take(struct loading *loading, bool wait, struct loaded *loaded, struct load_result *ret);
void load_end(struct loading *loading);
void loaded_done(struct loaded *loaded);

#endif
