/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds every file of a folder to a fuzz target: each finding of before stays a test, also where
 * there is no clang. replay FOLDER
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "fuzz/fuzz.h"

int main(int argc, char **argv)
{
	DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
	const struct dirent *entry;
	unsigned n = 0;

	if (!folder) {
		fprintf(stderr, "replay FOLDER: a folder with the corpus\n");
		return 2;
	}
	while ((entry = readdir(folder))) {
		_cleanup_free_ char *data = NULL;
		size_t bytes;

		if (entry->d_name[0] == '.')
			continue;
		if (file_read_at(dirfd(folder), entry->d_name, 1 << 26, &data, &bytes) < 0) {
			fprintf(stderr, "%s: cannot be read\n", entry->d_name);
			return 1;
		}
		/* named first: if it ends the program, this is the last line */
		printf("%s\n", entry->d_name);
		fflush(stdout);
		LLVMFuzzerTestOneInput((const uint8_t *)data, bytes);
		n++;
	}
	closedir(folder);
	printf("%u inputs\n", n);
	return n > 0 ? 0 : 1;
}
