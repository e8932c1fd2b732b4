/* SPDX-License-Identifier: Apache-2.0
 *
 * See pulse.h. "It owes" and "it is watched" are written and read crosswise by two processes: each
 * writes its own first, so that one of them sees the other's.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/pulse.h"

#define PAGE_BYTES 4096

void pulse_done(struct pulse *pulse)
{
	size_t i;

	if (!pulse->page)
		return;
	munmap(pulse->page, PAGE_BYTES);
	for (i = 0; i < PULSE_FDS; i++)
		fd_close(pulse->fds[i]);
	*pulse = (struct pulse)PULSE_NONE;
}

static int map(struct pulse *pulse)
{
	void *page = mmap(
		NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, pulse->fds[PULSE_PAGE], 0);

	if (page == MAP_FAILED)
		return -errno;
	pulse->page = page;
	return 0;
}

int pulse_new(struct pulse *ret)
{
	_cleanup_fd_ int page = memfd_create("pulse", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	_cleanup_fd_ int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	_cleanup_fd_ int queue = epoll_create1(EPOLL_CLOEXEC);
	struct pulse pulse = { .fds = { page, bell, queue } };
	int r;

	if (page < 0 || bell < 0 || queue < 0 || ftruncate(page, PAGE_BYTES) < 0 ||
		fcntl(page, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	r = map(&pulse);
	if (r < 0)
		return r;
	page = bell = queue = -1;
	*ret = pulse;
	return 0;
}

int pulse_inherit(struct pulse *ret)
{
	struct pulse pulse = { .fds = { fd_inherited("pulse-page"), fd_inherited("pulse-bell"),
				       fd_inherited("pulse-queue") } };
	size_t i;
	int r;

	for (i = 0; i < PULSE_FDS; i++)
		if (pulse.fds[i] < 0)
			return pulse.fds[i];
	r = map(&pulse);
	if (r == 0)
		*ret = pulse;
	return r;
}

int pulse_add_queue(const struct pulse *pulse, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (!pulse->page)
		return 0;
	return epoll_ctl(pulse->fds[PULSE_QUEUE], EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void pulse_beat(const struct pulse *pulse, bool owes)
{
	const uint64_t one = 1;

	if (!pulse->page)
		return;
	atomic_fetch_add_explicit(&pulse->page->beats, 1, memory_order_relaxed);
	atomic_store(&pulse->page->owes, owes);
	/* full: it has been rung */
	if (owes && !atomic_exchange(&pulse->page->watched, 1) &&
		write(pulse->fds[PULSE_BELL], &one, sizeof one) < 0)
		return;
}

void pulse_watch(const struct pulse *pulse, uint32_t *ret_beats)
{
	uint64_t rings;

	atomic_store(&pulse->page->watched, 1);
	if (read(pulse->fds[PULSE_BELL], &rings, sizeof rings) < 0)
		rings = 0; /* it was the queue */
	*ret_beats = atomic_load(&pulse->page->beats);
}

static bool waits_somebody(const struct pulse *pulse)
{
	struct pollfd queue = { .fd = pulse->fds[PULSE_QUEUE], .events = POLLIN };

	return atomic_load(&pulse->page->owes) || poll(&queue, 1, 0) == 1;
}

bool pulse_look(const struct pulse *pulse, uint32_t *ret_beats)
{
	*ret_beats = atomic_load(&pulse->page->beats);
	if (waits_somebody(pulse))
		return true;
	atomic_store(&pulse->page->watched, 0);
	if (!waits_somebody(pulse))
		return false;
	atomic_store(&pulse->page->watched, 1);
	return true;
}
