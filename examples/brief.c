/* SPDX-License-Identifier: Apache-2.0
 *
 * A program that has ended before anybody could look at it in /proc. Linked statically, it lives for a
 * small part of a millisecond. With an argument it first makes a file of that name, which says that it ran.
 */
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	return argc > 1 && close(open(argv[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) < 0;
}
