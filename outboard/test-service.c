/* SPDX-License-Identifier: Apache-2.0
 *
 * Services, READY, and who is at the other end; with an outboardd that this test plays.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <Outboard/service.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/paths.h"
#include "base/peer.h"
#include "base/str.h"
#include "manager/extension-wire.h"
#include "outboard/peer-process.h"

static char root[] = "/tmp/outboard-test-XXXXXX";
static int control_fds[2], listen_fd;

static int setup(void **state)
{
	char path[PATH_MAX], value[128];

	if (!mkdtemp(root))
		return -1;
	setenv("OUTBOARD_ROOT", root, 1);
	if (mkdir_path(path_get(PATH_SERVICES, NULL, path), 0755) < 0 || wire_pair(control_fds) < 0)
		return -1;
	listen_fd = wire_listen(path_get(PATH_SERVICES, "org.example.svc", path), 0666, 8);
	snprintf(value, sizeof value, "control=%d,service:org.example.svc=%d,service:odd=%d",
		control_fds[1], listen_fd, control_fds[1]);
	setenv("OUTBOARD_FDS", value, 1);
	return listen_fd < 0;
}

static int teardown(void **state)
{
	char command[PATH_MAX];
	int status;

	snprintf(command, sizeof command, "rm -rf -- %s", root);
	status = system(command);
	return status;
}

/* The first call that makes the extension ready says so, and none after it. */
static void test_listen(void **state)
{
	_cleanup_free_ struct wire_packet *packet = calloc(1, sizeof *packet);
	int fd, again;

	assert_int_equal(ob_service_listen("nothing", &fd), -ENOENT);
	assert_int_equal(ob_service_listen("", &fd), -EINVAL);
	assert_int_equal(ob_service_listen("../x", &fd), -EINVAL);
	/* what was inherited under the name does not listen */
	assert_int_equal(ob_service_listen("odd", &fd), -EINVAL);
	assert_int_equal(wire_receive(control_fds[0], packet, MSG_DONTWAIT), -EAGAIN);
	assert_int_equal(ob_service_listen("org.example.svc", &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(wire_receive(control_fds[0], packet, MSG_DONTWAIT), 0);
	assert_int_equal(packet->header.type, EXTENSION_READY);
	assert_int_equal(ob_service_listen("org.example.svc", &again), 0);
	assert_int_equal(ob_extension_ready(), 0);
	assert_int_equal(wire_receive(control_fds[0], packet, MSG_DONTWAIT), -EAGAIN);
	close(fd);
	close(again);
}

static void test_connect(void **state)
{
	int client, server, fd;

	assert_int_equal(ob_service_connect("org.example.none", &client), -ENOENT);
	assert_int_equal(ob_service_connect("a/b", &client), -EINVAL);
	assert_int_equal(ob_service_connect(NULL, &client), -EINVAL);
	/* nobody accepts yet: it waits in the backlog */
	assert_int_equal(ob_service_connect("org.example.svc", &client), 0);
	assert_int_equal(send(client, "hello", 5, 0), 5);
	assert_int_equal(ob_service_listen("org.example.svc", &fd), 0);
	server = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	close(server);
	close(client);
	close(fd);
}

static void assert_me(const audit_token_t *token)
{
	uint64_t start;

	assert_int_equal(process_start_time(getpid(), &start), 0);
	assert_int_equal(audit_token_to_pid(*token), getpid());
	assert_int_equal(audit_token_to_euid(*token), geteuid());
	assert_int_equal(audit_token_to_egid(*token), getegid());
	assert_int_equal(audit_token_to_ruid(*token), getuid());
	assert_int_equal(audit_token_to_rgid(*token), getgid());
	assert_int_equal((unsigned)audit_token_to_pidversion(*token), (unsigned)start);
}

static void test_audit_token_parts(void **state)
{
	const audit_token_t token = { { 1, 2, 3, 4, 5, 6, 7, 8 } };
	uid_t auid, euid, ruid;
	gid_t egid, rgid;
	pid_t pid;
	au_asid_t asid;
	au_tid_t tid = { 9, 9 };

	audit_token_to_au32(token, &auid, &euid, &egid, &ruid, &rgid, &pid, &asid, &tid);
	assert_int_equal(auid, 1);
	assert_int_equal(euid, 2);
	assert_int_equal(egid, 3);
	assert_int_equal(ruid, 4);
	assert_int_equal(rgid, 5);
	assert_int_equal(pid, 6);
	assert_int_equal(asid, 7);
	assert_int_equal(tid.port, 0);
	assert_int_equal(tid.machine, 0);
	auid = 10;
	audit_token_to_au32(token, NULL, NULL, NULL, NULL, NULL, &pid, NULL, NULL);
	assert_int_equal(auid, 10);
}

static void test_audit_token(void **state)
{
	audit_token_t token;
	int fds[2];

	assert_int_equal(wire_pair(fds), 0);
	assert_int_equal(ob_peer_get_audit_token(fds[0], &token), 0);
	assert_me(&token);
	assert_int_equal(ob_peer_get_audit_token(fds[0], NULL), -EINVAL);
	assert_int_equal(ob_peer_get_audit_token(-1, &token), -EBADF);
	assert_int_equal(ob_peer_get_audit_token(listen_fd, &token), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(ob_peer_get_audit_token(fds[0], &token), -ENOTSOCK);
	close(fds[0]);
	close(fds[1]);
	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(ob_peer_get_audit_token(fds[0], &token), -ENOTCONN);
	close(fds[0]);
	fds[0] = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(ob_peer_get_audit_token(fds[0], &token), -ENOTCONN);
	close(fds[0]);
}

/* A child connects and waits to be killed; *ret_keep is a copy of its end, which outlives it. */
static pid_t connect_child(int *ret_server, int *ret_keep)
{
	_cleanup_free_ struct wire_packet *packet = calloc(1, sizeof *packet);
	int pair[2], client, server;
	pid_t child;

	assert_int_equal(wire_pair(pair), 0);
	child = fork();
	if (child == 0) {
		if (ob_service_connect("org.example.svc", &client) < 0)
			_exit(1);
		if (wire_send(pair[1], 16, 0, 0, NULL, 0, &client, 1) < 0)
			_exit(2);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	assert_int_equal(wire_receive(pair[0], packet, 0), 0);
	*ret_keep = wire_take_fd(packet, 0);
	wire_packet_done(packet);
	server = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(server >= 0);
	*ret_server = server;
	close(pair[0]);
	close(pair[1]);
	return child;
}

static void test_peer_that_has_gone(void **state)
{
	struct peer_process process;
	audit_token_t token;
	int server, keep;
	pid_t child = connect_child(&server, &keep);

	assert_int_equal(ob_peer_get_audit_token(server, &token), 0);
	assert_int_equal(audit_token_to_pid(token), child);
	/* the same without the kernel's pidfd: its own end is in its hands */
	assert_int_equal(peer_process_open_by_number(server, &process), 0);
	peer_process_close(&process);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	/* its socket lives on here, and so does nobody of its number */
	assert_int_equal(ob_peer_get_audit_token(server, &token), -ESRCH);
	assert_int_equal(peer_process_open_by_number(server, &process), -ESRCH);
	close(keep);
	close(server);
}

/* Of that number, and alive, but the socket is another's: it is not taken for the one who connected. */
static void test_other_holder(void **state)
{
	struct peer_process process;
	int fds[2], status;
	pid_t child;

	assert_int_equal(wire_pair(fds), 0);
	child = fork();
	if (child == 0) {
		/* made by the parent, which is alive and closes its copy of the other end */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	assert_int_equal(peer_process_open_by_number(fds[0], &process), 0);
	peer_process_close(&process);
	close(fds[1]);
	assert_int_equal(peer_process_open_by_number(fds[0], &process), -ESRCH);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	close(fds[0]);
}

struct answerer {
	struct extension_identity identity;
	int type;
	int skip; /* stale answers before it */
	pid_t asked_about;
};

static pid_t pid_of(int pid_fd)
{
	char path[64];
	_cleanup_free_ char *text = NULL;

	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pid_fd);
	if (file_read_at(-1, path, 4096, &text, NULL) < 0 || !strstr(text, "Pid:"))
		return -1;
	return (pid_t)strtol(strstr(text, "Pid:") + 4, NULL, 10);
}

static void *answer(void *data)
{
	_cleanup_free_ struct wire_packet *packet = calloc(1, sizeof *packet);
	struct answerer *answerer = data;

	if (wire_receive(control_fds[0], packet, 0) < 0 ||
		packet->header.type != EXTENSION_IDENTIFY || packet->n_fds != 1)
		return NULL;
	answerer->asked_about = pid_of(packet->fds[0]);
	for (int i = 0; i < answerer->skip; i++)
		wire_send(control_fds[0], EXTENSION_IDENTITY, WIRE_FLAG_REPLY,
			packet->header.id + 100, &answerer->identity, sizeof answerer->identity,
			NULL, 0);
	wire_send(control_fds[0], (uint16_t)answerer->type, WIRE_FLAG_REPLY, packet->header.id,
		&answerer->identity, sizeof answerer->identity, NULL, 0);
	wire_packet_done(packet);
	return NULL;
}

static int identify(struct answerer *answerer, xpc_object_t *ret)
{
	pthread_t thread;
	int fds[2], r;

	assert_int_equal(wire_pair(fds), 0);
	pthread_create(&thread, NULL, answer, answerer);
	r = ob_peer_copy_identity(fds[0], ret);
	pthread_join(thread, NULL);
	close(fds[0]);
	close(fds[1]);
	return r;
}

static void test_identity(void **state)
{
	struct answerer answerer = { .type = EXTENSION_IDENTITY, .skip = 2 };
	xpc_object_t identity, entitlements;

	STR_PUT(answerer.identity.identifier, "org.example.app");
	STR_PUT(answerer.identity.team, "ABCDEFGHIJ");
	STR_PUT(answerer.identity.path, "/opt/App.app/Contents/App");
	STR_PUT(answerer.identity.entitlements, "{\"org.example.right\":true}");
	assert_int_equal(identify(&answerer, &identity), 0);
	assert_int_equal(answerer.asked_about, getpid());
	assert_string_equal(xpc_dictionary_get_string(identity, "identifier"), "org.example.app");
	assert_string_equal(xpc_dictionary_get_string(identity, "team"), "ABCDEFGHIJ");
	entitlements = xpc_dictionary_get_dictionary(identity, "entitlements");
	assert_true(xpc_dictionary_get_bool(entitlements, "org.example.right"));
	xpc_release(identity);
	/* not from a bundle: its path, and nothing that could be taken for an identity */
	answerer.identity.status = -ENOENT;
	assert_int_equal(identify(&answerer, &identity), 0);
	assert_null(xpc_dictionary_get_value(identity, "identifier"));
	assert_null(xpc_dictionary_get_value(identity, "entitlements"));
	assert_non_null(xpc_dictionary_get_string(identity, "path"));
	xpc_release(identity);
	answerer.identity.status = -ESRCH;
	assert_int_equal(identify(&answerer, &identity), -ESRCH);
}

static void test_bad_identity(void **state)
{
	struct answerer answerer = { .type = EXTENSION_READY };
	xpc_object_t identity = NULL;

	assert_int_equal(identify(&answerer, &identity), -EPROTO);
	answerer.type = EXTENSION_IDENTITY;
	STR_PUT(answerer.identity.entitlements, "[1]");
	assert_int_equal(identify(&answerer, &identity), -EPROTO);
	STR_PUT(answerer.identity.entitlements, "{\"a\":");
	assert_int_equal(identify(&answerer, &identity), -EPROTO);
	memset(answerer.identity.path, 'x', sizeof answerer.identity.path);
	STR_PUT(answerer.identity.entitlements, "{}");
	assert_int_equal(identify(&answerer, &identity), -EPROTO);
	assert_null(identity);
}

static void test_fork(void **state)
{
	xpc_object_t identity;
	int status, fd;
	pid_t child = fork();

	if (child == 0)
		_exit(ob_extension_ready() == -ECHILD &&
					ob_service_listen("org.example.svc", &fd) == -ECHILD &&
					ob_peer_copy_identity(listen_fd, &identity) == -ECHILD
				? 0
				: 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* Last, as the socket is of no use after it. */
static void test_outboardd_gone(void **state)
{
	xpc_object_t identity;
	int fds[2];

	assert_int_equal(wire_pair(fds), 0);
	close(control_fds[0]);
	assert_int_equal(ob_peer_copy_identity(fds[0], &identity), -EPIPE);
	unsetenv("OUTBOARD_FDS");
	assert_int_equal(ob_peer_copy_identity(fds[0], &identity), -ENOTCONN);
	assert_int_equal(ob_extension_ready(), -ENOTCONN);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_audit_token_parts),
		cmocka_unit_test(test_audit_token),
		cmocka_unit_test(test_peer_that_has_gone),
		cmocka_unit_test(test_other_holder),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_bad_identity),
		cmocka_unit_test(test_fork),
		cmocka_unit_test(test_outboardd_gone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
