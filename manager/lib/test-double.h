/* SPDX-License-Identifier: Apache-2.0
 *
 * The other end of libSystemExtensions, for its tests: an outboardd that says what the test has it
 * say, over the real socket and the real wire protocol, in the test's own thread. And a delegate
 * that writes down what it is called with, for the test to wait for.
 */
#ifndef OB_MANAGER_LIB_TEST_DOUBLE_H
#define OB_MANAGER_LIB_TEST_DOUBLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "manager/lib/lib.h"

struct double_server {
	char root[64];
	int listen_fd, fd;
	struct wire_packet packet;
};

int double_setup(void **state);	   /* cmocka: a root of its own, a listener in it */
int double_teardown(void **state); /* and that nothing is open any more */
void double_unlisten(struct double_server *server);
void double_listen(struct double_server *server);
void double_accept(struct double_server *server); /* a connection, without a word */
void double_greet(struct double_server *server);  /* the handshake on it */
void double_meet(struct double_server *server);	  /* both */
void double_hang_up(struct double_server *server);
void double_expect_gone(struct double_server *server); /* the library closes its end */
/* The next message is of that type; its id. */
uint64_t double_expect(struct double_server *server, uint16_t type);
/* The next message is a SUBMIT of that; its id. */
uint64_t double_expect_submit(
	struct double_server *server, enum request_kind kind, const char *identifier);
void double_say(
	struct double_server *server, uint16_t type, uint64_t id, const void *body, size_t bytes);
void double_finish(struct double_server *server, uint64_t id, uint32_t n_properties);
void double_fail(struct double_server *server, uint64_t id, int code);
struct wire_properties double_properties(const char *version, uint32_t flags);

#define AGENT "org.example.agent"
/* An activation of @identifier with the delegate below and the context "context"; and submitted. */
os_system_extension_request_t *activation(const char *identifier);
os_system_extension_request_t *submitted(const char *identifier);

/* What was called, in order. */
enum call {
	CALL_REPLACE,
	CALL_APPROVAL,
	CALL_FINISHED,
	CALL_FAILED,
	CALL_FOUND,
	CALL_HANDLER,
	CALL_ENABLED,
	CALL_DISABLED,
	CALL_INACTIVE
};

struct call_entry {
	enum call call;
	const void *object;
	int value;	/* code, result, number of properties */
	char text[160]; /* rule of an error, versions of properties */
};

void calls_reset(void);
void assert_call(const struct call_entry *entry, enum call call, const void *object, int value,
	const char *text);
/* Wait until @n calls have come; fails the test after 20 s. The last one. */
const struct call_entry *calls_wait(size_t n);
const struct call_entry *calls_at(size_t i);
size_t calls_count(void);
void calls_add(enum call call, const void *object, int value, const char *text);
/* In this thread's next replacement callback: the action, and until when it is to wait (NULL: not) */
extern os_system_extension_replacement_action_t calls_action;
extern pthread_barrier_t *calls_hold;

extern const os_system_extension_request_delegate_t calls_delegate;
void calls_handler(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, const ob_error_t *error, void *context);

#endif
