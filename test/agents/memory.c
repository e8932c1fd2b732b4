/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that takes memory, and touches it, without end.
 */
#include <stdlib.h>
#include <string.h>

int main(void)
{
	const size_t bytes = 1 << 20;

	for (;;) {
		char *more = malloc(bytes);

		if (more)
			memset(more, 1, bytes);
	}
}
