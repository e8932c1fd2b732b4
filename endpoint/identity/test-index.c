/* SPDX-License-Identifier: Apache-2.0
 *
 * The index of packages, from a made-up database: whose a path is and whether it has a digest, with
 * a merged /usr and without, diverted, lost to another package, and with lines that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
#include "base/fd.h"
#include "endpoint/identity/index.h"

#define ZEROS "00000000000000000000000000000000"
#define ONES "11111111111111111111111111111111"
#define MERGED_BIN 1u /* the first of top_folders */

static const struct identity_stamp merged = { .status_inode = 7, .merged = MERGED_BIN },
				   unmerged = { .status_inode = 7 };

struct text {
	enum identity_list_kind kind;
	const char *package, *text;
};

static const struct text database[] = {
	{ IDENTITY_DIVERSIONS, "",
		"/bin/sh\n/bin/sh.distrib\ndash\n"
		"/usr/bin/mine\n/usr/bin/mine.orig\n:\n"
		"/usr/bin/cut-off\n/usr/bin/cut-off.orig\n" },
	{ IDENTITY_PATHS, "coreutils", "/.\n/bin\n/bin/true\n/usr\n/usr/bin/env\n/etc/conf\n" },
	{ IDENTITY_DIGESTS, "coreutils",
		ZEROS "  bin/true\n" ONES " *usr/bin/env\n" ZEROS "  usr/bin/not-in-the-list\n"
		      "0  usr/bin/short\n" },
	{ IDENTITY_PATHS, "dash", "/bin/sh\n" },
	{ IDENTITY_DIGESTS, "dash", ZEROS "  bin/sh\n" },
	{ IDENTITY_PATHS, "bash:amd64",
		"/bin/sh\n/usr/bin/mine\n/usr/bin/cut-off\n/usr/bin/taken\n" },
	{ IDENTITY_DIGESTS, "bash:amd64",
		ONES "  bin/sh\n" ONES "  usr/bin/mine\n" ONES "  ./usr/bin/taken\n" },
	/* its file is bash's by now: the digest stays where dpkg has left it */
	{ IDENTITY_PATHS, "old", "/usr/bin\n" },
	{ IDENTITY_DIGESTS, "old", ZEROS "  usr/bin/taken\n" },
	/* of another package than the paths before */
	{ IDENTITY_DIGESTS, "coreutils", ONES "  usr/bin\n" },
};

static int make(const struct identity_stamp *stamp, struct index *ret)
{
	_cleanup_(index_builder_freep) struct index_builder *builder = NULL;
	int fd = memfd_create("index", MFD_CLOEXEC);
	size_t i;

	assert_int_equal(index_builder_new(stamp, &builder), 0);
	for (i = 0; i < ARRAY_SIZE(database); i++)
		assert_int_equal(index_add(builder, database[i].kind, database[i].package,
					 database[i].text, strlen(database[i].text)),
			0);
	assert_int_equal(index_write(builder, fd), 0);
	assert_int_equal(index_open(fd, ret), 0);
	return fd;
}

/* @digest: the first byte of the MD5; -1: it has none; @package NULL: nobody's */
static void check(const struct index *index, const char *path, const char *package, int digest)
{
	const char *name = "";
	const struct index_entry *entry = index_find(index, path, &name);

	if (!package) {
		if (entry)
			fail_msg("%s is of %s, expected nobody", path, name);
		return;
	}
	if (!entry)
		fail_msg("%s is nobody's, expected %s", path, package);
	assert_string_equal(name, package);
	assert_int_equal(entry->has_digest ? entry->md5[0] : -1, digest);
}

static void whose_a_path_is(void **state)
{
	static const struct {
		const char *path, *package;
		int digest;
	} rows[] = {
		{ "/usr/bin/true", "deb:coreutils", 0x00 },
		{ "/bin/true", NULL, 0 }, /* no file has that name when /bin is a link */
		{ "/usr/bin/env", "deb:coreutils", 0x11 },
		{ "/etc/conf", "deb:coreutils", -1 },
		{ "/usr/bin/not-in-the-list", NULL, 0 },
		{ "/usr/bin/short", NULL, 0 },
		{ "/usr/bin/sh", "deb:dash", 0x00 },
		{ "/usr/bin/sh.distrib", "deb:bash", 0x11 },
		{ "/usr/bin/mine", NULL, 0 },
		{ "/usr/bin/mine.orig", "deb:bash", 0x11 },
		{ "/usr/bin/cut-off", "deb:bash", -1 },
		{ "/usr/bin/taken", "deb:bash", 0x11 },
		{ "/usr/bin/unknown", NULL, 0 },
		{ "usr/bin/true", NULL, 0 },
		{ "", NULL, 0 },
	};
	struct index index;
	int fd = make(&merged, &index);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		check(&index, rows[i].path, rows[i].package, rows[i].digest);
	assert_int_equal(index.head->stamp.status_inode, 7);
	index_close(&index);
	close(fd);
}

static void a_usr_that_is_not_merged(void **state)
{
	struct index index;
	int fd = make(&unmerged, &index);

	check(&index, "/bin/true", "deb:coreutils", 0x00);
	check(&index, "/usr/bin/true", NULL, 0);
	check(&index, "/bin/sh.distrib", "deb:bash", 0x11);
	index_close(&index);
	close(fd);
}

static void an_empty_database(void **state)
{
	_cleanup_(index_builder_freep) struct index_builder *builder = NULL;
	int fd = memfd_create("index", MFD_CLOEXEC);
	struct index index;

	assert_int_equal(index_builder_new(&unmerged, &builder), 0);
	assert_int_equal(index_write(builder, fd), 0);
	assert_int_equal(index_open(fd, &index), 0);
	check(&index, "/bin/true", NULL, 0);
	index_close(&index);
	close(fd);
}

static void a_file_that_is_no_whole_index(void **state)
{
	struct index index;
	int fd = make(&merged, &index);
	size_t bytes = index.bytes;

	index_close(&index);
	assert_int_equal(ftruncate(fd, (off_t)bytes - 1), 0);
	assert_int_equal(index_open(fd, &index), -EBADMSG);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	/* the last name has its end again */
	assert_int_equal(index_open(fd, &index), 0);
	index_close(&index);
	assert_int_equal(pwrite(fd, "x", 1, (off_t)bytes - 1), 1);
	assert_int_equal(index_open(fd, &index), -EBADMSG);
	assert_int_equal(pwrite(fd, "", 1, (off_t)bytes - 1), 1);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_int_equal(index_open(fd, &index), -EBADMSG);
	assert_int_equal(ftruncate(fd, 10), 0);
	assert_int_equal(index_open(fd, &index), -EBADMSG);
	close(fd);
}

static void a_name_that_is_too_long(void **state)
{
	_cleanup_(index_builder_freep) struct index_builder *builder = NULL;
	char name[ES_SIGNING_ID_BYTES];

	memset(name, 'n', sizeof name);
	name[sizeof name - sizeof "deb:"] = '\0';
	assert_int_equal(index_builder_new(&unmerged, &builder), 0);
	assert_int_equal(index_add(builder, IDENTITY_PATHS, name, "/a\n", 3), 0);
	name[sizeof name - sizeof "deb:"] = 'n';
	name[sizeof name - sizeof "deb:" + 1] = '\0';
	assert_int_equal(index_add(builder, IDENTITY_PATHS, name, "/a\n", 3), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whose_a_path_is),
		cmocka_unit_test(a_usr_that_is_not_merged),
		cmocka_unit_test(an_empty_database),
		cmocka_unit_test(a_file_that_is_no_whole_index),
		cmocka_unit_test(a_name_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
