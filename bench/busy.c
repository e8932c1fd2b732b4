/* SPDX-License-Identifier: Apache-2.0
 *
 * Is this machine fit to measure on? See busy.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include "bench/busy.h"

#define LOAD_MAX 1.0
#define STEAL_MAX_PERCENT 5.0

/* Source: proc(5), /proc/stat: user nice system idle iowait irq softirq steal. */
static int read_times(unsigned long long *ret_total, unsigned long long *ret_steal)
{
	unsigned long long times[8] = { 0 };
	FILE *file = fopen("/proc/stat", "re");
	size_t i;
	int n;

	if (!file)
		return -1;
	n = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &times[0], &times[1],
		&times[2], &times[3], &times[4], &times[5], &times[6], &times[7]);
	fclose(file);
	*ret_total = 0;
	for (i = 0; i < 8; i++)
		*ret_total += times[i];
	*ret_steal = times[7];
	return n == 8 ? 0 : -1;
}

int busy_begin(struct busy *busy, char *reason, size_t bytes)
{
	double load;

	if (getloadavg(&load, 1) != 1 || read_times(&busy->total, &busy->steal) < 0) {
		snprintf(reason, bytes, "/proc/loadavg and /proc/stat cannot be read");
		return 1;
	}
	if (load <= LOAD_MAX)
		return 0;
	snprintf(reason, bytes, "the host is busy: load %.2f, at most %.1f is fit to measure on",
		load, LOAD_MAX);
	return 1;
}

int busy_end(const struct busy *busy, char *reason, size_t bytes)
{
	unsigned long long total, steal;
	double percent;

	if (read_times(&total, &steal) < 0 || total <= busy->total)
		return 0;
	percent = 100.0 * (double)(steal - busy->steal) / (double)(total - busy->total);
	if (percent <= STEAL_MAX_PERCENT)
		return 0;
	snprintf(reason, bytes, "the host is busy: %.1f %% of the time was stolen, at most %.0f %%",
		percent, STEAL_MAX_PERCENT);
	return 1;
}
