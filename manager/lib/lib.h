/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of libSystemExtensions. One manager a process has one connection to outboardd, a list
 * of the requests that are open and a list of observers; its lock guards all three, and every field
 * below that is marked "lock". No callback of the app's runs under it: callbacks are posted to the
 * app's queues. Messages are read, and what has a deadline is looked after, on one library queue.
 *
 *   request.c      the objects, their callbacks, how one ends
 *   workspace.c    observers
 *   connection.c   connecting, losing the connection, deadlines
 *   exchange.c     what is said on it
 *   properties.c   what callbacks are handed
 */
#ifndef OB_MANAGER_LIB_LIB_H
#define OB_MANAGER_LIB_LIB_H

#include <pthread.h>
#include <stdatomic.h>
#include <SystemExtensions/SystemExtensions.h>
#include "base/rules.h"
#include "base/wire.h"
#include "manager/lib/properties.h"
#include "manager/request-wire.h"
#include "outboard/internal.h"

#define NS_PER_MS 1000000ull
/* How long outboardd is looked for before a request fails; how long it may take over a CANCEL. */
#define PATIENCE_NS (10000 * NS_PER_MS)
#define CANCEL_PATIENCE_NS (2000 * NS_PER_MS)
/* Before outboardd is looked for again: doubled each time, until it says something. */
#define PAUSE_MIN_MS 20u
#define FOUND_MAX 64u

enum request_state { REQUEST_NEW, REQUEST_OPEN, REQUEST_ENDED };

/* What outboardd is yet to be sent about a request, in this order. */
#define DUE_SUBMIT 0x1u
#define DUE_ANSWER 0x2u
#define DUE_CANCEL 0x4u

struct os_system_extension_request_s {
	atomic_uint n_references;
	pid_t pid; /* of the process that made it */
	enum request_kind kind;
	char identifier[MEMBER_SIZE(struct request_submit, identifier)];
	ob_queue_t *queue;     /* where callbacks run */
	ob_queue_t *own_queue; /* the same, when it is the library's */

	/* lock */
	struct os_system_extension_request_s *next; /* among the open ones */
	os_system_extension_request_delegate_t delegate;
	void *context;
	void (*handler)(os_system_extension_request_t *, os_system_extension_request_result_t,
		const ob_error_t *, void *);
	void *handler_context;
	enum request_state state;
	uint64_t id;
	unsigned due;
	bool submitted;	      /* to an outboardd that may be gone */
	uint64_t deadline_ns; /* 0 none: outboardd has answered */
	bool cancelled, told_approval;

	/* the question about a replacement: which one is out, and its answer */
	uint32_t question, action;
	const os_system_extension_properties_t *existing, *replacing;

	/* the end, written once, read by the callbacks after it */
	const os_system_extension_properties_t *found[FOUND_MAX];
	size_t n_found;
	os_system_extension_request_result_t result;
	const ob_error_t *error;
};

enum observation_state { OBSERVATION_PENDING, OBSERVATION_ON, OBSERVATION_FAILED };

struct ob_system_extensions_observation_s {
	atomic_uint n_references;
	pid_t pid;
	ob_queue_t *queue, *own_queue;
	os_system_extensions_workspace_observer_t observer;
	void *context;

	/* lock */
	struct ob_system_extensions_observation_s *next;
	enum observation_state state;
	int status; /* why it failed */
	uint64_t deadline_ns;
	bool removed;
	int n_running;
	pthread_cond_t changed;
};

enum phase {
	PHASE_CLOSED = 0x0,
	PHASE_GREETING = 0x1, /* HELLO is sent, theirs is awaited */
	PHASE_PROVING = 0x2,  /* the nonce is awaited */
	PHASE_READY = 0x4,
};

struct manager {
	pthread_mutex_t lock;
	uint64_t patience_ns, cancel_patience_ns; /* the two above; a test has less */
	_Atomic pid_t pid;			  /* of the process that uses it; 0 nobody yet */

	/* lock */
	ob_queue_t *queue;
	struct queue_source *source; /* of fd */
	int fd;
	enum phase phase;
	int why_closed;	   /* -errno of the last attempt */
	unsigned pause_ms; /* before the next one */
	uint64_t next_attempt_ns, greeted_ns;
	uint64_t tick_ns; /* when somebody looks again; 0 nobody */
	uint64_t last_id;
	uint64_t observe_id; /* of the WORKSPACE_OBSERVE under way; 0 none */
	bool observe_on;     /* what it asked for */
	bool observe_refused;
	bool observing; /* outboardd sends WORKSPACE_EVENT to this connection */
	os_system_extension_request_t *requests, **requests_end;
	ob_system_extensions_observation_t *observations;
	struct wire_packet packet;
};
extern struct manager manager;

/* connection.c. All but manager_enter(): with the lock. */

/*
 * This process uses the library from now on. -ECHILD: one that has forked this one did so before, and
 * the lock may be held by a thread that there is none of here: it is not to be taken.
 */
int manager_claim(void);
/* Take the lock, after the queue has been made. 0; -ECHILD after fork(2); -errno no queue. */
int manager_enter(void);
void manager_leave(void);
uint64_t manager_now(void);
/* Something is due or open that was not: connect, send, arm the timer, or close when nothing is. */
void manager_step(void);
/* Somebody waits who did not before: the next attempt is not to be seconds away. */
void manager_hurry(void);
/* Give a queue of the library's back, on a thread that is not its own. */
void manager_reap(ob_queue_t *queue);

/* exchange.c, with the lock, on a connection */

/* Take everything that has come. -EAGAIN: done; else the connection is of no more use. */
int exchange_receive(void);
/* Send what is due. 0; -EAGAIN: outboardd does not read, try later; else as above. */
int exchange_flush(void);

/* request.c, with the lock */
const char *request_kind_name(enum request_kind kind);
void request_end(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, const ob_error_t *error);
void request_fail(os_system_extension_request_t *request, enum rule_id rule, const char *detail);
void request_tell_approval(os_system_extension_request_t *request);
void request_ask_replacement(os_system_extension_request_t *request,
	const os_system_extension_properties_t *existing,
	const os_system_extension_properties_t *replacing);
/* The connection is gone: what was half said is forgotten, and everything is due again. */
void request_restart(os_system_extension_request_t *request);

/* workspace.c, with the lock */
void observations_tell(enum workspace_event event, const os_system_extension_info_t *info);
/* What outboardd has said to WORKSPACE_OBSERVE: those that wait for it are told. */
void observations_settle(int status);
void observations_expire(uint64_t now_ns);

#endif
