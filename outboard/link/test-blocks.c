/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls with blocks, compiled as a program from macOS is. Exit 0, or the line that was wrong.
 */
#include <Block.h>
#include <dispatch/dispatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xpc/xpc.h>

#define expect(condition)                                       \
	do {                                                    \
		if (!(condition)) {                             \
			fprintf(stderr, "line %d\n", __LINE__); \
			exit(1);                                \
		}                                               \
	} while (0)

static void queues(void)
{
	dispatch_queue_t queue = dispatch_queue_create("blocks", DISPATCH_QUEUE_SERIAL);
	dispatch_group_t group = dispatch_group_create();
	dispatch_semaphore_t done = dispatch_semaphore_create(0);
	static dispatch_once_t once;
	__block int n = 0, notified = 0;

	for (int i = 1; i <= 4; i++)
		dispatch_async(queue, ^{
		  n = n * 10 + i;
		});
	dispatch_sync(queue, ^{
	  n = n * 10 + 5;
	});
	expect(n == 12345);
	dispatch_barrier_async(queue, ^{
	  n = 1;
	});
	dispatch_barrier_sync(queue, ^{
	  n++;
	});
	expect(n == 2);
	for (int i = 0; i < 3; i++)
		dispatch_once(&once, ^{
		  n++;
		});
	expect(n == 3);
	dispatch_group_async(group, queue, ^{
	  n++;
	});
	dispatch_group_notify(group, queue, ^{
	  notified = n;
	  dispatch_semaphore_signal(done);
	});
	dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
	expect(notified == 4);
	dispatch_after(dispatch_time(DISPATCH_TIME_NOW, NSEC_PER_MSEC), queue, ^{
	  dispatch_semaphore_signal(done);
	});
	dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
	dispatch_apply(10, queue, ^(size_t i) {
	  n += (int)i;
	});
	expect(n == 49);
	dispatch_release(group);
	dispatch_release(done);
	dispatch_release(queue);
}

static void sources(void)
{
	dispatch_semaphore_t done = dispatch_semaphore_create(0);
	dispatch_source_t timer = dispatch_source_create(DISPATCH_SOURCE_TYPE_TIMER, 0, 0, NULL);
	__block int order = 0;

	dispatch_source_set_timer(timer, DISPATCH_TIME_NOW, DISPATCH_TIME_FOREVER, 0);
	dispatch_source_set_registration_handler(timer, ^{
	  order = 1;
	});
	dispatch_source_set_event_handler(timer, ^{
	  order = order * 10 + 2;
	  dispatch_source_cancel(timer);
	});
	dispatch_source_set_cancel_handler(timer, ^{
	  order = order * 10 + 3;
	  dispatch_semaphore_signal(done);
	});
	dispatch_resume(timer);
	dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
	expect(order == 123);
	dispatch_release(timer);
	dispatch_release(done);
}

static void values(void)
{
	xpc_object_t dictionary = xpc_dictionary_create(NULL, NULL, 0);
	xpc_object_t array = xpc_array_create(NULL, 0);
	__block int n = 0;

	xpc_dictionary_set_int64(dictionary, "a", 1);
	xpc_dictionary_set_int64(dictionary, "b", 2);
	expect(xpc_dictionary_apply(dictionary, ^(const char *key, xpc_object_t value) {
	  n = n * 10 + (int)xpc_int64_get_value(value) + (*key == 'b');
	  return (_Bool)1;
	}));
	expect(n == 13);
	xpc_array_append_value(array, dictionary);
	expect(!xpc_array_apply(array, ^(size_t index, xpc_object_t value) {
	  return (_Bool)(index != 0 || value == NULL);
	}));
	xpc_release(array);
	xpc_release(dictionary);
}

int main(void)
{
	void (^copy)(void) = Block_copy(^{
	  values();
	});

	queues();
	sources();
	copy();
	Block_release(copy);
	return 0;
}
