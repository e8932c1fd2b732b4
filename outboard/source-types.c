/* SPDX-License-Identifier: Apache-2.0
 *
 * The types of sources: one row each.
 */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include "base/macros.h"
#include "base/peer.h"
#include "outboard/source.h"

static int open_nothing(dispatch_source_t source)
{
	return source->handle ? -EINVAL : 0;
}

/* A file is always ready, and epoll(7) refuses it: there is nothing to wait for. */
static int open_fd(dispatch_source_t source)
{
	struct stat status;

	if (source->handle > INT32_MAX || fstat((int)source->handle, &status) < 0)
		return -EBADF;
	if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
		return -EPERM;
	source->watch.fd = (int)source->handle;
	return 0;
}

static int open_signal(dispatch_source_t source)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	if (source->handle > INT32_MAX || sigaddset(&set, (int)source->handle) < 0)
		return -EINVAL;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	/* else it would be delivered here, and end the process */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	source->watch.fd = fd;
	return 0;
}

static int open_process(dispatch_source_t source)
{
	int fd;

	if (source->handle > INT32_MAX || !(source->mask & DISPATCH_PROC_EXIT))
		return -EINVAL;
	fd = process_pidfd((pid_t)source->handle);
	if (fd < 0)
		return fd;
	source->watch.fd = fd;
	return 0;
}

static uintptr_t collect_read(dispatch_source_t source, uint32_t events)
{
	int bytes = 0;

	if (ioctl(source->watch.fd, FIONREAD, &bytes) < 0 || bytes < 0)
		bytes = 0;
	return (uintptr_t)bytes;
}

static uintptr_t collect_one(dispatch_source_t source, uint32_t events)
{
	return 1;
}

static uintptr_t collect_signal(dispatch_source_t source, uint32_t events)
{
	struct signalfd_siginfo info;
	uintptr_t n = 0;

	while (read(source->watch.fd, &info, sizeof info) == sizeof info)
		n++;
	return n;
}

static uintptr_t collect_exit(dispatch_source_t source, uint32_t events)
{
	return DISPATCH_PROC_EXIT;
}

static uintptr_t merge_add(uintptr_t before, uintptr_t value)
{
	return before + value;
}

static uintptr_t merge_or(uintptr_t before, uintptr_t value)
{
	return before | value;
}

static uintptr_t merge_replace(uintptr_t before, uintptr_t value)
{
	return value;
}

ob_export const struct dispatch_source_type_s _dispatch_source_type_data_add = {
	.open = open_nothing,
	.merge = merge_add,
	.manual = true,
};
ob_export const struct dispatch_source_type_s _dispatch_source_type_data_or = {
	.open = open_nothing,
	.merge = merge_or,
	.manual = true,
};
ob_export const struct dispatch_source_type_s _dispatch_source_type_data_replace = {
	.open = open_nothing,
	.merge = merge_replace,
	.manual = true,
};
ob_export const struct dispatch_source_type_s _dispatch_source_type_read = {
	.open = open_fd,
	.events = EPOLLIN | EPOLLRDHUP,
	.collect = collect_read,
	.merge = merge_replace,
};
ob_export const struct dispatch_source_type_s _dispatch_source_type_write = {
	.open = open_fd,
	.events = EPOLLOUT,
	.collect = collect_one,
	.merge = merge_replace,
};
ob_export const struct dispatch_source_type_s _dispatch_source_type_timer = {
	.mask = DISPATCH_TIMER_STRICT,
	.open = open_nothing,
	.merge = merge_add,
	.timer = true,
};
ob_export const struct dispatch_source_type_s _dispatch_source_type_signal = {
	.open = open_signal,
	.events = EPOLLIN,
	.collect = collect_signal,
	.merge = merge_add,
	.own_fd = true,
};
ob_export const struct dispatch_source_type_s _dispatch_source_type_proc = {
	.mask = DISPATCH_PROC_EXIT,
	.open = open_process,
	.events = EPOLLIN,
	.collect = collect_exit,
	.merge = merge_or,
	.own_fd = true,
	.once = true,
};
