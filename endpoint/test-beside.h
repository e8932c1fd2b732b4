/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes on beside whoever misbehaves: a client that is asked about each program that starts and told
 * of it. It loses nothing, and no program waits. And the means to misbehave: a client by hand.
 */
#ifndef OB_ENDPOINT_TEST_BESIDE_H
#define OB_ENDPOINT_TEST_BESIDE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>
#include "endpoint/endpoint-wire.h"
#include "endpoint/lib/ring.h"

/* Far below any deadline that nobody has shortened, far above what a program takes. */
#define STALL_MS 4000

extern char field[PATH_MAX]; /* a tmpfs where is asked, with the program "good" on it */
void field_begin(void);
void field_end(void);
const char *field_path(const char *name);

uint64_t now_ms(void);
/* The sizes of a test: @full with OUTBOARD_TEST_SIZE=long. */
unsigned test_size(unsigned usual, unsigned full);
/* Of OUTBOARD_TEST_SEED or by chance; said, so that it can be had again. */
void seed_begin(void);
uint32_t random_below(uint32_t n);
/* A program of the field as a user; its exit status, or 100 + errno, or 1000 + signal. */
int run_good(void);
/* The same with an argument, and it is not waited for. */
pid_t start_good(const char *word);
int end_of(pid_t pid); /* its exit status, as of run_good() */

void beside_begin(void);
void beside_run(void); /* one program, which is let on in time */
/* Programs as long as @culprit lives, which has to end by itself with 0. */
void beside_run_until(pid_t culprit, const char *what);
void beside_end(void); /* each was asked about and told of, once, with no number left out */

/* In a child: an assertion of cmocka's would go on in there with the parent's tests. */
#define must(what)                                                                      \
	do {                                                                            \
		if (!(what)) {                                                          \
			fprintf(stderr, "culprit, line %d: %s: %m\n", __LINE__, #what); \
			_exit(1);                                                       \
		}                                                                       \
	} while (0)

/* A client by hand, in a child. */
struct raw {
	int fd, answer_fd;
	struct ring ring;
	struct wire_packet packet;
};
void raw_connect(struct raw *raw); /* to the door, and proves itself */
void raw_greet(struct raw *raw);
void raw_new(struct raw *raw, uint32_t ring_bytes);
void raw_subscribe(struct raw *raw, uint64_t events); /* the lowest 64 of them */
void raw_deadline(struct raw *raw, uint32_t milliseconds, uint32_t miss_mode);
void raw_done(struct raw *raw);
/* It sends nothing any more: everything that waits in the socket is read until its end. */
void raw_expect_end(struct raw *raw);

#endif
