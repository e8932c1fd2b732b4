/* SPDX-License-Identifier: Apache-2.0
 *
 * Where things lie. OUTBOARD_ROOT, when set, stands in front of every path of ours, so that a
 * whole Outboard can run beside another one: each test and each demo has a root of its own.
 */
#ifndef OB_BASE_PATHS_H
#define OB_BASE_PATHS_H

#include <limits.h>

enum path {
	PATH_CONFIG, /* /etc/outboard: outboard.conf, conf.d, teams.d, revoked.d, policy.d */
	PATH_VENDOR, /* /usr/lib/outboard: daemons, teams.d, revoked.d, policy.d, apps */
	PATH_STATE,  /* /var/lib/outboard: registry.db, extensions/UUID/, state/TEAM/IDENTIFIER */
	PATH_LOG,    /* /var/log/outboard: outboard.jsonl and its predecessors */
	PATH_RUN,    /* /run/outboard */
	PATH_MANAGER_SOCKET, /* /run/outboard/manager.sock: libSystemExtensions and services, wire protocol */
	PATH_CONTROL_SOCKET,  /* /run/outboard/control.sock: D-Bus, org.outboard.Manager1 */
	PATH_ENDPOINT_SOCKET, /* /run/outboard/endpoint.sock: outboard-esd, wire protocol */
	PATH_SERVICES,	      /* /run/outboard/services: one listening socket a name */
	PATH_MAX_
};

/* The path, with OUTBOARD_ROOT in front, below it @tail if not NULL. Never fails: cut at PATH_MAX. */
const char *path_get(enum path path, const char *tail, char buffer[static PATH_MAX]);

/* The directory of our programs: OUTBOARD_LIBEXEC (build tree, tests) or /usr/lib/outboard, unprefixed. */
const char *path_program(const char *name, char buffer[static PATH_MAX]);

#endif
