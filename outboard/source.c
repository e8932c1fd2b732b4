/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources, see source.h. Nothing is put on a queue, and no loop is called, under a source's lock;
 * the loop's lock may be held around it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include "base/fd.h"
#include "base/macros.h"
#include "outboard/dispatch.h"
#include "outboard/source.h"

/* ---- When the item has something to do ---------------------------------------------------------- */

static bool has_work(dispatch_source_t source)
{
	if (source->cancelled)
		return !source->cancel_done;
	return (!source->registered && source->handlers[HANDLER_REGISTRATION].function) ||
		source->happened;
}

/* Under the lock: is the item to be put on the queue? With a reference for it, if so. */
static bool is_due(dispatch_source_t source)
{
	if (source->busy || !source->active || source->n_suspended > 0 || !has_work(source))
		return false;
	if (!object_try_ref(&source->object))
		return false;
	source->busy = true;
	return true;
}

static void push(dispatch_source_t source)
{
	queue_push_wait(source->queue, &source->item);
}

static void kick(dispatch_source_t source)
{
	bool due;

	pthread_mutex_lock(&source->lock);
	due = is_due(source);
	pthread_mutex_unlock(&source->lock);
	if (due)
		push(source);
}

void source_happened(dispatch_source_t source, uintptr_t value)
{
	bool due;

	pthread_mutex_lock(&source->lock);
	source->pending = source->happened ? source->type->merge(source->pending, value) : value;
	source->happened = true;
	due = is_due(source);
	pthread_mutex_unlock(&source->lock);
	if (due)
		push(source);
}

/* ---- What the loop says ------------------------------------------------------------------------- */

static void watch_fired(struct watch *watch, uint32_t events)
{
	dispatch_source_t source = container_of(watch, struct dispatch_source_s, watch);

	/* armed again once the handler has run: else an unread descriptor would never be quiet */
	pthread_mutex_lock(&source->lock);
	source->disarmed = !source->type->once;
	pthread_mutex_unlock(&source->lock);
	source_happened(source, source->type->collect(source, events));
}

static void timer_fired(struct timer *timer)
{
	dispatch_source_t source = container_of(timer, struct dispatch_source_s, timer);
	uint64_t times = 1, now_ns = clock_now_ns(timer->clock);

	if (source->interval_ns > 0) {
		if (now_ns > timer->at_ns)
			times += (now_ns - timer->at_ns) / source->interval_ns;
		timer->at_ns += times * source->interval_ns;
		loop_set_timer(source->loop, timer);
	}
	source_happened(source, times);
}

/* ---- In the loop and out of it ------------------------------------------------------------------ */

/*
 * A descriptor that another source of the same loop watches already: epoll(7) knows it but once, so
 * a duplicate is watched.
 */
static int add_watch(dispatch_source_t source, struct loop *loop)
{
	_cleanup_fd_ int fd = -1;
	int r = loop_add_watch(loop, &source->watch);

	if (r != -EEXIST || source->owns_fd)
		return r;
	fd = fcntl(source->watch.fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	source->watch.fd = TAKE_FD(fd);
	source->owns_fd = true;
	return loop_add_watch(loop, &source->watch);
}

/* Not under the lock. Only by the one that has set activating. */
static void install(dispatch_source_t source)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct loop *loop;

	if (source->type->manual)
		return;
	while (!(loop = queue_loop(source->queue)))
		nanosleep(&pause, NULL);
	pthread_mutex_lock(&loop->lock);
	pthread_mutex_lock(&source->lock);
	source->loop = loop;
	pthread_mutex_unlock(&source->lock);
	if (source->type->timer && source->timer_set)
		loop_set_timer(loop, &source->timer);
	else if (source->type->events && add_watch(source, loop) < 0)
		/* what epoll(7) refuses is handed to the handler, whose read(2) will tell why */
		watch_fired(&source->watch, 0);
	pthread_mutex_unlock(&loop->lock);
}

static void uninstall(dispatch_source_t source)
{
	struct loop *loop;

	pthread_mutex_lock(&source->lock);
	loop = source->loop;
	pthread_mutex_unlock(&source->lock);
	if (!loop)
		return;
	pthread_mutex_lock(&loop->lock);
	loop_remove_watch(loop, &source->watch);
	loop_remove_timer(loop, &source->timer);
	if (source->owns_fd)
		source->watch.fd = fd_close(source->watch.fd);
	pthread_mutex_unlock(&loop->lock);
}

static void rearm(dispatch_source_t source)
{
	bool disarmed;

	pthread_mutex_lock(&source->lock);
	disarmed = source->disarmed && !source->cancelled;
	source->disarmed = false;
	pthread_mutex_unlock(&source->lock);
	if (disarmed && source->loop)
		loop_arm_watch(source->loop, &source->watch);
}

/* ---- Handlers ----------------------------------------------------------------------------------- */

static struct handler handler_keep(const struct handler *handler)
{
	struct handler kept = *handler;

	if (kept.block)
		kept.block = block_copy_wait(kept.block);
	return kept;
}

static void handler_drop(struct handler *handler)
{
	if (handler->block)
		block_release(handler->block);
	*handler = (struct handler){ 0 };
}

static void handler_call(dispatch_source_t source, const struct handler *handler)
{
	if (!handler->function)
		return;
	if (handler->block)
		handler->function(handler->block);
	else
		handler->function(handler->data ? handler->data : dispatch_get_context(source));
}

static void set_handler(dispatch_source_t source, enum handler_kind kind, struct handler handler)
{
	struct handler before;

	object_trap_if(object_is_of_parent(&source->object));
	pthread_mutex_lock(&source->lock);
	before = source->handlers[kind];
	source->handlers[kind] = handler;
	pthread_mutex_unlock(&source->lock);
	handler_drop(&before);
}

static void set_function(
	dispatch_source_t source, enum handler_kind kind, dispatch_function_t function)
{
	set_handler(source, kind, (struct handler){ .function = function });
}

static void set_block(dispatch_source_t source, enum handler_kind kind, void *block)
{
	struct handler handler = { 0 };

	if (block) {
		handler.function = block_call;
		handler.block = block_copy_wait(block);
	}
	set_handler(source, kind, handler);
}

/* Under the lock: a copy of the handler, which may be set anew while it runs. */
static struct handler take_event(dispatch_source_t source)
{
	struct handler handler = handler_keep(&source->handlers[HANDLER_EVENT]);

	atomic_store(&source->data, source->pending);
	source->pending = 0;
	source->happened = false;
	return handler;
}

/* The last of all: what is left is dropped, so that blocks give back what they hold. */
static void finish(dispatch_source_t source)
{
	struct handler cancel, others[2];

	uninstall(source);
	pthread_mutex_lock(&source->lock);
	cancel = source->handlers[HANDLER_CANCEL];
	others[0] = source->handlers[HANDLER_EVENT];
	others[1] = source->handlers[HANDLER_REGISTRATION];
	for (size_t i = 0; i < HANDLERS; i++)
		source->handlers[i] = (struct handler){ 0 };
	source->cancel_done = true;
	pthread_mutex_unlock(&source->lock);
	handler_call(source, &cancel);
	handler_drop(&cancel);
	handler_drop(&others[0]);
	handler_drop(&others[1]);
}

static void call_registration(dispatch_source_t source)
{
	struct handler handler = { 0 };

	pthread_mutex_lock(&source->lock);
	if (!source->registered && !source->cancelled) {
		source->registered = true;
		handler = source->handlers[HANDLER_REGISTRATION];
		source->handlers[HANDLER_REGISTRATION] = (struct handler){ 0 };
	}
	pthread_mutex_unlock(&source->lock);
	handler_call(source, &handler);
	handler_drop(&handler);
}

/* Armed again only by the one that has handled what it fired for: it would fire for that once more. */
static void call_event(dispatch_source_t source)
{
	struct handler handler;
	bool wanted;

	pthread_mutex_lock(&source->lock);
	wanted = !source->cancelled && source->happened && source->n_suspended == 0;
	if (wanted)
		handler = take_event(source);
	pthread_mutex_unlock(&source->lock);
	if (!wanted)
		return;
	handler_call(source, &handler);
	handler_drop(&handler);
	rearm(source);
}

static void run_handlers(void *data)
{
	dispatch_source_t source = data;
	bool cancelled, due;

	call_registration(source);
	call_event(source);
	pthread_mutex_lock(&source->lock);
	cancelled = source->cancelled && !source->cancel_done;
	pthread_mutex_unlock(&source->lock);
	if (cancelled)
		finish(source);
	pthread_mutex_lock(&source->lock);
	source->busy = false;
	due = is_due(source);
	pthread_mutex_unlock(&source->lock);
	if (due)
		push(source);
	object_unref(&source->object);
}

ob_export void dispatch_source_set_event_handler_f(
	dispatch_source_t source, dispatch_function_t handler)
{
	set_function(source, HANDLER_EVENT, handler);
}

ob_export void dispatch_source_set_cancel_handler_f(
	dispatch_source_t source, dispatch_function_t handler)
{
	set_function(source, HANDLER_CANCEL, handler);
}

ob_export void dispatch_source_set_registration_handler_f(
	dispatch_source_t source, dispatch_function_t handler)
{
	set_function(source, HANDLER_REGISTRATION, handler);
}

ob_export void dispatch_source_set_event_handler(dispatch_source_t source, void *handler)
{
	set_block(source, HANDLER_EVENT, handler);
}

ob_export void dispatch_source_set_cancel_handler(dispatch_source_t source, void *handler)
{
	set_block(source, HANDLER_CANCEL, handler);
}

ob_export void dispatch_source_set_registration_handler(dispatch_source_t source, void *handler)
{
	set_block(source, HANDLER_REGISTRATION, handler);
}

/* ---- The object --------------------------------------------------------------------------------- */

static void source_dispose(struct object *object)
{
	dispatch_source_t source = container_of(object, struct dispatch_source_s, object);

	uninstall(source);
	if (source->owns_fd)
		fd_close(source->watch.fd);
	for (size_t i = 0; i < HANDLERS; i++)
		handler_drop(&source->handlers[i]);
	object_unref(&source->queue->object);
	pthread_mutex_destroy(&source->lock);
	free(source);
}

ob_export dispatch_source_t dispatch_source_create(
	dispatch_source_type_t type, uintptr_t handle, uintptr_t mask, dispatch_queue_t queue)
{
	dispatch_source_t source;

	if (!queue)
		queue = dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0);
	if (!type || mask & ~type->mask || object_is_of_parent(&queue->object))
		return NULL;
	source = calloc(1, sizeof *source);
	if (!source)
		return NULL;
	source->type = type;
	source->handle = handle;
	source->mask = mask;
	source->watch.events = type->events;
	source->watch.fire = watch_fired;
	source->timer.fire = timer_fired;
	source->watch.fd = -1;
	if (type->open(source) < 0) {
		free(source);
		return NULL;
	}
	source->owns_fd = type->own_fd;
	object_init(&source->object, OBJECT_SOURCE, source_dispose);
	object_ref(&queue->object);
	source->queue = queue;
	source->item = (struct item){ .function = run_handlers, .data = source, .owned = true };
	pthread_mutex_init(&source->lock, NULL);
	/* the suspension that the first resume takes back */
	source->n_suspended = 1;
	return source;
}

void source_activate(void *object)
{
	dispatch_source_t source = object;
	bool first;

	pthread_mutex_lock(&source->lock);
	first = !source->active && !source->activating;
	source->activating = true;
	pthread_mutex_unlock(&source->lock);
	if (!first)
		return;
	/* nothing is called before it is in the loop, where cancelling must find it */
	install(source);
	pthread_mutex_lock(&source->lock);
	source->active = true;
	source->n_suspended--;
	pthread_mutex_unlock(&source->lock);
	kick(source);
}

void source_suspend(void *object)
{
	dispatch_source_t source = object;

	pthread_mutex_lock(&source->lock);
	source->n_suspended++;
	pthread_mutex_unlock(&source->lock);
}

void source_resume(void *object)
{
	dispatch_source_t source = object;
	bool activated;

	pthread_mutex_lock(&source->lock);
	activated = source->active || source->activating;
	if (activated) {
		object_trap_if(source->n_suspended == 0);
		source->n_suspended--;
	}
	pthread_mutex_unlock(&source->lock);
	if (activated)
		kick(source);
	else
		source_activate(source);
}

/* Before it is active: afterwards its loop is that of the queue it began on. */
void source_set_target(void *object, ob_queue_t *queue)
{
	dispatch_source_t source = object;
	ob_queue_t *before = NULL;

	if (!queue)
		queue = dispatch_get_global_queue(DISPATCH_QUEUE_PRIORITY_DEFAULT, 0);
	pthread_mutex_lock(&source->lock);
	if (!source->activating) {
		object_ref(&queue->object);
		before = source->queue;
		source->queue = queue;
	}
	pthread_mutex_unlock(&source->lock);
	if (before)
		object_unref(&before->object);
}

ob_export void dispatch_source_cancel(dispatch_source_t source)
{
	object_trap_if(object_is_of_parent(&source->object));
	pthread_mutex_lock(&source->lock);
	source->cancelled = true;
	pthread_mutex_unlock(&source->lock);
	kick(source);
}

ob_export intptr_t dispatch_source_testcancel(dispatch_source_t source)
{
	intptr_t cancelled;

	pthread_mutex_lock(&source->lock);
	cancelled = source->cancelled;
	pthread_mutex_unlock(&source->lock);
	return cancelled;
}

ob_export uintptr_t dispatch_source_get_data(dispatch_source_t source)
{
	return atomic_load(&source->data);
}

ob_export uintptr_t dispatch_source_get_handle(dispatch_source_t source)
{
	return source->handle;
}

ob_export uintptr_t dispatch_source_get_mask(dispatch_source_t source)
{
	return source->mask;
}

ob_export void dispatch_source_merge_data(dispatch_source_t source, uintptr_t value)
{
	object_trap_if(object_is_of_parent(&source->object));
	if (source->type->manual && value)
		source_happened(source, value);
}

/* Under the loop's lock where there is one, so that it is not firing meanwhile. */
static void set_time(
	dispatch_source_t source, struct loop *loop, dispatch_time_t start, uint64_t interval)
{
	if (loop)
		loop_remove_timer(loop, &source->timer);
	source->timer_set = time_split(start, &source->timer.clock, &source->timer.at_ns);
	source->interval_ns = interval >= INT64_MAX ? 0 : interval ? interval : 1;
	if (loop && source->timer_set)
		loop_set_timer(loop, &source->timer);
}

ob_export void dispatch_source_set_timer(
	dispatch_source_t source, dispatch_time_t start, uint64_t interval, uint64_t leeway)
{
	struct loop *loop;

	object_trap_if(object_is_of_parent(&source->object));
	if (!source->type->timer)
		return;
	/* the queue's loop from the beginning, as its lock guards the time */
	loop = queue_loop(source->queue);
	if (loop)
		pthread_mutex_lock(&loop->lock);
	set_time(source, source->loop, start, interval);
	if (loop)
		pthread_mutex_unlock(&loop->lock);
	/* what came at the old time is forgotten */
	pthread_mutex_lock(&source->lock);
	source->pending = 0;
	source->happened = false;
	pthread_mutex_unlock(&source->lock);
}

/* ---- What other libraries use ------------------------------------------------------------------- */

struct queue_source {
	struct dispatch_source_s source; /* it is one, under another name */
};

int queue_source_new(ob_queue_t *queue, int fd, void (*readable)(void *context), void *context,
	struct queue_source **ret)
{
	dispatch_source_t source;

	if (object_is_of_parent(&queue->object))
		return -ECHILD;
	source = dispatch_source_create(DISPATCH_SOURCE_TYPE_READ, (uintptr_t)fd, 0, queue);
	if (!source)
		return fcntl(fd, F_GETFD) < 0 ? -EBADF : -ENOMEM;
	set_handler(
		source, HANDLER_EVENT, (struct handler){ .function = readable, .data = context });
	source_activate(source);
	*ret = container_of(source, struct queue_source, source);
	return 0;
}

struct queue_source *queue_source_free(struct queue_source *source)
{
	if (!source || object_is_of_parent(&source->source.object))
		return NULL;
	uninstall(&source->source);
	dispatch_source_cancel(&source->source);
	object_unref(&source->source.object);
	return NULL;
}
