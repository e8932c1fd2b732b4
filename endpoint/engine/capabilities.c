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
	{ 9, SOURCE_TRACEPOINT, "tracepoint sched_process_exec",
		"of a set-user-ID program, the effective ids before are those of the last event" },
	{ 11, SOURCE_TRACEPOINT, "tracepoint sched_process_fork", NULL },
	{ 15, SOURCE_TRACEPOINT, "tracepoint sched_process_exit",
		"of a process that did nothing since outboard-esd began, the executable is not known" },
	{ 31, SOURCE_TRACEPOINT, "tracepoint signal_generate", NULL },
};

const struct capability *capability_of(uint32_t event, uint32_t sources)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].event == event && capabilities[i].source & sources)
			return &capabilities[i];
	return NULL;
}

const char *capability_name(uint32_t event)
{
	return event < ARRAY_SIZE(names) ? names[event] : NULL;
}

bool capability_asks(uint32_t event)
{
	const char *name = capability_name(event);

	return name && strncmp(name, "AUTH_", 5) == 0;
}

const char *capability_reason(uint32_t event, uint32_t sources)
{
	const char *name = capability_name(event);

	if (!name)
		return "it is no event of the Endpoint Security API";
	if (capability_of(event, sources))
		return NULL;
	if (capability_of(event, SOURCES_ALL))
		return "this kernel, or [endpoint] sources, has no source for it";
	if (capability_asks(event))
		return "this version of Outboard cannot hold this operation until it is answered";
	if (strncmp(name, "RESERVED", 8) == 0)
		return "the number is reserved";
	return "this version of Outboard has no source for it";
}
