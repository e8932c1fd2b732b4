/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that spins on every core, without end.
 */
#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

static void *spin(void *data)
{
	for (;;)
		__asm__ volatile("" ::: "memory");
	return NULL;
}

int main(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread;

	while (--n > 0)
		pthread_create(&thread, NULL, spin, NULL);
	spin(NULL);
}
