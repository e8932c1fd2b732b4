/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension's client while outboard-esd is killed and replaced, over the kernel of this machine:
 * the test is the manager, which keeps the broker's end of the extension's socket, and the extension,
 * which has inherited the other and calls nothing. Needs root, a scope and the right to load BPF.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "bundle/bundle.h"
#include "endpoint/endpoint-wire.h"
#include "manager/broker-wire.h"

#define KILLS 12
#define PATIENCE_SECONDS 20

static struct wire_packet packet;
static int listener, kept_end, extension_end, manager = -1;
static pid_t esd;
static uint32_t generation;
static atomic_int last_number = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static es_client_t *client;

static void on_message(es_client_t *of, const es_message_t *message, void *context)
{
	es_string_token_t word = es_exec_arg(&message->event.exec, 1);

	pthread_mutex_lock(&lock);
	last_number = atoi(word.data);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void start_esd(void)
{
	char program[PATH_MAX];
	int pair[2];

	assert_int_equal(wire_pair(pair), 0);
	esd = fork();
	if (esd == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* above what the two become, so that neither is written over */
		int from_listener = fcntl(listener, F_DUPFD, 10);
		int from_manager = fcntl(pair[1], F_DUPFD, 10);

		dup2(from_listener, 3);
		dup2(from_manager, 4);
		setenv("OUTBOARD_FDS", "listen=3,manager=4", 1);
		close_range(5, ~0u, 0);
		execl(path_program("outboard-esd", program), "outboard-esd", "--scope",
			getenv("SCOPE_CGROUP"), NULL);
		_exit(127);
	}
	close(pair[1]);
	manager = pair[0];
	generation++;
}

/* What the manager says to each new one: settings, and the sockets that it has kept. */
static void brief_esd(void)
{
	const struct broker_settings settings = { .generation = generation };
	const struct broker_client is = { .child = 1,
		.pid = getpid(),
		.entitlement_bits = ENTITLEMENT_ENDPOINT_SECURITY_CLIENT,
		.identifier = "org.example.agent" };

	assert_int_equal(wire_receive(manager, &packet, 0), 0);
	assert_int_equal(packet.header.type, BROKER_UP);
	assert_int_equal(WIRE_SEND(manager, BROKER_SETTINGS, 0, &settings), 0);
	assert_int_equal(
		wire_send(manager, BROKER_ADD_CLIENT, 0, 0, &is, sizeof is, &kept_end, 1), 0);
}

static void kill_esd(void)
{
	assert_int_equal(kill(esd, SIGKILL), 0);
	assert_int_equal(waitpid(esd, NULL, 0), esd);
	manager = fd_close(manager);
}

static void run_program(int number)
{
	char word[16];
	pid_t pid = fork();

	if (pid == 0) {
		snprintf(word, sizeof word, "%d", number);
		execl("/bin/true", "true", word, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Programs are started until one is told of: the library is there again when it is. */
static void await_life(int number)
{
	struct timespec until, now;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_SECONDS;
	for (;;) {
		struct timespec soon;
		bool seen;

		run_program(number);
		clock_gettime(CLOCK_REALTIME, &now);
		if (now.tv_sec > until.tv_sec)
			fail_msg("nothing is told of after %d s", PATIENCE_SECONDS);
		soon = now;
		soon.tv_nsec += 20000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
		pthread_mutex_lock(&lock);
		while (last_number != number && pthread_cond_timedwait(&changed, &lock, &soon) == 0)
			;
		seen = last_number == number;
		pthread_mutex_unlock(&lock);
		if (seen)
			return;
	}
}

static void test_inherited(void **state)
{
	const es_event_type_t exec = ES_EVENT_TYPE_NOTIFY_EXEC;

	start_esd();
	brief_esd();
	assert_int_equal(es_new_client_f(&client, NULL, on_message), ES_NEW_CLIENT_RESULT_SUCCESS);
	assert_int_equal(es_subscribe(client, &exec, 1), ES_RETURN_SUCCESS);
	await_life(1);
}

/* At a random moment each, with programs starting meanwhile. The client calls nothing. */
static void test_killed_and_replaced(void **state)
{
	ob_es_counters_t counters = { .size = sizeof counters };
	unsigned seed = (unsigned)time(NULL);
	es_event_type_t *list;
	size_t n;
	int i, k;

	printf("seed %u\n", seed);
	srand(seed);
	for (i = 0; i < KILLS; i++) {
		for (k = rand() % 5; k > 0; k--)
			run_program(1000);
		kill_esd();
		run_program(2000);
		start_esd();
		/* now and then the next one dies before it has said anything, or before it is briefed */
		if (rand() % 4 == 0) {
			kill_esd();
			start_esd();
		}
		brief_esd();
		if (rand() % 3 == 0) {
			kill_esd();
			start_esd();
			brief_esd();
		}
		await_life(100 + i);
	}
	assert_int_equal(es_subscriptions(client, &n, &list), ES_RETURN_SUCCESS);
	assert_int_equal(n, 1);
	assert_int_equal(list[0], ES_EVENT_TYPE_NOTIFY_EXEC);
	free(list);
	assert_int_equal(ob_es_client_get_counters(client, &counters), 0);
	assert_true(counters.restarts >= KILLS);
	assert_int_equal(counters.malformed, 0);
}

static void *call_subscribe(void *result)
{
	const es_event_type_t exit_type = ES_EVENT_TYPE_NOTIFY_EXIT;

	/* where loading is emulated it takes longer than a call waits, which then says so */
	while ((*(es_return_t *)result = es_unsubscribe(client, &exit_type, 1)) !=
		ES_RETURN_SUCCESS) {
		ob_error_t *error = ob_es_client_copy_last_error(client);
		bool again = streq(ob_error_get_rule(error), "endpoint.unreachable");

		ob_error_release(error);
		if (!again)
			break;
	}
	return NULL;
}

/* A call that is made while nobody is there waits or says so, and holds when somebody is. */
static void test_a_call_in_between(void **state)
{
	es_return_t result = ES_RETURN_ERROR;
	pthread_t thread;

	kill_esd();
	assert_int_equal(pthread_create(&thread, NULL, call_subscribe, &result), 0);
	start_esd();
	brief_esd();
	pthread_join(thread, NULL);
	assert_int_equal(result, ES_RETURN_SUCCESS);
	await_life(300);
}

/* A client that ends gives its ring back, and the one that comes after gets what it asks for. */
static void test_deleted(void **state)
{
	assert_int_equal(es_delete_client(client), ES_RETURN_SUCCESS);
	kill_esd();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_killed_and_replaced),
		cmocka_unit_test(test_a_call_in_between),
		cmocka_unit_test(test_deleted),
	};
	char path[PATH_MAX], fds[32];
	int pair[2];

	if (geteuid() != 0 || !getenv("SCOPE_CGROUP")) {
		fprintf(stderr, "test-broker: needs root and a scope (test/lib/scope)\n");
		return 77;
	}
	signal(SIGPIPE, SIG_IGN);
	mkdir_path(path_get(PATH_RUN, NULL, path), 0755);
	listener = wire_listen(path_get(PATH_ENDPOINT_SOCKET, NULL, path), 0666, 64);
	if (listener < 0 || wire_pair(pair) < 0)
		return 1;
	kept_end = pair[0];
	extension_end = pair[1];
	snprintf(fds, sizeof fds, "endpoint=%d", extension_end);
	setenv("OUTBOARD_FDS", fds, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
