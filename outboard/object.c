/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects, see object.h, and the calls of <dispatch/dispatch.h> that take any of them.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <dispatch/dispatch.h>
#include "base/macros.h"
#include "outboard/object.h"
#include "outboard/queue.h"
#include "outboard/source.h"

/* A page that the kernel fills with zeros in the child: MADV_WIPEONFORK, madvise(2), Linux 4.14. */
static atomic_int *known_pid;
static pthread_once_t known_once = PTHREAD_ONCE_INIT;

static void find_pid(void)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	if (madvise(page, bytes, MADV_WIPEONFORK) < 0) {
		munmap(page, bytes);
		return;
	}
	known_pid = page;
}

pid_t process_id(void)
{
	pid_t pid;

	pthread_once(&known_once, find_pid);
	if (!known_pid)
		return getpid();
	pid = atomic_load_explicit(known_pid, memory_order_relaxed);
	if (pid == 0) {
		pid = getpid();
		atomic_store_explicit(known_pid, pid, memory_order_relaxed);
	}
	return pid;
}

void *memory_wait_for(size_t bytes)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	void *memory;

	while (!(memory = calloc(1, bytes)))
		nanosleep(&pause, NULL);
	return memory;
}

void object_init(
	struct object *object, enum object_kind kind, void (*dispose)(struct object *object))
{
	atomic_init(&object->n_references, 1);
	atomic_init(&object->context, NULL);
	atomic_init(&object->finalizer, NULL);
	object->kind = kind;
	object->pid = process_id();
	object->dispose = dispose;
}

void object_ref(struct object *object)
{
	if (atomic_load_explicit(&object->n_references, memory_order_relaxed) != OBJECT_CONSTANT)
		atomic_fetch_add_explicit(&object->n_references, 1, memory_order_relaxed);
}

bool object_try_ref(struct object *object)
{
	unsigned n = atomic_load(&object->n_references);

	while (n > 0 && n != OBJECT_CONSTANT)
		if (atomic_compare_exchange_weak(&object->n_references, &n, n + 1))
			break;
	return n > 0;
}

void object_unref(struct object *object)
{
	void (*finalizer)(void *context);
	void *context;

	/* in the child nothing is given back: another thread's lock may lie in it */
	if (atomic_load_explicit(&object->n_references, memory_order_relaxed) == OBJECT_CONSTANT ||
		object_is_of_parent(object))
		return;
	if (atomic_fetch_sub_explicit(&object->n_references, 1, memory_order_acq_rel) != 1)
		return;
	finalizer = atomic_load(&object->finalizer);
	context = atomic_load(&object->context);
	object->dispose(object);
	if (finalizer && context)
		finalizer(context);
}

ob_export void dispatch_retain(dispatch_object_t object)
{
	object_ref(object);
}

ob_export void dispatch_release(dispatch_object_t object)
{
	object_unref(object);
}

ob_export void *dispatch_get_context(dispatch_object_t object)
{
	return atomic_load(&((struct object *)object)->context);
}

ob_export void dispatch_set_context(dispatch_object_t object, void *context)
{
	atomic_store(&((struct object *)object)->context, context);
}

ob_export void dispatch_set_finalizer_f(dispatch_object_t object, dispatch_function_t finalizer)
{
	atomic_store(&((struct object *)object)->finalizer, finalizer);
}

/* Groups and semaphores have nothing to suspend. */
static const struct {
	void (*suspend)(void *object);
	void (*resume)(void *object);
	void (*activate)(void *object);
	void (*set_target)(void *object, dispatch_queue_t queue);
} verbs[] = {
	[OBJECT_QUEUE] = { queue_suspend, queue_resume, NULL, queue_set_target },
	[OBJECT_SOURCE] = { source_suspend, source_resume, source_activate, source_set_target },
};

ob_export void dispatch_suspend(dispatch_object_t object)
{
	struct object *self = object;

	object_trap_if(object_is_of_parent(self));
	if (verbs[self->kind].suspend)
		verbs[self->kind].suspend(self);
}

ob_export void dispatch_resume(dispatch_object_t object)
{
	struct object *self = object;

	object_trap_if(object_is_of_parent(self));
	if (verbs[self->kind].resume)
		verbs[self->kind].resume(self);
}

ob_export void dispatch_activate(dispatch_object_t object)
{
	struct object *self = object;

	object_trap_if(object_is_of_parent(self));
	if (verbs[self->kind].activate)
		verbs[self->kind].activate(self);
}

ob_export void dispatch_set_target_queue(dispatch_object_t object, dispatch_queue_t queue)
{
	struct object *self = object;

	object_trap_if(object_is_of_parent(self));
	if (verbs[self->kind].set_target)
		verbs[self->kind].set_target(self, queue);
}
