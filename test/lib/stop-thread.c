/* SPDX-License-Identifier: Apache-2.0
 *
 * stop-thread PID NAME: stops one thread of a process, by name, as if it were stuck, until standard
 * input ends; the others go on. Says "stopped". Stopped by a tracer, since no signal stops one alone.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/str.h"

static pid_t find_thread(const char *pid, const char *name)
{
	char path[64], comm[32];
	const struct dirent *entry;
	DIR *folder;
	pid_t found = 0;

	snprintf(path, sizeof path, "/proc/%s/task", pid);
	folder = opendir(path);
	while (folder && !found && (entry = readdir(folder))) {
		FILE *file;

		snprintf(path, sizeof path, "/proc/%s/task/%.12s/comm", pid, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(comm, sizeof comm, file) && comm[strcspn(comm, "\n")] == '\n' &&
			strncmp(comm, name, strlen(name)) == 0)
			found = atoi(entry->d_name);
		fclose(file);
	}
	if (folder)
		closedir(folder);
	return found;
}

int main(int argc, char **argv)
{
	pid_t thread = argc == 3 ? find_thread(argv[1], argv[2]) : 0;
	int status;

	if (thread == 0) {
		fprintf(stderr, "stop-thread: no such thread\n");
		return 1;
	}
	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0 ||
		ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0 ||
		waitpid(thread, &status, __WALL) != thread) {
		perror("stop-thread");
		return 1;
	}
	puts("stopped");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
