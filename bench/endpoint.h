/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of bench/endpoint know of each other. An actor is a process that does what is
 * measured; the client is this one, and outboard-esd stands alone over the scope.
 */
#ifndef OB_BENCH_ENDPOINT_H
#define OB_BENCH_ENDPOINT_H

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <EndpointSecurity/EndpointSecurity.h>

#define ROUNDS 21

extern char field[PATH_MAX];	   /* a tmpfs, where is asked */
extern char target[PATH_MAX + 16]; /* the file on it that actors open */
extern pid_t esd;

/* A wait that is over, or the program. */
void fail(const char *what);
#define need(what)                   \
	do {                         \
		if (!(what))         \
			fail(#what); \
	} while (0)

uint64_t now_ns(void);

/* Samples of the one and the other, taken in turn; printed with both medians and their ratio. */
struct pair {
	double base[512], ours[512];
	unsigned n;
};
void pair_add(struct pair *pair, double base, double ours);
/* @limit: of the ratio; 0 none. @unit: of the samples. */
void pair_print(const struct pair *pair, const char *name, const char *unit, double limit);
double median(const double *samples, unsigned n);

/*
 * Opens and closes of the target, in ns each: of the actor's own CPU, or, where it waits for somebody, of
 * the clock on the wall. @pause: after so many it is waited for the client.
 */
enum clock { CLOCK_CPU, CLOCK_WALL };
void actors_begin(void);
double actor_opens(unsigned n, unsigned pause, enum clock clock);

/* The client; what it is told is counted. */
extern atomic_ulong n_told;
es_client_t *client_new(ob_es_handler_function_t handler);
void client_count(es_client_t *client, const es_message_t *message, void *context);
/* Exactly these. */
void client_watch(es_client_t *client, const es_event_type_t *events, uint32_t n);

/* endpoint-open.c, endpoint-exec.c, endpoint-flow.c */
void bench_opens(void);
void bench_asking(void);
void bench_exec(void);
void bench_flow(void);
void bench_build(const char *source);
void bench_idle(void);

#endif
