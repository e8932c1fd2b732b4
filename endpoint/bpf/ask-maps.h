/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 *
 * The maps of asking. Its programs come when somebody has subscribed to what they are for; the daemon has
 * the maps from its start, since it keeps there what each client is.
 */
#ifndef OB_ENDPOINT_BPF_ASK_MAPS_H
#define OB_ENDPOINT_BPF_ASK_MAPS_H

#include "endpoint/bpf/kernel.h"
#include <bpf/bpf_helpers.h>
#include "endpoint/ask.h"

/* the daemon and describe(), which only the daemon's one thread runs */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct es_asking);
} asking SEC(".maps");

/* note(), forget(), check(); the daemon writes what it has decided */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, u32);
	__type(value, struct es_exec);
} execs SEC(".maps");

/* the daemon */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ES_VERDICTS_MAX);
	__type(key, struct es_verdict_key);
	__type(value, struct es_verdict);
} verdicts SEC(".maps");

/* the daemon: the process that a client is, as a bit of each */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ES_CLIENTS_MAX);
	__type(key, u32);
	__type(value, u64);
} client_processes SEC(".maps");

#endif
