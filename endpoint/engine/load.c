/* SPDX-License-Identifier: Apache-2.0
 *
 * See load.h. The child sends each descriptor in a message of its own, with what it is, and at the end
 * which sources there are, or why there is none.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/wire.h"
#include "endpoint/engine/engine.h"
#include "endpoint/engine/load.h"

enum { ITEM_MAP = 1, ITEM_PROGRAM = 2 };

struct item {
	uint32_t kind, index;
};

struct outcome {
	struct wire_status status;
	uint32_t sources;
	uint32_t reserved;
	char words[256];
};

const struct program_row program_rows[PROGRAMS] = {
#define PROGRAM(object_, name_, ...)                                                       \
	[PROGRAM_##name_] = {                                                              \
		.object = OBJECT_##object_, .name = #name_, .events = { __VA_ARGS__, END } \
	},
#include "endpoint/engine/programs.def"
};

static const char *const map_names[MAPS] = {
#define MAP(name) [MAP_##name] = #name,
#include "endpoint/engine/maps.def"
};

/* ---- the child -------------------------------------------------------------------------------- */

static char last_words[256];

/* libbpf says why in its last warning but the verifier's log; the first line of each is enough. */
static int ob_printf(2, 0)
	keep_words(enum libbpf_print_level level, const char *format, va_list args)
{
	if (getenv("OUTBOARD_BPF_LOG"))
		vfprintf(stderr, format, args);
	if (level == LIBBPF_WARN && last_words[0] == '\0')
		vsnprintf(last_words, sizeof last_words, format, args);
	return 0;
}

/* Maps of one name are one map: that of the first object that has it. */
static int share_maps(struct bpf_object *object, struct bpf_object *const *before, size_t n)
{
	struct bpf_map *map, *first;
	size_t i;
	int r;

	bpf_object__for_each_map(map, object)
	{
		if (strcmp(bpf_map__name(map), "scratches") == 0) {
			r = bpf_map__set_max_entries(map,
				bpf_map__max_entries(map) * (uint32_t)libbpf_num_possible_cpus());
			if (r < 0)
				return r;
		}
		for (i = 0; i < n; i++) {
			first = before[i]
				? bpf_object__find_map_by_name(before[i], bpf_map__name(map))
				: NULL;
			if (!first)
				continue;
			r = bpf_map__reuse_fd(map, bpf_map__fd(first));
			if (r < 0)
				return r;
			break;
		}
	}
	return 0;
}

/*
 * That a program attaches is only known when it has: a kernel may load what it never runs. The first one
 * speaks for its object, since attaching takes long; what the others hang on, loading has looked at.
 */
static int try_attach(struct bpf_object *object)
{
	struct bpf_program *program;
	struct bpf_link *link;

	bpf_object__for_each_program(program, object)
	{
		if (bpf_program__expected_attach_type(program) == BPF_TRACE_ITER)
			continue;
		link = bpf_program__attach(program);
		return link ? bpf_link__destroy(link) : -errno;
	}
	return 0;
}

static int load_object(enum object which, struct bpf_object **all)
{
	struct bpf_object *object;
	size_t bytes;
	const void *elf = object_rows[which].bytes(&bytes);
	int r;

	object = bpf_object__open_mem(elf, bytes, NULL);
	if (!object)
		return -errno;
	r = share_maps(object, all, which);
	if (r == 0)
		r = bpf_object__load(object);
	if (r == 0)
		r = try_attach(object);
	if (r < 0) {
		bpf_object__close(object);
		return r;
	}
	all[which] = object;
	return 0;
}

static int send_item(int socket_fd, uint32_t kind, uint32_t index, int fd)
{
	const struct item item = { .kind = kind, .index = index };

	return wire_send(socket_fd, WIRE_STATUS, 0, 0, &item, sizeof item, &fd, 1);
}

static int send_all(int socket_fd, struct bpf_object *const *all)
{
	struct bpf_program *program;
	uint32_t i, k;
	int r = 0;

	for (i = 0; i < MAPS && r == 0; i++) {
		struct bpf_map *map = NULL;

		for (k = 0; k < OBJECTS && !map; k++)
			map = all[k] ? bpf_object__find_map_by_name(all[k], map_names[i]) : NULL;
		if (map)
			r = send_item(socket_fd, ITEM_MAP, i, bpf_map__fd(map));
	}
	for (i = 0; i < PROGRAMS && r == 0; i++) {
		if (!all[program_rows[i].object])
			continue;
		program = bpf_object__find_program_by_name(
			all[program_rows[i].object], program_rows[i].name);
		r = program ? send_item(socket_fd, ITEM_PROGRAM, i, bpf_program__fd(program))
			    : -ENOENT;
	}
	return r;
}

static void __attribute__((noreturn)) loader(int socket_fd, uint32_t sources)
{
	struct bpf_object *all[OBJECTS] = { NULL };
	struct outcome outcome = { 0 };
	uint32_t i;
	int r = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	libbpf_set_print(keep_words);
	for (i = 0; i < OBJECTS && r == 0; i++) {
		if (!(sources & object_rows[i].source))
			continue;
		if (outcome.sources & object_rows[i].source & ~SOURCE_TRACEPOINT)
			continue; /* another object has it already */
		if (object_rows[i].source == SOURCE_SYSCALL_EXIT &&
			outcome.sources & SOURCE_TRAMPOLINE)
			continue; /* all of it is told, and better */
		r = load_object(i, all);
		if (r == 0)
			outcome.sources |= object_rows[i].source;
		else if (i > 0)
			r = 0;
	}
	if (r == 0)
		r = send_all(socket_fd, all);
	outcome.status.status = r;
	memcpy(outcome.words, last_words, sizeof outcome.words);
	wire_send(socket_fd, WIRE_STATUS, 0, 0, &outcome, sizeof outcome, NULL, 0);
	_exit(0);
}

/* ---- the daemon ------------------------------------------------------------------------------- */

static int take_item(struct wire_packet *packet, struct loaded *loaded)
{
	const struct item *item = (void *)packet->body;
	int *to;

	if (packet->n_fds != 1)
		return -EPROTO;
	if (item->kind == ITEM_MAP && item->index < MAPS)
		to = &loaded->maps[item->index];
	else if (item->kind == ITEM_PROGRAM && item->index < PROGRAMS)
		to = &loaded->programs[item->index];
	else
		return -EPROTO;
	*to = wire_take_fd(packet, 0);
	return 0;
}

static int take_all(int socket_fd, struct loaded *loaded, char problem[static 256])
{
	struct wire_packet *packet = calloc(1, sizeof *packet);
	const struct outcome *outcome;
	int r;

	if (!packet)
		return -ENOMEM;
	do
		r = wire_receive(socket_fd, packet, 0);
	while (r == 0 && packet->body_bytes == sizeof(struct item) &&
		(r = take_item(packet, loaded)) == 0);
	if (r == 0) {
		outcome = (void *)packet->body;
		r = packet->body_bytes == sizeof *outcome ? outcome->status.status : -EPROTO;
		if (packet->body_bytes == sizeof *outcome) {
			loaded->sources = outcome->sources;
			snprintf(problem, 256, "%.*s",
				(int)strnlen(outcome->words, sizeof outcome->words - 1),
				outcome->words);
		}
	}
	wire_packet_done(packet);
	free(packet);
	return r;
}

int load_objects(uint32_t sources, struct loaded *ret, char problem[static 256])
{
	int pair[2], r, i;
	pid_t pid;

	for (i = 0; i < MAPS; i++)
		ret->maps[i] = -1;
	for (i = 0; i < PROGRAMS; i++)
		ret->programs[i] = -1;
	ret->sources = 0;
	r = wire_pair(pair);
	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0)
		loader(pair[1], sources);
	fd_close(pair[1]);
	r = pid < 0 ? -errno : take_all(pair[0], ret, problem);
	fd_close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

void loaded_done(struct loaded *loaded)
{
	int i;

	for (i = 0; i < MAPS; i++)
		loaded->maps[i] = fd_close(loaded->maps[i]);
	for (i = 0; i < PROGRAMS; i++)
		loaded->programs[i] = fd_close(loaded->programs[i]);
}
