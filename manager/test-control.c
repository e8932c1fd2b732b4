/* SPDX-License-Identifier: Apache-2.0
 *
 * The D-Bus server against a double of the manager, over real sockets: what it shows, who may do
 * what, and that no peer can hold it up. Where the caller must not be root, a child with another
 * uid is the caller.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/peer.h"
#include "base/str.h"
#include "manager/control-double.h"
#include "manager/control-internal.h"

#define WAIT_MSEC 10000 /* ten times what anything here was ever seen to take */
#define NOBODY 65534

static char root[64];
static pid_t server;

static int setup(void **state)
{
	snprintf(root, sizeof(root), "/tmp/ob-control-XXXXXX");
	if (!mkdtemp(root) || chmod(root, 0755) < 0)
		return -1;
	server = double_start(root, false);
	return server < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	return double_stop(server, root) ? 0 : -1;
}

static int connect_raw(void)
{
	return double_connect_raw(root);
}

static sd_bus *connect_bus(void)
{
	return double_connect(root);
}

static int call(sd_bus *bus, sd_bus_error *error, sd_bus_message **reply, const char *method,
	const char *types, ...)
{
	sd_bus_message *message;
	va_list args;
	int r;

	assert_true(sd_bus_message_new_method_call(
			    bus, &message, NULL, CONTROL_PATH, CONTROL_NAME, method) >= 0);
	va_start(args, types);
	if (types)
		assert_true(sd_bus_message_appendv(message, types, args) >= 0);
	va_end(args);
	r = sd_bus_call(bus, message, 0, error, reply);
	sd_bus_message_unref(message);
	return r;
}

/* The function in a child that is nobody. Its value, which says which check failed. */
static int as_nobody(int (*function)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(99);
		_exit(function());
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static void need_root(void)
{
	if (geteuid() != 0) {
		print_message("needs root: only root may change things\n");
		skip();
	}
}

static char *introspect(sd_bus *bus, const char *path)
{
	sd_bus_message *reply = NULL;
	const char *xml = "";
	char *copy;

	assert_true(sd_bus_call_method(bus, NULL, path, "org.freedesktop.DBus.Introspectable",
			    "Introspect", NULL, &reply, NULL) >= 0);
	assert_true(sd_bus_message_read(reply, "s", &xml) >= 0);
	copy = strdup(xml);
	sd_bus_message_unref(reply);
	return copy;
}

/* The text of one interface, from its first line to its last. */
static char *interface_of(const char *xml, const char *name)
{
	char first[128];
	const char *from, *to;

	snprintf(first, sizeof(first), " <interface name=\"%s\">", name);
	from = strstr(xml, first);
	if (!from)
		fail_msg("no interface %s", name);
	to = strstr(from, " </interface>");
	assert_non_null(to);
	return strndup(from, (size_t)(to - from));
}

static void assert_same_interface(sd_bus *bus, const char *file, const char *path, const char *name)
{
	char *served = introspect(bus, path);
	char *ours = interface_of(file, name), *theirs = interface_of(served, name);

	assert_string_equal(ours, theirs);
	free(served);
	free(ours);
	free(theirs);
}

/* Red without any line of a vtable, and without any line of the XML. */
static void test_introspection_is_the_xml(void **state)
{
	sd_bus_message *reply = NULL;
	sd_bus *bus = connect_bus();
	const char *request;
	char *file, *path;
	size_t bytes;

	assert_non_null(bus);
	assert_int_equal(file_read_at(AT_FDCWD, XML_FILE, 1 << 20, &file, &bytes), 0);
	assert_same_interface(bus, file, CONTROL_PATH, CONTROL_NAME);
	assert_int_equal(control_path_of_extension(DOUBLE_FILTER, &path), 0);
	assert_same_interface(bus, file, path, CONTROL_EXTENSION);
	free(path);
	if (geteuid() == 0) {
		assert_true(
			call(bus, NULL, &reply, "Activate", "ss", "/opt/Waiting.app", "x") >= 0);
		assert_true(sd_bus_message_read(reply, "o", &request) >= 0);
		assert_same_interface(bus, file, request, CONTROL_REQUEST);
		sd_bus_message_unref(reply);
	}
	free(file);
	sd_bus_close_unref(bus);
}

static int read_as_nobody(void)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL;
	sd_bus *bus = connect_bus();

	if (!bus)
		return 1;
	/* Every user reads states ... */
	if (sd_bus_call_method(bus, NULL, CONTROL_PATH, "org.freedesktop.DBus.ObjectManager",
		    "GetManagedObjects", &error, &reply, NULL) < 0)
		return 2;
	if (call(bus, &error, &reply, "GetErrors", NULL) < 0)
		return 3;
	/* ... and changes nothing, with an error that says why. */
	if (call(bus, &error, &reply, "Approve", "s", DOUBLE_AGENT) >= 0)
		return 4;
	if (!sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED))
		return 5;
	if (!strstr(error.message, "Approve") || !strstr(error.message, "65534"))
		return 6;
	sd_bus_error_free(&error);
	/* A sender that is made up does not help. */
	sd_bus_set_sender(bus, ":1.1");
	if (call(bus, &error, &reply, "ReadLog", "stub", "", (uint64_t)0, 10u, 0) >= 0)
		return 7;
	if (!sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED))
		return 8;
	return 0;
}

/* Red without the check in run_as(). */
static void test_others_read_and_do_not_change(void **state)
{
	need_root();
	assert_int_equal(as_nobody(read_as_nobody), 0);
}

struct seen {
	size_t n_changed, n_added, n_removed, n_ended;
	bool state, reason, extra, ended_first;
};

static int on_changed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct seen *seen = userdata;
	const char *interface, *name;

	seen->n_changed++;
	sd_bus_message_read(message, "s", &interface);
	sd_bus_message_enter_container(message, 'a', "{sv}");
	while (sd_bus_message_enter_container(message, 'e', "sv") > 0) {
		sd_bus_message_read(message, "s", &name);
		sd_bus_message_skip(message, "v");
		sd_bus_message_exit_container(message);
		if (streq(name, "State"))
			seen->state = true;
		else if (streq(name, "Reason"))
			seen->reason = true;
		else if (!streq(name, "AwaitingApproval") && !streq(name, "Enabled") &&
			!streq(name, "ApprovedBy"))
			seen->extra = true;
	}
	return 0;
}

static int on_added(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	((struct seen *)userdata)->n_added++;
	return 0;
}

static int on_removed(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	((struct seen *)userdata)->n_removed++;
	return 0;
}

static int on_ended(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct seen *seen = userdata;

	seen->n_ended++;
	seen->ended_first = seen->n_removed == 0;
	return 0;
}

static void watch(sd_bus *bus, struct seen *seen)
{
	sd_bus_match_signal(bus, NULL, NULL, NULL, "org.freedesktop.DBus.Properties",
		"PropertiesChanged", on_changed, seen);
	sd_bus_match_signal(bus, NULL, NULL, NULL, "org.freedesktop.DBus.ObjectManager",
		"InterfacesAdded", on_added, seen);
	sd_bus_match_signal(bus, NULL, NULL, NULL, "org.freedesktop.DBus.ObjectManager",
		"InterfacesRemoved", on_removed, seen);
	sd_bus_match_signal(
		bus, NULL, NULL, CONTROL_PATH, CONTROL_NAME, "RequestEnded", on_ended, seen);
}

/* All signals that the server sent before its answer to this are dispatched after it. */
static void settle(sd_bus *bus)
{
	assert_true(sd_bus_call_method(bus, NULL, CONTROL_PATH, "org.freedesktop.DBus.Peer", "Ping",
			    NULL, NULL, NULL) >= 0);
	while (sd_bus_process(bus, NULL) > 0)
		;
}

/* Red without the comparison of digests in object_changed(), and without its emit. */
static void test_changes_are_told_once_and_by_name(void **state)
{
	struct seen seen = { 0 };
	sd_bus *observer, *caller;

	need_root();
	observer = connect_bus();
	caller = connect_bus();
	assert_non_null(observer);
	assert_non_null(caller);
	watch(observer, &seen);
	settle(observer);
	assert_true(call(caller, NULL, NULL, "Approve", "s", DOUBLE_AGENT) >= 0);
	settle(observer);
	assert_int_equal(seen.n_changed, 1);
	assert_true(seen.state);
	assert_false(seen.reason);
	assert_false(seen.extra);
	sd_bus_close_unref(observer);
	sd_bus_close_unref(caller);
}

/* Red without control_request_ended()'s signal, and when it comes after the removal. */
static void test_a_request_comes_and_goes(void **state)
{
	struct seen seen = { 0 };
	sd_bus_message *reply = NULL;
	const char *path;
	sd_bus *bus;

	need_root();
	bus = connect_bus();
	assert_non_null(bus);
	watch(bus, &seen);
	assert_true(call(bus, NULL, &reply, "Activate", "ss", "/opt/Example.app",
			    "org.example.agent") >= 0);
	assert_true(sd_bus_message_read(reply, "o", &path) >= 0);
	assert_true(str_starts(path, CONTROL_REQUESTS "/"));
	settle(bus);
	assert_int_equal(seen.n_added, 1);
	assert_int_equal(seen.n_changed, 1);
	assert_int_equal(seen.n_ended, 1);
	assert_int_equal(seen.n_removed, 1);
	assert_true(seen.ended_first);
	sd_bus_message_unref(reply);
	sd_bus_close_unref(bus);
}

static int keep_reply(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	*(sd_bus_message **)userdata = sd_bus_message_ref(message);
	return 0;
}

/* Red when refuse() loses the structured half. */
static void test_a_refusal_has_sentence_and_structure(void **state)
{
	sd_bus_message *message, *reply = NULL;
	const char *sentence, *json;
	sd_bus *bus;

	need_root();
	bus = connect_bus();
	assert_non_null(bus);
	sd_bus_message_new_method_call(bus, &message, NULL, CONTROL_PATH, CONTROL_NAME, "Activate");
	sd_bus_message_append(message, "ss", "/opt/Refused.app", "org.example.agent");
	assert_true(sd_bus_call_async(bus, NULL, message, keep_reply, &reply, 0) >= 0);
	while (!reply)
		if (sd_bus_process(bus, NULL) == 0)
			sd_bus_wait(bus, WAIT_MSEC * 1000ull);
	assert_true(sd_bus_message_is_method_error(reply, "org.outboard.Error.Refused"));
	assert_true(sd_bus_message_read(reply, "ss", &sentence, &json) >= 0);
	assert_non_null(strstr(sentence, "/opt/Refused.app"));
	assert_non_null(strstr(json, "\"rule\":\"internal.error\""));
	assert_non_null(strstr(json, "the double \\\"refuses\\\" it"));
	sd_bus_message_unref(message);
	sd_bus_message_unref(reply);
	sd_bus_close_unref(bus);
}

static void assert_reads(int fd, const char *expected)
{
	char buffer[4096];
	ssize_t n = read(fd, buffer, sizeof(buffer) - 1);

	assert_true(n > 0);
	buffer[n] = 0;
	if (!strstr(buffer, expected))
		fail_msg("'%s' is not in '%s'", expected, buffer);
}

/* The peer hangs up on us, whatever it still had to say. */
static bool is_closed(int fd)
{
	char buffer[65536];
	struct pollfd ask = { .fd = fd, .events = POLLIN };

	while (poll(&ask, 1, WAIT_MSEC) > 0) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
	}
	return false;
}

static void assert_serves(void)
{
	sd_bus *bus = connect_bus();

	assert_non_null(bus);
	settle(bus);
	sd_bus_close_unref(bus);
}

/* A raw connection past authentication, which from now on reads nothing. */
static int connect_deaf(void)
{
	static const char begin[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
	char answer[256];
	int fd = connect_raw();

	assert_true(fd >= 0);
	assert_int_equal(send(fd, begin, sizeof(begin) - 1, MSG_NOSIGNAL), sizeof(begin) - 1);
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	return fd;
}

/* Red when a connection's error ends the loop, or is not noticed. */
static void test_garbage_is_hung_up_on(void **state)
{
	/* Who fails to authenticate may try again until sd-bus's 25 seconds are over. */
	static const struct {
		const char *bytes;
		size_t n;
		bool rejected;
	} garbage[] = {
		{ "GET / HTTP/1.0\r\n\r\n", 18, false },
		{ "\0AUTH EXTERNAL zz\r\nBEGIN\r\n", 26, true },
		{ "\0AUTH ANONYMOUS\r\nBEGIN\r\n", 24, true },
		{ "not a D-Bus message, but long enough for the header of one", 58, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(garbage); i++) {
		int fd = i == 3 ? connect_deaf() : connect_raw();

		assert_true(fd >= 0);
		assert_int_equal(send(fd, garbage[i].bytes, garbage[i].n, MSG_NOSIGNAL),
			(ssize_t)garbage[i].n);
		if (garbage[i].rejected)
			assert_reads(fd, "REJECTED");
		else if (!is_closed(fd))
			fail_msg("garbage %zu is not hung up on", i);
		fd_close(fd);
		assert_serves();
	}
}

/* Red without control_links_check(): the deaf one would be fed for ever. */
static void test_one_who_does_not_read_is_dropped(void **state)
{
	sd_bus *caller;
	int fd;

	need_root();
	fd = connect_deaf();
	caller = connect_bus();
	assert_non_null(caller);
	for (int i = 0; i < 5000; i++)
		assert_true(call(caller, NULL, NULL, "Deny", "s", DOUBLE_AGENT) >= 0);
	assert_true(is_closed(fd));
	fd_close(fd);
	settle(caller);
	sd_bus_close_unref(caller);
}

/* One field of a D-Bus header, at the next multiple of eight. */
static size_t put_field(
	unsigned char *at, size_t n, unsigned char code, char type, const char *text)
{
	uint32_t bytes = (uint32_t)strlen(text);

	n = (n + 7) & ~(size_t)7;
	memcpy(at + n, (unsigned char[]){ code, 1, (unsigned char)type, 0 }, 4);
	memcpy(at + n + 4, &bytes, 4);
	memcpy(at + n + 8, text, bytes + 1);
	return n + 8 + bytes + 1;
}

/* Introspect: the longest answer for the shortest question. */
static size_t make_question(unsigned char question[static 256])
{
	static const unsigned char fixed[12] = { 'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0 };
	uint32_t bytes;
	size_t n = 16;

	memset(question, 0, 256);
	memcpy(question, fixed, sizeof(fixed));
	n = put_field(question, n, 1, 'o', CONTROL_PATH);
	n = put_field(question, n, 2, 's', "org.freedesktop.DBus.Introspectable");
	n = put_field(question, n, 3, 's', "Introspect");
	bytes = (uint32_t)(n - 16);
	memcpy(question + 12, &bytes, 4);
	return (n + 7) & ~(size_t)7;
}

/* Red without the check in on_message(): the answers would pile up in the server. */
static void test_one_who_asks_without_reading_is_dropped(void **state)
{
	struct timeval limit = { .tv_sec = WAIT_MSEC / 1000 };
	int fd = connect_deaf();
	ssize_t n = 0;
	unsigned char question[256];
	size_t bytes = make_question(question);

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	for (int i = 0; i < 100000 && n >= 0; i++)
		n = send(fd, question, bytes, MSG_NOSIGNAL);
	assert_true(n < 0);
	assert_true(errno == EPIPE || errno == ECONNRESET);
	fd_close(fd);
	assert_serves();
}

/* Announces a message of 64 MiB and sends nothing of it. */
static int announce_as_nobody(void)
{
	static const unsigned char header[16] = { 'l', 1, 0, 1, 0, 0, 0, 4, 1, 0, 0, 0, 0x40, 0, 0,
		0 };
	int fd = connect_deaf();

	if (send(fd, header, sizeof(header), MSG_NOSIGNAL) != sizeof(header))
		return 1;
	return is_closed(fd) ? 0 : 2;
}

/* Red without on_turn(): the server would keep the room for as long as the peer likes. */
static void test_announced_messages_are_bounded(void **state)
{
	sd_bus *bus;

	need_root();
	if (mallinfo2().uordblks == 0) {
		print_message("an allocator that counts nothing\n");
		skip();
	}
	bus = connect_bus();
	settle(bus);
	assert_int_equal(as_nobody(announce_as_nobody), 0);
	settle(bus);
	sd_bus_close_unref(bus);
}

/* Red when any of these ends the server or keeps it from others. The seed repeats the run. */
static void test_mutated_calls_do_not_hurt(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)getpid();

	print_message("SEED=%u\n", seed);
	srandom(seed);
	for (int i = 0; i < 300; i++) {
		unsigned char question[256];
		size_t bytes = make_question(question);
		int fd = connect_deaf();

		for (int n = 1 + (int)(random() % 4); n > 0; n--)
			question[(size_t)random() % bytes] = (unsigned char)random();
		send(fd, question, bytes, MSG_NOSIGNAL);
		fd_close(fd);
	}
	assert_serves();
}

static int too_many_as_nobody(void)
{
	int fds[CONTROL_LINKS_UID + 1];

	for (size_t i = 0; i < CONTROL_LINKS_UID + 1; i++) {
		fds[i] = connect_raw();
		if (fds[i] < 0)
			return 1;
	}
	if (!is_closed(fds[CONTROL_LINKS_UID]))
		return 2;
	/* The others are still open, and one that goes makes room. */
	if (recv(fds[0], &(char){ 0 }, 1, MSG_DONTWAIT) != -1 || errno != EAGAIN)
		return 3;
	return 0;
}

/* Red without has_room(). */
static void test_connections_are_bounded(void **state)
{
	need_root();
	assert_int_equal(as_nobody(too_many_as_nobody), 0);
	assert_serves();
}

/* Red without control_log_line()'s write, and when a source is not looked at. */
static void test_the_log_is_read_and_followed(void **state)
{
	sd_bus_message *all = NULL, *other = NULL;
	int stored, live, silent;
	sd_bus *bus;

	need_root();
	bus = connect_bus();
	assert_non_null(bus);
	assert_true(call(bus, NULL, &all, "ReadLog", "stub", "", (uint64_t)0, 10u, 1) >= 0);
	assert_true(sd_bus_message_read(all, "ah", 2, &stored, &live) >= 0);
	assert_reads(stored, "STARTED");
	assert_true(
		call(bus, NULL, &other, "ReadLog", "stub", "another", (uint64_t)0, 10u, 1) >= 0);
	assert_true(sd_bus_message_read(other, "ah", 2, &stored, &silent) >= 0);
	assert_true(call(bus, NULL, NULL, "SetDeveloperMode", "b", 1) >= 0);
	assert_reads(live, "\"text\":\"mode\"}\n");
	assert_int_equal(poll(&(struct pollfd){ .fd = silent, .events = POLLIN }, 1, 0), 0);
	sd_bus_message_unref(all);
	sd_bus_message_unref(other);
	sd_bus_close_unref(bus);
}

/* Red without the limit on lines: the manager would be asked to gather anything. */
static void test_the_log_is_bounded(void **state)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *bus;

	need_root();
	bus = connect_bus();
	assert_non_null(bus);
	assert_true(call(bus, &error, NULL, "ReadLog", "stub", "", (uint64_t)0, 10001u, 0) < 0);
	assert_true(sd_bus_error_has_name(&error, SD_BUS_ERROR_INVALID_ARGS));
	sd_bus_error_free(&error);
	sd_bus_close_unref(bus);
}

/* Red when descriptors or their names are lost on the way. */
static void test_dev_run_hands_descriptors_over(void **state)
{
	sd_bus_message *reply = NULL;
	const char *name;
	int pid_fd = process_pidfd(getpid()), fd;
	sd_bus *bus;

	need_root();
	bus = connect_bus();
	assert_non_null(bus);
	assert_true(call(bus, NULL, NULL, "SetDeveloperMode", "b", 0) >= 0);
	assert_true(call(bus, NULL, NULL, "DevRun", "ssh", "dev.x", "{}", pid_fd) < 0);
	assert_true(call(bus, NULL, NULL, "SetDeveloperMode", "b", 1) >= 0);
	assert_true(call(bus, NULL, &reply, "DevRun", "ssh", "dev.x", "{\"a\":1}", pid_fd) >= 0);
	assert_true(sd_bus_message_enter_container(reply, 'a', "(sh)") > 0);
	assert_true(sd_bus_message_read(reply, "(sh)", &name, &fd) > 0);
	assert_string_equal(name, "control");
	lseek(fd, 0, SEEK_SET);
	assert_reads(fd, "{\"a\":1}");
	assert_true(sd_bus_message_read(reply, "(sh)", &name, &fd) > 0);
	assert_string_equal(name, "endpoint");
	sd_bus_message_unref(reply);
	sd_bus_close_unref(bus);
	fd_close(pid_fd);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_introspection_is_the_xml),
		TEST(test_others_read_and_do_not_change),
		TEST(test_changes_are_told_once_and_by_name),
		TEST(test_a_request_comes_and_goes),
		TEST(test_a_refusal_has_sentence_and_structure),
		TEST(test_garbage_is_hung_up_on),
		TEST(test_one_who_does_not_read_is_dropped),
		TEST(test_one_who_asks_without_reading_is_dropped),
		TEST(test_announced_messages_are_bounded),
		TEST(test_mutated_calls_do_not_hurt),
		TEST(test_connections_are_bounded),
		TEST(test_the_log_is_read_and_followed),
		TEST(test_the_log_is_bounded),
		TEST(test_dev_run_hands_descriptors_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
