/* SPDX-License-Identifier: Apache-2.0
 *
 * As many records as two processes make by opening a file, into one client with a ring of 16 MiB; and
 * outboard-esd when nothing happens. See endpoint.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/macros.h"
#include "base/paths.h"
#include "base/peer.h"
#include "bench/endpoint.h"
#include "endpoint/endpoint-wire.h"
#include "endpoint/lib/ring.h"

#define RING_BYTES (16u << 20)
#define RECORDS_PER_SECOND 500000.0
#define SECONDS 2
#define OPENERS 2
#define IDLE_SECONDS 10

static struct wire_packet packet;

/* By hand: the library's ring is smaller. */
static int ring_client(struct ring *ring)
{
	const struct wire_hello hello = { .protocol = WIRE_PROTOCOL };
	const struct endpoint_new new = { RING_BYTES, ES_RECORD_VERSION };
	const struct endpoint_set set = { .events = { 1ull << ES_EVENT_TYPE_NOTIFY_OPEN } };
	char path[PATH_MAX];
	int fd = wire_connect(path_get(PATH_ENDPOINT_SOCKET, NULL, path));

	need(fd >= 0 && peer_prove(fd, &packet) == 0);
	need(WIRE_SEND(fd, WIRE_HELLO, 1, &hello) == 0 && wire_receive(fd, &packet, 0) == 0);
	need(WIRE_SEND(fd, ENDPOINT_NEW, 2, &new) == 0 && wire_receive(fd, &packet, 0) == 0);
	need(packet.header.type == ENDPOINT_RING);
	need(ring_map(ring, wire_take_fd(&packet, 0), wire_take_fd(&packet, 1), RING_BYTES) == 0);
	need(WIRE_SEND(fd, ENDPOINT_SUBSCRIBE, 3, &set) == 0 && wire_receive(fd, &packet, 0) == 0);
	return fd;
}

static pid_t start_opener(void)
{
	pid_t pid = fork();

	need(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			close(open(target, O_RDONLY | O_CLOEXEC));
	}
	return pid;
}

struct flow {
	uint64_t records, bytes;
};

static void read_until(struct ring *ring, uint64_t end, struct flow *flow)
{
	const void *record;
	size_t bytes;

	while (now_ns() < end) {
		struct pollfd ready = { .fd = ring->fd, .events = POLLIN };

		while ((record = ring_next(ring, &bytes))) {
			flow->records++;
			flow->bytes += bytes;
			ring_pass(ring);
			if (flow->records % 1024 == 0 && now_ns() >= end)
				return;
		}
		if (ring_sleep(ring))
			poll(&ready, 1, 100);
	}
}

void bench_flow(void)
{
	const struct endpoint_counters *counters = (void *)packet.body;
	struct ring ring = RING_NONE;
	struct flow flow = { 0 };
	pid_t openers[OPENERS];
	int i, fd = ring_client(&ring);
	double rate;

	for (i = 0; i < OPENERS; i++)
		openers[i] = start_opener();
	read_until(&ring, now_ns() + SECONDS * 1000000000ull, &flow);
	for (i = 0; i < OPENERS; i++) {
		kill(openers[i], SIGKILL);
		waitpid(openers[i], NULL, 0);
	}
	need(wire_send(fd, ENDPOINT_COUNT, 0, 4, NULL, 0, NULL, 0) == 0);
	need(wire_receive(fd, &packet, 0) == 0 && packet.header.type == ENDPOINT_COUNTERS);
	rate = (double)flow.records / SECONDS;
	printf("%-36s %9.0f records/s of %.0f bytes, ratio %.2f of %.0f, %llu dropped\n",
		"a ring of 16 MiB, as fast as it goes", rate,
		(double)flow.bytes / (double)flow.records, rate / RECORDS_PER_SECOND,
		RECORDS_PER_SECOND, (unsigned long long)counters->dropped);
	ring_done(&ring);
	close(fd);
}

/* ---- nothing happens --------------------------------------------------------------------------- */

static unsigned long number_in(const char *path, const char *key)
{
	unsigned long number = 0;
	char line[128];
	FILE *status = fopen(path, "re");

	need(status);
	while (fgets(line, sizeof line, status))
		if (strncmp(line, key, strlen(key)) == 0)
			number = strtoul(line + strlen(key), NULL, 10);
	fclose(status);
	return number;
}

/* Of all its threads. No program is started for that: outboard-esd would look at it. */
static unsigned long wakes(void)
{
	unsigned long sum = 0;
	struct dirent *entry;
	char path[64 + NAME_MAX];
	DIR *tasks;

	snprintf(path, sizeof path, "/proc/%d/task", (int)esd);
	tasks = opendir(path);
	need(tasks);
	while ((entry = readdir(tasks))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)esd, entry->d_name);
		sum += number_in(path, "voluntary_ctxt_switches:");
	}
	closedir(tasks);
	return sum;
}

void bench_idle(void)
{
	static const es_event_type_t exec = ES_EVENT_TYPE_AUTH_EXEC;
	es_client_t *client = client_new(client_count);
	unsigned long before, kib;
	char path[64];

	client_watch(client, &exec, 1);
	sleep(1); /* what asking has left to do */
	before = wakes();
	sleep(IDLE_SECONDS); /* what is measured is that nothing happens */
	printf("%-36s woken %lu times in %d s  figure 0\n", "outboard-esd, idle with a client",
		wakes() - before, IDLE_SECONDS);
	snprintf(path, sizeof path, "/proc/%d/status", (int)esd);
	kib = number_in(path, "RssAnon:");
	printf("%-36s RssAnon %lu KiB  figure 3072  ratio %.2f\n", "outboard-esd", kib,
		(double)kib / 3072);
	es_delete_client(client);
}
