/* SPDX-License-Identifier: Apache-2.0
 *
 * A tool's connection to outboardd: D-Bus over the private socket, which works with and without a
 * system bus, and outboardd's objects as JSON. "RunningVersion" of the bus is "running_version"
 * here; the properties that hold JSON (Entitlements, LastError) are opened. So what a verb prints
 * for people and what --json promises come from the same place.
 */
#ifndef OB_TOOLS_LIB_CONTROL_H
#define OB_TOOLS_LIB_CONTROL_H

#include <jansson.h>
#include <systemd/sd-bus.h>
#include "tools/lib/verb.h"

#define CONTROL_PATH "/org/outboard/Manager1"
#define CONTROL_MANAGER "org.outboard.Manager1"
#define CONTROL_EXTENSION "org.outboard.Extension1"
#define CONTROL_REQUEST "org.outboard.Request1"

static inline void control_closep(sd_bus **bus)
{
	*bus = sd_bus_close_unref(*bus);
}
#define _cleanup_control_ _cleanup_(control_closep)
#define _cleanup_json_ _cleanup_(json_decrefp)
#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)

/* VERB_DONE; else VERB_FAILED after it was said why, and how outboardd is started. */
int control_open(const struct verb *verb, sd_bus **ret);

/**
 * control_call() - call a method of the manager object and wait for its answer
 * @types: of the arguments that follow, as for sd_bus_message_append(); NULL none
 * @ret:   the reply; NULL: not wanted
 *
 * VERB_DONE; or VERB_FAILED after the error was printed: its sentence, and how to mend it.
 */
int control_call(const struct verb *verb, sd_bus *bus, const char *method, sd_bus_message **ret,
	const char *types, ...);

/* The same with a message that is made already. Takes nothing over. */
int control_send(const struct verb *verb, sd_bus *bus, sd_bus_message *call, sd_bus_message **ret);

/* Remove what has lost its app: how many that were. VERB_DONE, or as control_call(). */
int control_gc(const struct verb *verb, sd_bus *bus, uint32_t *ret_removed);

/* Everything that outboardd shows, at one moment. */
struct control_view {
	json_t *manager;    /* object */
	json_t *extensions; /* array of objects, each with "path"; sorted by team, identifier, since */
	json_t *requests; /* likewise */
};
int control_view(const struct verb *verb, sd_bus *bus, struct control_view *ret);
/* control_open(), then control_view(): what a verb that shows or finds something begins with. */
int control_open_view(const struct verb *verb, sd_bus **ret_bus, struct control_view *ret);
void control_view_done(struct control_view *view);
#define _cleanup_view_ _cleanup_(control_view_done)

/* The properties of one interface in a message (a{sv}) as JSON; NULL when it is none. */
json_t *control_properties(sd_bus_message *message);

/*
 * Which extension a person means by "org.example.agent", "TEAM/org.example.agent", or the id of a
 * staged copy. Of several copies with one name the one in which @prefer is true, else the active
 * one, else the newest. Borrowed. NULL after it was said why not.
 */
json_t *control_find(const struct verb *verb, const struct control_view *view, const char *word,
	const char *prefer);

/**
 * control_wait_removed() - until no copy of that extension is there any more
 * @identifier: NULL: of any extension
 *
 * Waits for the signals, at most a minute: a copy that is still there then is named, with its state.
 */
int control_wait_removed(
	const struct verb *verb, sd_bus *bus, const char *team, const char *identifier);

/* Members of such an object; "" , 0, false where there is none. */
const char *field_string(const json_t *object, const char *name);
long long field_number(const json_t *object, const char *name);
bool field_true(const json_t *object, const char *name);

#endif
