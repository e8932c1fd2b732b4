/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the D-Bus server share. control.c: connections and their limits; control-bus.c:
 * the system bus; control-objects.c: what is shown; control-changes.c: what has changed;
 * control-methods.c: what can be asked, and by whom; control-log.c: who follows the log.
 */
#ifndef OB_MANAGER_CONTROL_INTERNAL_H
#define OB_MANAGER_CONTROL_INTERNAL_H

#include <sys/types.h>
#include <systemd/sd-bus.h>
#include "manager/control.h"

#define CONTROL_NAME "org.outboard.Manager1"
#define CONTROL_PATH "/org/outboard/Manager1"
#define CONTROL_EXTENSIONS CONTROL_PATH "/extension"
#define CONTROL_REQUESTS CONTROL_PATH "/request"
#define CONTROL_EXTENSION "org.outboard.Extension1"
#define CONTROL_REQUEST "org.outboard.Request1"

#define CONTROL_LINKS_MAX 64u	 /* connections in all; */
#define CONTROL_LINKS_OTHERS 48u /* of which those who are not root, so that root always gets in; */
#define CONTROL_LINKS_UID 8u	 /* and each of them */
#define CONTROL_SIGNALS_MAX 512u /* messages that wait for a peer to read them: more close it */
#define CONTROL_ANSWERS_MAX 32u	 /* the same when it asks for more */
#define CONTROL_CALLS_MAX 64u	 /* calls over the system bus whose caller is being looked up */
#define CONTROL_FOLLOWERS_MAX 8u
#define CONTROL_PRIORITY (SD_EVENT_PRIORITY_NORMAL + 20) /* after everything that supervises */

/* One connection: a peer on the private socket, or the system bus. */
struct control_link {
	struct control *control;
	struct control_link *next;
	sd_bus *bus;
	bool is_system_bus;
	uid_t uid;  /* of the peer */
	bool ready; /* signals go to it: at once for a peer, with the name for the system bus */
	bool dying; /* closed by the end of this turn: nothing is sent to it any more */
};

struct control_shown; /* control-changes.c: digests of what an object's properties were */
struct control_bus;   /* control-bus.c */

struct control_follower {
	int fd;
	char source[128];
};

struct control {
	const struct control_manager *functions;
	void *manager;
	sd_event *event;
	sd_event_source *listen_source, *reap_source, *turn_source;
	struct control_link *links;
	size_t n_links;
	uint64_t silent_until_usec; /* of lines about peers */
	unsigned n_unsaid;
	int spare_fd;
	struct control_bus *system_bus;
	size_t n_calls; /* whose caller is being looked up */
	struct control_shown *shown;
	struct control_follower followers[CONTROL_FOLLOWERS_MAX];
	size_t n_followers;
	sd_id128_t server_id;
};

/* Put our objects onto a fresh connection. */
int control_objects_attach(struct control_link *link);
/* The peer is gone or not worth it: freed when the loop comes round. */
void control_link_drop(struct control_link *link, const char *why);
/* A new link for @bus, which it takes over, in the list. */
int control_link_new(struct control *control, sd_bus *bus, uid_t uid, struct control_link **ret);
/* Everybody's queue after something was sent to all. */
void control_links_check(struct control *control);

enum control_shape {
	SHAPE_STRING,
	SHAPE_BOOL,
	SHAPE_U32,
	SHAPE_U64,
	SHAPE_CATEGORIES, /* bits here, an array of Apple's names on the bus */
	SHAPE_EXTENSION,  /* an id here, a path on the bus */
};

struct control_property {
	const char *name;
	enum control_shape shape;
	size_t offset; /* in struct control_extension or control_request */
	bool is_constant;
};
#define CONTROL_PROPERTIES_MAX 32u

extern const struct control_property control_extension_properties[], control_request_properties[];
extern const size_t control_extension_n_properties, control_request_n_properties;

/* What a property holds, whatever object it stands in. */
const char *control_value_string(const void *object, const struct control_property *property);
uint64_t control_value_number(const void *object, const struct control_property *property);

int control_changes_begin(struct control *control);
void control_shown_free(struct control *control);

/* Every method of Manager1 comes here; which one, the message says. */
int control_method(sd_bus_message *message, void *userdata, sd_bus_error *error);

int control_bus_new(struct control *control, struct control_bus **ret);
struct control_bus *control_bus_free(struct control_bus *bus);
void control_bus_lost(struct control_bus *bus); /* its link has ended: try again later */

/* The live end of a log for the caller, whole lines from now on. -ENOSPC: too many follow it. */
int control_log_follow(struct control *control, const char *source, int *ret_fd);
void control_log_done(struct control *control);

/* "…/extension/_1234" to the id; NULL: no path of ours. */
int control_path_of_extension(const char *id, char **ret);
int control_path_of_request(uint64_t id, char **ret);

#endif
