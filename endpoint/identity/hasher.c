/* SPDX-License-Identifier: Apache-2.0
 *
 * The half of outboard-identity-worker that reads: files of anybody, to hash them, and the databases
 * of packages. It is nobody, sees no file, has no network and may make no call but those of the list
 * below: it has one socket and the descriptors that come over it.
 */
#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <openssl/evp.h>
#include "base/confine.h"
#include "base/fd.h"
#include "base/str.h"
#include "endpoint/identity/hasher.h"
#include "endpoint/identity/index.h"

#define MEMORY_BYTES (1ull << 30)
#define LIST_BYTES_MAX (64u << 20)
#define CHUNK_BYTES (256u << 10)

enum phase { PHASE_READY = 1, PHASE_BUILDING = 2 };

struct hasher {
	int socket_fd;
	enum phase phase;
	int status; /* of the index that is being built */
	int index_fd;
	struct index index;
	struct index_builder *builder;
	EVP_MD *sha256, *md5;
	EVP_MD_CTX *sha256_context, *md5_context;
	struct wire_packet packet;
	unsigned char chunk[CHUNK_BYTES];
};

static struct hasher hasher = { .phase = PHASE_READY, .index_fd = -1 };

/* ---- confinement ------------------------------------------------------------------------------ */

static const int allowed_calls[] = {
	SCMP_SYS(read), SCMP_SYS(lseek), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(close),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(getpid), SCMP_SYS(write),
	SCMP_SYS(sysinfo), /* qsort(3) of glibc asks how much memory there is */
};

/* Whatever the library opens or reads at its first use has to happen before. */
static int prepare_digests(void)
{
	unsigned char warm[EVP_MAX_MD_SIZE];

	hasher.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hasher.md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	hasher.sha256_context = EVP_MD_CTX_new();
	hasher.md5_context = EVP_MD_CTX_new();
	/* a machine that forbids MD5 has no packages, then, but it has hashes */
	if (!hasher.sha256 || !hasher.sha256_context || !hasher.md5_context ||
		EVP_Digest("", 0, warm, NULL, hasher.sha256, NULL) != 1)
		return -ENOSYS;
	return 0;
}

static int confine(void)
{
	const struct rlimit memory = { MEMORY_BYTES, MEMORY_BYTES }, none = { 0, 0 },
			    index = { INDEX_BYTES_MAX, INDEX_BYTES_MAX }, files = { 64, 64 };
	int r = prepare_digests();

	if (r == 0)
		r = confine_leave_the_system();
	if (r < 0)
		return r;
	/* after the ids have changed, which takes it back */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
		setrlimit(RLIMIT_FSIZE, &index) < 0 || setrlimit(RLIMIT_NOFILE, &files) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (CONFINE_SANITIZER_BUILD)
		return 0;
	if (setrlimit(RLIMIT_AS, &memory) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	return confine_calls(allowed_calls, ARRAY_SIZE(allowed_calls));
}

/* ---- the index -------------------------------------------------------------------------------- */

static int on_use(void *context, struct wire_packet *packet)
{
	index_close(&hasher.index);
	return index_open(packet->fds[0], &hasher.index);
}

static int on_build(void *context, struct wire_packet *packet)
{
	const struct identity_build *build = (void *)packet->body;

	hasher.builder = index_builder_free(hasher.builder);
	fd_close(hasher.index_fd);
	hasher.index_fd = wire_take_fd(packet, 0);
	hasher.phase = PHASE_BUILDING;
	hasher.status = index_builder_new(&build->stamp, &hasher.builder);
	return 0;
}

static int on_list(void *context, struct wire_packet *packet)
{
	const struct identity_list *list = (void *)packet->body;
	_cleanup_free_ char *text = NULL;
	size_t bytes;

	if (!STR_FIELD_OK(list->package) || list->kind > IDENTITY_DIGESTS)
		return -EPROTO;
	if (hasher.status == 0)
		hasher.status = fd_read_all(packet->fds[0], LIST_BYTES_MAX, &text, &bytes);
	if (hasher.status == 0)
		hasher.status = index_add(hasher.builder, list->kind, list->package, text, bytes);
	return 0;
}

static int on_built(void *context, struct wire_packet *packet)
{
	struct wire_status status = { .status = hasher.status };

	if (status.status == 0)
		status.status = index_write(hasher.builder, hasher.index_fd);
	hasher.builder = index_builder_free(hasher.builder);
	hasher.index_fd = fd_close(hasher.index_fd);
	hasher.phase = PHASE_READY;
	return WIRE_SEND(hasher.socket_fd, WIRE_STATUS, 0, &status);
}

/* ---- a file ----------------------------------------------------------------------------------- */

static int update(int fd, bool with_md5)
{
	ssize_t n;

	for (;;) {
		n = read(fd, hasher.chunk, sizeof hasher.chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (EVP_DigestUpdate(hasher.sha256_context, hasher.chunk, (size_t)n) != 1 ||
			(with_md5 &&
				EVP_DigestUpdate(hasher.md5_context, hasher.chunk, (size_t)n) != 1))
			return -ENOMEM;
	}
}

/* @ret_md5: NULL, or filled as well. */
static int digest(int fd, uint8_t ret_sha256[static 32], uint8_t *ret_md5)
{
	int r;

	if (EVP_DigestInit_ex2(hasher.sha256_context, hasher.sha256, NULL) != 1 ||
		(ret_md5 && EVP_DigestInit_ex2(hasher.md5_context, hasher.md5, NULL) != 1))
		return -ENOMEM;
	r = update(fd, ret_md5 != NULL);
	if (r < 0)
		return r;
	if (EVP_DigestFinal_ex(hasher.sha256_context, ret_sha256, NULL) != 1 ||
		(ret_md5 && EVP_DigestFinal_ex(hasher.md5_context, ret_md5, NULL) != 1))
		return -ENOMEM;
	return 0;
}

/* What was read belongs to the key only if nobody has written meanwhile. */
static int check_unchanged(int fd, const struct es_identity_key *key)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	return (uint64_t)status.st_size == key->size &&
			(uint64_t)status.st_ctim.tv_sec * 1000000000u +
					(uint64_t)status.st_ctim.tv_nsec ==
				key->ctime_ns
		? 0
		: -ESTALE;
}

static void look_up(const struct identity_hash *hash, int fd, struct identity_answer *answer)
{
	uint8_t md5[DPKG_MD5_BYTES];
	const char *name = "";
	const struct index_entry *entry = index_find(&hasher.index, hash->path, &name);
	bool compare = entry && entry->has_digest && hasher.md5;

	answer->status = digest(fd, answer->sha256, compare ? md5 : NULL);
	if (answer->status == 0)
		answer->status = check_unchanged(fd, &hash->key);
	if (!entry)
		return;
	STR_PUT(answer->signing_id, name);
	if (compare && memcmp(md5, entry->md5, sizeof md5) == 0)
		answer->flags |= IDENTITY_DIGEST_FITS;
}

static int on_hash(void *context, struct wire_packet *packet)
{
	const struct identity_hash *hash = (void *)packet->body;
	struct identity_answer answer = { .key = hash->key,
		.device = hash->device,
		.inode = hash->inode,
		.mode = hash->mode,
		.uid = hash->uid };

	if (!STR_FIELD_OK(hash->path))
		return -EPROTO;
	look_up(hash, packet->fds[0], &answer);
	return WIRE_SEND(hasher.socket_fd, IDENTITY_ANSWER, 0, &answer);
}

/* ---- the protocol ----------------------------------------------------------------------------- */

#define ROW_WITH_FD(type_, bytes_, phases_, handler_)                                        \
	{                                                                                    \
		.type = (type_), .bytes_min = (bytes_), .bytes_max = (bytes_), .fds_min = 1, \
		.fds_max = 1, .phases = (phases_), .handler = (handler_), .name = #type_     \
	}

static const struct wire_row rows[] = {
	ROW_WITH_FD(IDENTITY_HASH, sizeof(struct identity_hash), PHASE_READY, on_hash),
	ROW_WITH_FD(IDENTITY_USE, 0, PHASE_READY, on_use),
	ROW_WITH_FD(IDENTITY_BUILD, sizeof(struct identity_build), PHASE_READY | PHASE_BUILDING,
		on_build),
	ROW_WITH_FD(IDENTITY_LIST, sizeof(struct identity_list), PHASE_BUILDING, on_list),
	{ .type = IDENTITY_BUILT,
		.phases = PHASE_BUILDING,
		.handler = on_built,
		.name = "IDENTITY_BUILT" },
};

void hasher_run(int socket_fd)
{
	int r = confine();

	hasher.socket_fd = socket_fd;
	while (r == 0) {
		r = wire_receive(socket_fd, &hasher.packet, 0);
		if (r == 0)
			r = wire_dispatch(
				rows, ARRAY_SIZE(rows), hasher.phase, &hasher.packet, NULL);
		wire_packet_done(&hasher.packet);
	}
	/* nothing is to be freed or flushed */
	_exit(r == -EPIPE ? 0 : 1);
}
