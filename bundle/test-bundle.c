/* SPDX-License-Identifier: Apache-2.0
 *
 * What is refused, as a table (test-rows-*.c): a sound app and its extension, really signed, are
 * accepted; with exactly one change they are refused by exactly one rule, whose sentence names what it
 * is about; with the change undone they are accepted again. The verdict is the worker's, asked for as
 * outboardd asks for it. Needs no rights: what only root can make is a test by itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <cmocka.h>
#include "base/fd.h"
#include "base/str.h"
#include "bundle/test-rows.h"

#define EXTENSION_INFO SCENE_EXTENSION "/Contents/Info.plist"

static const struct row_table *const tables[] = { &tree_rows, &info_rows };

static void test_row(void **state)
{
	const struct row *row = *state;

	scene_accepts(row->bundle);
	row->change();
	scene_refuses(row->changed ? row->changed : row->bundle, row->rule, row->object);
	scene_undo();
	scene_accepts(row->bundle);
}

/* ---- what only root makes, and what is allowed ------------------------------------------------ */

static void test_device(void **state)
{
	scene_accepts(SCENE_APP);
	if (scene_node(SCENE_DATA, S_IFCHR | 0644, makedev(1, 3)) < 0) {
		scene_undo();
		print_message("a device needs root, and a place that allows one\n");
		skip();
	}
	scene_refuses(SCENE_APP, RULE_BUNDLE_SPECIAL_FILE, SCENE_DATA);
	scene_undo();
	scene_accepts(SCENE_APP);
}

/* The scene's own link leads to a file; so may one to a folder, and one across folders. */
static void test_links_inside(void **state)
{
	static const char *const targets[] = { "../Resources", "../Info.plist", "./data.txt",
		"../../Contents/MacOS" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		scene_link(SCENE_LINK, targets[i]);
		scene_sign(SCENE_APP, scene_app_entitlements);
		scene_accepts(SCENE_APP);
		scene_undo();
	}
	scene_accepts(SCENE_APP);
}

/* A second extension of another identifier is no second one of this, however alike they are. */
static void test_neighbours(void **state)
{
	scene_extension(SCENE_EXTENSIONS "/" SCENE_AGENT ".helper.systemextension",
		SCENE_AGENT ".helper", "SYSX");
	scene_extension(SCENE_EXTENSIONS "/" SCENE_AGENT "2.dext", SCENE_AGENT "2", "DEXT");
	scene_sign(SCENE_APP, scene_app_entitlements);
	scene_accepts(SCENE_APP);
	scene_undo();
}

/* What is nested as deep as may be, and as long: the limit is where the manual says. */
static void test_plist_that_is_allowed(void **state)
{
	_cleanup_free_ char *info = scene_info(SCENE_AGENT, "SYSX", "main");
	size_t bytes = BUNDLE_PLIST_BYTES_MAX, head = strlen(info) - strlen("</dict></plist>\n");
	_cleanup_free_ char *large = malloc(bytes + 1);

	assert_non_null(large);
	memset(large, ' ', bytes + 1);
	memcpy(large, info, head);
	memcpy(large + bytes - 16, info + head, 16);
	extension_info(large, bytes);
	scene_accepts(SCENE_EXTENSION);
	large[bytes] = '\n';
	extension_info(large, bytes + 1);
	scene_refuses(SCENE_EXTENSION, RULE_INFO_TOO_LARGE, EXTENSION_INFO);
	scene_undo();
}

static int undo(void **state)
{
	scene_undo(); /* of a test that has failed on the way */
	return 0;
}

#define OTHERS 4

int main(void)
{
	struct CMUnitTest tests[256] = {
		cmocka_unit_test_teardown(test_device, undo),
		cmocka_unit_test_teardown(test_links_inside, undo),
		cmocka_unit_test_teardown(test_neighbours, undo),
		cmocka_unit_test_teardown(test_plist_that_is_allowed, undo),
	};
	size_t n = OTHERS, i, j;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (j = 0; j < tables[i]->n_rows && n < ARRAY_SIZE(tests); j++)
			tests[n++] = (struct CMUnitTest){ .name = tables[i]->rows[j].name,
				.test_func = test_row,
				.teardown_func = undo,
				.initial_state = (void *)(uintptr_t)&tables[i]->rows[j] };
	return _cmocka_run_group_tests("bundle", tests, n, scene_begin, scene_end);
}
