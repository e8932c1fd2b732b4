/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be watched: the table that outboard-esd goes by, that ob_es_event_get_support() reads
 * and that the manual prints.
 */
#include <stddef.h>
#include <string.h>
#include "base/macros.h"
#include "endpoint/engine/engine.h"

static const char *const names[] = {
#define EVENT(number, name) [number] = #name,
#include "endpoint/lib/event-names.def"
#undef EVENT
};

static const struct capability capabilities[] = {
	{ 9, "plain: tp_btf/sched_process_exec" },
	{ 11, "plain: tp_btf/sched_process_fork" },
	{ 15, "plain: tp_btf/sched_process_exit" },
};

const struct capability *capability_of(uint32_t event)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].event == event)
			return &capabilities[i];
	return NULL;
}

const char *capability_name(uint32_t event)
{
	return event < ARRAY_SIZE(names) ? names[event] : NULL;
}

const char *capability_reason(uint32_t event)
{
	const char *name = capability_name(event);

	if (!name)
		return "it is no event of the Endpoint Security API";
	if (capability_of(event))
		return NULL;
	if (strncmp(name, "AUTH_", 5) == 0)
		return "this version of Outboard cannot hold an operation until it is answered";
	if (strncmp(name, "RESERVED", 8) == 0)
		return "the number is reserved";
	return "this version of Outboard has no source for it";
}
