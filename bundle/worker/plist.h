/* SPDX-License-Identifier: Apache-2.0
 *
 * Property lists from outside: what libplist is not asked to survive is refused first. Also used by
 * `outboardctl sign` for a developer's own entitlements.
 */
#ifndef OB_BUNDLE_WORKER_PLIST_H
#define OB_BUNDLE_WORKER_PLIST_H

#include <jansson.h>
#include <plist/plist.h>
#include "base/rules.h"

#define PLIST_DEPTH_MAX 32

/* 0: a dictionary, plist_free(); 1 refused, by rules info.*. */
int plist_read(
	const char *text, size_t bytes, const char *path, plist_t *ret, struct wire_error *error);

/* The same as JSON: strings, numbers, truth values, arrays, dictionaries. NULL: something else is in it. */
json_t *plist_to_json_value(plist_t node);

#endif
