/* SPDX-License-Identifier: Apache-2.0
 *
 * Protocol between outboardd's manager and a broker (outboard-esd, ...), on the socket "manager"
 * that the broker inherits beside its listener "listen" (endpoint.sock). The manager is the more
 * trusted side: a broker exits on a message that does not fit. The manager pushes, the broker
 * never asks.
 *
 * A manager that was restarted says everything again: SETTINGS, ADD_CLIENT and ENTITLE of what the
 * broker has already change nothing (the second socket of a client is closed). Each ADD_CLIENT and
 * DROP_CLIENT is answered by CLIENTS within 5 s, or the broker is killed.
 */
#ifndef OB_MANAGER_BROKER_WIRE_H
#define OB_MANAGER_BROKER_WIRE_H

#include "base/wire.h"

enum {
	/* manager to broker */
	BROKER_SETTINGS =
		16, /* struct broker_settings, before everything else and at each change */
	BROKER_ADD_CLIENT =
		17, /* struct broker_client, one socket: the broker's end of an extension's */
	BROKER_DROP_CLIENT = 18, /* struct broker_client: close it; its extension has ended */
	BROKER_ENTITLE =
		19, /* struct broker_entitled, and the file, to be hashed: of an activated bundle; it
		     * may come in through the listener if its entitlements say so */
	BROKER_UNENTITLE = 20, /* struct broker_entitled, dev and ino alone count */
	BROKER_WITHHOLD =
		22, /* struct broker_entitled: of a bundle that is not approved, or disabled. It is nobody's
		     * program, and one that comes in through the listener is told that it may not yet */
	BROKER_REPORT =
		21, /* no body, one socket: whoever has its other end is answered there by REPORTED; the
		     * manager waits for nothing */

	/* broker to manager */
	BROKER_UP = 32,	    /* no body: attached, the listener is served */
	BROKER_FAILED = 33, /* struct wire_error: what it could not do; it exits after */
	BROKER_CLIENTS =
		34, /* struct broker_clients: at each change, of misses once a second; and see above */

	/* broker to who asks, on the socket of REPORT */
	BROKER_REPORTED = 48, /* no body, one sealed memfd: a JSON document, outboardctl(1) */
};

struct broker_settings {
	uint32_t developer_mode; /* any program of root may come in */
	uint32_t generation;	 /* of this broker: clients see it in RESTARTED */
	uint64_t
		scope_cgroup; /* id of the cgroup v2 folder that bounds what is seen; 0 the whole machine */
};

struct broker_client {
	uint64_t child; /* parent-wire.h: the extension's process */
	int32_t pid;
	uint32_t entitlement_bits;
	char identifier[256];
	char team[16];
	char digest[65];
	char reserved[7];
};

struct broker_entitled {
	uint64_t device, inode, ctime_ns, size; /* of the executable */
	uint32_t entitlement_bits;
	uint32_t withheld_bits; /* what its manifest has besides, and nobody has allowed */
	char identifier[256];
	char team[16];
};

struct broker_clients {
	uint32_t n_clients;
	uint32_t reserved;
	uint64_t n_misses; /* deadlines, of all clients; the last one: */
	char client[256], event[32], code[64], outcome[32];
	char path[1024];
};
static_assert(sizeof(struct broker_clients) == 1424, "wire");

#endif
