/* SPDX-License-Identifier: Apache-2.0
 *
 * manager.sock, with the manager of a process of its own in this one: what a well-behaved client
 * gets, and that each message which does not fit, a client that does not read, and too many of
 * them cost nobody else anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "manager/manager.h"
#include "manager/registry.h"

static struct manager manager;
static char root[64];
static int parent_fd = -1, listen_fd = -1, control_fd = -1;
static struct wire_packet packet;

static void nobody_ended(void *context, uint64_t child, int code, int status)
{
}

static int listen_stream(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	STR_PUT(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int set_up(void **state)
{
	const char *const folders[] = { NULL };
	enum registry_how how;
	char path[PATH_MAX], problem[1024];
	int pair[2], version;

	snprintf(root, sizeof root, "/tmp/outboard-client-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	setenv("OUTBOARD_ROOT", root, 1);
	log_set_level(LOG_LEVEL_ERROR);
	manager = (struct manager){ .boot_id = "boot" };
	mkdir_path(path_get(PATH_RUN, NULL, path), 0755);
	mkdir_path(path_get(PATH_STATE, NULL, path), 0755);
	assert_int_equal(config_load(&manager.config, problem), 0);
	assert_true(sd_event_new(&manager.event) >= 0);
	assert_int_equal(schedule_new(&manager), 0);
	assert_int_equal(wire_pair(pair), 0);
	parent_fd = pair[0];
	assert_int_equal(wire_send(parent_fd, PARENT_BEGIN, 0, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(
		children_new(manager.event, pair[1], nobody_ended, &manager, &manager.children), 0);
	assert_int_equal(registry_open(path_get(PATH_STATE, "registry.db", path), &manager.registry,
				 &how, &version),
		0);
	assert_int_equal(policy_load(folders, &manager.policy), 0);
	assert_int_equal(broker_new(&manager, &manager.broker), 0);
	control_fd = listen_stream(path_get(PATH_CONTROL_SOCKET, NULL, path));
	manager_control.boot_id = manager.boot_id;
	assert_int_equal(control_new(&manager_control, &manager, manager.event, control_fd, false,
				 &manager.control),
		0);
	listen_fd = wire_listen(path_get(PATH_MANAGER_SOCKET, NULL, path), 0666, 256);
	fcntl(listen_fd, F_SETFL, O_NONBLOCK);
	return clients_listen(&manager, listen_fd);
}

static int tear_down(void **state)
{
	char command[160];

	clients_free(&manager);
	while (manager.requests)
		request_abandon(manager.requests);
	manager.control = control_free(manager.control);
	while (manager.extensions)
		extension_free(manager.extensions);
	broker_free(manager.broker);
	children_free(manager.children);
	policy_free(manager.policy);
	registry_free(manager.registry);
	config_free(manager.config);
	sd_event_source_disable_unref(manager.timer);
	sd_event_source_disable_unref(manager.later);
	sd_event_unref(manager.event);
	fd_close(parent_fd);
	fd_close(listen_fd);
	fd_close(control_fd);
	snprintf(command, sizeof command, "rm -rf %s", root);
	return system(command);
}

/* Until nothing is left to do. */
static void pump(void)
{
	while (sd_event_run(manager.event, 0) > 0)
		;
}

static int come(void)
{
	char path[PATH_MAX];
	int fd = wire_connect(path_get(PATH_MANAGER_SOCKET, NULL, path));

	assert_true(fd >= 0);
	pump();
	return fd;
}

static int receive(int fd)
{
	return wire_receive(fd, &packet, MSG_DONTWAIT);
}

static void expect(int fd, uint16_t type)
{
	assert_int_equal(receive(fd), 0);
	assert_int_equal(packet.header.type, type);
}

static const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };

static int come_known(void)
{
	struct wire_nonce nonce;
	int fd = come();

	assert_int_equal(WIRE_SEND(fd, WIRE_HELLO, 0, &hello), 0);
	pump();
	expect(fd, WIRE_HELLO);
	expect(fd, WIRE_NONCE);
	memcpy(&nonce, packet.body, sizeof nonce);
	assert_int_equal(WIRE_SEND(fd, WIRE_NONCE, 0, &nonce), 0);
	pump();
	assert_int_equal(receive(fd), -EAGAIN);
	return fd;
}

static void submit(int fd, uint64_t id, uint32_t kind, const char *identifier)
{
	struct request_submit body = { .kind = kind };

	STR_PUT(body.identifier, identifier);
	assert_int_equal(WIRE_SEND(fd, REQUEST_SUBMIT, id, &body), 0);
	pump();
}

static void is_served(int fd)
{
	const struct request_finished *finished = (void *)packet.body;

	submit(fd, 900, REQUEST_PROPERTIES_OF, "org.example.unknown");
	expect(fd, REQUEST_FINISHED);
	assert_int_equal(packet.header.id, 900);
	assert_int_equal(finished->n_properties, 0);
}

static void add_extension(const char *id, enum state in)
{
	struct extension *extension;

	assert_int_equal(extension_new(&manager, &extension), 0);
	STR_PUT(extension->id, id);
	STR_PUT(extension->info.identifier, "org.example.agent");
	STR_PUT(extension->info.version, "7");
	STR_PUT(extension->info.short_version, "1.2");
	STR_PUT(extension->info.team, "TEAMTEAMTE");
	extension->state = in;
	extension->slot = in == STATE_ACTIVATED_ENABLED;
	extension->pid = in == STATE_ACTIVATED_ENABLED ? 4711 : 0;
	extension->process = in == STATE_ACTIVATED_ENABLED ? PROCESS_UP : PROCESS_NONE;
}

static void properties_of_all_copies(void **state)
{
	const struct wire_properties *properties = (void *)packet.body;
	const struct request_finished *finished = (void *)packet.body;
	int fd = come_known();

	add_extension("one", STATE_ACTIVATED_ENABLED);
	add_extension("two", STATE_ACTIVATED_WAITING_FOR_USER);
	submit(fd, 1, REQUEST_PROPERTIES_OF, "org.example.agent");
	expect(fd, REQUEST_PROPERTIES);
	assert_int_equal(packet.header.flags, WIRE_FLAG_REPLY | WIRE_FLAG_MORE);
	assert_int_equal(
		properties->flags, PROPERTIES_ENABLED | PROPERTIES_ACTIVE | PROPERTIES_RUNNING);
	assert_string_equal(properties->running_version, "1.2/7");
	assert_string_equal(properties->state, "activated_enabled");
	assert_int_equal(properties->pid, 4711);
	expect(fd, REQUEST_PROPERTIES);
	assert_int_equal(properties->flags, PROPERTIES_AWAITING_USER_APPROVAL);
	assert_string_equal(properties->running_version, "");
	expect(fd, REQUEST_FINISHED);
	assert_int_equal(finished->n_properties, 2);
	fd_close(fd);
}

static void who_is_no_app_is_told_so(void **state)
{
	const struct wire_error *error = (void *)packet.body;
	int fd = come_known();

	submit(fd, 1, REQUEST_ACTIVATE, "org.example.agent");
	expect(fd, REQUEST_FAILED);
	assert_int_equal(error->code, CODE_EXTENSION_NOT_FOUND);
	assert_string_equal(error->rule, "request.not-from-app");
	submit(fd, 2, REQUEST_DEACTIVATE, "org.example.agent");
	expect(fd, REQUEST_FAILED);
	assert_string_equal(error->rule, "request.not-from-app");
	is_served(fd);
	fd_close(fd);
}

static void what_is_no_identifier_is_refused(void **state)
{
	static const char *const bad[] = { "", ".", "..", "../x", "a/b", "a b", "a\n" };
	const struct wire_error *error = (void *)packet.body;
	int fd = come_known();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		submit(fd, i + 1, REQUEST_ACTIVATE, bad[i]);
		expect(fd, REQUEST_FAILED);
		assert_int_equal(error->code, CODE_EXTENSION_MISSING_IDENTIFIER);
	}
	is_served(fd);
	fd_close(fd);
}

/* It may have ended while these were on their way. */
static void answers_to_what_has_ended_are_nothing(void **state)
{
	const struct request_replace_answer answer = { .action = 1 };
	int fd = come_known();

	assert_int_equal(WIRE_SEND(fd, REQUEST_REPLACE_ANSWER, 77, &answer), 0);
	assert_int_equal(wire_send(fd, REQUEST_CANCEL, 0, 77, NULL, 0, NULL, 0), 0);
	pump();
	is_served(fd);
	fd_close(fd);
}

static void an_observer_hears_of_changes(void **state)
{
	const struct request_observe on = { .on = 1 };
	const struct request_workspace_event *event = (void *)packet.body;
	const struct wire_status *status = (void *)packet.body;
	int fd = come_known(), silent = come_known();

	manager.developer_mode = true;
	assert_int_equal(WIRE_SEND(fd, WORKSPACE_OBSERVE, 5, &on), 0);
	pump();
	expect(fd, WIRE_STATUS);
	assert_int_equal(status->status, 0);
	add_extension("one", STATE_ACTIVATED_ENABLED);
	clients_workspace_event(manager.extensions, WORKSPACE_WILL_BECOME_DISABLED);
	expect(fd, WORKSPACE_EVENT);
	assert_int_equal(event->event, WORKSPACE_WILL_BECOME_DISABLED);
	assert_string_equal(event->identifier, "org.example.agent");
	assert_int_equal(receive(silent), -EAGAIN);
	fd_close(fd);
	fd_close(silent);
}

struct malformed {
	const char *what;
	uint16_t type, flags;
	uint64_t id;
	uint32_t bytes; /* of the body */
	uint32_t numbers[2];
	bool known, unterminated, with_fd;
};

static const struct malformed malformed[] = {
	{ "a request before HELLO", REQUEST_SUBMIT, 0, 1, 264, { 1, 0 } },
	{ "HELLO of no protocol", WIRE_HELLO, 0, 0, 16, { 0, 0 } },
	{ "HELLO too short", WIRE_HELLO, 0, 0, 8, { 1, 0 } },
	{ "HELLO too long", WIRE_HELLO, 0, 0, 24, { 1, 0 } },
	{ "a nonce that nobody asked for", WIRE_NONCE, 0, 0, 16, { 1, 0 } },
	{ "a second HELLO", WIRE_HELLO, 0, 0, 16, { 1, 0 }, .known = true },
	{ "a second nonce", WIRE_NONCE, 0, 0, 16, { 1, 0 }, .known = true },
	{ "no such type", 4000, 0, 1, 0, { 0, 0 }, .known = true },
	{ "a type of ours", REQUEST_FINISHED, 0, 1, 8, { 0, 0 }, .known = true },
	{ "no id", REQUEST_SUBMIT, 0, 0, 264, { 1, 0 }, .known = true },
	{ "kind 0", REQUEST_SUBMIT, 0, 1, 264, { 0, 0 }, .known = true },
	{ "kind 4", REQUEST_SUBMIT, 0, 1, 264, { 4, 0 }, .known = true },
	{ "our own kind", REQUEST_SUBMIT, 0, 1, 264, { REQUEST_OBSERVE, 0 }, .known = true },
	{ "reserved is used", REQUEST_SUBMIT, 0, 1, 264, { 1, 2 }, .known = true },
	{ "no end of the identifier", REQUEST_SUBMIT, 0, 1, 264, { 3, 0 }, .known = true,
		.unterminated = true },
	{ "a submit too short", REQUEST_SUBMIT, 0, 1, 8, { 1, 0 }, .known = true },
	{ "a submit too long", REQUEST_SUBMIT, 0, 1, 272, { 1, 0 }, .known = true },
	{ "a submit with a descriptor", REQUEST_SUBMIT, 0, 1, 264, { 3, 0 }, .known = true,
		.with_fd = true },
	{ "unknown flags", REQUEST_SUBMIT, 0x8000, 1, 264, { 3, 0 }, .known = true },
	{ "action 2", REQUEST_REPLACE_ANSWER, 0, 1, 8, { 2, 0 }, .known = true },
	{ "cancel with a body", REQUEST_CANCEL, 0, 1, 8, { 0, 0 }, .known = true },
	{ "observe 2", WORKSPACE_OBSERVE, 0, 1, 8, { 2, 0 }, .known = true },
	{ "observe without id", WORKSPACE_OBSERVE, 0, 0, 8, { 1, 0 }, .known = true },
};

static void send_malformed(int fd, const struct malformed *row)
{
	unsigned char raw[512] = { 0 };
	struct wire_header header = {
		.bytes = 16 + row->bytes, .type = row->type, .flags = row->flags, .id = row->id
	};
	struct iovec io = { .iov_base = raw, .iov_len = header.bytes };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS } };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };

	memcpy(raw, &header, sizeof header);
	memcpy(raw + 16, row->numbers, row->bytes < 8 ? row->bytes : 8);
	if (row->unterminated)
		memset(raw + 24, 'a', 256);
	if (row->with_fd) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
		message.msg_control = &control;
		message.msg_controllen = sizeof control;
	}
	assert_int_equal(sendmsg(fd, &message, 0), header.bytes);
}

static void what_does_not_fit_costs_the_connection(void **state)
{
	int neighbour = come_known(), r;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(malformed); i++) {
		int fd = malformed[i].known ? come_known() : come();

		send_malformed(fd, &malformed[i]);
		pump();
		while ((r = receive(fd)) == 0)
			;
		if (r != -EPIPE && r != -ECONNRESET)
			fail_msg("%s: the connection lives on (%d)", malformed[i].what, r);
		fd_close(fd);
		is_served(neighbour);
	}
	assert_int_equal(manager.n_clients, 1);
	assert_null(manager.requests);
	fd_close(neighbour);
}

static void a_header_that_lies_costs_the_connection(void **state)
{
	struct wire_header header = { .bytes = 400, .type = REQUEST_CANCEL, .id = 1 };
	int fd = come_known();

	assert_int_equal(send(fd, &header, sizeof header, 0), sizeof header);
	pump();
	assert_int_equal(receive(fd), -EPIPE);
	fd_close(fd);
	fd = come_known();
	assert_int_equal(send(fd, &header, 7, 0), 7);
	pump();
	assert_int_equal(receive(fd), -EPIPE);
	fd_close(fd);
}

/* The nonce proves who speaks now: a wrong one is nobody. */
static void a_wrong_nonce_is_nobody(void **state)
{
	struct wire_nonce nonce = { { 0 } };
	int fd = come();

	assert_int_equal(WIRE_SEND(fd, WIRE_HELLO, 0, &hello), 0);
	pump();
	expect(fd, WIRE_HELLO);
	expect(fd, WIRE_NONCE);
	assert_int_equal(WIRE_SEND(fd, WIRE_NONCE, 0, &nonce), 0);
	pump();
	assert_int_equal(receive(fd), -EPIPE);
	fd_close(fd);
}

static void who_does_not_read_is_dropped(void **state)
{
	struct request_submit body = { .kind = REQUEST_PROPERTIES_OF,
		.identifier = "org.example.agent" };
	int slow = come_known(), neighbour = come_known(), i;

	add_extension("one", STATE_ACTIVATED_ENABLED);
	for (i = 1; i < 2000 && manager.n_clients == 2; i++) {
		if (WIRE_SEND(slow, REQUEST_SUBMIT, (uint64_t)i, &body) < 0)
			break;
		pump();
	}
	pump();
	assert_int_equal(manager.n_clients, 1);
	assert_null(manager.requests);
	is_served(neighbour);
	fd_close(slow);
	fd_close(neighbour);
}

static void connections_are_bounded(void **state)
{
	int fds[160], neighbour = come_known();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = come();
	assert_int_equal(manager.n_clients, 128);
	is_served(neighbour);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		fd_close(fds[i]);
	pump();
	assert_int_equal(manager.n_clients, 1);
	fd_close(come_known());
	fd_close(neighbour);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(properties_of_all_copies),
		TEST(who_is_no_app_is_told_so),
		TEST(what_is_no_identifier_is_refused),
		TEST(answers_to_what_has_ended_are_nothing),
		TEST(an_observer_hears_of_changes),
		TEST(what_does_not_fit_costs_the_connection),
		TEST(a_header_that_lies_costs_the_connection),
		TEST(a_wrong_nonce_is_nobody),
		TEST(who_does_not_read_is_dropped),
		TEST(connections_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
