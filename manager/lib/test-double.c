/* SPDX-License-Identifier: Apache-2.0
 *
 * The double, see test-double.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/lib/test-double.h"

#define WAIT_S 20

/* ---- The server ------------------------------------------------------------------------------- */

void double_listen(struct double_server *server)
{
	char path[PATH_MAX];

	server->listen_fd = wire_listen(path_get(PATH_MANAGER_SOCKET, NULL, path), 0666, 16);
	assert_true(server->listen_fd >= 0);
}

void double_unlisten(struct double_server *server)
{
	char path[PATH_MAX];

	server->listen_fd = fd_close(server->listen_fd);
	unlink(path_get(PATH_MANAGER_SOCKET, NULL, path));
}

int double_setup(void **state)
{
	struct double_server *server = calloc(1, sizeof *server);
	char path[PATH_MAX];

	assert_non_null(server);
	strcpy(server->root, "/tmp/outboard-test.XXXXXX");
	assert_non_null(mkdtemp(server->root));
	assert_int_equal(setenv("OUTBOARD_ROOT", server->root, 1), 0);
	assert_int_equal(mkdir_path(path_get(PATH_RUN, NULL, path), 0755), 0);
	server->fd = -1;
	double_listen(server);
	calls_reset();
	manager.patience_ns = PATIENCE_NS;
	manager.cancel_patience_ns = CANCEL_PATIENCE_NS;
	manager.pause_ms = 20;
	manager.next_attempt_ns = 0;
	*state = server;
	return 0;
}

int double_teardown(void **state)
{
	struct double_server *server = *state;
	char path[PATH_MAX];

	pthread_mutex_lock(&manager.lock);
	assert_null(manager.requests);
	assert_null(manager.observations);
	assert_int_equal(manager.phase, PHASE_CLOSED);
	pthread_mutex_unlock(&manager.lock);
	double_hang_up(server);
	double_unlisten(server);
	rmdir(path_get(PATH_RUN, NULL, path));
	snprintf(path, sizeof path, "%s/run", server->root);
	rmdir(path);
	assert_int_equal(rmdir(server->root), 0);
	wire_packet_done(&server->packet);
	free(server);
	return 0;
}

static void await(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&poll_fd, 1, WAIT_S * 1000), 1);
}

void double_accept(struct double_server *server)
{
	double_hang_up(server);
	await(server->listen_fd);
	server->fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server->fd >= 0);
}

void double_hang_up(struct double_server *server)
{
	server->fd = fd_close(server->fd);
}

uint64_t double_expect(struct double_server *server, uint16_t type)
{
	await(server->fd);
	assert_int_equal(wire_receive(server->fd, &server->packet, 0), 0);
	assert_int_equal(server->packet.header.type, type);
	assert_int_equal(server->packet.n_fds, 0);
	return server->packet.header.id;
}

void double_expect_gone(struct double_server *server)
{
	await(server->fd);
	assert_int_equal(wire_receive(server->fd, &server->packet, 0), -EPIPE);
}

void double_say(
	struct double_server *server, uint16_t type, uint64_t id, const void *body, size_t bytes)
{
	assert_int_equal(wire_send(server->fd, type, 0, id, body, bytes, NULL, 0), 0);
}

void double_greet(struct double_server *server)
{
	const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };
	const struct wire_nonce nonce = { "only this once." };

	double_expect(server, WIRE_HELLO);
	double_say(server, WIRE_HELLO, 0, &hello, sizeof hello);
	double_say(server, WIRE_NONCE, 0, &nonce, sizeof nonce);
	double_expect(server, WIRE_NONCE);
	assert_memory_equal(server->packet.body, &nonce, sizeof nonce);
}

void double_meet(struct double_server *server)
{
	double_accept(server);
	double_greet(server);
}

uint64_t double_expect_submit(
	struct double_server *server, enum request_kind kind, const char *identifier)
{
	uint64_t id = double_expect(server, REQUEST_SUBMIT);
	struct request_submit submit;

	assert_int_equal(server->packet.body_bytes, sizeof submit);
	memcpy(&submit, server->packet.body, sizeof submit);
	assert_int_equal(submit.kind, kind);
	assert_string_equal(submit.identifier, identifier);
	assert_int_not_equal(id, 0);
	return id;
}

void double_finish(struct double_server *server, uint64_t id, uint32_t n_properties)
{
	const struct request_finished finished = { .n_properties = n_properties };

	double_say(server, REQUEST_FINISHED, id, &finished, sizeof finished);
}

void double_fail(struct double_server *server, uint64_t id, int code)
{
	struct wire_error error = { .code = code };

	STR_PUT(error.domain, "OSSystemExtensionErrorDomain");
	STR_PUT(error.stage, "approval");
	STR_PUT(error.rule, "approval.denied");
	STR_PUT(error.description, "agent: somebody said no");
	double_say(server, REQUEST_FAILED, id, &error, sizeof error);
}

struct wire_properties double_properties(const char *version, uint32_t flags)
{
	struct wire_properties properties = { .flags = flags, .pid = 4711 };

	STR_PUT(properties.identifier, "org.example.agent");
	STR_PUT(properties.version, version);
	STR_PUT(properties.short_version, "2.0");
	STR_PUT(properties.running_version, "2.0/17");
	STR_PUT(properties.team, "ABCDEFGHIJ");
	STR_PUT(properties.digest, "00ff");
	STR_PUT(properties.state, "activated_enabled");
	STR_PUT(properties.path, "/opt/A b%.app/\xc3\xa4");
	return properties;
}

/* ---- The delegate ----------------------------------------------------------------------------- */

static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t calls_changed = PTHREAD_COND_INITIALIZER;
static struct call_entry calls[4096];
static size_t n_calls;
os_system_extension_replacement_action_t calls_action;
pthread_barrier_t *calls_hold;

void calls_reset(void)
{
	pthread_mutex_lock(&calls_lock);
	n_calls = 0;
	pthread_mutex_unlock(&calls_lock);
	calls_action = OS_SYSTEM_EXTENSION_REPLACEMENT_ACTION_REPLACE;
	calls_hold = NULL;
}

void calls_add(enum call call, const void *object, int value, const char *text)
{
	pthread_mutex_lock(&calls_lock);
	if (n_calls < ARRAY_SIZE(calls)) {
		calls[n_calls].call = call;
		calls[n_calls].object = object;
		calls[n_calls].value = value;
		STR_PUT(calls[n_calls].text, text);
		n_calls++;
	}
	pthread_cond_broadcast(&calls_changed);
	pthread_mutex_unlock(&calls_lock);
}

size_t calls_count(void)
{
	size_t n;

	pthread_mutex_lock(&calls_lock);
	n = n_calls;
	pthread_mutex_unlock(&calls_lock);
	return n;
}

const struct call_entry *calls_at(size_t i)
{
	assert_in_range(i, 0, calls_count() - 1);
	return &calls[i];
}

const struct call_entry *calls_wait(size_t n)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&calls_lock);
	while (n_calls < n && r == 0)
		r = pthread_cond_timedwait(&calls_changed, &calls_lock, &until);
	pthread_mutex_unlock(&calls_lock);
	assert_in_range(calls_count(), n, ARRAY_SIZE(calls));
	return calls_at(n - 1);
}

static os_system_extension_replacement_action_t replacing(os_system_extension_request_t *request,
	const os_system_extension_properties_t *existing,
	const os_system_extension_properties_t *extension, void *context)
{
	os_system_extension_replacement_action_t action = calls_action;
	char text[160];

	snprintf(text, sizeof text, "%s>%s",
		os_system_extension_properties_get_bundle_version(existing),
		os_system_extension_properties_get_bundle_version(extension));
	calls_add(CALL_REPLACE, request, 0, text);
	if (calls_hold)
		pthread_barrier_wait(calls_hold);
	return action;
}

static void needs_approval(os_system_extension_request_t *request, void *context)
{
	calls_add(CALL_APPROVAL, request, 0, context);
}

static void finished(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, void *context)
{
	calls_add(CALL_FINISHED, request, (int)result, "");
}

static void failed(os_system_extension_request_t *request, const ob_error_t *error, void *context)
{
	/* every error is of the domain, names the identifier or what outboardd said, and is a sentence */
	assert_string_equal(ob_error_get_domain(error), OSSystemExtensionErrorDomain);
	assert_true(strlen(ob_error_get_localized_description(error)) > 10);
	calls_add(CALL_FAILED, request, ob_error_get_code(error), ob_error_get_rule(error));
}

static void found(os_system_extension_request_t *request,
	const os_system_extension_properties_t *const *properties, size_t n_properties,
	void *context)
{
	char text[160] = "";
	size_t i, at = 0;

	for (i = 0; i < n_properties && at < sizeof text; i++)
		at += (size_t)snprintf(text + at, sizeof text - at, "%s ",
			os_system_extension_properties_get_bundle_version(properties[i]));
	calls_add(CALL_FOUND, request, (int)n_properties, text);
}

void calls_handler(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, const ob_error_t *error, void *context)
{
	calls_add(CALL_HANDLER, request, error ? ob_error_get_code(error) : -(int)result, context);
}

const os_system_extension_request_delegate_t calls_delegate = {
	.size = sizeof calls_delegate,
	.action_for_replacing_extension = replacing,
	.needs_user_approval = needs_approval,
	.did_finish_with_result = finished,
	.did_fail_with_error = failed,
	.found_properties = found,
};

/* ---- Both ------------------------------------------------------------------------------------- */

os_system_extension_request_t *activation(const char *identifier)
{
	os_system_extension_request_t *request;

	assert_int_equal(os_system_extension_request_new_activation(identifier, NULL, &request), 0);
	os_system_extension_request_set_delegate(request, &calls_delegate, "context");
	return request;
}

os_system_extension_request_t *submitted(const char *identifier)
{
	os_system_extension_request_t *request = activation(identifier);

	assert_int_equal(os_system_extension_manager_submit_request(request), 0);
	return request;
}

void assert_call(const struct call_entry *entry, enum call call, const void *object, int value,
	const char *text)
{
	assert_int_equal(entry->call, call);
	assert_ptr_equal(entry->object, object);
	assert_int_equal(entry->value, value);
	assert_string_equal(entry->text, text);
}
