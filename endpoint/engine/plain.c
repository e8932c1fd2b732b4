/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's plain source: tracepoints alone, for every kernel from 6.1. See engine.h and
 * bpf/process.bpf.c.
 *
 * bpf(2) is called raw for what runs in the daemon: libbpf, with the BTF of the kernel that it
 * parses, is only in the child that loads.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <bpf/libbpf.h>
#include "base/fd.h"
#include "base/wire.h"
#include "endpoint/engine/engine.h"
#include "process.skel.h"

enum { FD_RINGS, FD_WAKES, FD_CONTROL, FD_COUNTERS, FD_SCOPE, FD_LINKS, FDS = FD_LINKS + 3 };

struct engine {
	int fds[FDS];
	struct es_control *control;
	uint32_t ring_bytes[ES_CLIENTS_MAX];
	uint64_t all_bytes;
};

/* ---- the child that loads --------------------------------------------------------------------- */

static char last_words[256];

/* libbpf says why in its last warning but the verifier's log; the first line of each is enough. */
static int ob_printf(2, 0)
	keep_words(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && last_words[0] == '\0')
		vsnprintf(last_words, sizeof last_words, format, args);
	return 0;
}

static int load(int socket_fd)
{
	struct process_bpf *skeleton;
	int fds[FDS], r;

	libbpf_set_print(keep_words);
	skeleton = process_bpf__open();
	if (!skeleton)
		return -errno;
	r = process_bpf__load(skeleton);
	if (r == 0)
		r = process_bpf__attach(skeleton);
	if (r < 0)
		return r;
	fds[FD_RINGS] = bpf_map__fd(skeleton->maps.rings);
	fds[FD_WAKES] = bpf_map__fd(skeleton->maps.wakes);
	fds[FD_CONTROL] = bpf_map__fd(skeleton->maps.control);
	fds[FD_COUNTERS] = bpf_map__fd(skeleton->maps.counters);
	fds[FD_SCOPE] = bpf_map__fd(skeleton->maps.scope_cgroups);
	fds[FD_LINKS] = bpf_link__fd(skeleton->links.on_exec);
	fds[FD_LINKS + 1] = bpf_link__fd(skeleton->links.on_fork);
	fds[FD_LINKS + 2] = bpf_link__fd(skeleton->links.on_exit);
	return wire_send(socket_fd, WIRE_STATUS, 0, 0, &(struct wire_status){ 0 },
		sizeof(struct wire_status), fds, FDS);
}

static int take_fds(int socket_fd, struct engine *engine, char problem[static 256])
{
	struct wire_packet *packet = calloc(1, sizeof *packet);
	int i, r = packet ? wire_receive(socket_fd, packet, 0) : -ENOMEM;

	if (r == 0 && packet->header.type == WIRE_STATUS && packet->n_fds == FDS) {
		for (i = 0; i < FDS; i++)
			engine->fds[i] = wire_take_fd(packet, (size_t)i);
	} else if (r == 0) {
		r = ((struct wire_status *)packet->body)->status;
		snprintf(problem, 256, "%.*s", (int)strnlen((char *)packet->body + 8, 240),
			(char *)packet->body + 8);
		r = r < 0 ? r : -EPROTO;
	}
	if (packet)
		wire_packet_done(packet);
	free(packet);
	return r;
}

static void __attribute__((noreturn)) loader(int socket_fd)
{
	struct {
		struct wire_status status;
		char words[256];
	} refusal = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	refusal.status.status = load(socket_fd);
	if (refusal.status.status < 0) {
		memcpy(refusal.words, last_words, sizeof refusal.words);
		wire_send(socket_fd, WIRE_STATUS, 0, 0, &refusal, sizeof refusal, NULL, 0);
	}
	_exit(0);
}

static int load_in_child(struct engine *engine, char problem[static 256])
{
	int pair[2], r = wire_pair(pair);
	pid_t pid;

	if (r < 0)
		return r;
	pid = fork();
	if (pid == 0)
		loader(pair[1]);
	fd_close(pair[1]);
	r = pid < 0 ? -errno : take_fds(pair[0], engine, problem);
	fd_close(pair[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

/* ---- maps, raw -------------------------------------------------------------------------------- */

static int bpf(int command, union bpf_attr *attributes)
{
	long r = syscall(SYS_bpf, command, attributes, sizeof *attributes);

	return r < 0 ? -errno : (int)r;
}

static int map_new(uint32_t type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags)
{
	union bpf_attr attributes = { .map_type = type,
		.key_size = key,
		.value_size = value,
		.max_entries = entries,
		.map_flags = flags };

	return bpf(BPF_MAP_CREATE, &attributes);
}

static int map_put(int fd, uint32_t key, const void *value)
{
	union bpf_attr attributes = { .map_fd = (uint32_t)fd,
		.key = (uint64_t)(uintptr_t)&key,
		.value = (uint64_t)(uintptr_t)value };

	return bpf(BPF_MAP_UPDATE_ELEM, &attributes);
}

static void map_drop(int fd, uint32_t key)
{
	union bpf_attr attributes = { .map_fd = (uint32_t)fd, .key = (uint64_t)(uintptr_t)&key };

	bpf(BPF_MAP_DELETE_ELEM, &attributes);
}

int engine_count(struct engine *engine, uint32_t client, uint64_t *ret_dropped, uint64_t *ret_sent)
{
	struct es_counters counters = { 0 };
	union bpf_attr attributes = { .map_fd = (uint32_t)engine->fds[FD_COUNTERS],
		.key = (uint64_t)(uintptr_t)&client,
		.value = (uint64_t)(uintptr_t)&counters };
	int r = bpf(BPF_MAP_LOOKUP_ELEM, &attributes);

	if (r < 0)
		return r;
	*ret_dropped = counters.dropped;
	*ret_sent = counters.sent;
	return 0;
}

/* ---- clients ---------------------------------------------------------------------------------- */

int engine_add_client(struct engine *engine, uint32_t client, uint32_t ring_bytes, int *ret_ring_fd,
	int *ret_wake_fd)
{
	static const struct es_counters none;
	_cleanup_fd_ int ring = -1, wake = -1;
	int r;

	if (client >= ES_CLIENTS_MAX || ring_bytes < (64u << 10) || ring_bytes & (ring_bytes - 1))
		return -EINVAL;
	engine_drop_client(engine, client);
	if (engine->all_bytes + ring_bytes > 256ull << 20)
		return -ENOBUFS;
	ring = map_new(BPF_MAP_TYPE_RINGBUF, 0, 0, ring_bytes, 0);
	wake = map_new(BPF_MAP_TYPE_ARRAY, 4, sizeof(struct es_wake_page), 1, BPF_F_MMAPABLE);
	if (ring < 0 || wake < 0)
		return ring < 0 ? ring : wake;
	r = map_put(engine->fds[FD_COUNTERS], client, &none);
	if (r == 0)
		r = map_put(engine->fds[FD_WAKES], client, &wake);
	if (r == 0)
		r = map_put(engine->fds[FD_RINGS], client, &ring);
	if (r < 0)
		return r;
	engine->ring_bytes[client] = ring_bytes;
	engine->all_bytes += ring_bytes;
	*ret_ring_fd = TAKE_FD(ring);
	*ret_wake_fd = TAKE_FD(wake);
	return 0;
}

void engine_drop_client(struct engine *engine, uint32_t client)
{
	static const uint64_t nothing[ES_EVENTS_MAX / 64];

	engine_watch(engine, client, nothing);
	if (engine->ring_bytes[client] == 0)
		return;
	/* never given to another: the old client still has it mapped */
	map_drop(engine->fds[FD_RINGS], client);
	map_drop(engine->fds[FD_WAKES], client);
	engine->all_bytes -= engine->ring_bytes[client];
	engine->ring_bytes[client] = 0;
}

void engine_watch(
	struct engine *engine, uint32_t client, const uint64_t events[static ES_EVENTS_MAX / 64])
{
	const uint64_t bit = 1ull << client;
	uint32_t i;

	for (i = 0; i < ES_EVENTS_MAX; i++) {
		if (events[i / 64] & 1ull << i % 64)
			__atomic_fetch_or(&engine->control->subscribed[i], bit, __ATOMIC_RELAXED);
		else if (engine->control->subscribed[i] & bit)
			__atomic_fetch_and(&engine->control->subscribed[i], ~bit, __ATOMIC_RELAXED);
	}
}

/* ---- the whole -------------------------------------------------------------------------------- */

static int set_up(struct engine *engine, int scope_fd)
{
	const size_t bytes = (sizeof *engine->control + 4095) & ~4095ul;
	struct stat namespace;
	int r;

	engine->control = mmap(
		NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, engine->fds[FD_CONTROL], 0);
	if (engine->control == MAP_FAILED) {
		engine->control = NULL;
		return -errno;
	}
	if (stat("/proc/self/ns/pid", &namespace) < 0)
		return -errno;
	engine->control->pid_namespace = (uint32_t) namespace.st_ino;
	if (scope_fd < 0)
		return 0;
	r = map_put(engine->fds[FD_SCOPE], 0, &scope_fd);
	if (r == 0)
		engine->control->scoped = 1;
	return r;
}

int engine_new(int scope_fd, struct engine **ret, char problem[static 256])
{
	struct engine *engine = calloc(1, sizeof *engine);
	int i, r;

	problem[0] = '\0';
	if (!engine)
		return -ENOMEM;
	for (i = 0; i < FDS; i++)
		engine->fds[i] = -1;
	r = load_in_child(engine, problem);
	if (r == 0)
		r = set_up(engine, scope_fd);
	if (r < 0) {
		engine_free(engine);
		return r;
	}
	*ret = engine;
	return 0;
}

struct engine *engine_free(struct engine *engine)
{
	int i;

	if (!engine)
		return NULL;
	if (engine->control)
		munmap(engine->control, (sizeof *engine->control + 4095) & ~4095ul);
	for (i = 0; i < FDS; i++)
		fd_close(engine->fds[i]);
	free(engine);
	return NULL;
}
