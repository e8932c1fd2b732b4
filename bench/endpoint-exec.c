/* SPDX-License-Identifier: Apache-2.0
 *
 * How long after an exec the handler runs, held against the shortest way to wake a thread; and what a
 * build takes longer. See endpoint.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/macros.h"
#include "bench/endpoint.h"

#define WAKES 201
#define GOES_ON_NS 300000 /* whoever has woken: an exec has more to do, too */
#define ASLEEP_MS 2	  /* after which whoever waits does so in the kernel */

static const es_event_type_t notify_exec = ES_EVENT_TYPE_NOTIFY_EXEC;

static _Atomic(uint64_t) took_ns;
static sem_t woken;

static void on_exec(es_client_t *client, const es_message_t *message, void *context)
{
	took_ns = now_ns() - message->mach_time;
	sem_post(&woken);
}

/* A program that does nothing, and how long after it began the handler did. */
static double exec_ns(void)
{
	char *const arguments[] = { "true", NULL };
	pid_t pid;

	poll(NULL, 0, ASLEEP_MS);
	need(posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0);
	while (sem_wait(&woken) < 0)
		need(errno == EINTR);
	need(waitpid(pid, NULL, 0) == pid);
	return (double)took_ns;
}

static int event_fd;
static _Atomic(uint64_t) written_ns;

static void *read_event(void *data)
{
	uint64_t value;

	while (read(event_fd, &value, sizeof value) == sizeof value) {
		took_ns = now_ns() - written_ns;
		sem_post(&woken);
	}
	return NULL;
}

/* From another process, as an exec is. */
static double wake_ns(int go_fd)
{
	poll(NULL, 0, ASLEEP_MS);
	need(write(go_fd, "x", 1) == 1);
	while (sem_wait(&woken) < 0)
		need(errno == EINTR);
	return (double)took_ns;
}

static void *write_event(void *go_fd)
{
	const uint64_t one = 1;
	char letter;

	while (read(*(int *)go_fd, &letter, 1) == 1) {
		written_ns = now_ns();
		need(write(event_fd, &one, sizeof one) == sizeof one);
		while (now_ns() - written_ns < GOES_ON_NS)
			;
	}
	return NULL;
}

void bench_exec(void)
{
	es_client_t *client = client_new(on_exec);
	struct pair pair = { .n = 0 };
	pthread_t reader, writer;
	int go[2];
	unsigned i;

	sem_init(&woken, 0, 0);
	event_fd = eventfd(0, EFD_CLOEXEC);
	need(event_fd >= 0 && pipe2(go, O_CLOEXEC) == 0);
	need(pthread_create(&reader, NULL, read_event, NULL) == 0);
	need(pthread_create(&writer, NULL, write_event, &go[0]) == 0);
	client_watch(client, &notify_exec, 1);
	for (i = 0; i < WAKES; i++) {
		double base = wake_ns(go[1]);

		pair_add(&pair, base, exec_ns());
	}
	pair_print(&pair, "exec to handler, and an eventfd", "ns", 1.5);
	es_delete_client(client);
}

/* ---- a build ----------------------------------------------------------------------------------- */

struct took {
	double wall_ms, cpu_ms;
};

static double cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static struct took build(const char *source)
{
	char command[PATH_MAX + 256];
	double began = (double)now_ns() / 1000000, cpu = cpu_ms();
	int status;
	pid_t pid;

	snprintf(command, sizeof command,
		"cd '%s' && for f in base/fd.c base/peer.c base/paths.c base/rules.c base/wire.c base/log.c; do "
		"cc -std=gnu17 -D_GNU_SOURCE -O1 -I. -c $f -o /tmp/bench.o || exit 1; done",
		source);
	pid = fork();
	need(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	need(waitpid(pid, &status, 0) == pid && status == 0);
	return (struct took){ (double)now_ns() / 1000000 - began, cpu_ms() - cpu };
}

void bench_build(const char *source)
{
	static const es_event_type_t wanted[] = { ES_EVENT_TYPE_NOTIFY_EXEC,
		ES_EVENT_TYPE_NOTIFY_FORK, ES_EVENT_TYPE_NOTIFY_EXIT, ES_EVENT_TYPE_NOTIFY_OPEN,
		ES_EVENT_TYPE_NOTIFY_CLOSE };
	es_client_t *client = client_new(client_count);
	ob_es_counters_t counters = { .size = sizeof counters };
	es_event_type_t events[ARRAY_SIZE(wanted)];
	struct pair wall = { .n = 0 }, cpu = { .n = 0 };
	unsigned long told = n_told;
	uint32_t n = 0;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		ob_es_event_support_t support = { .size = sizeof support };

		need(ob_es_event_get_support(wanted[i], &support) == 0);
		if (support.can_watch)
			events[n++] = wanted[i];
		else
			printf("not watched in here: %s\n", support.name);
	}
	build(source); /* what is read is in memory */
	for (i = 0; i < ROUNDS; i++) {
		struct took base, ours;

		client_watch(client, NULL, 0);
		base = build(source);
		client_watch(client, events, n);
		ours = build(source);
		pair_add(&wall, base.wall_ms, ours.wall_ms);
		pair_add(&cpu, base.cpu_ms, ours.cpu_ms);
	}
	need(ob_es_client_get_counters(client, &counters) == 0);
	pair_print(&wall, "a build", "ms", 1.05);
	pair_print(&cpu, "a build, its CPU", "ms", 0);
	printf("  %lu events a build, %llu dropped\n", (n_told - told) / ROUNDS,
		(unsigned long long)counters.dropped);
	es_delete_client(client);
}
