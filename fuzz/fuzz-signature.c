/* SPDX-License-Identifier: Apache-2.0
 *
 * A file in minisign's format, and a team's registration: nothing that was not signed fits a key that
 * is not its own.
 */
#include <stdlib.h>
#include "bundle/worker/worker.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct signature signature;
	struct public_key key = { 0 };
	struct wire_error error = { 0 };
	struct team team = { 0 };
	int r;

	r = signature_read((const char *)data, bytes, "manifest.minisig", &signature, &error);
	if (r == 1 && error.rule[0] == 0)
		abort();
	if (r == 0) {
		key.key[0] = 3; /* a point, but nobody's key */
		signature_fits(&signature, &key, data, bytes);
	}
	public_key_read((const char *)data, bytes, &key);
	if (team_read("AAAAAAAAAA.team", (const char *)data, bytes, &team, &error) == 0)
		free(team.entitlements);
	return 0;
}
