/* SPDX-License-Identifier: Apache-2.0
 *
 * Where what lies in each kind of bundle, as a table. libc only.
 */
#ifndef OB_BUNDLE_LAYOUT_H
#define OB_BUNDLE_LAYOUT_H

#include "bundle/bundle.h"

struct layout {
	enum bundle_kind kind;
	const char *suffix;	  /* of the bundle's own name: ".app" */
	const char *package_type; /* CFBundlePackageType */
	const char *info;	  /* "Contents/Info.plist" */
	const char *executables;  /* "Contents/MacOS/", in front of CFBundleExecutable */
	const char *signatures;	  /* "Contents/_Signature": the folder */
	const char *manifest;
	const char *signature;
};

#define LAYOUT_EXTENSIONS "Contents/Library/SystemExtensions"

/* By the end of the bundle's name; NULL: it is none. */
const struct layout *layout_of(const char *name);
const struct layout *layout_of_kind(uint32_t kind);

/* The identifier in a nested bundle's name: its length, without the suffix. */
size_t layout_identifier_bytes(const struct layout *layout, const char *name);

/* Letters, digits, '-', and single dots that neither begin nor end it. */
bool layout_identifier_ok(const char *identifier);

/* A path of a file in a bundle: relative, no empty, "." or ".." part, no control character, UTF-8. */
bool layout_path_ok(const char *path, size_t bytes);

/* A file's mode as the manifest has it: 0100755 or 0100644. Owner's x decides, as staging does. */
uint32_t layout_mode(uint32_t mode);

#endif
