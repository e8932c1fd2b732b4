/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages by chance: whole ones, ones with something changed, and bytes, through both doors and the
 * socket for answers, while another client loses nothing and no program waits. Each connection ends as
 * soon as its client has nothing more to say. The test is the manager, as in test-broker.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/paths.h"
#include "bundle/bundle.h"
#include "endpoint/test-beside.h"
#include "endpoint/test-scene.h"
#include "manager/broker-wire.h"

#define BIT(event) (1ull << ES_EVENT_TYPE_##event)
#define PROCESSES (BIT(NOTIFY_EXEC) | BIT(NOTIFY_FORK) | BIT(NOTIFY_EXIT))
#define ASKING (BIT(AUTH_EXEC) | BIT(AUTH_OPEN))

static int manager, listener;
static atomic_uint n_clients;

/* ---- the manager ------------------------------------------------------------------------------- */

/* What outboard-esd says is read as it comes: it would wait for a manager that does not. */
static void *read_all(void *data)
{
	struct wire_packet *packet = data;

	while (wire_receive(manager, packet, 0) == 0) {
		if (packet->header.type != BROKER_CLIENTS)
			continue;
		n_clients = ((struct broker_clients *)(void *)packet->body)->n_clients;
		sem_post(&something);
	}
	return NULL;
}

static void run_esd(int socket_fd)
{
	char program[PATH_MAX];
	/* above what the two become, so that neither is written over */
	int from_listener = fcntl(listener, F_DUPFD, 10),
	    from_manager = fcntl(socket_fd, F_DUPFD, 10);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(from_listener, 3);
	dup2(from_manager, 4);
	setenv("OUTBOARD_FDS", "listen=3,manager=4", 1);
	close_range(5, ~0u, 0);
	execl(path_program("outboard-esd", program), "outboard-esd", "--scope",
		getenv("SCOPE_CGROUP"), "--scope-filesystem", field, NULL);
	_exit(127);
}

/* The second one of its kind, so that a socket that is handed over has been another's before. */
static void start_managed(void)
{
	const struct broker_settings settings = { .developer_mode = 1, .generation = 2 };
	static struct wire_packet packet;
	char path[PATH_MAX];
	pthread_t thread;
	int pair[2];

	listener = wire_listen(path_get(PATH_ENDPOINT_SOCKET, NULL, path), 0666, 64);
	if (listener < 0 || wire_pair(pair) < 0)
		abort();
	esd = fork();
	if (esd == 0)
		run_esd(pair[1]);
	close(pair[1]);
	manager = pair[0];
	if (wire_receive(manager, &packet, 0) < 0 || packet.header.type != BROKER_UP ||
		WIRE_SEND(manager, BROKER_SETTINGS, 0, &settings) < 0 ||
		pthread_create(&thread, NULL, read_all, &packet) != 0)
		abort();
}

/* ---- messages ---------------------------------------------------------------------------------- */

struct message {
	uint16_t type;
	size_t bytes;
	_Alignas(8) unsigned char body[512];
};

static void put(struct message *to, uint16_t type, const void *body, size_t bytes)
{
	to->type = type;
	to->bytes = bytes;
	if (bytes)
		memcpy(to->body, body, bytes);
}

static void put_mutes(struct message *to)
{
	struct {
		struct endpoint_mute path;
		char text[16];
		struct endpoint_mute process;
	} rows = { { .kind = random_below(ES_MUTE_PROCESS), .events = { PROCESSES } }, "/usr/bin",
		{ .kind = ES_MUTE_PROCESS, .pid = (uint32_t)getpid(), .events = { PROCESSES } } };

	rows.path.path_bytes = sizeof "/usr/bin";
	put(to, ENDPOINT_MUTE, &rows, sizeof rows);
}

/* A message that means something, of each type in turn. */
static void put_whole(struct message *to)
{
	const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };
	const struct endpoint_new new = { ENDPOINT_RING_BYTES_MIN, ES_RECORD_VERSION };
	const struct endpoint_set set = { .events = { PROCESSES } };
	const struct endpoint_deadlines deadlines = { 1, { 1 + random_below(15000), 20 }, 0 };
	const struct endpoint_invert invert = { .inverted = random_below(8) };
	const struct endpoint_muted_process process = { (uint32_t)getpid(), 1 };
	const struct wire_nonce nonce = { { 1 } };

	switch (random_below(9)) {
	case 0:
		put(to, WIRE_HELLO, &hello, sizeof hello);
		return;
	case 1:
		put(to, ENDPOINT_NEW, &new, sizeof new);
		return;
	case 2:
		put(to, ENDPOINT_SUBSCRIBE, &set, sizeof set);
		return;
	case 3:
		put(to, ENDPOINT_DEADLINES, &deadlines, sizeof deadlines);
		return;
	case 4:
		put(to, ENDPOINT_INVERT, &invert, sizeof invert);
		return;
	case 5:
		put(to, ENDPOINT_STILL_MUTED, &process, sizeof process);
		return;
	case 6:
		put(to, WIRE_NONCE, &nonce, sizeof nonce);
		return;
	case 7:
		put_mutes(to);
		return;
	default:
		put(to, ENDPOINT_COUNT, NULL, 0);
	}
}

static void change(struct message *message)
{
	uint32_t n = random_below(4);

	for (; n && message->bytes; n--)
		message->body[random_below((uint32_t)message->bytes)] ^= 1u << random_below(8);
	if (random_below(4) == 0) /* longer or shorter */
		message->bytes = random_below(sizeof message->body);
	if (random_below(8) == 0)
		message->type = (uint16_t)random_below(random_below(2) ? 64 : 65536);
	/* who asks to be asked and is silent holds the others rightly: test-many.c */
	if (message->type == ENDPOINT_SUBSCRIBE)
		message->body[0] &= (unsigned char)~ASKING;
}

/* No header, or one that lies about what follows. */
static int send_bytes(int fd)
{
	static unsigned char bytes[WIRE_BYTES_MAX + 4096];
	size_t n = random_below(random_below(4) ? 100 : sizeof bytes), i;

	for (i = 0; i < n && i < 64; i++)
		bytes[i] = (unsigned char)random_below(256);
	return send(fd, bytes, n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int send_one(int fd)
{
	int fds[WIRE_FDS_MAX], spare = -1, r;
	struct message message = { 0 };
	size_t n_fds = 0;
	uint16_t flags = 0;

	if (random_below(8) == 0)
		return send_bytes(fd);
	put_whole(&message);
	if (random_below(2))
		change(&message);
	if (random_below(16) == 0)
		flags = (uint16_t)random_below(random_below(2) ? 4 : 65536);
	if (random_below(16) == 0) {
		spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
		for (n_fds = random_below(WIRE_FDS_MAX + 1), r = 0; r < (int)n_fds; r++)
			fds[r] = spare;
	}
	r = wire_send(
		fd, message.type, flags, random_below(99), message.body, message.bytes, fds, n_fds);
	fd_close(spare);
	return r;
}

static void send_answer(int fd)
{
	struct endpoint_answer answer[4] = { { .question = (uint64_t)random_below(UINT32_MAX)
			<< random_below(33),
		.kind = random_below(4),
		.value = random_below(2) } };
	char result[64];

	/* full, or closed: that is the end of this one */
	if (send(fd, answer, random_below(8) ? sizeof *answer : random_below(sizeof answer),
		    MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;
	while (recv(fd, result, sizeof result, MSG_DONTWAIT) > 0)
		;
}

/* ---- the culprit ------------------------------------------------------------------------------- */

static void set_patience(int fd)
{
	const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

/* Through the manager: RESTARTED comes first. */
static void be_handed_over(struct raw *raw)
{
	static uint64_t child;
	const struct broker_client client = { .child = ++child,
		.pid = getpid(),
		.entitlement_bits = random_below(8) ? ENTITLEMENT_ENDPOINT_SECURITY_CLIENT : 0,
		.identifier = "org.example.agent" };
	int pair[2];

	*raw = (struct raw){ .answer_fd = -1, .ring = RING_NONE };
	must(wire_pair(pair) == 0);
	must(wire_send(manager, BROKER_ADD_CLIENT, 0, 0, &client, sizeof client, &pair[1], 1) == 0);
	close(pair[1]);
	raw->fd = pair[0];
	set_patience(raw->fd);
	must(wire_receive(raw->fd, &raw->packet, 0) == 0);
	must(raw->packet.header.type == ENDPOINT_RESTARTED);
	if (!(client.entitlement_bits & ENTITLEMENT_ENDPOINT_SECURITY_CLIENT))
		return;
	if (random_below(2))
		raw_greet(raw);
}

static void begin_one(struct raw *raw)
{
	char path[PATH_MAX];

	if (random_below(4) == 0) {
		be_handed_over(raw);
	} else if (random_below(8) == 0) {
		*raw = (struct raw){ .answer_fd = -1, .ring = RING_NONE };
		raw->fd = wire_connect(path_get(PATH_ENDPOINT_SOCKET, NULL, path));
		must(raw->fd >= 0);
	} else {
		raw_connect(raw);
		if (random_below(4))
			raw_greet(raw);
		else
			return;
		if (random_below(2))
			raw_new(raw, ENDPOINT_RING_BYTES_MIN);
	}
	set_patience(raw->fd);
}

static bool is_documented(uint16_t type)
{
	static const uint16_t types[] = { WIRE_HELLO, WIRE_NONCE, WIRE_STATUS, ENDPOINT_RING,
		ENDPOINT_REFUSED, ENDPOINT_COUNTERS, ENDPOINT_MUTED, ENDPOINT_STILL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i] == type)
			return true;
	return false;
}

/* Everything that was answered, until the end, which comes by itself. */
static void read_to_the_end(struct raw *raw)
{
	int r;

	shutdown(raw->fd, SHUT_WR);
	while ((r = wire_receive(raw->fd, &raw->packet, 0)) == 0)
		must(is_documented(raw->packet.header.type));
	must(r == -EPIPE);
}

static void send_messages(unsigned n)
{
	static struct raw raw;

	while (n) {
		unsigned some = 1 + random_below(12);
		int r = 0;

		begin_one(&raw);
		for (; some && n && r == 0; some--, n--) {
			if (raw.answer_fd >= 0 && random_below(3) == 0)
				send_answer(raw.answer_fd);
			else
				r = send_one(raw.fd);
		}
		must(r == 0 || r == -EPIPE || r == -ECONNRESET || r == -EMSGSIZE);
		read_to_the_end(&raw);
		raw_done(&raw);
	}
}

static void test_mutated(void **state)
{
	unsigned n = test_size(2000, 100000);
	uint64_t began = now_ms();
	pid_t pid;

	beside_begin();
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		send_messages(n);
		_exit(0);
	}
	beside_run_until(pid, "messages by chance");
	printf("%u messages in %u ms\n", n, (unsigned)(now_ms() - began));
	beside_end();
	assert_int_equal(waitpid(esd, NULL, WNOHANG), 0);
	/* nobody is left of those that were let in */
	while (n_clients != 0)
		sem_wait(&something);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutated),
	};
	int r;

	if (!scene_begin("test-mutated"))
		return 77;
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed_begin();
	field_begin();
	start_managed();
	r = cmocka_run_group_tests(tests, NULL, NULL);
	esd_stop();
	field_end();
	return r;
}
