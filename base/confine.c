/* SPDX-License-Identifier: Apache-2.0
 *
 * See confine.h.
 */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <unistd.h>
#include "base/confine.h"

int confine_leave_the_system(void)
{
	if (geteuid() != 0)
		return 0; /* a user's own worker: the list of calls is what confines it */
	unshare(CLONE_NEWNET | CLONE_NEWIPC);
	if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
			"size=4k,mode=0555") == 0 &&
		chroot("/tmp") < 0)
		return -errno;
	if (chdir("/") < 0 || setgroups(0, NULL) < 0 ||
		setresgid(CONFINE_NOBODY, CONFINE_NOBODY, CONFINE_NOBODY) < 0 ||
		setresuid(CONFINE_NOBODY, CONFINE_NOBODY, CONFINE_NOBODY) < 0)
		return -errno;
	return 0;
}

int confine_calls(const int *calls, size_t n_calls)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	size_t i;
	int r = filter ? 0 : -ENOMEM;

	for (i = 0; r == 0 && i < n_calls; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}
