/* SPDX-License-Identifier: Apache-2.0
 *
 * Who speaks: the one who connected is known when it answers itself, and refused when another
 * process answers on its descriptor, when the nonce is wrong, and when it has gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/peer.h"

static struct wire_packet packet;
static char path[64];

/*
 * A client connects and proves itself: with @by_child its child answers on the same descriptor.
 * Returns the client, which waits until its socket is closed.
 */
static pid_t client(int by_child, int wrong)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	int fd = wire_connect(path);
	if (fd < 0)
		_exit(1);
	if (by_child && fork() != 0) {
		wait(NULL);
		_exit(0);
	}
	if (wire_receive(fd, &packet, 0) < 0)
		_exit(2);
	packet.body[0] ^= (unsigned char)wrong;
	wire_send(fd, WIRE_NONCE, 0, 0, packet.body, sizeof(struct wire_nonce), NULL, 0);
	wire_receive(fd, &packet, 0);
	_exit(0);
}

static int handshake(int by_child, int wrong, struct peer *peer, pid_t *ret_pid)
{
	_cleanup_fd_ int listener = wire_listen(path, 0600, 8), fd = -1;
	int r;

	assert_true(listener >= 0);
	*ret_pid = client(by_child, wrong);
	fcntl(listener, F_SETFL, 0);
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	r = peer_ask(peer, fd);
	if (r == 0)
		r = wire_receive(fd, &packet, 0);
	return r == 0 ? peer_answer(peer, &packet) : r;
}

static void test_known(void **state)
{
	struct peer peer = PEER_INIT;
	uint64_t start;
	pid_t pid;

	assert_int_equal(handshake(0, 0, &peer, &pid), 0);
	assert_int_equal(peer.state, PEER_KNOWN);
	assert_int_equal(peer.pid, pid);
	assert_int_equal(peer.uid, getuid());
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(peer_is_alive(&peer));
	assert_int_equal(process_start_time(pid, &start), -ESRCH);
	peer_done(&peer);
}

static void test_another_speaks(void **state)
{
	struct peer peer = PEER_INIT;
	pid_t pid;

	assert_int_equal(handshake(1, 0, &peer, &pid), -EPERM);
	assert_int_not_equal(peer.state, PEER_KNOWN);
	waitpid(pid, NULL, 0);
	peer_done(&peer);
}

static void test_wrong_nonce(void **state)
{
	struct peer peer = PEER_INIT;
	pid_t pid;

	assert_int_equal(handshake(0, 1, &peer, &pid), -EPERM);
	waitpid(pid, NULL, 0);
	peer_done(&peer);
}

static void test_start_time(void **state)
{
	uint64_t mine, again;

	assert_int_equal(process_start_time(getpid(), &mine), 0);
	assert_int_equal(process_start_time(getpid(), &again), 0);
	assert_true(mine > 0 && mine == again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_another_speaks),
		cmocka_unit_test(test_wrong_nonce),
		cmocka_unit_test(test_start_time),
	};
	int r;

	snprintf(path, sizeof path, "/tmp/test-peer-%d", (int)getpid());
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return r;
}
