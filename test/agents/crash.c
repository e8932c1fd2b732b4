/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that crashes at its start, each time.
 */
#include <stdlib.h>

int main(void)
{
	abort();
}
