/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading the objects of endpoint/bpf in a child of its own: libbpf, and the BTF of the kernel that it
 * parses, are never in the daemon's memory. What comes back are descriptors.
 */
#ifndef OB_ENDPOINT_ENGINE_LOAD_H
#define OB_ENDPOINT_ENGINE_LOAD_H

#include <stdint.h>

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
	uint16_t events[17]; /* which need it, and END; or ALWAYS, NEVER */
};
extern const struct program_row program_rows[PROGRAMS];
struct object_row {
	uint32_t source; /* enum source: what it is there for */
	const void *(*bytes)(size_t *ret_bytes);
};
extern const struct object_row object_rows[OBJECTS]; /* objects.c */

struct loaded {
	int maps[MAPS], programs[PROGRAMS]; /* -1: not there */
	uint32_t sources;
};

/* @sources: which to try. On failure @problem says what the kernel said. */
int load_objects(uint32_t sources, struct loaded *ret, char problem[static 256]);
void loaded_done(struct loaded *loaded);

#endif
