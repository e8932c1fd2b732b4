/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that writes to its log without end: lines, and now and then one that has no end.
 */
#include <string.h>
#include <unistd.h>

int main(void)
{
	char text[65536];
	unsigned i;

	memset(text, 'x', sizeof text);
	for (i = 0;; i++) {
		text[79] = i % 1000 ? '\n' : 'x';
		if (write(1 + i % 2, text, i % 1000 ? 80 : sizeof text) < 0)
			return 1;
	}
}
