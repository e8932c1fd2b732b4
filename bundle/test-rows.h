/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of test-bundle.c: one change, and the one rule that it is refused by. Each table has its
 * own file.
 */
#ifndef OB_BUNDLE_TEST_ROWS_H
#define OB_BUNDLE_TEST_ROWS_H

#include "bundle/test-scene.h"

struct row {
	const char *name;
	const char *bundle; /* that is judged */
	void (*change)(void);
	enum rule_id rule;
	const char *object;  /* that the sentence names */
	const char *changed; /* that is judged after the change; NULL: the same */
};

struct row_table {
	const struct row *rows;
	size_t n_rows;
};

/* What lies in the bundle and what was signed; what stands in Info.plist and the entitlements. */
extern const struct row_table tree_rows, info_rows;

/* Info.plist of the extension, and its signature with it. */
void extension_info(const void *info, size_t bytes);

#endif
