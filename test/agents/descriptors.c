/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that opens every descriptor that it is given, and keeps them.
 */
#include <fcntl.h>
#include <unistd.h>

int main(void)
{
	while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
		;
	for (;;)
		pause();
}
