/* SPDX-License-Identifier: Apache-2.0
 *
 * What Endpoint Security costs those that are watched, beside the same without it: each figure is the
 * median of at least twenty, taken in turn with what it is held against. Root, in a scope.
 * bench-endpoint SOURCE-FOLDER [WHAT]
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/macros.h"
#include "base/paths.h"
#include "base/str.h"
#include "bench/busy.h"
#include "bench/endpoint.h"

char field[PATH_MAX], target[PATH_MAX + 16];
pid_t esd;
atomic_ulong n_told;

void fail(const char *what)
{
	fprintf(stderr, "endpoint: %s: %s\n", what, strerror(errno));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* ---- figures ----------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(const double *samples, unsigned n)
{
	double sorted[512];

	memcpy(sorted, samples, n * sizeof *samples);
	qsort(sorted, n, sizeof *sorted, compare);
	return sorted[n / 2];
}

void pair_add(struct pair *pair, double base, double ours)
{
	need(pair->n < ARRAY_SIZE(pair->base));
	pair->base[pair->n] = base;
	pair->ours[pair->n++] = ours;
}

void pair_print(const struct pair *pair, const char *name, const char *unit, double limit)
{
	double base = median(pair->base, pair->n), ours = median(pair->ours, pair->n);

	printf("%-36s %9.0f %s, without %9.0f, ratio %.2f", name, ours, unit, base, ours / base);
	if (limit > 0)
		printf("  figure %.2f%s", limit, ours / base > limit ? "  over" : "");
	printf("  (of %u)\n", pair->n);
}

/* ---- the actor --------------------------------------------------------------------------------- */

static int to_actor[2], from_actor[2];

struct task {
	unsigned n;
	enum clock clock;
};

static uint64_t ns_of(enum clock clock)
{
	struct timespec now;

	clock_gettime(clock == CLOCK_CPU ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* For each task that it reads so many opens; it says how long they took. */
static void act(void)
{
	struct task task;
	unsigned i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(to_actor[0], &task, sizeof task) == sizeof task) {
		uint64_t began = ns_of(task.clock);

		for (i = 0; i < task.n; i++) {
			int fd = open(target, O_RDONLY | O_CLOEXEC);

			need(fd >= 0);
			close(fd);
		}
		began = ns_of(task.clock) - began;
		need(write(from_actor[1], &began, sizeof began) == sizeof began);
	}
	_exit(0);
}

void actors_begin(void)
{
	pid_t pid;

	need(pipe2(to_actor, O_CLOEXEC) == 0 && pipe2(from_actor, O_CLOEXEC) == 0);
	pid = fork();
	need(pid >= 0);
	if (pid == 0)
		act();
}

double actor_opens(unsigned n, unsigned pause, enum clock clock)
{
	uint64_t took, all = 0;
	unsigned left = n;

	while (left) {
		unsigned long told = n_told;
		uint64_t began = now_ns();
		struct task task = { pause && left > pause ? pause : left, clock };

		need(write(to_actor[1], &task, sizeof task) == sizeof task);
		need(read(from_actor[0], &took, sizeof took) == sizeof took);
		all += took;
		left -= task.n;
		/* the ring holds as many as are not waited for */
		while (pause && n_told - told < task.n)
			need(now_ns() - began < 10000000000ull);
	}
	return (double)all / n;
}

/* ---- the client -------------------------------------------------------------------------------- */

es_client_t *client_new(ob_es_handler_function_t handler)
{
	es_client_t *client;

	need(es_new_client_f(&client, NULL, handler) == ES_NEW_CLIENT_RESULT_SUCCESS);
	return client;
}

void client_count(es_client_t *client, const es_message_t *message, void *context)
{
	n_told++;
}

void client_watch(es_client_t *client, const es_event_type_t *events, uint32_t n)
{
	need(es_unsubscribe_all(client) == ES_RETURN_SUCCESS);
	need(n == 0 || es_subscribe(client, events, n) == ES_RETURN_SUCCESS);
}

/* ---- the scene --------------------------------------------------------------------------------- */

static void start_esd(void)
{
	char program[PATH_MAX], path[PATH_MAX], word[6];
	int out[2];

	need(pipe(out) == 0);
	esd = fork();
	if (esd == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		execl(path_program("outboard-esd", program), "outboard-esd", "--standalone",
			"--listen", path_get(PATH_ENDPOINT_SOCKET, NULL, path), "--scope",
			getenv("SCOPE_CGROUP"), "--scope-filesystem", field, NULL);
		_exit(127);
	}
	close(out[1]);
	need(read(out[0], word, sizeof word) == sizeof word); /* "ready\n" */
	close(out[0]);
}

static void begin(void)
{
	int fd;

	path_get(PATH_RUN, NULL, field);
	need(mkdir_path(field, 0755) == 0);
	strcat(field, "/field");
	need(mkdir(field, 0755) == 0 && mount("field", field, "tmpfs", 0, "mode=755") == 0);
	snprintf(target, sizeof target, "%s/target", field);
	fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	need(fd >= 0);
	close(fd);
	actors_begin(); /* before the client, whose acts are others */
	start_esd();
}

static void run(const char *source, const char *what)
{
	const struct {
		const char *name;
		void (*bench)(void);
	} rows[] = { { "open", bench_opens }, { "ask", bench_asking }, { "exec", bench_exec },
		{ "flow", bench_flow }, { "idle", bench_idle } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (!what || streq(what, rows[i].name))
			rows[i].bench();
	if (!what || streq(what, "build"))
		bench_build(source);
}

int main(int argc, char **argv)
{
	char reason[128];
	struct busy busy;

	if (argc < 2 || geteuid() != 0 || !getenv("SCOPE_CGROUP")) {
		fprintf(stderr,
			"usage: bench-endpoint SOURCE-FOLDER [open|ask|exec|flow|idle|build]; as root, in a scope\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (busy_begin(&busy, reason, sizeof reason))
		printf("%s: the ratios are worth more than the figures\n", reason);
	begin();
	run(argv[1], argv[2]);
	if (busy_end(&busy, reason, sizeof reason))
		printf("%s\n", reason);
	kill(esd, SIGKILL);
	waitpid(esd, NULL, 0);
	umount2(field, MNT_DETACH);
	return 0;
}
