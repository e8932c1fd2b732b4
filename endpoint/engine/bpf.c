/* SPDX-License-Identifier: Apache-2.0
 *
 * See bpf.h.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "endpoint/engine/bpf.h"

static int bpf(int command, union bpf_attr *attributes)
{
	long r = syscall(SYS_bpf, command, attributes, sizeof *attributes);

	return r < 0 ? -errno : (int)r;
}

static uint64_t address(const void *at)
{
	return (uint64_t)(uintptr_t)at;
}

int bpf_map_new(uint32_t type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags)
{
	union bpf_attr attributes = { .map_type = type,
		.key_size = key,
		.value_size = value,
		.max_entries = entries,
		.map_flags = flags };

	return bpf(BPF_MAP_CREATE, &attributes);
}

int bpf_map_put(int map_fd, const void *key, const void *value, uint64_t flags)
{
	union bpf_attr attributes = { .map_fd = (uint32_t)map_fd,
		.key = address(key),
		.value = address(value),
		.flags = flags };

	return bpf(BPF_MAP_UPDATE_ELEM, &attributes);
}

int bpf_map_get(int map_fd, const void *key, void *value)
{
	union bpf_attr attributes = {
		.map_fd = (uint32_t)map_fd, .key = address(key), .value = address(value)
	};

	return bpf(BPF_MAP_LOOKUP_ELEM, &attributes);
}

int bpf_map_drop(int map_fd, const void *key)
{
	union bpf_attr attributes = { .map_fd = (uint32_t)map_fd, .key = address(key) };

	return bpf(BPF_MAP_DELETE_ELEM, &attributes);
}

int bpf_attach(int program_fd)
{
	union bpf_attr attributes = { .raw_tracepoint = { .prog_fd = (uint32_t)program_fd } };

	return bpf(BPF_RAW_TRACEPOINT_OPEN, &attributes);
}

int bpf_iterate_task(int program_fd, uint32_t thread)
{
	union bpf_iter_link_info info = { .task = { .tid = thread } };
	union bpf_attr link = { .link_create = { .prog_fd = (uint32_t)program_fd,
					.attach_type = BPF_TRACE_ITER,
					.iter_info = address(&info),
					.iter_info_len = sizeof info } };
	union bpf_attr iterator = { 0 };
	char nothing[64];
	int link_fd = bpf(BPF_LINK_CREATE, &link), r;

	if (link_fd < 0)
		return link_fd;
	iterator.iter_create.link_fd = (uint32_t)link_fd;
	r = bpf(BPF_ITER_CREATE, &iterator);
	close(link_fd);
	if (r < 0)
		return r;
	/* the program writes nothing: reading runs it, to the end */
	link_fd = r;
	r = read(link_fd, nothing, sizeof nothing) < 0 ? -errno : 0;
	close(link_fd);
	return r;
}
