/* SPDX-License-Identifier: Apache-2.0
 *
 * minisign's format, held to minisign itself, both ways: what we have signed it verifies, what it has
 * signed we verify, with keys of either, and neither takes what was changed. Deriving a key from a
 * passphrase takes seconds and a gigabyte, by the format: that part runs when asked for.
 * test-minisign [passphrase]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/test-scene.h"

#define MANIFEST SCENE_EXTENSION "/Contents/_Signature/manifest"
#define SIGNATURE MANIFEST ".minisig"
#define PASSPHRASE "a long one, of several words"

/* minisign with these arguments, in the scene's root; @input is what somebody types. Its exit code. */
static int minisign(const char *input, ...)
{
	const char *args[24] = { "minisign" };
	_cleanup_fd_ int input_fd = memfd_new_sealed("input", input, strlen(input));
	_cleanup_fd_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int status;
	size_t n = 0;
	pid_t pid;
	va_list list;

	va_start(list, input);
	while (args[n] && n + 1 < ARRAY_SIZE(args))
		args[++n] = va_arg(list, const char *);
	va_end(list);
	assert_true(input_fd >= 0 && null_fd >= 0);
	assert_int_equal(lseek(input_fd, 0, SEEK_SET), 0);
	pid = fork();
	if (pid == 0) {
		dup2(input_fd, STDIN_FILENO);
		dup2(null_fd, STDOUT_FILENO);
		dup2(null_fd, STDERR_FILENO);
		if (fchdir(scene.root_fd) == 0)
			execvp(args[0], (char *const *)(uintptr_t)args);
		_exit(127);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* As `minisign -Vm manifest -P RW...`, which is what its manual tells people to do. */
static int minisign_verify(void)
{
	char public[57];

	key_public(&scene.key, public);
	return minisign("", "-V", "-q", "-P", public, "-m", MANIFEST, "-x", SIGNATURE, NULL);
}

static void change_once(const char *path, const char *from, const char *to)
{
	_cleanup_free_ char *text = NULL;
	char *at;

	assert_int_equal(file_read_at(scene.root_fd, path, 65536, &text, NULL), 0);
	at = strstr(text, from);
	assert_non_null(at);
	memcpy(at, to, strlen(to));
	scene_text(path, text);
}

/* Both judges, of what is there now: they agree. */
static void both_refuse(void)
{
	assert_int_not_equal(minisign_verify(), 0);
	scene_refuses(SCENE_EXTENSION, RULE_SIGNATURE_INVALID, SIGNATURE);
}

static void both_accept(void)
{
	assert_int_equal(minisign_verify(), 0);
	scene_accepts(SCENE_EXTENSION);
}

static void test_ours(void **state)
{
	scene_sign(SCENE_EXTENSION, scene_agent_entitlements);
	both_accept();
	change_once(MANIFEST, "endpoint-security", "Endpoint-security");
	both_refuse();
	scene_undo();
	both_accept();
	change_once(SIGNATURE, "bundle:", "Bundle:"); /* in the trusted comment */
	both_refuse();
	scene_undo();
	both_accept();
}

/* The key of minisign's file is the scene's from here on, and its team is registered. */
static void take_key(const char *passphrase)
{
	struct secret_key key;
	char public[57], of_file[57];

	assert_int_equal(key_read(scene_path("its.key"), passphrase, &key), 0);
	scene_set_key(&key);
	key_public(&key, public);
	assert_int_equal(key_public_read(scene_path("its.pub"), of_file), 0);
	assert_string_equal(of_file, public);
	scene_team(NULL);
	scene_sign_all();
}

static const struct {
	const char *option, *begin; /* of the signature's line: its algorithm, "ED" or "Ed" */
} forms[] = { { "-S", "\nRU" }, { "-Sl", "\nRW" } };

static void signature_is(const char *begin)
{
	_cleanup_free_ char *text = NULL;

	assert_int_equal(file_read_at(scene.root_fd, SIGNATURE, 4096, &text, NULL), 0);
	assert_int_equal(strncmp(strchr(text, '\n'), begin, 3), 0);
}

static void test_its(void **state)
{
	size_t i;

	assert_int_equal(minisign("", "-G", "-W", "-f", "-p", "its.pub", "-s", "its.key", NULL), 0);
	take_key(NULL);
	both_accept();
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		scene_take(SIGNATURE);
		assert_int_not_equal(minisign_verify(), 0);
		scene_refuses(SCENE_EXTENSION, RULE_SIGNATURE_MISSING, SCENE_EXTENSION);
		assert_int_equal(minisign("", forms[i].option, "-s", "its.key", "-m", MANIFEST,
					 "-x", SIGNATURE, "-t", "a comment of ours", NULL),
			0);
		signature_is(forms[i].begin);
		both_accept();
		change_once(SIGNATURE, "a comment", "A comment");
		both_refuse();
		scene_undo_one();
		change_once(MANIFEST, "endpoint-security", "Endpoint-security");
		both_refuse();
		scene_undo_one();
		both_accept();
	}
}

/* A key that we have written, in minisign's hands. */
static void test_our_key(void **state)
{
	assert_int_equal(key_write(scene_path("our.key"), &scene.key, NULL), 0);
	scene_take(SIGNATURE);
	assert_int_equal(
		minisign("", "-S", "-s", "our.key", "-m", MANIFEST, "-x", SIGNATURE, NULL), 0);
	both_accept();
}

static void test_passphrase(void **state)
{
	struct secret_key key;

	assert_int_equal(minisign(PASSPHRASE "\n" PASSPHRASE "\n", "-G", "-f", "-p", "its.pub",
				 "-s", "its.key", NULL),
		0);
	assert_int_equal(key_read(scene_path("its.key"), NULL, &key), -EKEYREJECTED);
	assert_int_equal(key_read(scene_path("its.key"), "another one", &key), -EACCES);
	take_key(PASSPHRASE);
	both_accept();
	assert_int_equal(key_write(scene_path("locked.key"), &scene.key, PASSPHRASE), 0);
	scene_take(SIGNATURE);
	assert_int_not_equal(minisign("another one\n", "-S", "-s", "locked.key", "-m", MANIFEST,
				     "-x", SIGNATURE, NULL),
		0);
	assert_int_equal(minisign(PASSPHRASE "\n", "-S", "-s", "locked.key", "-m", MANIFEST, "-x",
				 SIGNATURE, NULL),
		0);
	both_accept();
}

static int undo(void **state)
{
	scene_undo();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test_teardown(test_ours, undo),
		cmocka_unit_test_teardown(test_our_key, undo),
		cmocka_unit_test_teardown(test_its, undo),
	};
	const struct CMUnitTest passphrase[] = {
		cmocka_unit_test_teardown(test_passphrase, undo),
	};

	if (system("command -v minisign >/dev/null") != 0) {
		printf("needs minisign (Debian's package minisign)\n");
		return 77;
	}
	return argc > 1 ? cmocka_run_group_tests(passphrase, scene_begin, scene_end)
			: cmocka_run_group_tests(all, scene_begin, scene_end);
}
