/* SPDX-License-Identifier: Apache-2.0
 *
 * A measurement on a busy machine says nothing: whoever measures asks first and afterwards.
 */
#ifndef OB_BENCH_BUSY_H
#define OB_BENCH_BUSY_H

#include <stddef.h>

struct busy {
	unsigned long long total, steal; /* of /proc/stat, at the beginning */
};

/* 0, or 1 and @reason: the load is above 1 before anything was measured. */
int busy_begin(struct busy *busy, char *reason, size_t bytes);
/* 0, or 1 and @reason: more than 5 % of the time since was stolen by other guests. */
int busy_end(const struct busy *busy, char *reason, size_t bytes);

#endif
