/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of dpkg's database, as bytes: lists of paths, MD5 sums, diversions. What does not fit
 * is passed over, as dpkg(1) itself would complain about it elsewhere. Formats: dpkg(1),
 * deb-md5sums(5), dpkg-divert(1).
 */
#ifndef OB_ENDPOINT_IDENTITY_DPKG_H
#define OB_ENDPOINT_IDENTITY_DPKG_H

#include <stddef.h>
#include <stdint.h>

#define DPKG_MD5_BYTES 16
#define DPKG_PATH_MAX 4095

/* @path: "usr/bin/true", without a slash in front, not terminated; @md5: NULL in a list. 0 or the end. */
typedef int (*dpkg_path)(void *context, const char *path, size_t bytes, const uint8_t *md5);
/* @from and @to as above; @package: "" for all of them. */
typedef int (*dpkg_diversion)(void *context, const char *from, size_t from_bytes, const char *to,
	size_t to_bytes, const char *package, size_t package_bytes);

/* 0, or what the callback has ended it with. */
int dpkg_read_list(const char *text, size_t bytes, dpkg_path take, void *context);
int dpkg_read_md5sums(const char *text, size_t bytes, dpkg_path take, void *context);
int dpkg_read_diversions(const char *text, size_t bytes, dpkg_diversion take, void *context);

#endif
