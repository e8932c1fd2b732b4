/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-esd and a client are killed and stopped at moments by chance, while programs start: each
 * program runs, in time, and the client that nobody touches is asked again by itself. Beside an outboardd
 * with developer mode, test/test-moments.sh.
 * test-moments OUTBOARDD-PID FIELD
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <EndpointSecurity/EndpointSecurity.h>
#include <cmocka.h>
#include "base/macros.h"
#include "base/str.h"
#include "endpoint/test-beside.h"

#define HELD_MS 4000	   /* two seconds, and for a guest to end a process */
#define BACK_MS 60000	   /* one that dies often begins later and later */
#define VICTIM_MS 300	   /* to answer: one that is stopped holds for that long */
#define VICTIM_STOPPED 500 /* at most, ms */

static pid_t outboardd;

/* ---- clients ----------------------------------------------------------------------------------- */

static struct shared {
	atomic_uint asked, told;
	atomic_ullong restarts;
	atomic_bool failed;
} * shared;

static const es_event_type_t events[] = { ES_EVENT_TYPE_AUTH_EXEC, ES_EVENT_TYPE_NOTIFY_EXEC };

static void on_message(es_client_t *client, const es_message_t *message, void *context)
{
	struct shared *mine = context;

	if (message->action_type == ES_ACTION_TYPE_AUTH) {
		/* what fails is an answer to an outboard-esd that is gone */
		es_respond_auth_result(client, message, ES_AUTH_RESULT_ALLOW, false);
		mine->asked++;
	} else {
		mine->told++;
	}
}

static struct shared victims;

static pid_t start_client(struct shared *its, bool waits_long)
{
	char letter;
	int up[2];
	pid_t pid;

	assert_int_equal(pipe(up), 0);
	pid = fork();
	if (pid == 0) {
		uint64_t began = now_ms();
		es_client_t *client;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* while none is there, who comes by the door is told so */
		while (es_new_client_f(&client, its, on_message) != ES_NEW_CLIENT_RESULT_SUCCESS)
			must(now_ms() - began < BACK_MS);
		must(waits_long ||
			es_set_deadline_max_milliseconds(client, events, 1, VICTIM_MS) ==
				ES_RETURN_SUCCESS);
		must(es_subscribe(client, events, 2) == ES_RETURN_SUCCESS);
		must(write(up[1], "u", 1) == 1);
		for (;;)
			pause();
	}
	close(up[1]);
	assert_int_equal(read(up[0], &letter, 1), 1);
	close(up[0]);
	return pid;
}

/* ---- outboard-esd ------------------------------------------------------------------------------ */

static bool is_esd(pid_t pid)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof name, file))
		name[0] = '\0';
	fclose(file);
	return str_starts(name, "outboard-esd");
}

/* 0: there is none now. */
static pid_t find_esd(void)
{
	char path[64];
	FILE *file;
	int pid, found = 0;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)outboardd, (int)outboardd);
	file = fopen(path, "re");
	assert_non_null(file);
	while (!found && fscanf(file, "%d", &pid) == 1)
		if (is_esd(pid))
			found = pid;
	fclose(file);
	return found;
}

/* ---- programs ---------------------------------------------------------------------------------- */

static unsigned n_programs, longest_ms;

static void end_in_time(pid_t pid, uint64_t began)
{
	unsigned took;
	int status = end_of(pid);

	took = (unsigned)(now_ms() - began);
	if (status != 0 || took > HELD_MS)
		fail_msg("program %u: %d after %u ms", n_programs, status, took);
	if (took > longest_ms)
		longest_ms = took;
	n_programs++;
}

static void run_one(void)
{
	uint64_t began = now_ms();

	end_in_time(start_good(NULL), began);
}

/* Nobody calls anything in the client meanwhile. */
static void await_asked(struct shared *its)
{
	unsigned before = its->asked;
	uint64_t began = now_ms();

	do {
		run_one();
		poll(NULL, 0, 5); /* the machine is for outboard-esd, which begins */
		if (now_ms() - began > BACK_MS)
			fail_msg("the client is not asked again after %d s", BACK_MS / 1000);
	} while (its->asked == before);
}

/* ---- the moments ------------------------------------------------------------------------------- */

enum moment { KILL_ESD, STOP_ESD, KILL_CLIENT, STOP_CLIENT, MOMENTS };
static const char *const names[MOMENTS] = { "outboard-esd killed", "outboard-esd stopped",
	"client killed", "client stopped" };
static unsigned n_moments[MOMENTS];
static pid_t victim;

static void touch(enum moment moment)
{
	pid_t esd = find_esd();

	if (moment == KILL_ESD && esd)
		kill(esd, SIGKILL);
	else if (moment == STOP_ESD && esd)
		kill(esd, SIGSTOP);
	else if (moment == KILL_CLIENT)
		kill(victim, SIGKILL);
	else if (moment == STOP_CLIENT)
		kill(victim, SIGSTOP);
	n_moments[moment]++;
}

static void mend(enum moment moment)
{
	if (moment == KILL_CLIENT) {
		waitpid(victim, NULL, 0);
		victim = start_client(&victims, false);
	} else if (moment == STOP_CLIENT) {
		uint64_t end = now_ms() + random_below(VICTIM_STOPPED);

		while (now_ms() < end)
			run_one();
		kill(victim, SIGCONT);
	}
}

static void test_moments(void **state)
{
	unsigned i, k, n = test_size(20, 300);
	pid_t keeper = start_client(shared, true);

	victim = start_client(&victims, false);
	await_asked(shared);
	for (i = 0; i < n; i++) {
		/* each once, and then more of those after which nobody has to be waited for */
		enum moment moment = i < MOMENTS ? i
			: random_below(3) == 0	 ? random_below(2)
						 : KILL_CLIENT + random_below(2);
		uint64_t began;
		pid_t pid;

		for (k = random_below(5); k > 0; k--)
			run_one();
		began = now_ms();
		pid = start_good(NULL);
		/* any moment of its way: that is what is tried */
		usleep(random_below(4000));
		touch(moment);
		end_in_time(pid, began);
		mend(moment);
		await_asked(shared);
	}
	for (i = 0; i < MOMENTS; i++) {
		printf("%s %u times\n", names[i], n_moments[i]);
		assert_true(n_moments[i] > 0);
	}
	printf("%u programs, the longest one took %u ms\n", n_programs, longest_ms);
	kill(victim, SIGKILL);
	kill(keeper, SIGKILL);
	waitpid(victim, NULL, 0);
	waitpid(keeper, NULL, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moments),
	};

	if (argc != 3) {
		fprintf(stderr, "usage: test-moments OUTBOARDD-PID FIELD\n");
		return 2;
	}
	outboardd = (pid_t)atoi(argv[1]);
	STR_PUT(field, argv[2]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed_begin();
	shared = mmap(
		NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
