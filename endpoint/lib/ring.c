/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader's side of a BPF ring buffer, without bpf(2) and without libbpf, so that an unprivileged
 * client can have one: the page of the consumer's position is ours to write, everything else is
 * read-only, whatever we do. Layout and flags: Linux, kernel/bpf/ringbuf.c, uapi/linux/bpf.h.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include "base/fd.h"
#include "endpoint/lib/ring.h"

#define PAGE_BYTES 4096u
#define BUSY (1u << 31)
#define DISCARDED (1u << 30)
#define RECORD_HEADER_BYTES 8u

int ring_map(struct ring *ring, int ring_fd, int wake_fd, uint32_t bytes)
{
	char *rest;

	*ring = (struct ring){ .fd = ring_fd, .wake_fd = wake_fd, .bytes = bytes };
	ring->consumer = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd, 0);
	rest = mmap(
		NULL, PAGE_BYTES + 2 * (size_t)bytes, PROT_READ, MAP_SHARED, ring_fd, PAGE_BYTES);
	if (wake_fd >= 0)
		ring->wake = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, wake_fd, 0);
	ring->producer = (const volatile uint64_t *)(void *)rest;
	ring->data = rest + PAGE_BYTES;
	if (ring->consumer == MAP_FAILED || rest == MAP_FAILED || ring->wake == MAP_FAILED) {
		int r = -errno;

		ring_done(ring);
		return r;
	}
	return 0;
}

static void unmap(const volatile void *at, size_t bytes)
{
	if (at && at != MAP_FAILED)
		munmap((void *)(uintptr_t)at, bytes);
}

void ring_done(struct ring *ring)
{
	unmap(ring->consumer, PAGE_BYTES);
	unmap(ring->producer, PAGE_BYTES + 2 * (size_t)ring->bytes);
	unmap(ring->wake, PAGE_BYTES);
	fd_close(ring->fd);
	fd_close(ring->wake_fd);
	*ring = (struct ring)RING_NONE;
}

static uint32_t header_at(const struct ring *ring, uint64_t position)
{
	const char *at = ring->data + (position & (ring->bytes - 1));

	return __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);
}

static uint64_t step_of(uint32_t header)
{
	uint64_t bytes = (header & ~(BUSY | DISCARDED)) + RECORD_HEADER_BYTES;

	return (bytes + 7) & ~7ull;
}

static bool is_empty(const struct ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE) == *ring->consumer;
}

const void *ring_next(const struct ring *ring, size_t *ret_bytes)
{
	uint32_t header;

	while (ring->producer && !is_empty(ring)) {
		header = header_at(ring, *ring->consumer);
		if (header & BUSY)
			return NULL; /* being written */
		if (!(header & DISCARDED)) {
			*ret_bytes = header;
			return ring->data +
				((*ring->consumer + RECORD_HEADER_BYTES) & (ring->bytes - 1));
		}
		__atomic_store_n(
			ring->consumer, *ring->consumer + step_of(header), __ATOMIC_RELEASE);
	}
	return NULL;
}

void ring_pass(struct ring *ring)
{
	uint64_t next = *ring->consumer + step_of(header_at(ring, *ring->consumer));

	__atomic_store_n(ring->consumer, next, __ATOMIC_RELEASE);
}

bool ring_sleep(struct ring *ring)
{
	if (!ring->wake)
		return true;
	__atomic_store_n(&ring->wake->waiting, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (is_empty(ring))
		return true;
	/*
	 * Its writer may have looked at the flag before it was raised, and will not wake. It writes
	 * with preemption off: microseconds, for which sleeping is not worth it.
	 */
	if (header_at(ring, *ring->consumer) & BUSY)
		sched_yield();
	__atomic_store_n(&ring->wake->waiting, 0, __ATOMIC_RELAXED);
	return false;
}
