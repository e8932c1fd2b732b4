/* SPDX-License-Identifier: Apache-2.0
 *
 * as-user NAME COMMAND [ARGUMENT...]
 *
 * Becomes a user as a login does: session, login uid (where the kernel keeps one), supplementary
 * groups, gid and uid, in this order, and nothing of root's environment that names root.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"

/* The leader of a process group can make no session; its child can, and we pass on how it ended. */
static int session_new(void)
{
	int status;
	pid_t pid;

	if (setsid() >= 0)
		return 0;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		return setsid() < 0 ? -errno : 0;
	while (waitpid(pid, &status, 0) < 0)
		;
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static int become(const struct passwd *user)
{
	char uid[16];
	int r = session_new();

	if (r < 0)
		return r;
	snprintf(uid, sizeof(uid), "%u", (unsigned)user->pw_uid);
	r = file_write_at(AT_FDCWD, "/proc/self/loginuid", uid);
	if (r < 0 && r != -ENOENT && r != -EPERM && r != -EACCES)
		return r;
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
		setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
		setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return -errno;
	setenv("HOME", user->pw_dir, 1);
	setenv("USER", user->pw_name, 1);
	setenv("LOGNAME", user->pw_name, 1);
	setenv("SHELL", user->pw_shell, 1);
	return 0;
}

int main(int argc, char **argv)
{
	const struct passwd *user;
	int r;

	if (argc < 3) {
		fprintf(stderr, "usage: as-user NAME COMMAND [ARGUMENT...]\n");
		return 2;
	}
	user = getpwnam(argv[1]);
	r = user ? become(user) : -ENOENT;
	if (r < 0) {
		fprintf(stderr, "as-user: %s: %s\n", argv[1], user ? strerror(-r) : "no such user");
		return 126;
	}
	execvp(argv[2], argv + 2);
	fprintf(stderr, "as-user: %s: %s\n", argv[2], strerror(errno));
	return 127;
}
