/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker that reads untrusted bytes does before it reads the first: it leaves the file system,
 * the network and its user id, and gives up every system call but those that it names.
 */
#ifndef OB_BASE_CONFINE_H
#define OB_BASE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#define CONFINE_NOBODY 65534

/*
 * A sanitizer's runtime maps terabytes, makes calls of its own, and looks into the process to find
 * leaks. In such a build, which is for tests, the list of calls and the bound of memory are off; the
 * ids and the empty root stay.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CONFINE_SANITIZER_BUILD true
#else
#define CONFINE_SANITIZER_BUILD false
#endif

/* For root: an empty root, no network, nobody's ids. Each may be missing in a container but the ids. */
int confine_leave_the_system(void);
/* Any other call ends the process. */
int confine_calls(const int *calls, size_t n_calls);

#endif
