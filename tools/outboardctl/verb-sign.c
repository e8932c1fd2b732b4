/* SPDX-License-Identifier: Apache-2.0
 *
 * outboardctl sign: write a bundle's manifest and the signature beside it. Extensions in an app are
 * signed before the app, since its manifest covers theirs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/fd.h"
#include "bundle/sign/sign.h"
#include "tools/outboardctl/bundles.h"
#include "tools/outboardctl/verb.h"

int verb_sign(const struct verb *verb, int argc, char **argv)
{
	const char *key_path = NULL, *entitlements = NULL;
	int passphrase_fd = -1;
	const struct verb_option options[] = {
		{ .name = "--key", .value = &key_path },
		{ .name = "--entitlements", .value = &entitlements },
		{ .name = "--passphrase-fd", .take = bundles_take_fd, .context = &passphrase_fd },
	};
	_cleanup_fd_ int fd = -1;
	struct wire_error error;
	struct secret_key key;
	char name[256];
	int r;

	r = verb_parse(verb, argc, argv, options, ARRAY_SIZE(options), 1, 1, NULL);
	if (r == 0 && !key_path)
		r = verb_usage(verb, "--key is missing");
	if (r == 0)
		r = bundles_open(verb, argv[1], &fd, name);
	if (r == VERB_DONE)
		r = bundles_key(verb, key_path, passphrase_fd, &key);
	if (r != VERB_DONE)
		return r;
	r = bundle_sign(fd, name, argv[1], &key, entitlements, &error);
	key_forget(&key);
	if (r == 1)
		return bundles_refused(verb, &error, false);
	if (r < 0)
		return verb_failed(
			verb, "%s: the signature cannot be written: %s", argv[1], strerror(-r));
	printf("%s: signed\n", argv[1]);
	return VERB_DONE;
}
