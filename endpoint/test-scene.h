/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of Endpoint Security that have a real outboard-esd share: it, standing alone over the
 * scope, and waiting for messages.
 */
#ifndef OB_ENDPOINT_TEST_SCENE_H
#define OB_ENDPOINT_TEST_SCENE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* False, and why is said: this is no place for the test; it skips (77). Makes the folder of the socket. */
bool scene_begin(const char *test);

/* An outboard-esd that is started afterwards uses what needs no trampolines: outboard.conf(5). */
void scene_use_plain_sources(void);

extern pid_t esd;
/* Until it has said that it is ready. @filesystem: where clients are asked; NULL nowhere. */
void esd_start(const char *filesystem);
void esd_stop(void); /* by SIGKILL */

#define PATIENCE_SECONDS 20
extern sem_t something; /* a handler posts it when it has counted */
/* Until *@counter has come to @n, which is then at least that. */
void await_count(const atomic_uint *counter, unsigned n);

#endif
