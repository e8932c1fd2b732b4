/* SPDX-License-Identifier: Apache-2.0
 *
 * The D-Bus server inside outboardd's manager: org.outboard.Manager1.xml on the private socket
 * (peer to peer, any number of connections within the limits) and, where there is one and the
 * configuration allows it, on the system bus. Every user reads states; what changes something, and
 * the log, is root's.
 *
 * The server knows the manager through the table of functions below and nothing else, and tells
 * nobody what has not changed: it keeps a digest of each property that it last told.
 *
 * It never waits for a peer. A connection that does not read what it is sent, sends what is not
 * D-Bus, or asks faster than it reads is closed; the system bus may hang, die and come back.
 */
#ifndef OB_MANAGER_CONTROL_H
#define OB_MANAGER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>
#include "base/rules.h"

#define CONTROL_FDS_MAX 8u

/* One staged copy of an extension as the bus shows it. Strings are borrowed; NULL reads as "". */
struct control_extension {
	const char *id; /* UUID: the staged copy's name for ever */
	const char *identifier, *team, *team_name;
	const char *version, *short_version, *name, *usage;
	const char *digest, *entitlements; /* JSON object, keys sorted */
	const char *state, *reason;	   /* "activated_enabled"; why, or "" */
	const char *running_version;	   /* "short/version" of what runs now */
	const char *last_error;		   /* JSON object as ob_error(7) has it, or "" */
	const char *last_exit;		   /* "signal 9 (Killed)", "status 3", or "" */
	const char *approved_by, *origin_path, *app_path, *staged_path;
	uint32_t categories; /* BUNDLE_CATEGORY_* */
	uint32_t pid, restarts;
	uint64_t since_usec, approved_at_usec; /* CLOCK_REALTIME; 0 never */
	bool wanted, active, enabled, running, awaiting_approval, uninstalling;
};

struct control_request {
	uint64_t id;
	const char *kind; /* "activate", "deactivate", "properties" */
	const char *identifier, *team, *app_path;
	const char *state;     /* what it waits for: "validating", "approval", "replacement", ... */
	const char *extension; /* id of the copy that it is about, "" while there is none */
	uint32_t uid, pid;
	uint64_t since_usec;
};

/* One line of `outboardctl config`. */
struct control_value {
	const char *section, *key, *value;
	const char *source; /* "default", or file:line */
};

struct control_descriptors {
	size_t n;
	char names[CONTROL_FDS_MAX][64]; /* as in OUTBOARD_FDS: "control", "endpoint" */
	int fds[CONTROL_FDS_MAX];	 /* the server's to close */
};

/*
 * What the manager does for the server. Every function returns 0, or -errno; the changing ones
 * also 1: refused by rule, *@error is filled. None may be NULL but list_*'s callbacks.
 */
struct control_manager {
	const char *version, *boot_id;
	bool (*get_developer_mode)(void *manager);
	/* Calls @each(context, name, sentence) for each capability: "endpoint-security", "up, 2 clients". */
	int (*list_capabilities)(void *manager,
		int (*each)(void *context, const char *name, const char *state), void *context);
	/* Calls @each until it returns something else than 0, which is then returned. */
	int (*list_extensions)(void *manager,
		int (*each)(void *context, const struct control_extension *extension),
		void *context);
	int (*get_extension)(
		void *manager, const char *id, struct control_extension *ret); /* -ENOENT */
	int (*list_requests)(void *manager,
		int (*each)(void *context, const struct control_request *request), void *context);
	int (*get_request)(void *manager, uint64_t id, struct control_request *ret);
	int (*list_config)(void *manager,
		int (*each)(void *context, const struct control_value *value), void *context);

	/* @uid: who asks (0, since only root may; kept for the record of who approved) */
	int (*activate)(void *manager, uint32_t uid, const char *app_path, const char *identifier,
		uint64_t *ret_request, struct wire_error *error);
	int (*deactivate)(void *manager, uint32_t uid, const char *id, uint64_t *ret_request,
		struct wire_error *error);
	int (*approve)(void *manager, uint32_t uid, const char *id, struct wire_error *error);
	int (*deny)(void *manager, uint32_t uid, const char *id, struct wire_error *error);
	int (*enable)(void *manager, uint32_t uid, const char *id, struct wire_error *error);
	int (*disable)(void *manager, uint32_t uid, const char *id, struct wire_error *error);
	int (*uninstall)(void *manager, uint32_t uid, const char *team, const char *identifier,
		struct wire_error *error);
	int (*reset)(void *manager, uint32_t uid, struct wire_error *error);
	int (*gc)(void *manager, uint32_t uid, uint32_t *ret_removed, struct wire_error *error);
	int (*set_developer_mode)(void *manager, uint32_t uid, bool on, struct wire_error *error);
	/*
	 * A memfd, at its beginning, with at most the last @lines whole lines of JSON of that source
	 * ("" all) since then. May not block on anything but the disk.
	 */
	int (*read_log)(void *manager, const char *source, uint64_t since_usec, uint32_t lines,
		int *ret_fd);
	/* A socket on which the broker of Endpoint Security answers by itself: a memfd, JSON. */
	int (*read_endpoint)(void *manager, int *ret_fd, struct wire_error *error);
	/* Sockets for the process behind @pid_fd (borrowed) as for an extension that is entitled so. */
	int (*dev_run)(void *manager, const char *identifier, const char *entitlements, int pid_fd,
		struct control_descriptors *ret, struct wire_error *error);
};

struct control;

/*
 * @functions: borrowed for ever; @manager: their first argument
 * @listen_fd: control.sock, listening, borrowed
 * @system_bus: also serve the system bus, whenever there is one; under OUTBOARD_ROOT only the one
 *              that DBUS_SYSTEM_BUS_ADDRESS names
 */
int control_new(const struct control_manager *functions, void *manager, sd_event *event,
	int listen_fd, bool system_bus, struct control **ret);
struct control *control_free(struct control *control);
DEFINE_CLEANUP(struct control, control_free)

/*
 * Told by the manager; cheap when nobody is connected. An extension or a request is "changed" when
 * it is new, too; "removed" must be told while get_extension() still finds it.
 */
void control_extension_changed(struct control *control, const char *id);
void control_extension_removed(struct control *control, const char *id);
void control_request_changed(struct control *control, uint64_t id);
/* @result: "completed", "will-complete-after-reboot", "failed"; @error: with "failed". Removes it. */
void control_request_ended(
	struct control *control, uint64_t id, const char *result, const struct wire_error *error);
void control_manager_changed(struct control *control); /* developer mode, capabilities */
/* A line, without its end, has been stored: for those who follow the log. */
void control_log_line(struct control *control, const char *source, const char *line, size_t bytes);

/* A wire_error as the JSON object of ob_error(7). malloc'd, or NULL. */
char *control_error_json(const struct wire_error *error);

#endif
