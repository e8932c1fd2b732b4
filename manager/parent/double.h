/* SPDX-License-Identifier: Apache-2.0
 *
 * What double.c says to test-parent.c.
 */
#ifndef OB_MANAGER_PARENT_DOUBLE_H
#define OB_MANAGER_PARENT_DOUBLE_H

#include <stdint.h>

#define DOUBLE_SOCKET "OUTBOARD_TEST_SOCKET" /* where a manager's double reports */

enum {
	DOUBLE_IS_MANAGER = 100, /* struct double_report, its end of the wire to the parent */
	DOUBLE_IS_CHILD = 101,	 /* struct double_report, on its "control" */
	DOUBLE_EXIT = 102,	 /* one byte: exit with it */
};

struct double_report {
	int32_t pid;
	uint32_t reserved;
	uint64_t open_fds; /* 1 << descriptor */
	char fds[1400];	   /* its OUTBOARD_FDS */
};

#endif
