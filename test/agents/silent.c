/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that runs and never says that it is ready.
 */
#include <unistd.h>

int main(void)
{
	for (;;)
		pause();
}
