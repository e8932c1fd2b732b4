/* SPDX-License-Identifier: Apache-2.0
 *
 * Who outboard-esd lets in, and what it does with a peer that does not keep to the protocol: its
 * doors, with a double behind them in place of the kernel. The test plays the manager and the
 * clients; the daemon's half runs in a child. Each rule is tried both ways. Needs root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/bundle.h"
#include "endpoint/daemon/esd.h"
#include "endpoint/test-doors.h"

#define EXEC 9u

/* es_new_client_result_t */
enum { INVALID = 1, NOT_ENTITLED = 3, NOT_PERMITTED = 4, NOT_PRIVILEGED = 5, TOO_MANY = 6 };

static char listen_path[64];
static struct wire_packet packet;
static pid_t daemon_pid;
static int manager = -1;

/* ---- the daemon's half ---------------------------------------------------------------------------- */

static void __attribute__((noreturn)) run_daemon(int manager_fd)
{
	struct esd esd = { .manager_fd = manager_fd, .generation = 1 };
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	esd.listen_fd = wire_listen(listen_path, 0666, 64);
	r = esd.listen_fd < 0 ? esd.listen_fd : sd_event_default(&esd.event);
	if (r >= 0)
		r = listener_open(&esd);
	if (r >= 0)
		r = manager_open(&esd);
	_exit(r < 0 ? 99 : sd_event_loop(esd.event));
}

static int begin(void **state)
{
	const struct timeval patience = { .tv_sec = 10 };
	int pair[2];

	memset(kernel, 0, sizeof *kernel);
	fd_close(loaded_fd);
	loaded_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(wire_pair(pair), 0);
	daemon_pid = fork();
	if (daemon_pid == 0) {
		close(pair[0]);
		run_daemon(pair[1]);
	}
	close(pair[1]);
	manager = pair[0];
	setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_int_equal(wire_receive(manager, &packet, 0), 0);
	assert_int_equal(packet.header.type, BROKER_UP);
	return 0;
}

/* The daemon ends by itself when the manager's socket closes, without an error. */
static int end(void **state)
{
	int status;

	manager = fd_close(manager);
	wire_packet_done(&packet);
	assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
	unlink(listen_path);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* ---- the manager's half --------------------------------------------------------------------------- */

static void settle(uint32_t developer_mode, uint32_t generation)
{
	const struct broker_settings settings = { .developer_mode = developer_mode,
		.generation = generation };

	assert_int_equal(WIRE_SEND(manager, BROKER_SETTINGS, 0, &settings), 0);
}

/* This test's own executable, as the manager would name it. */
static struct broker_entitled entitled_self(void)
{
	struct broker_entitled is = { .entitlement_bits = ENTITLEMENT_ENDPOINT_SECURITY_CLIENT };
	struct stat status;

	assert_int_equal(stat("/proc/self/exe", &status), 0);
	is.device = status.st_dev;
	is.inode = status.st_ino;
	is.ctime_ns = (uint64_t)status.st_ctim.tv_sec * 1000000000ull +
		(uint64_t)status.st_ctim.tv_nsec;
	is.size = (uint64_t)status.st_size;
	return is;
}

/* Hands over one end of a pair; the other is the extension's. */
static int hand_over(uint64_t child, uint32_t bits)
{
	const struct broker_client client = { .child = child,
		.pid = getpid(),
		.entitlement_bits = bits,
		.identifier = "org.example.agent" };
	const struct timeval patience = { .tv_sec = 10 };
	int pair[2];

	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(
		wire_send(manager, BROKER_ADD_CLIENT, 0, 0, &client, sizeof client, &pair[1], 1),
		0);
	close(pair[1]);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return pair[0];
}

/* Until the daemon has said that @n clients are there: it says so at each change, and in between. */
static void await_clients(uint32_t n)
{
	do {
		assert_int_equal(wire_receive(manager, &packet, 0), 0);
		assert_int_equal(packet.header.type, BROKER_CLIENTS);
	} while (((struct broker_clients *)(void *)packet.body)->n_clients != n);
}

/* ---- a client's half ------------------------------------------------------------------------------ */

static int connect_one(void)
{
	const struct timeval patience = { .tv_sec = 10 };
	int fd = wire_connect(listen_path);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	assert_int_equal(peer_prove(fd, &packet), 0);
	return fd;
}

static void hello(int fd)
{
	const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };

	assert_int_equal(WIRE_SEND(fd, WIRE_HELLO, 1, &hello), 0);
	assert_int_equal(wire_receive(fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, WIRE_HELLO);
}

static void ask_for(int fd, uint32_t ring_bytes)
{
	const struct endpoint_new new = { .ring_bytes = ring_bytes,
		.record_version = ES_RECORD_VERSION };

	assert_int_equal(WIRE_SEND(fd, ENDPOINT_NEW, 2, &new), 0);
	assert_int_equal(wire_receive(fd, &packet, 0), 0);
	assert_int_equal(packet.header.id, 2);
}

static void expect_ring(int fd)
{
	const struct endpoint_ring *ring = (void *)packet.body;

	ask_for(fd, 0);
	assert_int_equal(packet.header.type, ENDPOINT_RING);
	assert_int_equal(packet.n_fds, 2);
	assert_int_equal(ring->ring_bytes, ENDPOINT_RING_BYTES);
	assert_true(ring->can_watch[0] & 1ull << EXEC);
}

/* Said why, and then the end. */
static void expect_refused(int fd, uint32_t ring_bytes, uint32_t result, const char *rule)
{
	const struct endpoint_refused *refused = (void *)packet.body;

	ask_for(fd, ring_bytes);
	assert_int_equal(packet.header.type, ENDPOINT_REFUSED);
	assert_int_equal(refused->result, result);
	assert_string_equal(refused->error.rule, rule);
	assert_int_equal(wire_receive(fd, &packet, 0), -EPIPE);
	close(fd);
}

static int new_client(void)
{
	int fd = connect_one();

	hello(fd);
	expect_ring(fd);
	return fd;
}

static int subscribe(int fd, uint32_t event)
{
	struct endpoint_set set = { 0 };

	set.events[event / 64] = 1ull << event % 64;
	assert_int_equal(WIRE_SEND(fd, ENDPOINT_SUBSCRIBE, 3, &set), 0);
	assert_int_equal(wire_receive(fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, WIRE_STATUS);
	return ((struct wire_status *)(void *)packet.body)->status;
}

/* ---- who may come in ------------------------------------------------------------------------------ */

static void test_developer_mode(void **state)
{
	int fd;

	settle(1, 1);
	close(new_client());
	settle(0, 1);
	fd = connect_one();
	hello(fd);
	expect_refused(fd, 0, NOT_ENTITLED, "endpoint.not-entitled");
}

/* By device, inode, change time and size together: an executable that was written since is another. */
static void test_entitled_by_its_file(void **state)
{
	struct broker_entitled is = entitled_self(), other = is;
	int fd;

	settle(0, 1);
	assert_int_equal(WIRE_SEND(manager, BROKER_ENTITLE, 0, &is), 0);
	close(new_client());
	other.ctime_ns++;
	assert_int_equal(WIRE_SEND(manager, BROKER_ENTITLE, 0, &other), 0);
	fd = connect_one();
	hello(fd);
	expect_refused(fd, 0, NOT_ENTITLED, "endpoint.not-entitled");
	assert_int_equal(WIRE_SEND(manager, BROKER_ENTITLE, 0, &is), 0);
	close(new_client());
	assert_int_equal(WIRE_SEND(manager, BROKER_UNENTITLE, 0, &is), 0);
	fd = connect_one();
	hello(fd);
	expect_refused(fd, 0, NOT_ENTITLED, "endpoint.not-entitled");
}

/* Of a bundle that nobody has allowed: told from one that has no right at all, until it is allowed. */
static void test_withheld(void **state)
{
	struct broker_entitled is = entitled_self();
	int fd;

	settle(0, 1);
	is.withheld_bits = is.entitlement_bits;
	is.entitlement_bits = 0;
	assert_int_equal(WIRE_SEND(manager, BROKER_WITHHOLD, 0, &is), 0);
	fd = connect_one();
	hello(fd);
	expect_refused(fd, 0, NOT_PERMITTED, "endpoint.not-permitted");
	is = entitled_self();
	assert_int_equal(WIRE_SEND(manager, BROKER_ENTITLE, 0, &is), 0);
	close(new_client());
	is.withheld_bits = ENTITLEMENT_NETWORK_EXTENSION; /* another right that is withheld */
	is.entitlement_bits = 0;
	assert_int_equal(WIRE_SEND(manager, BROKER_WITHHOLD, 0, &is), 0);
	fd = connect_one();
	hello(fd);
	expect_refused(fd, 0, NOT_ENTITLED, "endpoint.not-entitled");
}

/* Neither developer mode nor an entitled file makes a user root. */
static void test_only_root(void **state)
{
	const struct broker_entitled is = entitled_self();
	int status;
	pid_t pid;

	settle(1, 1);
	assert_int_equal(WIRE_SEND(manager, BROKER_ENTITLE, 0, &is), 0);
	pid = fork();
	if (pid == 0) {
		int fd;

		if (setresgid(3001, 3001, 3001) < 0 || setresuid(2001, 2001, 2001) < 0)
			_exit(98);
		fd = connect_one();
		hello(fd);
		ask_for(fd, 0);
		_exit(packet.header.type == ENDPOINT_REFUSED
				? (int)((struct endpoint_refused *)(void *)packet.body)->result
				: 97);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), NOT_PRIVILEGED);
}

static void test_handed_over(void **state)
{
	struct broker_client client = { .child = 7 };
	int fd;

	settle(0, 1);
	fd = hand_over(7, ENTITLEMENT_ENDPOINT_SECURITY_CLIENT);
	hello(fd);
	expect_ring(fd);
	await_clients(1);
	/* its extension has ended: the manager says so, and the ring is free */
	assert_int_equal(WIRE_SEND(manager, BROKER_DROP_CLIENT, 0, &client), 0);
	await_clients(0);
	assert_int_equal(wire_receive(fd, &packet, 0), -EPIPE);
	assert_int_equal(kernel->ring_bytes[0], 0);
	close(fd);
	fd = hand_over(8, ENTITLEMENT_NETWORK_EXTENSION);
	hello(fd);
	expect_refused(fd, 0, NOT_ENTITLED, "endpoint.not-entitled");
}

/* On a socket that another outboard-esd had before, the client hears of it first. */
static void test_another_generation(void **state)
{
	int fd;

	settle(0, 5);
	fd = hand_over(7, ENTITLEMENT_ENDPOINT_SECURITY_CLIENT);
	assert_int_equal(wire_receive(fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, ENDPOINT_RESTARTED);
	assert_int_equal(((struct endpoint_restarted *)(void *)packet.body)->generation, 5);
	hello(fd);
	expect_ring(fd);
	assert_int_equal(((struct endpoint_ring *)(void *)packet.body)->generation, 5);
	close(fd);
}

/* What lies in the socket was said to the one before, up to a HELLO and more: the client begins anew. */
static void test_what_the_one_before_was_told(void **state)
{
	const struct endpoint_new new = { .record_version = ES_RECORD_VERSION };
	const struct broker_client client = { .child = 7,
		.entitlement_bits = ENTITLEMENT_ENDPOINT_SECURITY_CLIENT };
	const struct wire_hello greeting = { .protocol = WIRE_PROTOCOL };
	const struct endpoint_set set = { 0 };
	int pair[2];

	settle(0, 5);
	assert_int_equal(wire_pair(pair), 0);
	WIRE_SEND(pair[0], ENDPOINT_SUBSCRIBE, 11, &set);
	WIRE_SEND(pair[0], WIRE_HELLO, 12, &greeting);
	WIRE_SEND(pair[0], ENDPOINT_NEW, 13, &new);
	assert_int_equal(
		wire_send(manager, BROKER_ADD_CLIENT, 0, 0, &client, sizeof client, &pair[1], 1),
		0);
	assert_int_equal(wire_receive(pair[0], &packet, 0), 0);
	assert_int_equal(packet.header.type, ENDPOINT_RESTARTED);
	assert_int_equal(wire_receive(pair[0], &packet, 0), 0);
	assert_int_equal(packet.header.id, 12);
	assert_int_equal(wire_receive(pair[0], &packet, 0), 0);
	assert_int_equal(packet.header.id, 13);
	await_clients(1);
	hello(pair[0]);
	await_clients(0);
	expect_ring(pair[0]);
	await_clients(1);
	close(pair[0]);
	close(pair[1]);
}

static void test_too_many(void **state)
{
	int fds[ES_CLIENTS_MAX], fd;
	uint32_t i;

	settle(1, 1);
	for (i = 0; i < ES_CLIENTS_MAX; i++) {
		fds[i] = new_client();
		await_clients(i + 1);
	}
	fd = connect_one();
	hello(fd);
	expect_refused(fd, 0, TOO_MANY, "endpoint.too-many-clients");
	/* one that ends makes room for one */
	close(fds[5]);
	await_clients(ES_CLIENTS_MAX - 1);
	fds[5] = new_client();
	for (i = 0; i < ES_CLIENTS_MAX; i++)
		close(fds[i]);
}

/* ---- what a client may say ------------------------------------------------------------------------ */

static void test_subscribing(void **state)
{
	int fd;

	settle(1, 1);
	fd = new_client();
	assert_int_equal(subscribe(fd, EXEC), 0);
	assert_int_equal(kernel->watched[0][0], 1ull << EXEC);
	/* what has no source is refused as a whole, and what was subscribed stays */
	assert_int_equal(subscribe(fd, 17), -EOPNOTSUPP);
	assert_int_equal(kernel->watched[0][0], 1ull << EXEC);
	assert_int_equal(wire_send(fd, ENDPOINT_COUNT, 0, 4, NULL, 0, NULL, 0), 0);
	assert_int_equal(wire_receive(fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, ENDPOINT_COUNTERS);
	assert_int_equal(((struct endpoint_counters *)(void *)packet.body)->dropped, 3);
	close(fd);
}

struct row {
	struct endpoint_mute head;
	char path[16];
};

static struct row row_of(uint32_t kind, const char *path)
{
	struct row row = { .head = { .kind = kind, .events = { 1ull << EXEC } } };

	if (path) {
		STR_PUT(row.path, path);
		row.head.path_bytes = (uint32_t)strlen(path) + 1;
	}
	return row;
}

/* The first rows are muted, the one that is not says why, and those after it are left. */
static void test_muting(void **state)
{
	struct row rows[3] = { row_of(ES_MUTE_LITERAL, "/x/y/zzzz"),
		row_of(ES_MUTE_TARGET_PREFIX, "/too/many"), row_of(ES_MUTE_PREFIX, "/zzzzzzzz") };
	const struct endpoint_muted *muted = (void *)packet.body;
	struct endpoint_invert invert = { .inverted = 5 };
	int fd;

	settle(1, 1);
	fd = new_client();
	assert_int_equal(wire_send(fd, ENDPOINT_MUTE, 0, 5, rows, sizeof rows, NULL, 0), 0);
	assert_int_equal(wire_receive(fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, ENDPOINT_MUTED);
	assert_int_equal(muted->status, -ENOSPC);
	assert_int_equal(muted->n, 1);
	assert_int_equal(kernel->mutes[0], 1);
	assert_int_equal(WIRE_SEND(fd, ENDPOINT_INVERT, 6, &invert), 0);
	assert_int_equal(wire_receive(fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, WIRE_STATUS);
	assert_int_equal(kernel->inverted[0], 5);
	close(fd);
}

/* Whose process: one that lives is, one of another time is not; the number alone is nobody's. */
static void test_muting_a_process(void **state)
{
	struct endpoint_mute mute = {
		.kind = ES_MUTE_PROCESS, .pid = (uint32_t)getpid(), .events = { 1 }
	};
	const struct endpoint_muted *muted = (void *)packet.body;
	uint64_t start;
	int fd, i;

	settle(1, 1);
	fd = new_client();
	assert_int_equal(process_start_time(getpid(), &start), 0);
	for (i = 0; i < 4; i++) {
		/* whichever program; the third one of its programs; began at another time; nobody */
		static const uint32_t add[] = { 0, 3 * 0x9e3779b1u, 1, 0 };

		mute.version = (uint32_t)start + add[i];
		if (i == 3)
			mute.pid = 0;
		assert_int_equal(WIRE_SEND(fd, ENDPOINT_MUTE, 5, &mute), 0);
		assert_int_equal(wire_receive(fd, &packet, 0), 0);
		assert_int_equal(muted->status, i < 2 ? 0 : -ESRCH);
	}
	close(fd);
}

/* Paths that are none end the connection, as what is not of the protocol does. */
static void test_muting_what_is_no_path(void **state)
{
	struct row rows[] = { row_of(ES_MUTE_KINDS, "/x"), row_of(ES_MUTE_LITERAL, "x"),
		row_of(ES_MUTE_PROCESS, "/x"), row_of(ES_MUTE_LITERAL, "/cut/here"),
		row_of(ES_MUTE_LITERAL, "/x") };
	size_t i;

	rows[3].path[4] = '\0';
	rows[4].head.path_bytes = ES_BLOB_BYTES + 1;
	settle(1, 1);
	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		int fd = new_client();

		assert_int_equal(WIRE_SEND(fd, ENDPOINT_MUTE, 5, &rows[i]), 0);
		if (wire_receive(fd, &packet, 0) != -EPIPE)
			fail_msg("row %zu was answered by %u", i, packet.header.type);
		close(fd);
	}
}

static void test_ring_sizes(void **state)
{
	int fd;

	settle(1, 1);
	fd = connect_one();
	hello(fd);
	expect_refused(fd, ENDPOINT_RING_BYTES_MIN / 2, INVALID, "endpoint.client-failed");
	fd = connect_one();
	hello(fd);
	ask_for(fd, ENDPOINT_RING_BYTES_MIN);
	assert_int_equal(packet.header.type, ENDPOINT_RING);
	assert_int_equal(kernel->ring_bytes[0], ENDPOINT_RING_BYTES_MIN);
	close(fd);
}

/* What is not of the protocol ends that connection, and nobody else's. */
static void test_garbage(void **state)
{
	static const char bytes[2000];
	static const struct {
		bool greeted, client;
		uint16_t type;
		size_t bytes;
	} bad[] = {
		{ false, false, ENDPOINT_NEW, sizeof(struct endpoint_new) }, /* before HELLO */
		{ false, false, WIRE_HELLO, sizeof(struct wire_hello) },     /* protocol 0 */
		{ false, false, WIRE_HELLO, 3 },
		{ true, false, ENDPOINT_SUBSCRIBE, sizeof(struct endpoint_set) }, /* before NEW */
		{ true, false, ENDPOINT_NEW, sizeof(struct endpoint_new) + 1 },
		{ true, false, WIRE_HELLO, sizeof(struct wire_hello) }, /* again */
		{ true, true, ENDPOINT_NEW, sizeof(struct endpoint_new) },
		{ true, true, ENDPOINT_SUBSCRIBE, sizeof(struct endpoint_set) - 1 },
		{ true, true, ENDPOINT_COUNT, 1 },
		{ true, true, ENDPOINT_RING, sizeof(struct endpoint_ring) }, /* the daemon's */
		{ true, true, 999, sizeof bytes },
		{ true, false, ENDPOINT_MUTE, sizeof(struct endpoint_mute) }, /* before NEW */
		{ true, true, ENDPOINT_MUTE, sizeof(struct endpoint_mute) - 1 },
		{ true, true, ENDPOINT_MUTE, sizeof(struct endpoint_mute) }, /* without its path */
		{ true, true, ENDPOINT_INVERT, sizeof(struct endpoint_invert) + 1 },
		{ true, true, ENDPOINT_STILL_MUTED, sizeof(struct endpoint_muted_process) + 1 },
	};
	int good, fd;
	size_t i;

	settle(1, 1);
	good = new_client();
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		fd = connect_one();
		if (bad[i].greeted)
			hello(fd);
		if (bad[i].client)
			expect_ring(fd);
		assert_int_equal(wire_send(fd, bad[i].type, 0, 9, bytes, bad[i].bytes, NULL, 0), 0);
		if (wire_receive(fd, &packet, 0) != -EPIPE)
			fail_msg("row %zu was answered by %u", i, packet.header.type);
		close(fd);
	}
	/* not even a header; and one who proves nothing */
	fd = connect_one();
	assert_int_equal(send(fd, "x", 1, 0), 1);
	assert_int_equal(wire_receive(fd, &packet, 0), -EPIPE);
	close(fd);
	fd = wire_connect(listen_path);
	assert_int_equal(wire_receive(fd, &packet, 0), 0); /* the nonce */
	packet.body[0] ^= 1;
	wire_send(fd, WIRE_NONCE, 0, 0, packet.body, packet.body_bytes, NULL, 0);
	assert_int_equal(wire_receive(fd, &packet, 0), -EPIPE);
	close(fd);
	assert_int_equal(subscribe(good, EXEC), 0);
	close(good);
}

static bool is_answered(int fd)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, 0) == 1;
}

/* While the programs for one are loaded, the others are served, and one may go. */
static void test_what_takes_long(void **state)
{
	static const int results[] = { 0, EOPNOTSUPP };
	const struct endpoint_set set = { .events = { 1ull << SLOW } };
	int slow, gone, good;
	uint64_t said;
	size_t i;

	settle(1, 1);
	for (i = 0; i < ARRAY_SIZE(results); i++) {
		slow = new_client();
		gone = new_client();
		assert_int_equal(WIRE_SEND(slow, ENDPOINT_SUBSCRIBE, 7, &set), 0);
		assert_int_equal(WIRE_SEND(gone, ENDPOINT_SUBSCRIBE, 0, &set), 0);
		/* its next message waits behind that */
		assert_int_equal(wire_send(slow, ENDPOINT_COUNT, 0, 8, NULL, 0, NULL, 0), 0);
		close(gone);
		good = new_client();
		assert_int_equal(subscribe(good, EXEC), 0);
		assert_int_equal(wire_receive(slow, &packet, 0), 0);
		assert_int_equal(packet.header.id, 7);
		assert_int_equal(packet.header.flags, WIRE_FLAG_REPLY | WIRE_FLAG_MORE);
		assert_false(is_answered(slow));
		said = 1 + (uint64_t)results[i];
		assert_int_equal(write(loaded_fd, &said, sizeof said), sizeof said);
		assert_int_equal(wire_receive(slow, &packet, 0), 0);
		assert_int_equal(packet.header.type, WIRE_STATUS);
		assert_int_equal(packet.header.id, 7);
		assert_int_equal(packet.header.flags, WIRE_FLAG_REPLY);
		assert_int_equal(((struct wire_status *)(void *)packet.body)->status, -results[i]);
		assert_int_equal(wire_receive(slow, &packet, 0), 0);
		assert_int_equal(packet.header.type, ENDPOINT_COUNTERS);
		assert_int_equal(packet.header.id, 8);
		assert_int_equal(subscribe(good, EXEC), 0);
		close(slow);
		close(good);
	}
}

/* One that asks and never reads is dropped when its socket is full; the others are served. */
static void test_one_that_does_not_read(void **state)
{
	int good, deaf, r = 0;
	unsigned n;

	settle(1, 1);
	good = new_client();
	deaf = new_client();
	for (n = 0; n < 100000 && r == 0; n++)
		r = wire_send(deaf, ENDPOINT_COUNT, 0, n, NULL, 0, NULL, 0);
	assert_true(r == -EPIPE || r == -ECONNRESET);
	assert_int_equal(subscribe(good, EXEC), 0);
	close(deaf);
	close(good);
}

/* The manager is trusted, but not believed: what it cannot have meant ends the daemon. */
static void test_garbage_of_the_manager(void **state)
{
	int status;

	assert_int_equal(begin(state), 0);
	assert_int_equal(wire_send(manager, BROKER_SETTINGS, 0, 0, "x", 1, NULL, 0), 0);
	assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	manager = fd_close(manager);
	unlink(listen_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_developer_mode, begin, end),
		cmocka_unit_test_setup_teardown(test_entitled_by_its_file, begin, end),
		cmocka_unit_test_setup_teardown(test_withheld, begin, end),
		cmocka_unit_test_setup_teardown(test_only_root, begin, end),
		cmocka_unit_test_setup_teardown(test_handed_over, begin, end),
		cmocka_unit_test_setup_teardown(test_another_generation, begin, end),
		cmocka_unit_test_setup_teardown(test_what_the_one_before_was_told, begin, end),
		cmocka_unit_test_setup_teardown(test_too_many, begin, end),
		cmocka_unit_test_setup_teardown(test_subscribing, begin, end),
		cmocka_unit_test_setup_teardown(test_what_takes_long, begin, end),
		cmocka_unit_test_setup_teardown(test_muting, begin, end),
		cmocka_unit_test_setup_teardown(test_muting_a_process, begin, end),
		cmocka_unit_test_setup_teardown(test_muting_what_is_no_path, begin, end),
		cmocka_unit_test_setup_teardown(test_ring_sizes, begin, end),
		cmocka_unit_test_setup_teardown(test_garbage, begin, end),
		cmocka_unit_test_setup_teardown(test_one_that_does_not_read, begin, end),
		cmocka_unit_test(test_garbage_of_the_manager),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "test-doors: needs root\n");
		return 77;
	}
	signal(SIGPIPE, SIG_IGN);
	snprintf(listen_path, sizeof listen_path, "/tmp/test-doors.%d", (int)getpid());
	kernel = mmap(
		NULL, sizeof *kernel, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (kernel == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
