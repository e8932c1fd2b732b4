/* SPDX-License-Identifier: Apache-2.0
 *
 * A verdict, from the caller's side: start a worker, send it the bundle's files, take its answer.
 * Nothing here waits but bundle_verify(). The worker is the less trusted side: what does not fit is
 * a refusal of the bundle that it has read.
 */
#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/peer.h"
#include "base/str.h"
#include "bundle/layout.h"
#include "bundle/teams.h"
#include "bundle/walk.h"
#include "bundle/worker-wire.h"

#define VERDICT_MSEC 60000
#define ERRNO_MAX 4096	/* linux/err.h: MAX_ERRNO is one less */
#define SEND_AT_ONCE 64 /* entries, before the caller's loop has its turn */

enum sending { SEND_BEGIN, SEND_TEAMS, SEND_REVOKED, SEND_ENTRIES, SEND_END, SENT };

struct bundle_job {
	pid_t pid;
	int fd, epoll_fd, dir_fd;
	struct worker_begin begin;
	struct teams *teams;
	struct walk *walk;
	enum sending sending;
	size_t next;
	bool has_entry;
	struct walk_entry entry;
	struct wire_packet packet;
	unsigned char body[WIRE_BYTES_MAX];
};

static pid_t start_worker(int socket_fd)
{
	struct worker_refused refused = { 0 };
	char path[PATH_MAX];
	pid_t pid;

	path_program("outboard-bundle-worker", path);
	pid = fork();
	if (pid != 0)
		return pid < 0 ? -errno : pid;
	if (dup2(socket_fd, WORKER_SOCKET_FD) < 0)
		_exit(127);
	if (socket_fd == WORKER_SOCKET_FD)
		fcntl(socket_fd, F_SETFD, 0);
	syscall(SYS_close_range, WORKER_SOCKET_FD + 1, ~0u, 0);
	execl(path, "outboard-bundle-worker", (char *)NULL);
	refused.status = -errno;
	WIRE_SEND(WORKER_SOCKET_FD, WORKER_REFUSED, 0, &refused);
	_exit(127);
}

static int watch(struct bundle_job *job, uint32_t events)
{
	struct epoll_event event = { .events = events };

	return epoll_ctl(job->epoll_fd, EPOLL_CTL_MOD, job->fd, &event) < 0 ? -errno : 0;
}

static int open_worker(struct bundle_job *job)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };
	int pair[2], r = wire_pair(pair);

	if (r < 0)
		return r;
	job->fd = pair[0];
	job->pid = start_worker(pair[1]);
	fd_close(pair[1]);
	if (job->pid < 0)
		return job->pid;
	job->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (job->epoll_fd < 0 || fcntl(job->fd, F_SETFL, O_NONBLOCK) < 0 ||
		epoll_ctl(job->epoll_fd, EPOLL_CTL_ADD, job->fd, &event) < 0)
		return -errno;
	return 0;
}

int bundle_job_new(
	int dir_fd, const char *name, const char *path, unsigned flags, struct bundle_job **ret)
{
	_cleanup_(bundle_job_freep) struct bundle_job *job = calloc(1, sizeof *job);
	const struct layout *layout = layout_of(name);
	int r;

	if (!job)
		return -ENOMEM;
	job->fd = job->epoll_fd = job->dir_fd = -1;
	job->begin.kind = layout ? layout->kind : UINT32_MAX;
	job->begin.flags = flags;
	if (STR_PUT(job->begin.name, name) < 0)
		return -ENAMETOOLONG;
	STR_PUT(job->begin.path, path);
	job->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	if (job->dir_fd < 0)
		return -errno;
	r = teams_read(&job->teams);
	if (r == 0)
		r = walk_new(job->dir_fd, path, &job->walk);
	if (r == 0)
		r = open_worker(job);
	if (r < 0)
		return r;
	*ret = TAKE(job);
	return 0;
}

int bundle_job_get_fd(const struct bundle_job *job)
{
	return job->epoll_fd;
}

/* ---- sending: each returns 0 sent, -EAGAIN the worker has to read first, 1 refused, -errno ----- */

static int send_begin(struct bundle_job *job, struct wire_error *error)
{
	int r = WIRE_SEND(job->fd, WORKER_BEGIN, 0, &job->begin);

	if (r == 0)
		job->sending = SEND_TEAMS;
	return r;
}

static int send_teams(struct bundle_job *job, struct wire_error *error)
{
	const struct team_file *file;
	struct worker_team team = { 0 };
	int r;

	if (job->next == job->teams->n_files) {
		job->next = 0;
		job->sending = SEND_REVOKED;
		return 0;
	}
	file = &job->teams->files[job->next];
	STR_PUT(team.name, file->name);
	memcpy(job->body, &team, sizeof team);
	memcpy(job->body + sizeof team, file->text, file->bytes);
	r = wire_send(job->fd, WORKER_TEAM, 0, 0, job->body, sizeof team + file->bytes, NULL, 0);
	if (r == 0)
		job->next++;
	return r;
}

static int send_revoked(struct bundle_job *job, struct wire_error *error)
{
	int r;

	if (job->next == job->teams->n_revoked) {
		job->sending = SEND_ENTRIES;
		return 0;
	}
	r = WIRE_SEND(job->fd, WORKER_REVOKED, 0, &job->teams->revoked[job->next]);
	if (r == 0)
		job->next++;
	return r;
}

static int send_entry(struct bundle_job *job)
{
	const struct walk_entry *entry = &job->entry;
	struct worker_entry head = { .mode = entry->status.st_mode,
		.size = (uint64_t)entry->status.st_size,
		.path_bytes = (uint32_t)strlen(entry->path) + 1 };
	unsigned char *at = job->body + sizeof head;

	memcpy(at, entry->path, head.path_bytes);
	at += head.path_bytes;
	if (entry->type == WALK_LINK) {
		head.target_bytes = (uint32_t)strlen(entry->target) + 1;
		memcpy(at, entry->target, head.target_bytes);
		at += head.target_bytes;
	}
	memcpy(job->body, &head, sizeof head);
	return wire_send(job->fd, WORKER_ENTRY, 0, 0, job->body, (size_t)(at - job->body),
		&entry->fd, entry->type == WALK_FILE);
}

static int send_entries(struct bundle_job *job, struct wire_error *error)
{
	int r;

	if (!job->has_entry) {
		r = walk_next(job->walk, &job->entry, error);
		if (r == 0)
			job->sending = SEND_END;
		if (r != WALK_ENTRY)
			return r == WALK_E_REFUSED ? 1 : r;
		job->has_entry = job->entry.type != WALK_FOLDER;
		if (!job->has_entry)
			return 0;
	}
	r = send_entry(job);
	if (r == 0)
		job->has_entry = false;
	return r;
}

static int send_end(struct bundle_job *job, struct wire_error *error)
{
	int r = wire_send(job->fd, WORKER_END, 0, 0, NULL, 0, NULL, 0);

	if (r == 0)
		job->sending = SENT;
	return r == 0 ? watch(job, EPOLLIN) : r;
}

static int (*const senders[])(struct bundle_job *job, struct wire_error *error) = {
	[SEND_BEGIN] = send_begin,
	[SEND_TEAMS] = send_teams,
	[SEND_REVOKED] = send_revoked,
	[SEND_ENTRIES] = send_entries,
	[SEND_END] = send_end,
};

/* ---- the answer ------------------------------------------------------------------------------- */

static bool info_ok(const struct bundle_info *info)
{
	return STR_FIELD_OK(info->identifier) && STR_FIELD_OK(info->version) &&
		STR_FIELD_OK(info->short_version) && STR_FIELD_OK(info->name) &&
		STR_FIELD_OK(info->executable) && STR_FIELD_OK(info->usage) &&
		STR_FIELD_OK(info->service[0]) && STR_FIELD_OK(info->service[1]) &&
		STR_FIELD_OK(info->team) && STR_FIELD_OK(info->team_name) &&
		STR_FIELD_OK(info->digest) && STR_FIELD_OK(info->entitlements) &&
		info->kind <= BUNDLE_DEXT;
}

static bool error_ok(const struct wire_error *error)
{
	return STR_FIELD_OK(error->domain) && STR_FIELD_OK(error->stage) &&
		STR_FIELD_OK(error->rule) && STR_FIELD_OK(error->description) &&
		STR_FIELD_OK(error->recovery) && STR_FIELD_OK(error->evidence);
}

static int worker_ended(struct bundle_job *job, struct wire_error *error)
{
	char how[64] = "ended without a verdict";
	int status;

	if (waitpid(job->pid, &status, 0) == job->pid) {
		job->pid = 0;
		if (WIFSIGNALED(status))
			snprintf(how, sizeof how, "was ended by signal %d", WTERMSIG(status));
		else
			snprintf(how, sizeof how, "ended with status %d and no verdict",
				WEXITSTATUS(status));
	}
	rule_error(error, RULE_BUNDLE_WORKER_ENDED, job->begin.path, how, NULL);
	return 1;
}

/* By a rule, or because of an errno, or both: what it could not read it says by rule as well. */
static bool refused_ok(const struct worker_refused *refused)
{
	return error_ok(&refused->error) && refused->status <= 0 && refused->status > -ERRNO_MAX &&
		(refused->error.rule[0] || (refused->status < 0 && refused->status != -EAGAIN));
}

/* -EAGAIN no answer yet; 0 accepted; 1 refused by rule; -errno a trouble of our own, or the worker's. */
static int take_answer(
	struct bundle_job *job, struct bundle_info *ret, struct wire_error *ret_error)
{
	const struct wire_packet *packet = &job->packet;
	int r = wire_receive(job->fd, &job->packet, MSG_DONTWAIT);

	if (r < 0 && r != -EPIPE && r != -EPROTO)
		return r;
	if (r == 0 && packet->header.type == WORKER_ACCEPTED && packet->body_bytes == sizeof *ret &&
		job->sending == SENT && info_ok((const void *)packet->body)) {
		memcpy(ret, packet->body, sizeof *ret);
		return 0;
	}
	if (r == 0 && packet->header.type == WORKER_REFUSED &&
		packet->body_bytes == sizeof(struct worker_refused)) {
		const struct worker_refused *refused = (const void *)packet->body;

		if (refused_ok(refused)) {
			*ret_error = refused->error;
			return refused->error.rule[0] ? 1 : refused->status;
		}
	}
	kill(job->pid, SIGKILL);
	return worker_ended(job, ret_error);
}

int bundle_job_process(struct bundle_job *job, int *ret_verdict, struct bundle_info *ret,
	struct wire_error *ret_error)
{
	int r, n = 0;

	ret_error->rule[0] = '\0';
	r = take_answer(job, ret, ret_error);
	while (r == -EAGAIN && job->sending != SENT && n++ < SEND_AT_ONCE) {
		int sent = senders[job->sending](job, ret_error);

		if (sent == -EAGAIN)
			return -EAGAIN;
		if (sent == -EPIPE || sent == -ECONNRESET)
			r = take_answer(
				job, ret, ret_error); /* it said no before it had read all */
		else if (sent != 0)
			r = sent; /* refused by the walk, or the disk failed: the rule is filled */
	}
	wire_packet_done(&job->packet);
	if (r == -EAGAIN)
		return r;
	/* what cannot be read is a verdict on the bundle; only our own trouble is an error */
	*ret_verdict = r < 0 && !ret_error->rule[0] ? r : r != 0;
	return 0;
}

struct bundle_job *bundle_job_free(struct bundle_job *job)
{
	if (!job)
		return NULL;
	if (job->pid > 0)
		process_end(job->pid);
	wire_packet_done(&job->packet);
	walk_free(job->walk);
	teams_free(job->teams);
	fd_close(job->fd);
	fd_close(job->epoll_fd);
	fd_close(job->dir_fd);
	free(job);
	return NULL;
}

static int64_t now_msec(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int bundle_verify(int dir_fd, const char *name, const char *path, unsigned flags,
	struct bundle_info *ret, struct wire_error *ret_error)
{
	_cleanup_(bundle_job_freep) struct bundle_job *job = NULL;
	int64_t end = now_msec() + VERDICT_MSEC;
	int verdict, r = bundle_job_new(dir_fd, name, path, flags, &job);

	if (r < 0 || !job)
		return r;
	while ((r = bundle_job_process(job, &verdict, ret, ret_error)) == -EAGAIN) {
		struct pollfd poll_fd = { .fd = job->epoll_fd, .events = POLLIN };
		int64_t left = end - now_msec();

		if (left <= 0) {
			rule_error(ret_error, RULE_BUNDLE_TIMEOUT, path,
				"no verdict within 60 seconds", NULL);
			return 1;
		}
		poll(&poll_fd, 1, (int)left);
	}
	return r < 0 ? r : verdict;
}
