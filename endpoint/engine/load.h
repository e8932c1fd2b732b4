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

#define MAP_NAMES(X) \
	X(rings)     \
	X(wakes)     \
	X(control) X(counters) X(scope_cgroups) X(identities) X(wanted) X(mutes) X(mute_parts)
enum map {
#define X(name) MAP_##name,
	MAP_NAMES(X)
#undef X
		MAPS
};

struct program_row {
	enum object object;
	const char *name;
	uint16_t events[16]; /* which need it; none: always */
};
extern const struct program_row program_rows[PROGRAMS];
extern const uint32_t object_sources[OBJECTS];

struct loaded {
	int maps[MAPS], programs[PROGRAMS]; /* -1: not there */
	uint32_t sources;
};

/* @sources: which to try. On failure @problem says what the kernel said. */
int load_objects(uint32_t sources, struct loaded *ret, char problem[static 256]);
void loaded_done(struct loaded *loaded);

#endif
