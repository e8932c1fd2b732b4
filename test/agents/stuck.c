/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that reads /mnt/file at its start, and runs. Of a disk that does not answer it waits in
 * the kernel, where nothing ends it.
 */
#include <fcntl.h>
#include <unistd.h>

int main(void)
{
	char byte;
	int fd = open("/mnt/file", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &byte, 1) < 0)
		return 1;
	for (;;)
		pause();
}
