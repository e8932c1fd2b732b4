/* SPDX-License-Identifier: Apache-2.0
 *
 * Info.plist as a bundle brings it, XML and binary: it is read or refused by a rule that says why, and
 * never nests deeper than was asked.
 */
#include <stdlib.h>
#include "bundle/worker/plist.h"
#include "bundle/worker/worker.h"
#include "fuzz/fuzz.h"

static void read_as(uint32_t kind, const char *text, size_t bytes)
{
	static struct bundle_info info;
	struct wire_error error = { 0 };
	int r;

	info = (struct bundle_info){ 0 };
	r = info_read(text, bytes, layout_of_kind(kind), "Info.plist", &info, &error);
	if (r == 1 && (error.rule[0] == 0 || error.description[0] == 0))
		abort();
	if (r == 0 && !layout_identifier_ok(info.identifier))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const char *text = (const char *)data;
	struct wire_error error;
	plist_t root = NULL;

	read_as(BUNDLE_APP, text, bytes);
	read_as(BUNDLE_SYSX, text, bytes);
	read_as(BUNDLE_DEXT, text, bytes);
	if (plist_read(text, bytes, "Info.plist", &root, &error) == 0) {
		json_decref(plist_to_json_value(root));
		plist_free(root);
	}
	return 0;
}
