/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing a bundle: its manifest, and the signature beside it. For a developer's own files.
 */
#ifndef OB_BUNDLE_SIGN_SIGN_H
#define OB_BUNDLE_SIGN_SIGN_H

#include "bundle/bundle.h"
#include "bundle/sign/key.h"

/*
 * @entitlements: property list, or NULL for none
 * 0; 1 refused, by a rule; -errno of writing. Both files are replaced whole, the signature last.
 */
int bundle_sign(int dir_fd, const char *name, const char *path, const struct secret_key *key,
	const char *entitlements, struct wire_error *error);

#endif
