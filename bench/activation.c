/* SPDX-License-Identifier: Apache-2.0
 *
 * How long an app waits: for an activation that was approved before, for a request about what is
 * active, and for the answer of an extension that was killed. The program is itself the app, so it
 * lies in the bundle; bench/activation.sh puts it there. Medians of ROUNDS rounds, one line each:
 * name, median, smallest, largest in milliseconds, the figure that it is held against, their ratio.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <Outboard/service.h>
#include <SystemExtensions/SystemExtensions.h>
#include "bench/busy.h"

#define ROUNDS 9
#define AGENT "org.example.bench.agent"
#define SERVICE "org.example.service"

struct figure {
	const char *name;
	double limit_ms;
	double ms[ROUNDS];
};

static struct figure figures[] = {
	{ .name = "activation", .limit_ms = 150 },
	{ .name = "active", .limit_ms = 20 },
	{ .name = "restart", .limit_ms = 100 },
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1000000;
}

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "activation: %s: %s\n", what, why);
	exit(1);
}

static void ended(os_system_extension_request_t *request,
	os_system_extension_request_result_t result, const ob_error_t *error, void *context)
{
	if (error)
		fail(context, ob_error_get_localized_description(error));
	ob_queue_stop(ob_queue_main());
}

typedef int new_request(const char *, ob_queue_t *, os_system_extension_request_t **);

static double request_ms(new_request *make, char *what)
{
	os_system_extension_request_t *request;
	double began = now_ms();

	if (make(AGENT, ob_queue_main(), &request) < 0 ||
		ob_system_extension_manager_submit_request_f(request, what, ended) < 0)
		fail(what, "not submitted");
	os_system_extension_request_release(request);
	ob_queue_run(ob_queue_main());
	return now_ms() - began;
}

static pid_t ask_pid(void)
{
	char answer[32] = "";
	ssize_t n = -1;
	int fd;

	if (ob_service_connect(SERVICE, &fd) < 0)
		fail(SERVICE, "no such service");
	if (send(fd, "pid", 3, MSG_NOSIGNAL) == 3)
		n = recv(fd, answer, sizeof answer - 1, 0);
	close(fd);
	return n > 0 ? (pid_t)atoi(answer) : 0;
}

/* From the kill to the first answer: the caller waits in the backlog of the service meanwhile. */
static double restart_ms(void)
{
	pid_t old = ask_pid(), new;
	double began = now_ms();

	if (old <= 0 || kill(old, SIGKILL) < 0)
		fail("restart", "the extension cannot be killed: run this as root");
	do
		new = ask_pid();
	while (new <= 0 || new == old);
	return now_ms() - began;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(struct figure *figure)
{
	double median;

	qsort(figure->ms, ROUNDS, sizeof *figure->ms, compare);
	median = figure->ms[ROUNDS / 2];
	printf("%-12s %8.1f ms  (%.1f to %.1f)  figure %.0f ms  ratio %.2f\n", figure->name, median,
		figure->ms[0], figure->ms[ROUNDS - 1], figure->limit_ms, median / figure->limit_ms);
}

int main(void)
{
	char activation[] = "activation", active[] = "active", end[] = "deactivation";
	char reason[128];
	struct busy busy;
	size_t i;

	if (busy_begin(&busy, reason, sizeof reason)) {
		fprintf(stderr, "activation: %s\n", reason);
		return 77;
	}
	for (i = 0; i < ROUNDS; i++) {
		figures[0].ms[i] = request_ms(
			os_system_extension_request_new_activation, activation);
		figures[1].ms[i] = request_ms(os_system_extension_request_new_activation, active);
		figures[2].ms[i] = restart_ms();
		request_ms(os_system_extension_request_new_deactivation, end);
	}
	if (busy_end(&busy, reason, sizeof reason)) {
		fprintf(stderr, "activation: %s\n", reason);
		return 77;
	}
	for (i = 0; i < sizeof figures / sizeof *figures; i++)
		print(&figures[i]);
	return 0;
}
