/* SPDX-License-Identifier: Apache-2.0
 *
 * outboard-launch: what an extension may see and do once it has been confined, and what is said
 * when it cannot be. Both ways: what is refused in one place is allowed where it is meant to be.
 *
 * test-launch OUTBOARD-LAUNCH PROBE, inside a scope.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/paths.h"
#include "base/str.h"
#include "base/wire.h"
#include "manager/launch/spec.h"

#define WAIT_MSEC 20000
#define IDENTIFIER "org.example.probe.agent"

static const char *launch_path, *probe_path; /* the arguments */
static char state[PATH_MAX];

static struct {
	pid_t pid;
	int control_fd, output_fd;
	char answer[4096];
} extension;

/* ---- The extension ---------------------------------------------------------------------------- */

static void put_program(const char *folder)
{
	_cleanup_free_ char *program = NULL;
	_cleanup_fd_ int dir_fd = -1;
	size_t bytes;

	assert_int_equal(mkdir_path(folder, 0755), 0);
	dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_read_at(AT_FDCWD, probe_path, 16 << 20, &program, &bytes), 0);
	assert_int_equal(file_replace_at(dir_fd, "probe", program, bytes, 0755), 0);
}

static struct launch_spec make_spec(void)
{
	struct launch_spec spec = { .version = LAUNCH_SPEC_VERSION,
		.open_files = 200,
		.capabilities = 1ull << CAP_KILL | 1ull << CAP_DAC_READ_SEARCH };

	STR_PUT(spec.identifier, IDENTIFIER);
	STR_PUT(spec.hidden, state);
	snprintf(spec.bundle, sizeof spec.bundle, "%.400s/extensions/1", state);
	snprintf(spec.executable, sizeof spec.executable, "%.400s/extensions/1/probe", state);
	snprintf(spec.state_folder, sizeof spec.state_folder, "%.400s/state/TEAM/%s", state,
		IDENTIFIER);
	STR_PUT(spec.keep_paths[spec.n_keep_paths], "/tmp/outboard");
	spec.n_keep_paths++;
	return spec;
}

/* In the child: as the parent does it, descriptors at 3, 4, ...; the test's own stay open on purpose. */
static void __attribute__((noreturn)) become(int spec_fd, int control_fd, int output_fd)
{
	const int fds[] = { fcntl(spec_fd, F_DUPFD, 100), fcntl(control_fd, F_DUPFD, 100) };

	dup2(output_fd, STDOUT_FILENO);
	dup2(output_fd, STDERR_FILENO);
	dup2(fds[0], 3);
	dup2(fds[1], 4);
	syscall(SYS_close_range, 5, ~0u, 0);
	setenv("OUTBOARD_FDS", "spec=3,control=4", 1);
	setenv("SECRET", "of the daemon", 1);
	signal(SIGPIPE, SIG_IGN);
	execl(launch_path, "outboard-launch", NULL);
	_exit(99);
}

static void launch_fd(int spec_fd)
{
	int pair[2], output[2];

	assert_int_equal(wire_pair(pair), 0);
	assert_int_equal(pipe2(output, O_CLOEXEC), 0);
	extension.pid = fork();
	if (extension.pid == 0)
		become(spec_fd, pair[1], output[1]);
	assert_true(extension.pid > 0);
	extension.control_fd = pair[0];
	extension.output_fd = output[0];
	close(pair[1]);
	close(output[1]);
}

static void launch(const struct launch_spec *spec)
{
	_cleanup_fd_ int fd = memfd_new_sealed("spec", spec, sizeof *spec);

	assert_true(fd >= 0);
	launch_fd(fd);
}

/* Its exit status, and all that it has written. */
static int end(char *said, size_t bytes)
{
	_cleanup_free_ char *text = NULL;
	int status;

	extension.control_fd = fd_close(extension.control_fd);
	assert_int_equal(fd_read_all(extension.output_fd, 65536, &text, NULL), 0);
	extension.output_fd = fd_close(extension.output_fd);
	assert_int_equal(waitpid(extension.pid, &status, 0), extension.pid);
	str_put(said, bytes, text);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const char *ask(const char *verb, const char *word)
{
	struct pollfd poll_fd = { .fd = extension.control_fd, .events = POLLIN };
	char question[1200], said[4096];

	snprintf(question, sizeof question, "%s %s", verb, word);
	assert_true(send(extension.control_fd, question, strlen(question), MSG_NOSIGNAL) > 0 &&
		poll(&poll_fd, 1, WAIT_MSEC) == 1);
	if (recv(extension.control_fd, extension.answer, sizeof extension.answer, 0) > 0)
		return extension.answer;
	end(said, sizeof said);
	fail_msg("%s %s: no answer; it said: %s", verb, word, said);
	return "";
}

static const char *below(const char *tail)
{
	static char path[PATH_MAX + 64];

	snprintf(path, sizeof path, "%s/%s", state, tail);
	return path;
}

static void it_has_said(const char *expected, int status)
{
	char said[4096];

	assert_int_equal(end(said, sizeof said), status);
	if (!strstr(said, expected))
		fail_msg("expected: %s, happened: %s", expected, said);
}

static void it_ends_well(void)
{
	it_has_said("a line of the extension\n", 0);
}

static int prepare(void **context)
{
	_cleanup_fd_ int dir_fd = -1;

	path_get(PATH_STATE, NULL, state);
	put_program(below("extensions/1"));
	put_program(below("extensions/2"));
	assert_int_equal(mkdir_path(below("state/TEAM/org.example.other"), 0700), 0);
	dir_fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_replace_at(dir_fd, "registry.db", "rows", 4, 0600), 0);
	assert_int_equal(mkdir_path("/tmp/outboard/var/mend/inner", 0755), 0);
	assert_int_equal(mkdir_path("/tmp/other", 0755), 0);
	dir_fd = fd_close(dir_fd);
	dir_fd = open("/tmp/outboard/var", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_replace_at(dir_fd, "mend.conf", "", 0, 0644), 0);
	return 0;
}

/* ---- What it sees ----------------------------------------------------------------------------- */

struct attempt {
	const char *verb, *word, *expected;
};

static void attempt_all(const struct attempt *attempts, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const char *answer = ask(attempts[i].verb, attempts[i].word);

		if (!streq(answer, attempts[i].expected))
			fail_msg("%s %s: expected %s, happened %s", attempts[i].verb,
				attempts[i].word, attempts[i].expected, answer);
	}
}

/* Leave set_read_only("/") out of set_writable() to make this red. */
static void files_are_read_only(void **context)
{
	static const struct attempt attempts[] = {
		{ "write", "/etc/outboard-test", "EROFS" },
		{ "write", "/usr/outboard-test", "EROFS" },
		{ "write", "/run/outboard-test", "EROFS" },
		{ "write", "/tmp/outboard/run/outboard-test", "EROFS" },
		{ "write", "/tmp/outboard/var/mend/x", "EROFS" },
		{ "write", "/proc/sys/kernel/core_pattern", "EROFS" },
		{ "write", "/dev/x", "EROFS" },
		{ "write", "/dev/null", "done" },
		{ "write", "/tmp/x", "done" },
		{ "write", "/dev/shm/x", "done" },
		{ "read", "/etc/passwd", "done" },
		{ "read", "/dev/urandom", "done" },
		{ "list", "/dev", "fd full log null random shm stderr stdin stdout urandom zero" },
		{ "make-device", "/tmp/disk", "EPERM" },
		{ "remount", "/", "EPERM" },
		{ "remount", "/usr", "EPERM" },
	};
	const struct launch_spec spec = make_spec();

	launch(&spec);
	attempt_all(attempts, ARRAY_SIZE(attempts));
	assert_int_equal(access("/tmp/x", F_OK), -1); /* its /tmp is its own */
	it_ends_well();
}

/* Leave cover(spec->hidden) out of arrange() to make this red. */
static void the_state_of_others_is_not_there(void **context)
{
	const struct launch_spec spec = make_spec();

	launch(&spec);
	assert_string_equal(ask("read", below("registry.db")), "ENOENT");
	assert_string_equal(ask("read", below("extensions/2/probe")), "ENOENT");
	assert_string_equal(ask("read", below("state/TEAM/org.example.other")), "ENOENT");
	assert_string_equal(ask("uncover", state), "EINVAL");
	assert_string_equal(ask("read", spec.executable), "done");
	assert_string_equal(ask("write", below("extensions/1/x")), "EROFS");
	assert_string_equal(ask("write", below("x")), "EROFS");
	assert_string_equal(ask("read", "/tmp/other"), "ENOENT");
	assert_string_equal(ask("write", below("state/TEAM/" IDENTIFIER "/x")), "done");
	assert_int_equal(access(below("state/TEAM/" IDENTIFIER "/x"), F_OK), 0);
	it_ends_well();
}

/* org.outboard.file-system.write: also where the path holds the state of Outboard itself. */
static void writable_paths(void **context)
{
	struct launch_spec spec = make_spec();

	STR_PUT(spec.write_paths[spec.n_write_paths], "/tmp/outboard/var/mend");
	spec.n_write_paths++;
	STR_PUT(spec.write_paths[spec.n_write_paths], "/tmp/outboard/var/mend.conf");
	spec.n_write_paths++;
	STR_PUT(spec.write_paths[spec.n_write_paths], "/tmp/outboard/var/not-there");
	spec.n_write_paths++;
	launch(&spec);
	assert_string_equal(ask("write", "/tmp/outboard/var/mend/inner/x"), "done");
	assert_string_equal(ask("write", "/tmp/outboard/var/mend.conf"), "done");
	assert_string_equal(ask("write", "/tmp/outboard/var/x"), "EROFS");
	assert_int_equal(access("/tmp/outboard/var/mend/inner/x", F_OK), 0);
	it_ends_well();

	spec.n_write_paths = 0;
	STR_PUT(spec.write_paths[spec.n_write_paths], "/tmp/outboard/var");
	spec.n_write_paths++;
	launch(&spec);
	assert_string_equal(ask("write", "/tmp/outboard/var/y"), "done");
	assert_string_equal(ask("read", below("registry.db")), "ENOENT");
	assert_string_equal(ask("write", below("extensions/1/x")), "EROFS");
	assert_string_equal(ask("write", below("y")), "EROFS");
	assert_string_equal(ask("write", below("state/TEAM/" IDENTIFIER "/y")), "done");
	it_ends_well();
}

static size_t count_mounts(void)
{
	_cleanup_free_ char *text = NULL;
	const char *at;
	size_t n = 0;

	assert_int_equal(file_read_at(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &text, NULL), 0);
	for (at = text; *at; at++)
		n += *at == '\n';
	return n;
}

/* The host's mounts come to it, its own never come to the host. */
static void mounts_come_and_do_not_go(void **context)
{
	const struct launch_spec spec = make_spec();
	size_t n;

	assert_int_equal(mkdir_path("/tmp/outboard/var/disk", 0755), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL), 0);
	n = count_mounts();
	launch(&spec);
	assert_string_equal(ask("read", "/tmp/outboard/var/disk/file"), "ENOENT");
	assert_int_equal(count_mounts(), n);
	assert_int_equal(mount("tmpfs", "/tmp/outboard/var/disk", "tmpfs", 0, NULL), 0);
	close(open("/tmp/outboard/var/disk/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_string_equal(ask("read", "/tmp/outboard/var/disk/file"), "done");
	it_ends_well();
	umount2("/tmp/outboard/var/disk", MNT_DETACH);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

/* ---- What it may ------------------------------------------------------------------------------ */

static void rights_are_what_is_named(void **context)
{
	static const struct attempt attempts[] = {
		{ "status", "CapBnd", "0000000000000024" },
		{ "status", "CapEff", "0000000000000024" },
		{ "status", "CapPrm", "0000000000000024" },
		{ "status", "CapInh", "0000000000000000" },
		{ "status", "CapAmb", "0000000000000000" },
		{ "status", "NoNewPrivs", "1" },
		{ "limits", "", "200 200 0" },
		{ "process", "", "session own, 0 signals" },
		{ "list", "/proc/self/fd", "0 1 2 4" },
		{ "environment", "",
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
			"LANG=C.UTF-8\nOUTBOARD_FDS=control=4\n"
			"OUTBOARD_EXTENSION=" IDENTIFIER "\nOUTBOARD_ROOT=/tmp/outboard" },
	};
	const struct launch_spec spec = make_spec();

	launch(&spec);
	attempt_all(attempts, ARRAY_SIZE(attempts));
	it_ends_well();
}

/* ---- When it cannot be ------------------------------------------------------------------------ */

static void failures_name_the_step(void **context)
{
	struct launch_spec spec = make_spec();

	STR_PUT(spec.executable, "/tmp/outboard/nothing");
	launch(&spec);
	it_has_said("\"step\":\"run its executable\"", LAUNCH_FAILED_STATUS);

	spec = make_spec();
	STR_PUT(spec.bundle, below("extensions/3"));
	launch(&spec);
	it_has_said("\"step\":\"arrange its file system\"", LAUNCH_FAILED_STATUS);

	spec = make_spec();
	spec.n_groups = 1;
	STR_PUT(spec.cgroup_procs[0], "/sys/fs/cgroup/nothing/cgroup.procs");
	launch(&spec);
	it_has_said("\"step\":\"join its cgroup\"", LAUNCH_FAILED_STATUS);

	spec = make_spec();
	spec.version++;
	launch(&spec);
	it_has_said("\"step\":\"read what to become\"", LAUNCH_FAILED_STATUS);
}

/* Counts that reach beyond their arrays, texts without an end, a file that can still change. */
static void a_spec_that_does_not_fit_is_refused(void **context)
{
	struct launch_spec spec;
	_cleanup_fd_ int fd = -1;
	size_t i;

	for (i = 0; i < 6; i++) {
		spec = make_spec();
		if (i == 0)
			spec.n_groups = LAUNCH_GROUPS_MAX + 1;
		else if (i == 1)
			spec.n_write_paths = LAUNCH_PATHS_MAX + 1;
		else if (i == 2)
			spec.n_keep_paths = UINT32_MAX;
		else if (i == 3)
			memset(spec.identifier, 'x', sizeof spec.identifier);
		else if (i == 4)
			memset(spec.executable, 'x', sizeof spec.executable);
		else
			memset(spec.write_paths[LAUNCH_PATHS_MAX - 1], 'x', LAUNCH_PATH_BYTES);
		launch(&spec);
		it_has_said("\"step\":\"read what to become\"", LAUNCH_FAILED_STATUS);
	}
	spec = make_spec();
	fd = memfd_create("spec", MFD_CLOEXEC);
	assert_int_equal(fd_write_all(fd, &spec, sizeof spec), 0);
	launch_fd(fd);
	it_has_said("\"step\":\"read what to become\"", LAUNCH_FAILED_STATUS);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read_only),
		cmocka_unit_test(the_state_of_others_is_not_there),
		cmocka_unit_test(writable_paths),
		cmocka_unit_test(mounts_come_and_do_not_go),
		cmocka_unit_test(rights_are_what_is_named),
		cmocka_unit_test(failures_name_the_step),
		cmocka_unit_test(a_spec_that_does_not_fit_is_refused),
	};

	if (argc != 3) {
		fprintf(stderr, "usage: test-launch OUTBOARD-LAUNCH PROBE\n");
		return 2;
	}
	launch_path = argv[1];
	probe_path = argv[2];
	return cmocka_run_group_tests_name("launch", tests, prepare, NULL);
}
