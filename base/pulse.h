/* SPDX-License-Identifier: Apache-2.0
 *
 * A process for which others wait shows that it lives: on a page that it shares with its parent it
 * says whether somebody waits, and counts what it does. While nobody waits, neither looks at the other.
 *
 * The parent makes a pulse and hands its descriptors on; the page's size is sealed, so that nothing
 * that becomes of the process can end its parent. What is still in a queue of the kernel's, nobody
 * can have counted: the queue is put into an epoll of the pulse, in which the parent sees it as well,
 * and which does not keep it open.
 */
#ifndef OB_BASE_PULSE_H
#define OB_BASE_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { PULSE_PAGE, PULSE_BELL, PULSE_QUEUE, PULSE_FDS };
#define PULSE_NAMES "pulse-page,pulse-bell,pulse-queue"

struct pulse_page {
	atomic_uint beats;
	atomic_uint owes;    /* somebody waits for this process */
	atomic_uint watched; /* the parent looks: no need to ring */
};

struct pulse {
	struct pulse_page *page; /* NULL: none */
	int fds[PULSE_FDS];
};
#define PULSE_NONE                                  \
	{                                           \
		.page = NULL, .fds = { -1, -1, -1 } \
	}

int pulse_new(struct pulse *ret);
int pulse_inherit(struct pulse *ret); /* -ENOENT: nobody watches this process */
void pulse_done(struct pulse *pulse); /* also of zeros */

/* ---- who is watched ---------------------------------------------------------------------------- */

/* What lies in it waits for this process as well. */
int pulse_add_queue(const struct pulse *pulse, int fd);
/*
 * At each turn, and several times a second while @owes. Rings once, when it begins to owe unwatched.
 * No lock, and no system call but that.
 */
void pulse_beat(const struct pulse *pulse, bool owes);

/* ---- who watches ------------------------------------------------------------------------------- */

/* BELL and QUEUE are readable when it is time; from then on, look at @ret_beats now and then. */
void pulse_watch(const struct pulse *pulse, uint32_t *ret_beats);
/* False: nobody waits, and the bell will ring. */
bool pulse_look(const struct pulse *pulse, uint32_t *ret_beats);

#endif
