/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire form: what fits arrives whole with its descriptors, what does not fit is refused and
 * leaves no descriptor behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/wire.h"

static struct wire_packet packet;
static int handled;

static int take(void *context, struct wire_packet *got)
{
	handled++;
	return 0;
}

static const struct wire_row rows[] = {
	WIRE_ROW(WIRE_NONCE, struct wire_nonce, 0x1, take),
	{ .type = 20, .bytes_max = 64, .fds_min = 1, .fds_max = 2, .phases = 0x2, .handler = take },
};

static void test_round_trip(void **state)
{
	const struct wire_nonce nonce = { { 1, 2, 3 } };
	int fds[2], null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC), got;

	assert_int_equal(wire_pair(fds), 0);
	assert_int_equal(wire_send(fds[0], 20, 0, 7, &nonce, sizeof nonce, &null_fd, 1), 0);
	assert_int_equal(wire_receive(fds[1], &packet, 0), 0);
	assert_int_equal(packet.header.id, 7);
	assert_int_equal(packet.body_bytes, sizeof nonce);
	assert_memory_equal(packet.body, &nonce, sizeof nonce);
	got = wire_take_fd(&packet, 0);
	assert_true(got >= 0);
	assert_int_equal(fcntl(got, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(wire_take_fd(&packet, 0), -1);
	fd_close(got);
	fd_close(null_fd);
	fd_close(fds[0]);
	assert_int_equal(wire_receive(fds[1], &packet, 0), -EPIPE);
	fd_close(fds[1]);
}

/* What a peer has said is received, also when it has closed and has not read what it was sent. */
static void test_said_before_the_end(void **state)
{
	const struct wire_nonce nonce = { { 1, 2, 3 } };
	int fds[2], i;

	assert_int_equal(wire_pair(fds), 0);
	assert_int_equal(WIRE_SEND(fds[1], WIRE_NONCE, 0, &nonce), 0);
	for (i = 1; i < 3; i++)
		assert_int_equal(WIRE_SEND(fds[0], WIRE_NONCE, i, &nonce), 0);
	fd_close(fds[0]);
	for (i = 1; i < 3; i++) {
		assert_int_equal(wire_receive(fds[1], &packet, MSG_DONTWAIT), 0);
		assert_int_equal(packet.header.id, i);
	}
	assert_int_equal(wire_receive(fds[1], &packet, MSG_DONTWAIT), -EPIPE);
	fd_close(fds[1]);
}

/* Each of these is what a broken or hostile peer could send. */
static void test_malformed(void **state)
{
	struct wire_header header = { .bytes = 16, .type = WIRE_NONCE };
	char large[64] = { 0 };
	int fds[2];

	assert_int_equal(wire_pair(fds), 0);
	assert_int_equal(send(fds[0], large, 3, 0), 3);
	assert_int_equal(wire_receive(fds[1], &packet, 0), -EPROTO);
	header.bytes = 17;
	assert_int_equal(send(fds[0], &header, sizeof header, 0), sizeof header);
	assert_int_equal(wire_receive(fds[1], &packet, 0), -EPROTO);
	header.bytes = 16;
	header.flags = 0x8000;
	assert_int_equal(send(fds[0], &header, sizeof header, 0), sizeof header);
	assert_int_equal(wire_receive(fds[1], &packet, 0), -EPROTO);
	assert_int_equal(wire_send(fds[0], 20, 0, 0, NULL, WIRE_BYTES_MAX, NULL, 0), -EMSGSIZE);
	fd_close(fds[0]);
	fd_close(fds[1]);
}

static void test_dispatch(void **state)
{
	const struct {
		uint16_t type, flags;
		size_t bytes, n_fds;
		uint32_t phase;
		int expected;
	} cases[] = {
		{ WIRE_NONCE, 0, 16, 0, 0x1, 0 },
		{ WIRE_NONCE, 0, 15, 0, 0x1, -EPROTO },
		{ WIRE_NONCE, 0, 17, 0, 0x1, -EPROTO },
		{ WIRE_NONCE, WIRE_FLAG_REPLY, 16, 0, 0x1, -EPROTO },
		{ WIRE_NONCE, 0, 16, 0, 0x2, -EPROTO },
		{ WIRE_NONCE, 0, 16, 1, 0x1, -EPROTO },
		{ 20, 0, 64, 2, 0x2, 0 },
		{ 20, 0, 0, 0, 0x2, -EPROTO },
		{ 20, 0, 65, 1, 0x2, -EPROTO },
		{ 99, 0, 0, 0, 0x3, -EPROTO },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		packet.header = (struct wire_header){ .type = cases[i].type,
			.flags = cases[i].flags };
		packet.body_bytes = cases[i].bytes;
		packet.n_fds = cases[i].n_fds;
		handled = 0;
		assert_int_equal(
			wire_dispatch(rows, ARRAY_SIZE(rows), cases[i].phase, &packet, NULL),
			cases[i].expected);
		assert_int_equal(handled, cases[i].expected == 0);
	}
	packet.n_fds = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_said_before_the_end),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_dispatch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
