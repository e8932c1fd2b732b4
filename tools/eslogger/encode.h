/* SPDX-License-Identifier: Apache-2.0
 *
 * A message as JSON, in the shape that macOS' eslogger gives it: the names of the API's members are
 * the keys. What belongs to each event is a table, events.def.
 */
#ifndef OB_TOOLS_ESLOGGER_ENCODE_H
#define OB_TOOLS_ESLOGGER_ENCODE_H

#include <EndpointSecurity/EndpointSecurity.h>
#include "tools/eslogger/jsonl.h"

/* The NOTIFY event of that short name; ES_EVENT_TYPE_LAST: there is none. */
es_event_type_t event_by_name(const char *name);
/* The @index-th short name in the order of the alphabet; NULL behind the last one. */
const char *event_name(size_t index);
/* One object, without an end of line. The message is of an event that has a name. */
void encode_message(struct jsonl *json, const es_message_t *message);

#endif
