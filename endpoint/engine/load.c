/* SPDX-License-Identifier: Apache-2.0
 *
 * See load.h. The child sends each descriptor in a message of its own, with what it is, and at the end
 * what it could not do, and why.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/peer.h"
#include "base/wire.h"
#include "endpoint/engine/bpf.h"
#include "endpoint/engine/engine.h"
#include "endpoint/engine/load.h"

enum { ITEM_MAP = 1, ITEM_PROGRAM, ITEM_LINK };

struct item {
	uint32_t kind, index;
};

struct outcome {
	struct wire_status status;
	uint32_t failed; /* 1 << object */
	uint32_t has_trampolines;
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
static int share_maps(struct bpf_object *object, const struct loaded *loaded)
{
	struct bpf_map *map;
	int i, r = 0;

	bpf_object__for_each_map(map, object)
	{
		if (strcmp(bpf_map__name(map), "scratches") == 0)
			r = bpf_map__set_max_entries(map,
				bpf_map__max_entries(map) * (uint32_t)libbpf_num_possible_cpus());
		for (i = 0; i < MAPS && r == 0; i++)
			if (loaded->maps[i] >= 0 && strcmp(bpf_map__name(map), map_names[i]) == 0)
				r = bpf_map__reuse_fd(map, loaded->maps[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_object(enum object which, const struct loaded *loaded, const char *const *also,
	struct bpf_object **ret)
{
	struct bpf_object *object;
	struct bpf_program *program;
	size_t bytes;
	const void *elf = object_rows[which].bytes(&bytes);
	int r;

	object = bpf_object__open_mem(elf, bytes, NULL);
	if (!object)
		return -errno;
	for (; *also; also++) {
		program = bpf_object__find_program_by_name(object, *also);
		if (program)
			bpf_program__set_autoload(program, true);
	}
	r = share_maps(object, loaded);
	if (r == 0)
		r = bpf_object__load(object);
	if (r < 0) {
		bpf_object__close(object);
		return r;
	}
	*ret = object;
	return 0;
}

static const char *const probes[] = { "probe_function", "probe_hook", NULL };

/* That a program attaches is only known when it has: a kernel may load what it never runs. */
static bool attaches(struct bpf_object *object, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, name);
	struct bpf_link *link = program ? bpf_program__attach(program) : NULL;

	if (link)
		bpf_link__destroy(link);
	return link != NULL;
}

/* With the probes, and without them where that cannot be loaded. */
static int load_first(const struct loaded *loaded, struct bpf_object **ret, struct outcome *outcome)
{
	const char *const *probe = probes;
	int r = load_object(OBJECT_PROCESS, loaded, probes, ret);

	if (r < 0) {
		last_words[0] = '\0';
		return load_object(OBJECT_PROCESS, loaded, &probes[ARRAY_SIZE(probes) - 1], ret);
	}
	outcome->has_trampolines = 1;
	for (; *probe && outcome->has_trampolines; probe++)
		outcome->has_trampolines = attaches(*ret, *probe);
	return 0;
}

static int send_item(int socket_fd, uint32_t kind, uint32_t index, int fd)
{
	const struct item item = { .kind = kind, .index = index };

	return wire_send(socket_fd, WIRE_STATUS, 0, 0, &item, sizeof item, &fd, 1);
}

static int send_object(
	int socket_fd, enum object which, struct bpf_object *object, const struct loaded *loaded)
{
	struct bpf_program *program;
	struct bpf_map *map;
	uint32_t i;
	int r = 0;

	for (i = 0; i < MAPS && r == 0; i++) {
		map = loaded->maps[i] < 0 ? bpf_object__find_map_by_name(object, map_names[i])
					  : NULL;
		if (map)
			r = send_item(socket_fd, ITEM_MAP, i, bpf_map__fd(map));
	}
	for (i = 0; i < PROGRAMS && r == 0; i++) {
		if (program_rows[i].object != which)
			continue;
		program = bpf_object__find_program_by_name(object, program_rows[i].name);
		r = program ? send_item(socket_fd, ITEM_PROGRAM, i, bpf_program__fd(program))
			    : -ENOENT;
	}
	return r;
}

/* All programs of an object that are wanted, or none. */
static int attach_object(int socket_fd, enum object which, struct bpf_object *object,
	const struct load_order *order, const struct loaded *loaded)
{
	uint32_t i;
	int r = 0;

	for (i = 0; i < PROGRAMS && r == 0; i++) {
		struct bpf_program *program = object && program_rows[i].object == which
			? bpf_object__find_program_by_name(object, program_rows[i].name)
			: NULL;
		int fd = program ? bpf_program__fd(program) : loaded->programs[i];

		if (!order->attach[i] || program_rows[i].object != which)
			continue;
		fd = bpf_attach(fd);
		r = fd < 0 ? fd : send_item(socket_fd, ITEM_LINK, i, fd);
		fd_close(fd);
	}
	return r;
}

static void do_object(int socket_fd, enum object which, const struct load_order *order,
	const struct loaded *loaded, struct outcome *outcome)
{
	struct bpf_object *object = NULL;
	int r = 0;

	if (order->load[which]) {
		r = which == OBJECT_PROCESS
			? load_first(loaded, &object, outcome)
			: load_object(which, loaded, &probes[ARRAY_SIZE(probes) - 1], &object);
		if (r == 0)
			r = send_object(socket_fd, which, object, loaded);
	}
	if (r == 0)
		r = attach_object(socket_fd, which, object, order, loaded);
	if (r == 0)
		return;
	outcome->failed |= 1u << which;
	if (outcome->status.status == 0)
		outcome->status.status = r;
}

static void __attribute__((noreturn))
loader(int socket_fd, const struct load_order *order, const struct loaded *loaded)
{
	struct outcome outcome = { 0 };
	enum object i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd_close(order->not_kept_fd);
	libbpf_set_print(keep_words);
	for (i = 0; i < OBJECTS; i++)
		do_object(socket_fd, i, order, loaded, &outcome);
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
	else if (item->kind == ITEM_LINK && item->index < PROGRAMS)
		to = &loaded->links[item->index];
	else
		return -EPROTO;
	fd_close(*to);
	*to = wire_take_fd(packet, 0);
	return 0;
}

void load_init(struct loading *loading, struct loaded *loaded)
{
	int i;

	loading->fd = -1;
	loading->pid = 0;
	for (i = 0; i < MAPS; i++)
		loaded->maps[i] = -1;
	for (i = 0; i < PROGRAMS; i++)
		loaded->programs[i] = loaded->links[i] = -1;
}

int load_begin(struct loading *loading, const struct load_order *order, const struct loaded *loaded)
{
	int pair[2], r = wire_pair(pair);
	pid_t pid;

	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0)
		loader(pair[1], order, loaded);
	r = pid < 0 ? -errno : 0;
	fd_close(pair[1]);
	if (pid < 0) {
		fd_close(pair[0]);
		return r;
	}
	loading->fd = pair[0];
	loading->pid = pid;
	loading->order = *order;
	return 0;
}

void load_end(struct loading *loading)
{
	if (loading->pid > 0)
		process_end(loading->pid);
	loading->fd = fd_close(loading->fd);
	loading->pid = 0;
}

/* The child that has not said how it ended has failed in everything. */
static int take(struct loading *loading, struct wire_packet *packet, bool wait,
	struct loaded *loaded, struct load_result *ret)
{
	const struct outcome *outcome = (void *)packet->body;
	int r;

	do
		r = wire_receive(loading->fd, packet, wait ? 0 : MSG_DONTWAIT);
	while (r == 0 && packet->body_bytes == sizeof(struct item) &&
		(r = take_item(packet, loaded)) == 0);
	if (r == -EAGAIN)
		return r;
	*ret = (struct load_result){ .status = r };
	if (r == 0 && packet->body_bytes == sizeof *outcome) {
		ret->status = outcome->status.status;
		ret->failed = outcome->failed;
		ret->has_trampolines = outcome->has_trampolines != 0;
		snprintf(ret->problem, sizeof ret->problem, "%.*s",
			(int)strnlen(outcome->words, sizeof outcome->words - 1), outcome->words);
	} else {
		int i;

		ret->status = r < 0 ? r : -EPROTO;
		for (i = 0; i < OBJECTS; i++)
			ret->failed |= loading->order.load[i] ? 1u << i : 0;
	}
	load_end(loading);
	return 0;
}

int load_take(struct loading *loading, bool wait, struct loaded *loaded, struct load_result *ret)
{
	struct wire_packet *packet = calloc(1, sizeof *packet);
	int r = packet ? take(loading, packet, wait, loaded, ret) : -ENOMEM;

	if (packet)
		wire_packet_done(packet);
	free(packet);
	return r;
}

void loaded_done(struct loaded *loaded)
{
	int i;

	for (i = 0; i < MAPS; i++)
		loaded->maps[i] = fd_close(loaded->maps[i]);
	for (i = 0; i < PROGRAMS; i++) {
		loaded->links[i] = fd_close(loaded->links[i]);
		loaded->programs[i] = fd_close(loaded->programs[i]);
	}
}
