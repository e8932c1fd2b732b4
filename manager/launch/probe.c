/* SPDX-License-Identifier: Apache-2.0
 *
 * An extension that test-launch.c asks: it does one thing a question, and says how that went. A
 * question is "VERB WORD" on "control"; the answer is a text, for an attempt the name of the error.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"

#define ANSWER_BYTES 4096

static void say_attempt(bool worked, char *answer)
{
	snprintf(answer, ANSWER_BYTES, "%s", worked ? "done" : strerrorname_np(errno));
}

static void do_write(const char *path, char *answer)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	say_attempt(fd >= 0, answer);
}

static void do_read(const char *path, char *answer)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	say_attempt(fd >= 0, answer);
}

static void do_make_device(const char *path, char *answer)
{
	say_attempt(mknod(path, S_IFBLK | 0600, makedev(8, 0)) == 0, answer);
}

static void do_remount(const char *path, char *answer)
{
	say_attempt(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL) == 0, answer);
}

/* In a user namespace of its own, where it has every capability: what covers must still cover. */
static void do_uncover(const char *path, char *answer)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
			_exit(errno);
		_exit(umount2(path, MNT_DETACH) < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = ECHILD << 8;
	errno = WEXITSTATUS(status);
	say_attempt(WIFEXITED(status) && WEXITSTATUS(status) == 0, answer);
}

static void do_status(const char *key, char *answer)
{
	_cleanup_free_ char *text = NULL;
	char start[64];
	const char *at;

	snprintf(start, sizeof start, "\n%s:\t", key);
	if (file_read_at(AT_FDCWD, "/proc/self/status", 65536, &text, NULL) < 0)
		return;
	at = strstr(text, start);
	if (at)
		snprintf(answer, ANSWER_BYTES, "%.*s", (int)strcspn(at + strlen(start), "\n"),
			at + strlen(start));
}

static void do_environment(const char *word, char *answer)
{
	size_t used = 0, i;

	for (i = 0; environ[i]; i++)
		used += (size_t)snprintf(
			answer + used, ANSWER_BYTES - used, "%s%s", i ? "\n" : "", environ[i]);
}

static int is_shown(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void do_list(const char *path, char *answer)
{
	struct dirent **entries;
	size_t used = 0;
	int i, n = scandir(path, &entries, is_shown, alphasort);

	for (i = 0; i < n; i++) {
		char entry[512];
		struct stat status;

		/* in /proc/self/fd, the descriptor that was used to look is gone */
		snprintf(entry, sizeof entry, "%s/%s", path, entries[i]->d_name);
		if (lstat(entry, &status) == 0)
			used += (size_t)snprintf(answer + used, ANSWER_BYTES - used, "%s%s",
				used ? " " : "", entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

static void do_limits(const char *word, char *answer)
{
	struct rlimit files, core;

	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_CORE, &core);
	snprintf(answer, ANSWER_BYTES, "%llu %llu %llu", (unsigned long long)files.rlim_cur,
		(unsigned long long)files.rlim_max, (unsigned long long)core.rlim_max);
}

static void do_process(const char *word, char *answer)
{
	struct sigaction action;
	sigset_t blocked;
	int number, n = 0;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (number = 1; number < SIGRTMIN; number++)
		n += sigismember(&blocked, number) == 1 ||
			(sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	snprintf(answer, ANSWER_BYTES, "session %s, %d signals",
		getsid(0) == getpid() ? "own" : "of others", n);
}

static const struct verb {
	const char *name;
	void (*act)(const char *word, char *answer);
} verbs[] = {
	{ "write", do_write },
	{ "read", do_read },
	{ "make-device", do_make_device },
	{ "remount", do_remount },
	{ "uncover", do_uncover },
	{ "status", do_status },
	{ "environment", do_environment },
	{ "list", do_list },
	{ "limits", do_limits },
	{ "process", do_process },
};

int main(void)
{
	char question[ANSWER_BYTES], answer[ANSWER_BYTES];
	int fd = fd_inherited("control");
	ssize_t n;
	size_t i;

	printf("a line of the extension\n");
	fflush(stdout);
	while ((n = recv(fd, question, sizeof question - 1, 0)) > 0) {
		char *word;

		question[n] = '\0';
		word = strchrnul(question, ' ');
		if (*word)
			*word++ = '\0';
		answer[0] = '\0';
		for (i = 0; i < ARRAY_SIZE(verbs); i++)
			if (streq(question, verbs[i].name))
				verbs[i].act(word, answer);
		/* an empty message would read as the end */
		if (send(fd, answer, strlen(answer) + 1, MSG_NOSIGNAL) < 0)
			return 1;
	}
	return 0;
}
