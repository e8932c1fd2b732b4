/* SPDX-License-Identifier: Apache-2.0
 *
 * bpf(2), raw: what runs in the daemon links no libbpf. All: 0 or a descriptor, or -errno.
 */
#ifndef OB_ENDPOINT_ENGINE_BPF_H
#define OB_ENDPOINT_ENGINE_BPF_H

#include <stdint.h>

int bpf_map_new(uint32_t type, uint32_t key, uint32_t value, uint32_t entries, uint32_t flags);
int bpf_map_put(int map_fd, const void *key, const void *value, uint64_t flags);
int bpf_map_get(int map_fd, const void *key, void *value);
int bpf_map_drop(int map_fd, const void *key);
/* A tracepoint's, a trampoline's, an LSM hook's: what it is for is in the program. Attached as long as the descriptor. */
int bpf_attach(int program_fd);
/* Runs an iter/task program for one thread, as this pid namespace numbers it. */
int bpf_iterate_task(int program_fd, uint32_t thread);

#endif
