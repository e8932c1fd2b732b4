/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that forks without end; so do its children. Once at its limit it goes on trying.
 */
#include <sched.h>
#include <unistd.h>

int main(void)
{
	for (;;)
		if (fork() < 0)
			sched_yield();
}
