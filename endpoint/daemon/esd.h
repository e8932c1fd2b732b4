/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-esd: what its files know of each other. It holds the one kernel attachment for all
 * clients and hands each its ring; what happens then happens between kernel and client alone. It
 * decides nothing about who may come: the manager tells it, through the socket that it inherits.
 */
#ifndef OB_ENDPOINT_DAEMON_ESD_H
#define OB_ENDPOINT_DAEMON_ESD_H

#include <stdbool.h>
#include <systemd/sd-event.h>
#include "base/peer.h"
#include "endpoint/endpoint-wire.h"
#include "endpoint/engine/ask.h"
#include "endpoint/engine/engine.h"
#include "endpoint/lib/ring.h"
#include "manager/broker-wire.h"

#define CONNECTIONS_MAX 128 /* clients and those that are still proving who they are */

enum phase {
	PHASE_PROVE = 1,
	PHASE_HELLO = 2,
	PHASE_NEW = 4,
	PHASE_CLIENT = 8,
	PHASE_INHERITED = 16
};

struct connection {
	struct connection *next;
	struct esd *esd;
	int fd;
	sd_event_source *io, *timer, *life;
	uint32_t phase;
	struct peer peer; /* of one that has come by itself */
	bool handed;	  /* by the manager: entitled, and known by `child` */
	bool inherited;	  /* and another outboard-esd had it before */
	uint64_t child;
	int32_t child_pid;
	char name
		[256]; /* identifier of its bundle; else the path of its program; "" not known yet */
	uint32_t entitlement_bits;
	int slot;	  /* client number; -1 */
	bool subscribing; /* it waits for its programs, and nothing more of it is read */
	uint64_t subscribing_id;
};

/* The executable of an activated bundle. */
struct entitled {
	struct entitled *next;
	struct broker_entitled is;
	int fd;			    /* until it has been hashed; -1 */
	bool withheld;		    /* of one that is not active: nobody's program */
	struct es_identity_key key; /* in the kernel's map; zeros: not there yet */
};

/* identity.c */
struct identities {
	struct ring ring; /* what the kernel program asks for */
	sd_event_source *wanted, *answer, *deadline, *packages;
	pid_t pid; /* outboard-identity-worker; 0 none */
	int fd;
	enum { ASKED_NOTHING, ASKED_WANTED, ASKED_FILE } asked;
	struct es_identity_key key; /* that was asked for */
	bool failing;
	bool tried; /* once before, for what is asked for now */
};
#define IDENTITIES_NONE                     \
	{                                   \
		.ring = RING_NONE, .fd = -1 \
	}

/* A question that a client did not answer in time. */
struct miss {
	uint64_t usec; /* CLOCK_REALTIME */
	pid_t pid;
	char client[256];
	struct ask_notice is;
};
#define MISSES_KEPT 32u

struct esd {
	sd_event *event;
	sd_event_source *loading, *rest;
	struct engine *engine;
	struct connection *connections;
	unsigned n_connections, n_clients;
	struct connection *slots[ES_CLIENTS_MAX];
	struct entitled *entitled;
	struct identities identities;
	int listen_fd, manager_fd;
	bool developer_mode, standalone, settled;
	uint32_t generation;
	struct miss misses[MISSES_KEPT]; /* the last ones: number n is at n % MISSES_KEPT */
	uint64_t n_misses, n_unsaid;	 /* unsaid: of which there is nothing but the number */
	sd_event_source *misses_timer;	 /* the manager hears of them once a second */
	bool misses_untold, fail_closed;
	struct wire_packet packet;
};

/* client.c */
int connection_new(struct esd *esd, int fd, struct connection **ret); /* @fd: taken */
struct connection *connection_free(struct connection *connection);
int connection_answer(struct connection *connection, uint16_t type, const void *body, size_t bytes);
int connection_begin_hello(struct connection *connection);
int listener_open(struct esd *esd);

/* mute.c: what a client says about what it does not want to hear of */
int mute_on_rows(void *connection, struct wire_packet *packet);
int mute_on_invert(void *connection, struct wire_packet *packet);
int mute_on_still(void *connection, struct wire_packet *packet);

/* watching.c: what is subscribed to is answered when it can be watched */
int watching_subscribe(struct connection *connection, const struct endpoint_set *set, uint64_t id);
void watching_changed(struct esd *esd); /* somebody needs less */
void watching_close(struct esd *esd);

/* asking.c */
int asking_open(struct esd *esd);
const char *miss_code(
	const struct miss *miss); /* "ES_RESPOND_RESULT_ERR_EVENT_TYPE", "no answer" */
const char *miss_outcome(const struct miss *miss); /* "allowed" */

/* report.c: on @fd, which is taken */
void report_send(struct esd *esd, int fd);

/* manager.c */
int manager_open(struct esd *esd);
void manager_tell_clients(struct esd *esd);
void manager_tell_failure(struct esd *esd, const char *detail);
const struct entitled *find_executable(const struct esd *esd, const struct peer *peer);
struct entitled *entitled_free(struct entitled *entitled);

/* identity.c */
struct identity_answer;
int identity_open(struct esd *esd);
void identity_close(struct esd *esd);
void identity_entitled(struct esd *esd); /* one has come */
void identity_unentitled(struct esd *esd, const struct entitled *entitled);
void identity_fill(struct esd *esd, const struct identity_answer *answer, struct es_identity *ret);

#endif
