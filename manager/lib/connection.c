/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection to outboardd: made when something is open, given up when nothing is, made again
 * when outboardd was restarted. Nothing here waits: the socket does not block, and what has to
 * happen later happens in tick(), on the library's queue.
 *
 * outboardd is the more trusted side, but a library does not exit: what is no message of the
 * protocol ends every open request with an error that says so, and the connection.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/paths.h"
#include "manager/lib/lib.h"

#define PAUSE_MAX_MS 500u
/* With observers alone: an app that only looks on is not to wake the machine for it. */
#define PAUSE_IDLE_MS 5000u

struct manager manager = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.patience_ns = PATIENCE_NS,
	.cancel_patience_ns = CANCEL_PATIENCE_NS,
	.requests_end = &manager.requests,
	.fd = -1,
	.pause_ms = PAUSE_MIN_MS,
};

uint64_t manager_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

int manager_claim(void)
{
	pid_t nobody = 0, self = getpid();

	return atomic_compare_exchange_strong(&manager.pid, &nobody, self) || nobody == self
		? 0
		: -ECHILD;
}

int manager_enter(void)
{
	int r = manager_claim();

	if (r < 0)
		return r;
	pthread_mutex_lock(&manager.lock);
	if (!manager.queue)
		r = ob_queue_new("SystemExtensions", &manager.queue);
	if (r < 0)
		pthread_mutex_unlock(&manager.lock);
	return r;
}

void manager_leave(void)
{
	pthread_mutex_unlock(&manager.lock);
}

static void reap(void *queue)
{
	ob_queue_release(queue);
}

void manager_reap(ob_queue_t *queue)
{
	if (queue)
		queue_post(manager.queue, reap, queue);
}

/* ---- Closing ---------------------------------------------------------------------------------- */

static void close_connection(int why)
{
	manager.source = queue_source_free(manager.source);
	manager.fd = fd_close(manager.fd);
	manager.phase = PHASE_CLOSED;
	manager.why_closed = why;
	manager.observing = false;
	manager.observe_refused = false;
	manager.observe_id = 0;
	manager.next_attempt_ns = manager_now() + manager.pause_ms * NS_PER_MS;
	manager.pause_ms *= 2;
	if (manager.pause_ms > (manager.requests ? PAUSE_MAX_MS : PAUSE_IDLE_MS))
		manager.pause_ms = manager.requests ? PAUSE_MAX_MS : PAUSE_IDLE_MS;
}

void manager_hurry(void)
{
	uint64_t soon_ns = manager_now() + PAUSE_MAX_MS * NS_PER_MS;

	if (manager.pause_ms > PAUSE_MAX_MS)
		manager.pause_ms = PAUSE_MAX_MS;
	if (manager.next_attempt_ns > soon_ns)
		manager.next_attempt_ns = soon_ns;
}

static const char *reason(int r)
{
	switch (r) {
	case -ENOENT:
		return "there is no socket of that name, so it is not running";
	case -ECONNREFUSED:
		return "nobody listens on its socket, so it is not running";
	case -EPIPE:
		return "it closed the connection";
	case -ETIMEDOUT:
		return "it accepted the connection and said nothing";
	default:
		return strerrordesc_np(-r);
	}
}

/* outboardd is gone or not there: what is open is asked again, unless it was cancelled. */
static void lose(int why)
{
	os_system_extension_request_t *request, *next;

	close_connection(why);
	for (request = manager.requests; request; request = next) {
		next = request->next;
		request_restart(request);
	}
}

/* Asking again would be answered the same. */
static void give_up(enum rule_id rule, const char *what)
{
	close_connection(-EPROTO);
	while (manager.requests)
		request_fail(manager.requests, rule, what);
	observations_settle(-ENOTCONN);
}

/* ---- Connecting, and what has a deadline ------------------------------------------------------ */

static void readable(void *context)
{
	int r;

	pthread_mutex_lock(&manager.lock);
	/* it may have been closed after this was posted */
	r = manager.fd >= 0 ? exchange_receive() : -EAGAIN;
	if (r == -EPROTO)
		give_up(RULE_CONNECTION_PROTOCOL, "a message of another form");
	else if (r == -ENOMEM)
		give_up(RULE_INTERNAL, "no memory for the answer of outboardd");
	else if (r != -EAGAIN)
		lose(r);
	manager_step();
	pthread_mutex_unlock(&manager.lock);
}

static int greet(int fd)
{
	const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };

	return WIRE_SEND(fd, WIRE_HELLO, 0, &hello);
}

static void attempt(void)
{
	char path[PATH_MAX];
	_cleanup_fd_ int fd = wire_connect_nonblocking(path_get(PATH_MANAGER_SOCKET, NULL, path));
	int r = fd < 0 ? fd : greet(fd);

	if (r == 0)
		r = queue_source_new(manager.queue, fd, readable, NULL, &manager.source);
	if (r < 0) {
		lose(r);
		return;
	}
	manager.fd = TAKE_FD(fd);
	manager.phase = PHASE_GREETING;
	manager.greeted_ns = manager_now();
}

static void expire(os_system_extension_request_t *request, uint64_t now_ns)
{
	bool late = request->deadline_ns && now_ns >= request->deadline_ns;

	/* a cancelled one waits for outboardd's word only where outboardd knows of it */
	if (request->cancelled &&
		(late || manager.phase != PHASE_READY || request->due & DUE_SUBMIT))
		request_fail(request, RULE_CONNECTION_CANCELED, request_kind_name(request->kind));
	else if (late && manager.phase != PHASE_READY)
		request_fail(request, RULE_CONNECTION_NO_OUTBOARDD,
			reason(manager.phase == PHASE_CLOSED ? manager.why_closed : -ETIMEDOUT));
}

static bool is_open(void)
{
	return manager.requests || manager.observations;
}

static void tick(void *context);

/* Several may be under way: one that was set for later does not hold up one that is needed sooner. */
static void arm(unsigned ms)
{
	uint64_t at_ns = manager_now() + ms * NS_PER_MS;

	if (manager.tick_ns && manager.tick_ns <= at_ns)
		return;
	if (queue_post_after(manager.queue, ms, tick, NULL) == 0)
		manager.tick_ns = at_ns;
}

static unsigned until_ms(uint64_t at_ns)
{
	uint64_t now_ns = manager_now();

	return at_ns > now_ns ? (unsigned)((at_ns - now_ns) / NS_PER_MS) + 1 : 1;
}

/* How long until somebody has to look again; 0: a message will wake us. */
static unsigned next_look(int flushed)
{
	os_system_extension_request_t *request;

	if (flushed == -EAGAIN)
		return 10;
	if (manager.phase == PHASE_CLOSED)
		return until_ms(manager.next_attempt_ns);
	if (manager.phase != PHASE_READY)
		return 100;
	for (request = manager.requests; request; request = request->next)
		if (request->cancelled)
			return 100;
	return 0;
}

static bool is_hung(uint64_t now_ns)
{
	return (manager.phase == PHASE_GREETING || manager.phase == PHASE_PROVING) &&
		now_ns >= manager.greeted_ns + manager.patience_ns;
}

static void expire_all(uint64_t now_ns)
{
	os_system_extension_request_t *request, *next;

	for (request = manager.requests; request; request = next) {
		next = request->next;
		expire(request, now_ns);
	}
	observations_expire(now_ns);
}

void manager_step(void)
{
	uint64_t now_ns = manager_now();
	int r = 0;

	expire_all(now_ns);
	if (is_hung(now_ns))
		lose(-ETIMEDOUT);
	if (manager.phase == PHASE_CLOSED && is_open() && now_ns >= manager.next_attempt_ns)
		attempt();
	if (manager.phase == PHASE_READY && is_open())
		r = exchange_flush();
	if (manager.observing && !manager.observe_id)
		observations_settle(0);
	if (r < 0 && r != -EAGAIN)
		lose(r);
	if (!is_open() && manager.phase != PHASE_CLOSED) {
		manager.pause_ms = PAUSE_MIN_MS;
		close_connection(0);
		manager.next_attempt_ns = 0;
	}
	if (is_open() && next_look(r))
		arm(next_look(r));
}

static void tick(void *context)
{
	pthread_mutex_lock(&manager.lock);
	if (manager_now() >= manager.tick_ns)
		manager.tick_ns = 0;
	manager_step();
	pthread_mutex_unlock(&manager.lock);
}
