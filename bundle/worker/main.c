/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-bundle-worker: gives one verdict on one bundle and ends. It reads everything that a
 * vendor wrote, so it is nobody, sees no file, has no network, and may make no call but those of
 * the list below: it has the socket and what is sent over it. Started by bundle_verify() and
 * outboardd; not by people.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/evp.h>
#include "base/confine.h"
#include "base/fd.h"
#include "base/str.h"
#include "bundle/worker/worker.h"

#define MEMORY_BYTES (1ull << 30)
#define CPU_SECONDS 60

enum phase { PHASE_BEGIN = 1, PHASE_FILES = 2 };

static struct wire_packet packet;
static struct verdict *verdict;
static struct wire_error refusal;
static enum phase phase = PHASE_BEGIN;

/* ---- confinement ------------------------------------------------------------------------------ */

static const int allowed_calls[] = {
	SCMP_SYS(read),
	SCMP_SYS(lseek),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(getpid),
	SCMP_SYS(write),
};

static int confine(void)
{
	const struct rlimit memory = { MEMORY_BYTES, MEMORY_BYTES },
			    cpu = { CPU_SECONDS, CPU_SECONDS }, none = { 0, 0 }, files = { 64, 64 };
	unsigned char warm[64];
	int r;

	/* whatever the libraries open or read at their first use has to happen now */
	json_object_seed(0);
	EVP_Digest("", 0, warm, NULL, EVP_sha256(), NULL);
	EVP_Digest("", 0, warm, NULL, EVP_blake2b512(), NULL);
	EVP_PKEY_free(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, warm, 32));
	r = confine_leave_the_system();
	if (r < 0)
		return r;
	if (setrlimit(RLIMIT_CPU, &cpu) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
		setrlimit(RLIMIT_FSIZE, &none) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (CONFINE_SANITIZER_BUILD)
		return 0;
	if (setrlimit(RLIMIT_AS, &memory) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	return confine_calls(allowed_calls, ARRAY_SIZE(allowed_calls));
}

/* ---- the protocol ----------------------------------------------------------------------------- */

static int on_begin(void *context, struct wire_packet *got)
{
	const struct worker_begin *begin = (void *)got->body;

	if (!STR_FIELD_OK(begin->name) || !STR_FIELD_OK(begin->path))
		return -EPROTO;
	phase = PHASE_FILES;
	return verdict_new(begin, &verdict, &refusal);
}

static int on_team(void *context, struct wire_packet *got)
{
	const struct worker_team *team = (void *)got->body;

	if (!STR_FIELD_OK(team->name))
		return -EPROTO;
	return verdict_add_team(
		verdict, team->name, (const char *)(team + 1), got->body_bytes - sizeof *team);
}

static int on_revoked(void *context, struct wire_packet *got)
{
	const struct worker_revoked *revoked = (void *)got->body;

	if (!STR_FIELD_OK(revoked->name) || !STR_FIELD_OK(revoked->reason))
		return -EPROTO;
	return verdict_add_revoked(verdict, revoked);
}

static int on_entry(void *context, struct wire_packet *got)
{
	const struct worker_entry *entry = (void *)got->body;
	const char *path = (const char *)(entry + 1), *target = path + entry->path_bytes;
	size_t rest = got->body_bytes - sizeof *entry;
	bool link = S_ISLNK(entry->mode);

	if (entry->path_bytes == 0 || (uint64_t)entry->path_bytes + entry->target_bytes != rest ||
		path[entry->path_bytes - 1] != '\0' || link != (entry->target_bytes > 0) ||
		(link && target[entry->target_bytes - 1] != '\0') || link == (got->n_fds == 1))
		return -EPROTO;
	return verdict_add_entry(
		verdict, entry->mode, entry->size, path, target, link ? -1 : got->fds[0], &refusal);
}

#define HAS_VERDICT 2

static int on_end(void *context, struct wire_packet *got)
{
	return HAS_VERDICT;
}

static const struct wire_row rows[] = {
	WIRE_ROW(WORKER_BEGIN, struct worker_begin, PHASE_BEGIN, on_begin),
	{ .type = WORKER_TEAM,
		.bytes_min = sizeof(struct worker_team),
		.name = "WORKER_TEAM",
		.bytes_max = sizeof(struct worker_team) + WORKER_TEAM_TEXT_MAX,
		.phases = PHASE_FILES,
		.handler = on_team },
	WIRE_ROW(WORKER_REVOKED, struct worker_revoked, PHASE_FILES, on_revoked),
	{ .type = WORKER_ENTRY,
		.bytes_min = sizeof(struct worker_entry) + 2,
		.name = "WORKER_ENTRY",
		.bytes_max = sizeof(struct worker_entry) + WORKER_PATHS_MAX,
		.fds_max = 1,
		.phases = PHASE_FILES,
		.handler = on_entry },
	{ .type = WORKER_END, .phases = PHASE_FILES, .handler = on_end, .name = "WORKER_END" },
};

/* A trouble of our own is told as one: no rule, so that nobody takes it for the bundle's fault. */
static int answer_refused(int status)
{
	struct worker_refused refused = { .status = status, .error = refusal };

	return WIRE_SEND(WORKER_SOCKET_FD, WORKER_REFUSED, 0, &refused) < 0;
}

static int serve(void)
{
	struct bundle_info info;
	int r;

	do {
		r = wire_receive(WORKER_SOCKET_FD, &packet, 0);
		if (r == 0)
			r = wire_dispatch(rows, ARRAY_SIZE(rows), phase, &packet, NULL);
		wire_packet_done(&packet);
	} while (r == 0);
	if (r == HAS_VERDICT)
		r = verdict_give(verdict, &info, &refusal);
	if (r == 0)
		return WIRE_SEND(WORKER_SOCKET_FD, WORKER_ACCEPTED, 0, &info) < 0;
	return answer_refused(r < 0 ? r : 0);
}

int main(void)
{
	int r = confine();

	if (r < 0) {
		fprintf(stderr, "outboard-bundle-worker: cannot confine itself: %s\n",
			strerror(-r));
		return answer_refused(r);
	}
	/* nothing is to be freed or flushed, and a leak checker would look for files that it cannot see */
	_exit(serve());
}
