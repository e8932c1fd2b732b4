/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardd, the parent: whether those live for which others wait (base/pulse.h). A broker that does
 * nothing for two seconds while the kernel holds somebody for its sake, stopped or stuck, is ended:
 * then the kernel lets go what it held, and the manager starts another one. While nobody waits no
 * timer runs, and nothing is looked at.
 */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include "base/log.h"
#include "base/macros.h"
#include "base/peer.h"
#include "manager/parent/parent.h"

#define LOOK_USEC 250000ull
#define LOOKS_MAX \
	7 /* without a beat in between; counted, so that a parent that was away ends nobody */

/* The one that is not asked to ring keeps quiet. */
static int listen_to(struct parent *parent, const struct pulse *pulse, int operation, bool on)
{
	static const int heard[] = { PULSE_BELL, PULSE_QUEUE };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(heard); i++) {
		const int fd = pulse->fds[heard[i]];
		struct epoll_event event = { .events = on ? EPOLLIN : 0, .data.fd = fd };

		if (epoll_ctl(parent->epoll_fd, operation, fd, &event) < 0)
			return -errno;
	}
	return 0;
}

int parent_watch(struct parent *parent, struct child *child, struct pulse *pulse)
{
	int r = listen_to(parent, pulse, EPOLL_CTL_ADD, true);

	if (r < 0)
		return r;
	child->watch = (struct watch){ .pulse = *pulse };
	*pulse = (struct pulse)PULSE_NONE;
	return 0;
}

void parent_unwatch(struct parent *parent, struct child *child)
{
	if (!child->watch.pulse.page)
		return;
	listen_to(parent, &child->watch.pulse, EPOLL_CTL_DEL, false);
	pulse_done(&child->watch.pulse);
	child->watch = (struct watch){ .looks = false };
}

static bool has(const struct child *child, int fd)
{
	return child->watch.pulse.page &&
		(child->watch.pulse.fds[PULSE_BELL] == fd ||
			child->watch.pulse.fds[PULSE_QUEUE] == fd);
}

bool parent_rung(struct parent *parent, int fd)
{
	size_t i;

	for (i = 0; i < PARENT_CHILDREN_MAX; i++) {
		struct watch *watch = &parent->children[i].watch;

		if (!has(&parent->children[i], fd))
			continue;
		pulse_watch(&watch->pulse, &watch->beats);
		listen_to(parent, &watch->pulse, EPOLL_CTL_MOD, false);
		watch->looks = true;
		watch->unchanged = 0;
		if (!parent->look_at_usec)
			parent->look_at_usec = parent_now_usec() + LOOK_USEC;
		return true;
	}
	return false;
}

static void look(struct parent *parent, struct child *child)
{
	struct watch *watch = &child->watch;
	uint32_t beats;

	if (!pulse_look(&watch->pulse, &beats)) {
		watch->looks = false;
		listen_to(parent, &watch->pulse, EPOLL_CTL_MOD, true);
		return;
	}
	watch->unchanged = beats == watch->beats ? watch->unchanged + 1 : 0;
	watch->beats = beats;
	if (watch->unchanged != LOOKS_MAX)
		return;
	log_event(LOG_PARENT_CHILD_STUCK, NULL, "pid", LOG_NUMBER(child->is.pid), NULL);
	process_signal(child->pid_fd, SIGKILL);
}

void parent_look(struct parent *parent)
{
	size_t i;

	parent->look_at_usec = 0;
	for (i = 0; i < PARENT_CHILDREN_MAX; i++) {
		struct child *child = &parent->children[i];

		if (!child->watch.looks)
			continue;
		look(parent, child);
		if (child->watch.looks)
			parent->look_at_usec = parent_now_usec() + LOOK_USEC;
	}
}
