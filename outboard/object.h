/* SPDX-License-Identifier: Apache-2.0
 *
 * What queues, groups, semaphores and sources have in common: references, a context, and the
 * process that made them. An object of before fork(2) is of no use to the child: its threads are
 * not there, and its locks may be held by nobody.
 */
#ifndef OB_OUTBOARD_OBJECT_H
#define OB_OUTBOARD_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum object_kind { OBJECT_QUEUE, OBJECT_GROUP, OBJECT_SEMAPHORE, OBJECT_SOURCE };

struct object {
	atomic_uint n_references; /* OBJECT_CONSTANT: never goes */
	enum object_kind kind;
	pid_t pid;
	_Atomic(void *) context;
	void (*_Atomic finalizer)(void *context);
	void (*dispose)(struct object *object); /* frees it */
};
#define OBJECT_CONSTANT 0x80000000u

void object_init(
	struct object *object, enum object_kind kind, void (*dispose)(struct object *object));
void object_ref(struct object *object);
/* One more, unless the last one has gone already. */
bool object_try_ref(struct object *object);
void object_unref(struct object *object);

/* getpid(2) without the system call, and right in the child of fork(2). */
pid_t process_id(void);
static inline bool object_is_of_parent(const struct object *object)
{
	return object->pid != process_id();
}

/* For calls that cannot say -ECHILD, and for misuse: stop, rather than go on wrongly. */
#define object_trap_if(condition)         \
	do {                              \
		if (condition)            \
			__builtin_trap(); \
	} while (0)

/* Memory that calls without an error need: waits until there is some, as macOS' libdispatch does. */
void *memory_wait_for(size_t bytes);

#endif
