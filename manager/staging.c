/* SPDX-License-Identifier: Apache-2.0
 *
 * Staged copies: STATE/extensions/UUID/NAME. A copy is made by a child, since a bundle may be large
 * and its disk slow; verified where it lies, since nobody but root can change it there; and removed
 * when no row of the registry has it any more.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/peer.h"
#include "base/str.h"
#include "manager/manager.h"

#define DEPTH_MAX (BUNDLE_DEPTH_MAX + 4)

struct copied {
	int32_t result;
	struct wire_error error;
};

const char *staging_folder(const char *id, char buffer[static 4096])
{
	char tail[64];

	snprintf(tail, sizeof tail, "extensions/%s", id);
	return path_get(PATH_STATE, tail, buffer);
}

const char *staging_path(const struct extension *extension, char buffer[static 4096])
{
	size_t used;

	staging_folder(extension->id, buffer);
	used = strlen(buffer);
	snprintf(buffer + used, 4096 - used, "/%s.%s", extension->info.identifier,
		extension->info.kind == BUNDLE_DEXT ? "dext" : "systemextension");
	return buffer;
}

int staging_open(const struct extension *extension)
{
	char path[4096];
	int fd = open(
		staging_path(extension, path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int staging_open_executable(const struct extension *extension)
{
	_cleanup_fd_ int folder_fd = staging_open(extension);
	int fd = folder_fd < 0
		? folder_fd
		: openat(folder_fd, extension->info.executable, O_RDONLY | O_CLOEXEC);

	return fd < 0 && folder_fd >= 0 ? -errno : fd;
}

int staging_look(struct extension *extension)
{
	_cleanup_fd_ int fd = staging_open(extension);
	struct stat status;

	if (fd < 0)
		return fd;
	if (fstatat(fd, extension->info.executable, &status, 0) < 0)
		return -errno;
	extension->exec_device = status.st_dev;
	extension->exec_inode = status.st_ino;
	extension->exec_ctime_ns = (uint64_t)status.st_ctim.tv_sec * 1000000000u +
		(uint64_t)status.st_ctim.tv_nsec;
	extension->exec_bytes = (uint64_t)status.st_size;
	return 0;
}

static int make_target(const struct extension *extension)
{
	char path[4096];
	int fd, r = mkdir_path(staging_path(extension, path), 0755);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* In the child: it has the manager's memory, and touches nothing of it. */
static void __attribute__((noreturn))
copy(const struct request *request, int target_fd, int result_fd, pid_t parent)
{
	static struct copied copied;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	copied.result = bundle_copy(
		request->source_fd, target_fd, request->extension->origin_path, &copied.error);
	_exit(fd_write_all(result_fd, &copied, sizeof copied) < 0);
}

static void copy_ended(struct request *request)
{
	request->job_source = sd_event_source_disable_unref(request->job_source);
	request->copy_fd = fd_close(request->copy_fd);
	if (request->copy_pid > 0)
		process_end(request->copy_pid); /* it has said all that it had to say */
	request->copy_pid = 0;
}

static int on_copied(sd_event_source *source, int fd, uint32_t events, void *context)
{
	static struct copied copied;
	struct request *request = context;
	ssize_t n = read(fd, &copied, sizeof copied);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	copy_ended(request);
	if (n != (ssize_t)sizeof copied)
		request_refuse_errno(request, -EIO, "the process that copies it has died");
	else if (copied.result == 0)
		activate_staged(request);
	else if (copied.error.code != 0)
		request_fail(request, &copied.error);
	else
		request_refuse_errno(request, copied.result, "it cannot be copied");
	return 0;
}

static int begin_copy(struct request *request, int target_fd)
{
	_cleanup_fd_ int write_fd = -1;
	pid_t self = getpid();
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	request->copy_fd = fds[0];
	write_fd = fds[1];
	r = sd_event_add_io(
		request->manager->event, &request->job_source, fds[0], EPOLLIN, on_copied, request);
	if (r < 0)
		return r;
	request->copy_pid = fork();
	if (request->copy_pid < 0)
		return -errno;
	if (request->copy_pid == 0)
		copy(request, target_fd, write_fd, self);
	return 0;
}

void staging_copy(struct request *request)
{
	_cleanup_fd_ int target_fd = make_target(request->extension);
	int r;

	if (target_fd < 0) {
		request_fail_rule(request,
			target_fd == -ENOSPC || target_fd == -EDQUOT ? RULE_STAGING_NO_SPACE
								     : RULE_STAGING_FAILED,
			request->extension->origin_path, strerror(-target_fd));
		return;
	}
	r = begin_copy(request, target_fd);
	if (r < 0)
		request_refuse_errno(request, r, "its copy cannot be begun");
	else
		request_step(request, STEP_STAGING);
}

void staging_cancel(struct request *request)
{
	copy_ended(request);
}

static int on_verdict(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct request *request = context;
	const struct bundle_info *info = judge_end(request, "it cannot be verified");

	if (info) {
		request->extension->info = *info;
		activate_validated(request);
	}
	return 0;
}

int staging_verify(struct request *request)
{
	_cleanup_fd_ int fd = staging_open(request->extension);
	char path[PATH_MAX + 512];

	if (fd < 0)
		return fd;
	/* messages name the one that its developer knows */
	snprintf(path, sizeof path, "%s/Contents/Library/SystemExtensions/%s", request->app_path,
		request->name);
	return judge_begin(request, fd, request->name, path, on_verdict);
}

static int remove_below(int folder_fd, const char *name, unsigned depth)
{
	int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP
			? (unlinkat(folder_fd, name, 0) < 0 ? -errno : 0)
			: -errno;
	dir = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
	if (!dir) {
		fd_close(fd);
		return -ELOOP;
	}
	while (r == 0 && (entry = readdir(dir))) {
		if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
			continue;
		r = entry->d_type == DT_DIR ? remove_below(fd, entry->d_name, depth + 1)
			: unlinkat(fd, entry->d_name, 0) < 0 ? -errno
							     : 0;
	}
	closedir(dir);
	if (r == 0 && unlinkat(folder_fd, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

static int open_all(void)
{
	char path[PATH_MAX];
	int fd, r = mkdir_path(path_get(PATH_STATE, "extensions", path), 0755);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int staging_remove(const char *id)
{
	_cleanup_fd_ int fd = open_all();

	return fd < 0 ? fd : remove_below(fd, id, 0);
}

void staging_remove_strangers(struct manager *manager)
{
	_cleanup_fd_ int fd = open_all();
	struct dirent *entry;
	DIR *dir = fd < 0 ? NULL : fdopendir(dup(fd));

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || extension_of_id(manager, entry->d_name))
			continue;
		log_event(LOG_STAGING_STRANGER, entry->d_name, NULL);
		remove_below(fd, entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}
