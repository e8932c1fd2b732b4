/* SPDX-License-Identifier: Apache-2.0
 *
 * Descriptors and small files: what is read is bounded, what is replaced is whole, what is sealed
 * stays, and inherited descriptors are found by name only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"

static char folder[] = "/tmp/test-fd-XXXXXX";
static int folder_fd;

static int make_folder(void **state)
{
	if (!mkdtemp(folder))
		return -1;
	folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder_fd < 0 ? -1 : 0;
}

static int remove_folder(void **state)
{
	unlinkat(folder_fd, "file", 0);
	unlinkat(folder_fd, "link", 0);
	fd_close(folder_fd);
	return rmdir(folder); /* fails when a test left something behind */
}

static void test_read_is_bounded(void **state)
{
	_cleanup_free_ char *text = NULL;
	char *untouched = text;
	size_t bytes;

	assert_int_equal(file_replace_at(folder_fd, "file", "0123456789", 10, 0640), 0);
	assert_int_equal(file_read_at(folder_fd, "file", 9, &untouched, NULL), -EFBIG);
	assert_null(untouched);
	assert_int_equal(file_read_at(folder_fd, "file", 10, &text, &bytes), 0);
	assert_int_equal(bytes, 10);
	assert_string_equal(text, "0123456789");
}

static void test_read_follows_no_link(void **state)
{
	char *text;

	assert_int_equal(symlinkat("file", folder_fd, "link"), 0);
	assert_int_equal(file_read_at(folder_fd, "link", 10, &text, NULL), -ELOOP);
}

static void test_replace_keeps_old_or_new(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct stat status;

	assert_int_equal(file_replace_at(folder_fd, "file", "new", 3, 0600), 0);
	assert_int_equal(fstatat(folder_fd, "file", &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	/* a folder in the way: the old one stays and no temporary file is left (see remove_folder) */
	assert_int_equal(file_replace_at(folder_fd, "none/file", "x", 1, 0600), -ENOENT);
	assert_int_equal(file_read_at(folder_fd, "file", 10, &text, NULL), 0);
	assert_string_equal(text, "new");
}

static void test_sealed(void **state)
{
	_cleanup_fd_ int sealed = memfd_new_sealed("test", "data", 4);
	_cleanup_fd_ int open_memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const void *data;
	size_t bytes;

	assert_true(sealed >= 0);
	assert_int_equal(write(sealed, "x", 1), -1);
	assert_int_equal(memfd_map_sealed(sealed, 3, &data, &bytes), -EFBIG);
	assert_int_equal(memfd_map_sealed(sealed, 4, &data, &bytes), 0);
	assert_int_equal(bytes, 4);
	assert_memory_equal(data, "data", 4);
	munmap((void *)(uintptr_t)data, bytes);
	assert_int_equal(memfd_map_sealed(open_memory, 4, &data, &bytes), -EPERM);
}

static void test_inherited(void **state)
{
	char text[64];
	int fd = open("/dev/null", O_RDONLY);

	assert_true(fd >= 0);
	snprintf(text, sizeof text, "control=%d,service:a=9999,bad=x", fd);
	setenv("OUTBOARD_FDS", text, 1);
	assert_int_equal(fd_inherited("control"), fd);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fd_inherited("contro"), -ENOENT);
	assert_int_equal(fd_inherited("service:a"), -EBADF);
	assert_int_equal(fd_inherited("bad"), -EBADF);
	unsetenv("OUTBOARD_FDS");
	assert_int_equal(fd_inherited("control"), -ENOENT);
	fd_close(fd);
}

static void test_fields(void **state)
{
	char field[4];

	assert_int_equal(STR_PUT(field, "abc"), 0);
	assert_true(STR_FIELD_OK(field));
	assert_int_equal(STR_PUT(field, "abcd"), -ENAMETOOLONG);
	assert_string_equal(field, "abc");
	memset(field, 'x', sizeof field);
	assert_false(STR_FIELD_OK(field));
	assert_true(str_starts("abc", "ab") && !str_starts("a", "ab"));
	assert_true(str_ends("x.app", ".app") && !str_ends("app", ".app"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_is_bounded),
		cmocka_unit_test(test_read_follows_no_link),
		cmocka_unit_test(test_replace_keeps_old_or_new),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_inherited),
		cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
