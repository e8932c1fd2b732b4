/* SPDX-License-Identifier: Apache-2.0
 *
 * A manifest and the entitlements in it: each of its lines is a path inside the bundle, and is found
 * again by it.
 */
#include <stdlib.h>
#include <string.h>
#include "bundle/worker/worker.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct bundle_info info;
	struct manifest manifest = { 0 };
	struct wire_error error = { 0 };
	size_t i;
	int r;

	r = manifest_read((const char *)data, bytes, "manifest", &manifest, &error);
	if (r == 1 && error.rule[0] == 0)
		abort();
	if (r != 0)
		return 0;
	for (i = 0; i < manifest.n_lines; i++) {
		const char *path = manifest.lines[i].path;

		if (!layout_path_ok(path, strlen(path)) ||
			manifest_find(&manifest, path) != &manifest.lines[i])
			abort();
	}
	info = (struct bundle_info){ 0 };
	entitlements_fill(manifest.entitlements, "manifest", &info, &error);
	manifest_done(&manifest);
	return 0;
}
