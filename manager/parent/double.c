/* SPDX-License-Identifier: Apache-2.0
 *
 * What outboardd starts in test-parent.c: in the manager's place, a process that hands its end of
 * the wire to the test and sleeps, so that the test itself is the manager; in an extension's or a
 * broker's place, a process that says what it has inherited and then does what it is told.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/str.h"
#include "base/wire.h"
#include "manager/parent/double.h"

/* Every descriptor that is open, but for the one that is used to look. */
static void say_inherited(struct double_report *report)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(folder) && fd < 64)
			report->open_fds |= 1ull << fd;
	}
	if (folder)
		closedir(folder);
	report->pid = getpid();
	STR_PUT(report->fds, str_or(getenv("OUTBOARD_FDS"), ""));
}

static int be_manager(void)
{
	struct double_report report = { 0 };
	_cleanup_fd_ int fd = wire_connect(getenv(DOUBLE_SOCKET));
	int parent_fd = fd_inherited("parent");

	say_inherited(&report);
	report.open_fds &= ~(1ull << fd);
	if (fd < 0 || parent_fd < 0 ||
		wire_send(fd, DOUBLE_IS_MANAGER, 0, 0, &report, sizeof report, &parent_fd, 1) < 0)
		return 3;
	/* the test's copy shall be the only one: it decides when the wire is cut */
	fd_close(parent_fd);
	for (;;)
		pause();
}

static int be_child(void)
{
	static struct wire_packet packet;
	struct double_report report = { 0 };
	int fd = fd_inherited("control");

	say_inherited(&report);
	if (fd < 0 || wire_send(fd, DOUBLE_IS_CHILD, 0, 0, &report, sizeof report, NULL, 0) < 0)
		return 3;
	printf("said by %d\n", (int)getpid());
	fflush(stdout);
	/* an extension goes on when the manager's end is closed, and waits to be told by signals */
	if (wire_receive(fd, &packet, 0) == 0 && packet.header.type == DOUBLE_EXIT)
		return packet.body[0];
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	if (streq(argv[0], "outboardd-manager"))
		return be_manager();
	return be_child();
}
