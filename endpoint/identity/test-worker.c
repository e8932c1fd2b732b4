/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-identity-worker as a program, over its socket, with a made-up database of packages: what
 * it says of a file that a package has, of one that was changed, of one that is elsewhere; by which
 * file it goes; and how its index comes and goes. Runs for any user; what root alone can see is
 * looked at for root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "bundle/sha256.h"
#include "endpoint/identity/identity-wire.h"

#define CONTENT "#!/bin/sh\necho tool\n"
#define OTHER "#!/bin/sh\necho another\n"

static char folder[] = "/tmp/identity-XXXXXX";
static int folder_fd = -1;
static int worker_fd = -1;
static pid_t worker;
static struct wire_packet packet;

/* ---- the made-up world ------------------------------------------------------------------------ */

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const char *text)
{
	/* another inode each time: its times alone might be the same */
	assert_int_equal(file_replace_at(folder_fd, name, text, strlen(text), 0755), 0);
}

/* A package that has one program below our folder, and says that its content is @content. */
static void install(const char *package, const char *program, const char *content)
{
	unsigned char md5[EVP_MAX_MD_SIZE];
	char name[256], text[PATH_MAX], hex[33];
	size_t n;
	int i;

	assert_int_equal(EVP_Digest(content, strlen(content), md5, NULL, EVP_md5(), NULL), 1);
	for (i = 0; i < 16; i++)
		snprintf(hex + 2 * i, 3, "%02x", md5[i]);
	snprintf(name, sizeof name, "dpkg/info/%s.list", package);
	snprintf(text, sizeof text, "/.\n%s\n%s\n", folder, in_folder(program));
	/* as many as packages have, which is more than a sort does on its stack */
	for (n = strlen(text), i = 0; i < 100; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "/usr/share/%d\n", i);
	write_file(name, text);
	snprintf(name, sizeof name, "dpkg/info/%s.md5sums", package);
	snprintf(text, sizeof text, "%s  %s\n", hex, in_folder(program) + 1);
	write_file(name, text);
	snprintf(text, sizeof text, "Package: %s\n", package);
	write_file("dpkg/status", text);
}

static int begin(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	setenv("OUTBOARD_ROOT", in_folder("root"), 1);
	if (mkdirat(folder_fd, "dpkg", 0755) < 0 || mkdirat(folder_fd, "dpkg/info", 0755) < 0 ||
		mkdirat(folder_fd, "root", 0755) < 0)
		return -1;
	install("tool:amd64", "tool", CONTENT);
	write_file("tool", CONTENT);
	return 0;
}

static int end(void **state)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf '%s'", folder);
	return system(command);
}

static void start(const char *idle_msec)
{
	char program[PATH_MAX], database[PATH_MAX];
	int pair[2];

	STR_PUT(database, in_folder("dpkg"));
	assert_int_equal(wire_pair(pair), 0);
	worker = fork();
	if (worker == 0) {
		dup2(pair[1], IDENTITY_SOCKET_FD);
		if (pair[1] == IDENTITY_SOCKET_FD)
			fcntl(pair[1], F_SETFD, 0);
		execl(path_program("outboard-identity-worker", program), "outboard-identity-worker",
			database, idle_msec, NULL);
		_exit(127);
	}
	fd_close(pair[1]);
	worker_fd = pair[0];
}

static int begin_worker(void **state)
{
	start("60000");
	return 0;
}

/* It ends by itself when nobody is at the other end. */
static int end_worker(void **state)
{
	int status;

	worker_fd = fd_close(worker_fd);
	if (waitpid(worker, &status, 0) != worker)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- asking ----------------------------------------------------------------------------------- */

static const struct identity_answer *take_answer(void)
{
	do
		assert_int_equal(wire_receive(worker_fd, &packet, 0), 0);
	while (packet.header.type == IDENTITY_BUSY);
	assert_int_equal(packet.header.type, IDENTITY_ANSWER);
	assert_int_equal(packet.body_bytes, sizeof(struct identity_answer));
	return (void *)packet.body;
}

static const struct identity_answer *ask_file(const char *name)
{
	_cleanup_fd_ int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(wire_send(worker_fd, IDENTITY_FILE, 0, 0, NULL, 0, &fd, 1), 0);
	return take_answer();
}

static void check(const struct identity_answer *answer, const char *content, const char *signing_id,
	unsigned flags)
{
	unsigned char digest[SHA256_BYTES];

	assert_int_equal(answer->status, 0);
	sha256(content, strlen(content), digest);
	assert_memory_equal(answer->sha256, digest, sizeof digest);
	assert_string_equal(answer->signing_id, signing_id);
	assert_int_equal(answer->flags, flags);
}

static void what_is_said_of_a_file(void **state)
{
	const struct identity_answer *answer = ask_file("tool");
	struct stat status;

	check(answer, CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
	assert_int_equal(fstatat(folder_fd, "tool", &status, 0), 0);
	assert_int_equal(answer->inode, status.st_ino);
	assert_int_equal(answer->device, status.st_dev);
	assert_int_equal(answer->mode, status.st_mode);
	assert_int_equal(answer->uid, geteuid());
	assert_int_equal(answer->key.size, strlen(CONTENT));

	/* the same content under another name is nobody's */
	write_file("copy", CONTENT);
	check(ask_file("copy"), CONTENT, "", 0);

	/* another content under the package's name is the package's, and not what it has put there */
	write_file("tool", OTHER);
	check(ask_file("tool"), OTHER, "deb:tool", 0);
	write_file("tool", CONTENT);
	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);

	/* a file that has no name any more */
	write_file("gone", CONTENT);
	{
		_cleanup_fd_ int fd = openat(folder_fd, "gone", O_RDONLY | O_CLOEXEC);

		assert_int_equal(unlinkat(folder_fd, "gone", 0), 0);
		assert_int_equal(wire_send(worker_fd, IDENTITY_FILE, 0, 0, NULL, 0, &fd, 1), 0);
		check(take_answer(), CONTENT, "", 0);
	}
}

static void what_is_no_file(void **state)
{
	_cleanup_fd_ int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	assert_int_equal(wire_send(worker_fd, IDENTITY_FILE, 0, 0, NULL, 0, &fd, 1), 0);
	assert_int_equal(take_answer()->status, -EINVAL);
	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
}

/* ---- by which file it goes -------------------------------------------------------------------- */

static const struct identity_answer *ask_wanted(
	const struct es_identity_key *key, uint32_t pid, const char *path)
{
	struct es_wanted wanted = { .key = *key, .pid = pid };

	STR_PUT(wanted.path, path);
	assert_int_equal(WIRE_SEND(worker_fd, IDENTITY_WANTED, 0, &wanted), 0);
	return take_answer();
}

static struct es_identity_key key_of(const char *name)
{
	return ask_file(name)->key;
}

static void the_key_decides(void **state)
{
	struct es_identity_key key = key_of("tool"), wrong = key;
	uint64_t *fields[] = { &wrong.inode, &wrong.ctime_ns, &wrong.size };
	size_t i;

	check(ask_wanted(&key, 0, in_folder("tool")), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		wrong = key;
		++*fields[i];
		assert_int_equal(ask_wanted(&wrong, 0, in_folder("tool"))->status, -ESTALE);
	}
	wrong = key;
	wrong.device++;
	assert_int_equal(ask_wanted(&wrong, 0, in_folder("tool"))->status, -ESTALE);
	assert_memory_equal(
		&((const struct identity_answer *)(void *)packet.body)->key, &wrong, sizeof wrong);
	/* a process that runs something else is no reason not to look at the path, nor one without */
	check(ask_wanted(&key, (uint32_t)getpid(), in_folder("tool")), CONTENT, "deb:tool",
		IDENTITY_DIGEST_FITS);
	assert_int_equal(ask_wanted(&key, (uint32_t)getpid(), "")->status, -ESTALE);
	assert_int_equal(ask_wanted(&key, 0, in_folder("nothing"))->status, -ESTALE);
	/* a pipe would hold whoever opens it */
	assert_int_equal(mkfifoat(folder_fd, "pipe", 0600), 0);
	assert_int_equal(ask_wanted(&key, 0, in_folder("pipe"))->status, -ESTALE);
}

static void a_process_leads_to_its_file(void **state)
{
	_cleanup_fd_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct identity_answer answer;

	assert_int_equal(wire_send(worker_fd, IDENTITY_FILE, 0, 0, NULL, 0, &fd, 1), 0);
	answer = *take_answer();
	assert_int_equal(answer.status, 0);
	assert_int_equal(ask_wanted(&answer.key, (uint32_t)getpid(), "")->status, 0);
	assert_memory_equal(((const struct identity_answer *)(void *)packet.body)->sha256,
		answer.sha256, sizeof answer.sha256);
}

/* ---- the index -------------------------------------------------------------------------------- */

static void a_package_that_comes(void **state)
{
	write_file("late", OTHER);
	check(ask_file("late"), OTHER, "", 0);
	install("late", "late", OTHER);
	check(ask_file("late"), OTHER, "deb:late", IDENTITY_DIGEST_FITS);
	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
}

static void the_next_worker_finds_the_index(void **state)
{
	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
	assert_int_equal(end_worker(NULL), 0);
	/* what it was made from is not looked at again while dpkg's status is the same */
	assert_int_equal(renameat(folder_fd, "dpkg/info", folder_fd, "dpkg/hidden"), 0);
	start("60000");
	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
	assert_int_equal(renameat(folder_fd, "dpkg/hidden", folder_fd, "dpkg/info"), 0);
}

static void a_state_folder_that_cannot_be_written(void **state)
{
	assert_int_equal(end_worker(NULL), 0);
	setenv("OUTBOARD_ROOT", in_folder("tool"), 1);
	start("60000");
	setenv("OUTBOARD_ROOT", in_folder("root"), 1);
	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
}

static void no_database(void **state)
{
	assert_int_equal(end_worker(NULL), 0);
	assert_int_equal(renameat(folder_fd, "dpkg", folder_fd, "elsewhere"), 0);
	start("60000");
	check(ask_file("tool"), CONTENT, "", 0);
	assert_int_equal(renameat(folder_fd, "elsewhere", folder_fd, "dpkg"), 0);
	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
}

/* ---- its life --------------------------------------------------------------------------------- */

static pid_t hasher_of(pid_t opener)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", opener, opener);
	assert_int_equal(file_read_at(AT_FDCWD, path, 4096, &text, NULL), 0);
	assert_true(atoi(text) > 0);
	return (pid_t)atoi(text);
}

static void it_says_that_it_is_idle(void **state)
{
	assert_int_equal(end_worker(NULL), 0);
	start("1");
	assert_int_equal(wire_receive(worker_fd, &packet, 0), 0);
	assert_int_equal(packet.header.type, IDENTITY_IDLE);
	/* what was on its way to it is answered all the same */
	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
}

static void the_half_that_reads_may_nothing(void **state)
{
	_cleanup_free_ char *text = NULL;
	char path[64];

	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
	snprintf(path, sizeof path, "/proc/%d/status", hasher_of(worker));
	assert_int_equal(file_read_at(AT_FDCWD, path, 65536, &text, NULL), 0);
	assert_non_null(strstr(text, "\nNoNewPrivs:\t1\n"));
#ifndef __SANITIZE_ADDRESS__
	assert_non_null(strstr(text, "\nSeccomp:\t2\n"));
#endif
	if (geteuid() == 0) {
		assert_non_null(strstr(text, "\nUid:\t65534\t65534\t65534\t65534\n"));
		assert_non_null(strstr(text, "\nGid:\t65534\t65534\t65534\t65534\n"));
		assert_non_null(strstr(text, "\nCapEff:\t0000000000000000\n"));
	}
}

static void without_its_hasher_it_ends(void **state)
{
	int status;

	check(ask_file("tool"), CONTENT, "deb:tool", IDENTITY_DIGEST_FITS);
	assert_int_equal(kill(hasher_of(worker), SIGKILL), 0);
	{
		_cleanup_fd_ int fd = openat(folder_fd, "tool", O_RDONLY | O_CLOEXEC);

		wire_send(worker_fd, IDENTITY_FILE, 0, 0, NULL, 0, &fd, 1);
	}
	assert_int_equal(wire_receive(worker_fd, &packet, 0), -EPIPE);
	assert_int_equal(waitpid(worker, &status, 0), worker);
	start("60000");
}

int main(void)
{
#define WITH_WORKER(test) cmocka_unit_test_setup_teardown(test, begin_worker, end_worker)
	const struct CMUnitTest tests[] = {
		WITH_WORKER(what_is_said_of_a_file),
		WITH_WORKER(what_is_no_file),
		WITH_WORKER(the_key_decides),
		WITH_WORKER(a_process_leads_to_its_file),
		WITH_WORKER(a_package_that_comes),
		WITH_WORKER(the_next_worker_finds_the_index),
		WITH_WORKER(a_state_folder_that_cannot_be_written),
		WITH_WORKER(no_database),
		WITH_WORKER(it_says_that_it_is_idle),
		WITH_WORKER(the_half_that_reads_may_nothing),
		WITH_WORKER(without_its_hasher_it_ends),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
